//! Completion of what is being typed.

use super::{
    lexer::{Lexeme, Token, lex},
    print::quote,
};
use crate::{
    EventKind, Level,
    api::{Facet, FieldInfo},
    text::fold,
};
use std::ops::Range;

/// What the caller knows of the tenant's data.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompletionSource<'a> {
    /// Fields that occur; the envelope's need not be among them.
    pub fields: &'a [FieldInfo],
    /// Frequent values of fields, most frequent first.
    pub facets: &'a [Facet],
}

/// What can stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completions {
    /// The bytes that a chosen item replaces.
    pub replace: Range<usize>,
    /// Best first.
    pub items: Vec<Completion>,
}

/// One thing that can stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text to put in, quoted as needed.
    pub insert: String,
    /// What to show.
    pub label: String,
    /// What it is.
    pub kind: CompletionKind,
}

/// What a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompletionKind {
    /// A field's name with its operator.
    Field,
    /// A value that occurs.
    Value,
    /// A level.
    Level,
    /// A kind of event.
    Kind,
    /// A comparison, or `*`.
    Operator,
    /// `AND`, `OR`, `NOT`.
    Keyword,
}

/// At most this many are offered.
pub const MAX_COMPLETIONS: usize = 20;

/// The envelope's fields, the most useful first.
const ENVELOPE: [&str; 8] = ["level", "source", "kind", "message", "ts", "received_at", "id", "raw"];

/// What can stand at the cursor, a byte position in the text (see [`byte_offset`]); a position inside a character
/// counts as before it.
pub fn complete(text: &str, cursor: usize, names: &CompletionSource<'_>) -> Completions {
    let cursor = text.floor_char_boundary(cursor);
    let tokens = lex(text);
    let mut items = Items::default();
    let replace = match Spot::at(text, &tokens, cursor) {
        Spot::Name { typed, bytes, operator_follows, after_operand } => {
            items.names(&typed, operator_follows, after_operand, names);
            bytes
        }
        Spot::Value { field, typed, compared, bytes } => {
            items.values(&field, &typed, compared, names);
            bytes
        }
        Spot::Nothing => cursor..cursor,
    };
    items.0.truncate(MAX_COMPLETIONS);
    Completions { replace, items: items.0 }
}

/// The field whose value the cursor is in, with dots, so that the caller can fetch its values.
pub fn field_at(text: &str, cursor: usize) -> Option<String> {
    match Spot::at(text, &lex(text), text.floor_char_boundary(cursor)) {
        Spot::Value { field, .. } => Some(field),
        _ => None,
    }
}

/// The byte position of a position in UTF-16 units, as browsers give the cursor's.
pub fn byte_offset(text: &str, utf16: usize) -> usize {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        if units >= utf16 {
            return at;
        }
        units += c.len_utf16();
    }
    text.len()
}

/// The position in UTF-16 units of a byte position.
pub fn utf16_offset(text: &str, bytes: usize) -> usize {
    text[..text.floor_char_boundary(bytes)].chars().map(char::len_utf16).sum()
}

/// Where the cursor is.
enum Spot {
    /// In a name or word, or where one may begin.
    Name { typed: String, bytes: Range<usize>, operator_follows: bool, after_operand: bool },
    /// In a value, or where one may begin.
    Value { field: String, typed: String, compared: bool, bytes: Range<usize> },
    /// Where nothing can be offered.
    Nothing,
}

impl Spot {
    fn at(text: &str, tokens: &[Token], cursor: usize) -> Self {
        let here = tokens.iter().position(|t| t.bytes.start < cursor && cursor <= t.bytes.end);
        let lexeme = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map(|t| &t.lexeme);
        let typed = |token: &Token| {
            text[token.bytes.start..cursor].trim_start_matches('"').trim_end_matches('*').replace('\\', "")
        };
        let Some(at) = here else {
            return Self::Name {
                typed: String::new(),
                bytes: cursor..cursor,
                operator_follows: false,
                after_operand: false,
            };
        };
        let token = &tokens[at];
        let before = lexeme(at.checked_sub(1));
        let field = |at: usize| match lexeme(at.checked_sub(1)) {
            Some(Lexeme::Field(name)) => Some(name.clone()),
            _ => None,
        };
        match &token.lexeme {
            Lexeme::Colon | Lexeme::Compare(_) => {
                let next = tokens.get(at + 1).filter(|t| matches!(t.lexeme, Lexeme::Atom(_)));
                let compared = token.lexeme != Lexeme::Colon;
                let end = next.map_or(cursor, |t| t.bytes.end);
                field(at).map_or(Self::Nothing, |field| Self::Value {
                    field,
                    typed: String::new(),
                    compared,
                    bytes: cursor..end,
                })
            }
            Lexeme::Atom(_) | Lexeme::Bad(super::QueryErrorKind::UnclosedQuote, _)
                if matches!(before, Some(Lexeme::Colon | Lexeme::Compare(_))) =>
            {
                // An unclosed quote swallows what follows the cursor; that must stay.
                let end = if matches!(token.lexeme, Lexeme::Atom(_)) { token.bytes.end } else { cursor };
                field(at - 1).map_or(Self::Nothing, |field| Self::Value {
                    field,
                    typed: typed(token),
                    compared: before != Some(&Lexeme::Colon),
                    bytes: token.bytes.start..end,
                })
            }
            Lexeme::Atom(_) | Lexeme::Field(_) | Lexeme::And | Lexeme::Or | Lexeme::Not => Self::Name {
                typed: typed(token),
                bytes: token.bytes.clone(),
                operator_follows: matches!(token.lexeme, Lexeme::Field(_)),
                after_operand: false,
            },
            Lexeme::Space | Lexeme::Open | Lexeme::Minus => Self::Name {
                typed: String::new(),
                bytes: cursor..cursor,
                operator_follows: false,
                after_operand: token.lexeme == Lexeme::Space
                    && matches!(before, Some(Lexeme::Atom(_) | Lexeme::Close | Lexeme::RangeClose)),
            },
            _ => Self::Nothing,
        }
    }
}

