//! What a query means once parsed; what stores translate.

use crate::{Level, Timestamp};

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The text it was parsed from.
    pub text: String,
    /// Its meaning.
    pub expr: Expr,
}

impl Query {
    /// Everything.
    pub fn all() -> Self {
        Self { text: String::new(), expr: Expr::All }
    }
}

/// A condition on one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Every event.
    All,
    /// All of these; at least two.
    And(Vec<Expr>),
    /// Any of these; at least two.
    Or(Vec<Expr>),
    /// Not this: includes events without the field.
    Not(Box<Expr>),
    /// Free text over `message` and every string field: the tokens of `text` (see `text::query_terms`) stand
    /// next to each other, in one value; with `prefix` the last one may go on. A text without terms matches nothing;
    /// the parser refuses it.
    Text {
        /// As written, unquoted.
        text: String,
        /// Written with a `*` at the end.
        prefix: bool,
    },
    /// `field:value`: the whole value, folded by the tokeniser's table (`text::fold`). Matches strings, values beyond
    /// the name budget (`x`), and numbers or booleans where `value` parses as one (`query::as_number`, `as_bool`).
    /// `message` is full text: there it means the words of `value`, as [`Expr::Text`] finds them, in the message alone.
    /// The parser never makes it of `level`, `ts`, `received_at` or `raw`.
    Equals {
        /// Which field.
        field: Field,
        /// As written, unquoted.
        value: String,
    },
    /// `field:pre*`: the folded value starts with the folded prefix. Strings and values beyond the name budget only;
    /// of the envelope `id`, `source` and `kind`. Of `message` the words, of which the last may go on.
    Prefix {
        /// Which field.
        field: Field,
        /// As written, unquoted, without the star.
        prefix: String,
    },
    /// `field:*`: the event has the field, of any type, with at least one value.
    Exists {
        /// Which field.
        field: Field,
    },
    /// `field>n`: some number of the field compares so.
    Number {
        /// Which field; never an envelope name but by its own number fields.
        field: Field,
        /// How.
        comparison: Comparison,
        /// With what.
        value: f64,
    },
    /// `level>=warn`: events without a level never match.
    Level {
        /// How.
        comparison: Comparison,
        /// With what.
        level: Level,
    },
    /// `ts>=2026-01-01T00:00:00Z`.
    Time {
        /// `ts` or `received_at`.
        field: Field,
        /// How.
        comparison: Comparison,
        /// With what.
        at: Timestamp,
    },
}

/// How two values compare. `field:[1 TO 5]` becomes `And` of `AtLeast` and `AtMost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `field:n` on `level` and `ts`.
    Equal,
}

impl Comparison {
    /// Whether `left` stands so to `right`.
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
        }
    }
}

/// A field of an event. Envelope names win: a record's own `id` is `fields.id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// `id`
    Id,
    /// `source`
    Source,
    /// `kind`
    Kind,
    /// `level`
    Level,
    /// `message`
    Message,
    /// `ts`
    Ts,
    /// `received_at`
    ReceivedAt,
    /// `raw`: exists only.
    Raw,
    /// Any other, as stored: `/` for the separator that people write as `.`.
    Named(String),
}

impl Field {
    /// From the name people write, with dots; `fields.x` is the record's own `x`.
    pub fn parse(name: &str) -> Self {
        match name {
            "id" => Self::Id,
            "source" => Self::Source,
            "kind" => Self::Kind,
            "level" => Self::Level,
            "message" => Self::Message,
            "ts" => Self::Ts,
            "received_at" => Self::ReceivedAt,
            "raw" => Self::Raw,
            own => Self::Named(own.strip_prefix("fields.").unwrap_or(own).replace('.', "/")),
        }
    }
}
