//! Whether an event matches: for live tails, and the measure of what every store must answer.

use super::{
    Comparison, Expr, Field, Query,
    value::{as_bool, as_number},
};
use crate::{
    EventId, Level, Timestamp,
    event::StoredEvent,
    text::{self, QueryTerm},
};

impl Query {
    /// Whether the event matches. To ask for many events, make a [`Matcher`] once.
    pub fn matches(&self, event: &StoredEvent<'_>) -> bool {
        Matcher::new(self).matches(event)
    }

    /// What to highlight in messages: the terms of every free text and `message:` that is not excluded, and whether
    /// the last one may go on; see [`text::find`].
    pub fn text_terms(&self) -> Vec<(Vec<QueryTerm>, bool)> {
        fn collect(expr: &Expr, found: &mut Vec<(Vec<QueryTerm>, bool)>) {
            match expr {
                Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|p| collect(p, found)),
                Expr::Text { text, prefix } => found.push((text::query_terms(text), *prefix)),
                Expr::Equals { field: Field::Message, value } => {
                    found.push((text::query_terms(value), false));
                }
                Expr::Prefix { field: Field::Message, prefix } => {
                    found.push((text::query_terms(prefix), true));
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        collect(&self.expr, &mut found);
        found
    }
}

/// A query made ready to be asked about many events.
#[derive(Debug, Clone)]
pub struct Matcher(Condition);

impl Matcher {
    /// Folds and tokenises what the query names.
    pub fn new(query: &Query) -> Self {
        Self(Condition::new(&query.expr))
    }

    /// Whether the event matches.
    pub fn matches(&self, event: &StoredEvent<'_>) -> bool {
        self.0.matches(event)
    }
}

#[derive(Debug, Clone)]
enum Condition {
    All,
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Text { terms: Vec<QueryTerm>, prefix: bool },
    Message { terms: Vec<QueryTerm>, prefix: bool },
    Equals { field: Field, value: Value },
    Prefix { field: Field, folded: String },
    Exists { field: Field },
    Number { name: String, comparison: Comparison, value: f64 },
    Level { comparison: Comparison, level: Level },
    Time { field: Field, comparison: Comparison, at: Timestamp },
    Never,
}

/// All that a written value may mean.
#[derive(Debug, Clone)]
struct Value {
    folded: String,
    number: Option<f64>,
    boolean: Option<bool>,
    id: Option<EventId>,
    level: Option<Level>,
    at: Option<Timestamp>,
}

impl Condition {
    fn new(expr: &Expr) -> Self {
        match expr {
            Expr::All => Self::All,
            Expr::And(parts) => Self::And(parts.iter().map(Self::new).collect()),
            Expr::Or(parts) => Self::Or(parts.iter().map(Self::new).collect()),
            Expr::Not(inner) => Self::Not(Box::new(Self::new(inner))),
            Expr::Text { text, prefix } => Self::Text { terms: text::query_terms(text), prefix: *prefix },
            Expr::Equals { field: Field::Message, value } => {
                Self::Message { terms: text::query_terms(value), prefix: false }
            }
            Expr::Prefix { field: Field::Message, prefix } => {
                Self::Message { terms: text::query_terms(prefix), prefix: true }
            }
            Expr::Equals { field, value } => Self::Equals { field: field.clone(), value: Value::new(value) },
            Expr::Prefix { field, prefix } => {
                Self::Prefix { field: field.clone(), folded: text::fold(prefix) }
            }
            Expr::Exists { field } => Self::Exists { field: field.clone() },
            Expr::Number { field: Field::Named(name), comparison, value } => {
                Self::Number { name: name.clone(), comparison: *comparison, value: *value }
            }
            // Envelope fields hold no numbers.
            Expr::Number { .. } => Self::Never,
            Expr::Level { comparison, level } => Self::Level { comparison: *comparison, level: *level },
            Expr::Time { field, comparison, at } => {
                Self::Time { field: field.clone(), comparison: *comparison, at: *at }
            }
        }
    }

    fn matches(&self, event: &StoredEvent<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Never => false,
            Self::And(parts) => parts.iter().all(|p| p.matches(event)),
            Self::Or(parts) => parts.iter().any(|p| p.matches(event)),
            Self::Not(inner) => !inner.matches(event),
            Self::Text { terms, prefix } => {
                let found = |value: &str| text::contains(value, terms, *prefix);
                event.message.as_deref().is_some_and(found)
                    || event.s.0.iter().any(|(_, values)| values.as_slice().iter().any(|v| found(&v.0)))
            }
            Self::Message { terms, prefix } => {
                event.message.as_deref().is_some_and(|message| text::contains(message, terms, *prefix))
            }
            Self::Equals { field, value } => value.equals(field, event),
            Self::Prefix { field, folded } => strings(field, event, &mut |v| starts_with_folded(v, folded)),
            Self::Exists { field } => exists(field, event),
            Self::Number { name, comparison, value } => {
                event.n.get(name).iter().any(|n| comparison.holds(n, value))
            }
            Self::Level { comparison, level } => event.level.is_some_and(|l| comparison.holds(&l, level)),
            Self::Time { field, comparison, at } => {
                instant(field, event).is_some_and(|t| comparison.holds(&t, at))
            }
        }
    }
}

impl Value {
    fn new(written: &str) -> Self {
        let folded = text::fold(written);
        Self {
            number: as_number(written),
            boolean: as_bool(written),
            id: EventId::parse(written).ok(),
            level: Level::parse(&folded),
            at: Timestamp::parse(written).ok(),
            folded,
        }
    }