/// How well a candidate fits what was typed; less is better.
fn rank(candidate: &str, typed: &str) -> Option<u8> {
    let (candidate, typed) = (fold(candidate), fold(typed));
    if candidate.starts_with(&typed) { Some(0) } else { candidate.contains(&typed).then_some(1) }
}

#[derive(Default)]
struct Items(Vec<Completion>);

impl Items {
    fn add(&mut self, kind: CompletionKind, insert: impl Into<String>, label: impl Into<String>) {
        self.0.push(Completion { insert: insert.into(), label: label.into(), kind });
    }

    fn names(
        &mut self,
        typed: &str,
        operator_follows: bool,
        after_operand: bool,
        source: &CompletionSource<'_>,
    ) {
        if after_operand {
            self.add(CompletionKind::Keyword, "AND ", "AND");
            self.add(CompletionKind::Keyword, "OR ", "OR");
        }
        let own = source.fields.iter().filter(|f| !ENVELOPE.contains(&f.name.as_str()));
        let all = ENVELOPE
            .iter()
            .map(|name| (*name, false))
            .chain(own.map(|f| (f.name.as_str(), f.numeric && !f.text && !f.boolean)));
        let mut fitting: Vec<(u8, &str, bool)> =
            all.filter_map(|(name, numeric)| rank(name, typed).map(|rank| (rank, name, numeric))).collect();
        fitting.sort_by_key(|(rank, ..)| *rank);
        for (_, name, numeric) in fitting {
            let written = quote(name);
            if operator_follows {
                self.add(CompletionKind::Field, written, name);
                continue;
            }
            let usual = if numeric { ">=" } else { ":" };
            self.add(CompletionKind::Field, format!("{written}{usual}"), name);
            if name == typed && (numeric || matches!(name, "level" | "ts" | "received_at")) {
                for operator in [":", ">=", ">", "<=", "<"].into_iter().filter(|o| *o != usual) {
                    let text = format!("{written}{operator}");
                    self.add(CompletionKind::Operator, text.clone(), text);
                }
            }
        }
        if typed.is_empty() || operator_follows {
            return;
        }
        for level in Level::ALL.into_iter().filter(|l| l.name().starts_with(&fold(typed))) {
            let text = format!("level:{level}");
            self.add(CompletionKind::Level, text.clone(), text);
        }
        for keyword in ["AND", "OR", "NOT"].into_iter().filter(|k| k.starts_with(&typed.to_uppercase())) {
            self.add(CompletionKind::Keyword, format!("{keyword} "), keyword);
        }
    }

    fn values(&mut self, field: &str, typed: &str, compared: bool, source: &CompletionSource<'_>) {
        let fits = |candidate: &str| rank(candidate, typed).is_some();
        match field {
            "level" => {
                for level in Level::ALL.into_iter().rev().filter(|l| fits(l.name())) {
                    self.add(CompletionKind::Level, level.name(), level.name());
                }
            }
            "kind" if !compared => {
                for kind in [EventKind::Log, EventKind::Metric, EventKind::Event] {
                    if fits(kind.name()) {
                        self.add(CompletionKind::Kind, kind.name(), kind.name());
                    }
                }
            }
            _ => {
                let values = source.facets.iter().filter(|f| f.field == field).flat_map(|f| &f.values);
                let mut fitting: Vec<(u8, &str)> = values
                    .filter_map(|v| rank(&v.value, typed).map(|rank| (rank, v.value.as_str())))
                    .collect();
                fitting.sort_by_key(|(rank, _)| *rank);
                for (_, value) in
                    fitting.into_iter().filter(|(_, v)| !compared || super::as_number(v).is_some())
                {
                    self.add(CompletionKind::Value, quote(value), value);
                }
            }
        }
        if typed.is_empty() && !compared {
            self.add(CompletionKind::Operator, "*", "*");
        }
    }
}
