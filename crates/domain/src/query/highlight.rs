//! Colours for the query bar.

use super::{
    lexer::{Lexeme, lex},
    parser::{Parsed, Wrong},
    value::as_number,
};

/// What a part of the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// White space.
    Plain,
    /// A field's name.
    Field,
    /// `:`, comparisons, `-`, parentheses, brackets.
    Operator,
    /// Free text, or a field's value.
    Value,
    /// A field's value that is a number.
    Number,
    /// `AND`, `OR`, `NOT`, `TO`.
    Keyword,
    /// What is wrong.
    Error,
}

impl Class {
    /// A stable name, for style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Field => "field",
            Self::Operator => "operator",
            Self::Value => "value",
            Self::Number => "number",
            Self::Keyword => "keyword",
            Self::Error => "error",
        }
    }
}

/// A part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
    /// What it is.
    pub class: Class,
}

/// The parts of the text in order, without gap or overlap, also where the text is no query.
pub fn highlight(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let wrong = Parsed::read(text).err().map_or(0..0, |Wrong(_, bytes)| bytes);
    let mut after_operator = false;
    let mut in_range = false;
    for token in lex(text) {
        let class = match &token.lexeme {
            Lexeme::Space => Class::Plain,
            Lexeme::Open
            | Lexeme::Close
            | Lexeme::Minus
            | Lexeme::Colon
            | Lexeme::Compare(_)
            | Lexeme::RangeOpen
            | Lexeme::RangeClose => Class::Operator,
            Lexeme::And | Lexeme::Or | Lexeme::Not | Lexeme::To => Class::Keyword,
            Lexeme::Field(_) => Class::Field,
            Lexeme::Atom(atom) if atom.is_star_alone() => Class::Operator,
            Lexeme::Atom(atom) if (after_operator || in_range) && as_number(&atom.text).is_some() => {
                Class::Number
            }
            Lexeme::Atom(_) => Class::Value,
            // Where only a part of it is wrong, the rest keeps its colour.
            Lexeme::Bad(_, bytes) if *bytes != token.bytes => Class::Value,
            Lexeme::Bad(..) => Class::Error,
        };
        in_range = (in_range || token.lexeme == Lexeme::RangeOpen) && token.lexeme != Lexeme::RangeClose;
        after_operator = matches!(token.lexeme, Lexeme::Colon | Lexeme::Compare(_));
        // The mistake may be part of a token, or many.
        let cut = |at: usize| at.clamp(token.bytes.start, token.bytes.end);
        let (from, to) = (cut(wrong.start), cut(wrong.end));
        let parts =
            [(token.bytes.start, from, class), (from, to, Class::Error), (to, token.bytes.end, class)];
        for (start, end, class) in parts {
            if start < end {
                spans.push(Span { start, end, class });
            }
        }
    }
    spans
}
