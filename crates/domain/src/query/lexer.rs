//! The lexer: total, linear, and covering its text without a gap, so that highlighting can use it on broken text.

use super::{Comparison, error::QueryErrorKind as Kind};
use std::ops::Range;

/// A value or free text as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Atom {
    /// Without quotes, escapes and the final star.
    pub text: String,
    /// Written in quotes.
    pub quoted: bool,
    /// With an unescaped star at the end.
    pub star: bool,
}

impl Atom {
    /// A star and nothing else.
    pub fn is_star_alone(&self) -> bool {
        self.star && self.text.is_empty()
    }
}

/// What a piece of the text is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Lexeme {
    Space,
    Open,
    Close,
    And,
    Or,
    Not,
    Minus,
    /// A field's name, unescaped; an operator follows at once.
    Field(String),
    Colon,
    Compare(Comparison),
    Atom(Atom),
    RangeOpen,
    To,
    RangeClose,
    /// What is wrong, and exactly where.
    Bad(Kind, Range<usize>),
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub lexeme: Lexeme,
    /// Its bytes.
    pub bytes: Range<usize>,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Term,
    /// Right after a field's name.
    Operator,
    /// Right after `:`.
    Value,
    /// Right after a comparison.
    Compared,
    /// Between `[` and `]`.
    Range,
}

/// Cuts the text into tokens that cover it.
pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, place: Place::Term };
    let mut tokens = Vec::new();
    while let Some(c) = lexer.peek() {
        let start = lexer.at;
        let lexeme = lexer.next(c);
        debug_assert!(lexer.at > start, "every token has a character");
        tokens.push(Token { lexeme, bytes: start..lexer.at });
    }
    tokens
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    place: Place,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, c: char) {
        self.at += c.len_utf8();
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|c| fits(*c)) {
            self.skip(c);
        }
    }

    fn sign(&mut self, c: char, lexeme: Lexeme) -> Lexeme {
        self.skip(c);
        lexeme
    }

    fn next(&mut self, c: char) -> Lexeme {
        if c.is_whitespace() {
            if self.place != Place::Range {
                self.place = Place::Term;
            }
            self.take_while(char::is_whitespace);
            return Lexeme::Space;
        }
        match self.place {
            Place::Term => self.term(c),
            Place::Operator => self.operator(c),
            Place::Value | Place::Compared => self.value(c),
            Place::Range => self.range(c),
        }
    }

    fn term(&mut self, c: char) -> Lexeme {
        let start = self.at;
        match c {
            '(' => return self.sign(c, Lexeme::Open),
            ')' => return self.sign(c, Lexeme::Close),
            '-' => return self.sign(c, Lexeme::Minus),
            ':' | '<' | '>' => {
                self.operator(c);
                return Lexeme::Bad(Kind::MissingField, start..self.at);
            }
            _ => {}
        }
        let lexeme = if c == '"' { self.quoted() } else { self.bare(is_term_end) };
        let Lexeme::Atom(atom) = lexeme else { return lexeme };
        if self.peek().is_some_and(|c| matches!(c, ':' | '<' | '>')) {
            self.place = Place::Operator;
            return match atom {
                Atom { star: true, .. } => Lexeme::Bad(Kind::StarInMiddle, self.at - 1..self.at),
                Atom { text, .. } if text.is_empty() || text == "fields." => {
                    Lexeme::Bad(Kind::MissingField, start..self.at)
                }
                Atom { text, .. } => Lexeme::Field(text),
            };
        }
        match &self.text[start..self.at] {
            "AND" => Lexeme::And,
            "OR" => Lexeme::Or,
            "NOT" => Lexeme::Not,
            _ => Lexeme::Atom(atom),
        }
    }

    /// `:`, `>`, `>=`, `<`, `<=`.
    fn operator(&mut self, c: char) -> Lexeme {
        self.skip(c);
        if c == ':' {
            self.place = Place::Value;
            return Lexeme::Colon;
        }
        self.place = Place::Compared;
        let or_equal = self.peek() == Some('=');
        if or_equal {
            self.at += 1;
        }
        Lexeme::Compare(match (c, or_equal) {
            ('>', false) => Comparison::Greater,
            ('>', true) => Comparison::AtLeast,
            (_, false) => Comparison::Less,
            (_, true) => Comparison::AtMost,
        })
    }

    fn value(&mut self, c: char) -> Lexeme {
        let start = self.at;
        let after_colon = self.place == Place::Value;
        self.place = Place::Term;
        match c {
            '[' if after_colon => {
                self.place = Place::Range;
                self.sign(c, Lexeme::RangeOpen)
            }
            '(' => self.sign(c, Lexeme::Open),
            ')' => self.sign(c, Lexeme::Close),
            '<' | '>' | '=' => {
                self.take_while(|c| matches!(c, '<' | '>' | '='));
                Lexeme::Bad(Kind::DoubleOperator, start..self.at)
            }
            '"' => self.quoted(),
            _ => self.bare(is_value_end),
        }
    }

    fn range(&mut self, c: char) -> Lexeme {
        let start = self.at;
        match c {
            ']' => {
                self.place = Place::Term;
                return self.sign(c, Lexeme::RangeClose);
            }
            '"' => return self.quoted(),
            _ => {}
        }
        let lexeme = self.bare(|c| c.is_whitespace() || c == ']');
        if self.text[start..self.at].eq_ignore_ascii_case("TO") { Lexeme::To } else { lexeme }
    }

    /// From a quote to the next one that is not escaped, and a star after it.
    fn quoted(&mut self) -> Lexeme {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Lexeme::Bad(Kind::UnclosedQuote, start..self.at);
            };
            self.skip(c);
            match c {
                '"' => break,
                '\\' => {
                    if let Some(escaped) = self.peek() {
                        self.skip(escaped);
                        text.push(escaped);
                    }
                }
                _ => text.push(c),
            }
        }
        let star = self.peek() == Some('*');
        if star {
            let star_at = self.at;
            self.at += 1;
            if text.is_empty() {
                return Lexeme::Bad(Kind::StarAlone, start..self.at);
            }
            if self.peek().is_some_and(|c| !is_value_end(c) && c != ']') {
                return Lexeme::Bad(Kind::StarInMiddle, star_at..self.at);
            }
        }
        Lexeme::Atom(Atom { text, quoted: true, star })
    }

    /// Up to the end that the place has.
    fn bare(&mut self, is_end: impl Fn(char) -> bool) -> Lexeme {
        let mut text = String::new();
        let mut star = None;
        let mut misplaced = None;
        while let Some(c) = self.peek().filter(|c| !is_end(*c)) {
            if misplaced.is_none() {
                misplaced = star;
            }
            let at = self.at;
            self.skip(c);
            match c {
                '*' => {
                    if star.is_none() {
                        star = Some(at);
                    }
                }
                '\\' => match self.peek() {
                    Some(escaped) => {
                        self.skip(escaped);
                        text.push(escaped);
                    }
                    None => return Lexeme::Bad(Kind::DanglingEscape, at..self.at),
                },
                _ => text.push(c),
            }
        }
        match misplaced {
            Some(at) => Lexeme::Bad(Kind::StarInMiddle, at..at + 1),
            None => Lexeme::Atom(Atom { text, quoted: false, star: star.is_some() }),
        }
    }
}

fn is_term_end(c: char) -> bool {
    is_value_end(c) || matches!(c, ':' | '<' | '>')
}

fn is_value_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}