    fn equals(&self, field: &Field, event: &StoredEvent<'_>) -> bool {
        match field {
            Field::Id => self.id == Some(event.id),
            Field::Level => self.level.is_some() && self.level == event.level,
            Field::Ts | Field::ReceivedAt => self.at.is_some() && self.at == instant(field, event),
            // The words of a message are another condition.
            Field::Raw | Field::Message => false,
            Field::Source | Field::Kind => strings(field, event, &mut |v| is_folded(v, &self.folded)),
            Field::Named(name) => {
                strings(field, event, &mut |v| is_folded(v, &self.folded))
                    || self.number.is_some_and(|n| event.n.get(name).contains(&n))
                    || self.boolean.is_some_and(|b| event.b.get(name).contains(&b))
            }
        }
    }
}

/// Whether some string of the field fits.
fn strings(field: &Field, event: &StoredEvent<'_>, fits: &mut dyn FnMut(&str) -> bool) -> bool {
    match field {
        Field::Id => fits(event.id.0.hyphenated().encode_lower(&mut [0; 36])),
        Field::Source => fits(&event.source),
        Field::Kind => fits(event.kind.name()),
        Field::Level => event.level.is_some_and(|l| fits(l.name())),
        Field::Message | Field::Ts | Field::ReceivedAt | Field::Raw => false,
        Field::Named(name) => {
            event.s.get(name).iter().any(|v| fits(&v.0))
                || event.x.iter().any(|pair| own_value(&pair.0, name).is_some_and(&mut *fits))
        }
    }
}

/// The value of a `name=value` pair, where the name is this one.
fn own_value<'p>(pair: &'p str, name: &str) -> Option<&'p str> {
    let (own, value) = pair.split_once('=')?;
    (own == name).then_some(value)
}

fn exists(field: &Field, event: &StoredEvent<'_>) -> bool {
    match field {
        Field::Id | Field::Source | Field::Kind | Field::Ts | Field::ReceivedAt => true,
        Field::Level => event.level.is_some(),
        Field::Message => event.message.is_some(),
        Field::Raw => event.raw.is_some(),
        Field::Named(name) => {
            !event.n.get(name).is_empty()
                || !event.s.get(name).is_empty()
                || !event.b.get(name).is_empty()
                || event.x.iter().any(|pair| own_value(&pair.0, name).is_some())
        }
    }
}

fn instant(field: &Field, event: &StoredEvent<'_>) -> Option<Timestamp> {
    match field {
        Field::Ts => Some(event.ts),
        Field::ReceivedAt => Some(event.received_at),
        _ => None,
    }
}

/// Whether a value folds to this.
fn is_folded(value: &str, folded: &str) -> bool {
    if value.is_ascii() { value.eq_ignore_ascii_case(folded) } else { text::fold(value) == folded }
}

/// Whether a value, folded, starts with this.
fn starts_with_folded(value: &str, folded: &str) -> bool {
    if value.is_ascii() {
        value.get(..folded.len()).is_some_and(|start| start.eq_ignore_ascii_case(folded))
    } else {
        text::fold(value).starts_with(folded)
    }
}
