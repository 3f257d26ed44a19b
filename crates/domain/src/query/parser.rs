//! The parser: recursive descent with bounds, from tokens to [`Expr`].

use super::{
    Comparison, Expr, Field, MAX_BYTES, MAX_CLAUSES, MAX_DEPTH, MAX_PHRASE_TERMS, Query,
    error::{QueryError, QueryErrorKind as Kind},
    lexer::{Atom, Lexeme, Token, lex},
    value::as_number,
};
use crate::{EventKind, Level, Timestamp, text::query_terms};
use std::ops::Range;

impl Query {
    /// Reads the query language of DESIGN section 6. Empty text is everything. Time and memory are linear in the
    /// length of the text.
    ///
    /// # Errors
    /// [`QueryError`] says what is wrong, where, and what to do.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Ok(Self { text: text.to_owned(), expr: Parsed::of(text)?.expr })
    }
}

/// A query with the parts of its outermost level.
pub(super) struct Parsed {
    pub expr: Expr,
    /// What stands at the outermost level, with its bytes.
    pub parts: Vec<(Expr, Range<usize>)>,
    /// The parts are joined by `OR` somewhere.
    pub alternatives: bool,
}

impl Parsed {
    pub fn of(text: &str) -> Result<Self, QueryError> {
        Self::read(text).map_err(|Wrong(kind, bytes)| QueryError { kind, span: char_span(text, bytes) })
    }

    /// Like [`Parsed::of`], with the place of a mistake in bytes.
    pub fn read(text: &str) -> Result<Self, Wrong> {
        if text.len() > MAX_BYTES {
            return Err(Wrong(Kind::TooLong, text.floor_char_boundary(MAX_BYTES)..text.len()));
        }
        let mut tokens = lex(text);
        tokens.retain(|t| t.lexeme != Lexeme::Space);
        let mut parser =
            Parser { tokens, end: text.len(), text, at: 0, depth: 0, clauses: 0, parts: Vec::new() };
        if parser.tokens.is_empty() {
            return Ok(Self { expr: Expr::All, parts: Vec::new(), alternatives: false });
        }
        let expr = parser.alternatives(None)?;
        if parser.peek().is_some() {
            return Err(Wrong(Kind::StrayParenthesis, parser.here()));
        }
        let alternatives = matches!(expr, Expr::Or(_)) && parser.parts.len() > 1;
        Ok(Self { expr, parts: parser.parts, alternatives })
    }
}

/// Bytes of the text in characters.
fn char_span(text: &str, bytes: Range<usize>) -> (usize, usize) {
    let start = text[..bytes.start].chars().count();
    (start, start + text[bytes].chars().count())
}

/// What is wrong, and where in bytes.
pub(super) struct Wrong(pub Kind, pub Range<usize>);

struct Parser<'t> {
    tokens: Vec<Token>,
    text: &'t str,
    end: usize,
    at: usize,
    depth: usize,
    clauses: usize,
    /// Of the outermost level.
    parts: Vec<(Expr, Range<usize>)>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Lexeme> {
        self.tokens.get(self.at).map(|t| &t.lexeme)
    }

    /// The bytes of the token that comes next; at the end, the empty span there.
    fn here(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.end..self.end, |t| t.bytes.clone())
    }

    /// The bytes of the token just taken.
    fn before(&self) -> Range<usize> {
        self.at.checked_sub(1).map_or(0..0, |at| self.tokens[at].bytes.clone())
    }

    /// One or more groups joined by `OR`. Inside `field:( … )`, `field` is set.
    fn alternatives(&mut self, field: Option<&Name>) -> Result<Expr, Wrong> {
        let mut any = Vec::new();
        loop {
            match self.group(field)? {
                Expr::Or(inner) => any.extend(inner),
                other => any.push(other),
            }
            if self.peek() != Some(&Lexeme::Or) {
                return Ok(joined(any, Expr::Or));
            }
            self.at += 1;
        }
    }

    /// One or more conditions joined by `AND` or by standing side by side.
    fn group(&mut self, field: Option<&Name>) -> Result<Expr, Wrong> {
        let mut all = Vec::new();
        loop {
            self.operand_must_follow()?;
            let start = self.here().start;
            let expr = self.condition(field)?;
            if self.depth == 0 {
                self.parts.push((expr.clone(), start..self.before().end));
            }
            match expr {
                Expr::And(inner) => all.extend(inner),
                other => all.push(other),
            }
            match self.peek() {
                None | Some(Lexeme::Or | Lexeme::Close) => return Ok(joined(all, Expr::And)),
                Some(Lexeme::And) => self.at += 1,
                Some(_) => {}
            }
        }
    }

    /// Complains where an operator stands, or nothing, in place of a condition.
    fn operand_must_follow(&self) -> Result<(), Wrong> {
        let name = |lexeme: &Lexeme| match lexeme {
            Lexeme::And => Some("AND"),
            Lexeme::Or => Some("OR"),
            Lexeme::Not => Some("NOT"),
            Lexeme::Minus => Some("-"),
            _ => None,
        };
        let before = self.at.checked_sub(1).map(|at| &self.tokens[at].lexeme);
        let missing = match self.peek() {
            None | Some(Lexeme::Close) => true,
            Some(Lexeme::And | Lexeme::Or) => true,
            Some(_) => false,
        };
        if !missing {
            return Ok(());
        }
        if let Some(operator) = before.and_then(name) {
            return Err(Wrong(Kind::MissingOperand(operator.to_owned()), self.before()));
        }
        match self.peek() {
            Some(operator @ (Lexeme::And | Lexeme::Or)) => {
                Err(Wrong(Kind::LeadingOperator(name(operator).unwrap_or_default().to_owned()), self.here()))
            }
            Some(Lexeme::Close) if before == Some(&Lexeme::Open) => {
                Err(Wrong(Kind::EmptyParentheses, self.before().start..self.here().end))
            }
            Some(_) => Err(Wrong(Kind::StrayParenthesis, self.here())),
            None => Err(Wrong(Kind::UnclosedParenthesis, self.before())),
        }
    }

    /// A condition with its negations; two cancel out.
    fn condition(&mut self, field: Option<&Name>) -> Result<Expr, Wrong> {
        let mut negated = false;
        while let Some(Lexeme::Not | Lexeme::Minus) = self.peek() {
            negated = !negated;
            self.at += 1;
            self.operand_must_follow()?;
        }
        let expr = self.primary(field)?;
        Ok(match expr {
            expr if !negated => expr,
            Expr::Not(inner) => *inner,
            expr => Expr::Not(Box::new(expr)),
        })
    }

    fn primary(&mut self, field: Option<&Name>) -> Result<Expr, Wrong> {
        let bytes = self.here();
        let lexeme = self.tokens[self.at].lexeme.clone();
        self.at += 1;
        match lexeme {
            Lexeme::Open => self.parenthesised(field, bytes),
            Lexeme::Atom(atom) => match field {
                Some(name) => self.is(name, &atom, bytes),
                None => self.free_text(atom, bytes),
            },
            Lexeme::Field(name) => self.field(Name::new(name, bytes)),
            Lexeme::Bad(kind, bytes) => Err(Wrong(kind, bytes)),
            // Only a field's name brings the others about, and `field` takes them.
            _ => Err(Wrong(Kind::MissingField, bytes)),
        }
    }

    fn parenthesised(&mut self, field: Option<&Name>, open: Range<usize>) -> Result<Expr, Wrong> {
        if self.depth == MAX_DEPTH {
            return Err(Wrong(Kind::TooDeep, open));
        }
        self.depth += 1;
        let expr = self.alternatives(field)?;
        self.depth -= 1;
        if self.peek() != Some(&Lexeme::Close) {
            return Err(Wrong(Kind::UnclosedParenthesis, open));
        }
        self.at += 1;
        Ok(expr)
    }

    fn count(&mut self, bytes: &Range<usize>) -> Result<(), Wrong> {
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return Err(Wrong(Kind::TooManyClauses, bytes.clone()));
        }
        Ok(())
    }

    fn free_text(&mut self, atom: Atom, bytes: Range<usize>) -> Result<Expr, Wrong> {
        self.count(&bytes)?;
        if atom.is_star_alone() {
            return Err(Wrong(Kind::StarAlone, bytes));
        }
        words(&atom, bytes)?;
        Ok(Expr::Text { text: atom.text, prefix: atom.star })
    }

    /// What follows a field's name: its operator and value.
    fn field(&mut self, name: Name) -> Result<Expr, Wrong> {
        let operator = self.tokens.get(self.at).map(|t| t.lexeme.clone());
        let operator_end = self.here().end;
        self.at += 1;
        let whole = |end: usize| name.bytes.start..end;
        // A value touches its operator.
        let value = self.tokens.get(self.at).filter(|t| t.bytes.start == operator_end).cloned();
        let empty =
            || Wrong(Kind::EmptyValue(self.text[whole(operator_end)].to_owned()), whole(operator_end));
        let Some(Token { lexeme, bytes }) = value else { return Err(empty()) };
        if lexeme == Lexeme::Close {
            return Err(empty());
        }
        self.at += 1;
        match (operator, lexeme) {
            (_, Lexeme::Bad(kind, bytes)) => Err(Wrong(kind, bytes)),
            (Some(Lexeme::Colon), Lexeme::Atom(atom)) => self.is(&name, &atom, bytes),
            (Some(Lexeme::Colon), Lexeme::RangeOpen) => self.range(&name, bytes),
            (Some(Lexeme::Colon), Lexeme::Open) => self.parenthesised(Some(&name), bytes),
            (Some(Lexeme::Compare(comparison)), Lexeme::Atom(atom)) => {
                self.count(&bytes)?;
                name.compares(comparison, &atom, bytes)
            }
            (_, _) => Err(Wrong(Kind::NotANumber(self.text[bytes.clone()].to_owned()), bytes)),
        }
    }

    /// `field:value`, `field:pre*`, `field:*`.
    fn is(&mut self, name: &Name, atom: &Atom, bytes: Range<usize>) -> Result<Expr, Wrong> {
        self.count(&bytes)?;
        let field = name.field.clone();
        if atom.is_star_alone() {
            return Ok(Expr::Exists { field });
        }
        match field {
            Field::Raw => Err(Wrong(Kind::RawExistsOnly, bytes)),
            Field::Level if atom.star => self.levels_with_prefix(&atom.text, bytes),
            Field::Ts | Field::ReceivedAt if atom.star => {
                Err(Wrong(Kind::NotATime(atom.text.clone()), bytes))
            }
            Field::Level | Field::Ts | Field::ReceivedAt => name.compares(Comparison::Equal, atom, bytes),
            // Full text: the words in it are what is searched for.
            Field::Message => {
                words(atom, bytes)?;
                let text = atom.text.clone();
                Ok(if atom.star {
                    Expr::Prefix { field, prefix: text }
                } else {
                    Expr::Equals { field, value: text }
                })
            }
            Field::Kind if !is_kind(atom) => Err(Wrong(Kind::UnknownKind(atom.text.clone()), bytes)),
            field if atom.star => Ok(Expr::Prefix { field, prefix: atom.text.clone() }),
            field => Ok(Expr::Equals { field, value: atom.text.clone() }),
        }
    }

    /// `level:e*`: the levels whose names start so.
    fn levels_with_prefix(&mut self, prefix: &str, bytes: Range<usize>) -> Result<Expr, Wrong> {
        let folded = crate::text::fold(prefix);
        let mut levels = Vec::new();
        for level in Level::ALL.into_iter().filter(|l| l.name().starts_with(&folded)) {
            self.count(&bytes)?;
            levels.push(Expr::Level { comparison: Comparison::Equal, level });
        }
        if levels.is_empty() {
            return Err(Wrong(Kind::UnknownLevel(format!("{prefix}*")), bytes));
        }
        Ok(joined(levels, Expr::Or))
    }

    /// `[low TO high]`, either of them perhaps `*`.
    fn range(&mut self, name: &Name, open: Range<usize>) -> Result<Expr, Wrong> {
        let mut ends = Vec::new();
        for _ in 0..4 {
            let token = self.tokens.get(self.at).cloned();
            self.at += usize::from(token.is_some());
            ends.extend(token);
        }
        let whole = open.start..ends.last().map_or(open.end, |t| t.bytes.end);
        let lexemes: Vec<&Lexeme> = ends.iter().map(|t| &t.lexeme).collect();
        let [Lexeme::Atom(low), Lexeme::To, Lexeme::Atom(high), Lexeme::RangeClose] = lexemes[..] else {
            let bad = ends.into_iter().find_map(|t| match t.lexeme {
                Lexeme::Bad(kind, bytes) => Some(Wrong(kind, bytes)),
                _ => None,
            });
            return Err(bad.unwrap_or(Wrong(Kind::BadRange, whole)));
        };
        let mut bounds = Vec::new();
        for (comparison, atom, token) in
            [(Comparison::AtLeast, low, &ends[0]), (Comparison::AtMost, high, &ends[2])]
        {
            if !atom.is_star_alone() {
                self.count(&token.bytes)?;
                bounds.push(name.compares(comparison, atom, token.bytes.clone())?);
            }
        }
        match &bounds[..] {
            [] => {
                self.count(&whole)?;
                Ok(Expr::Exists { field: name.field.clone() })
            }
            [low, high] if reversed(low, high) => Err(Wrong(Kind::ReversedRange, whole)),
            _ => Ok(joined(bounds, Expr::And)),
        }
    }
}

/// A field's name as it stands in the text.
struct Name {
    field: Field,
    /// As written, unescaped.
    text: String,
    bytes: Range<usize>,
}

impl Name {
    fn new(text: String, bytes: Range<usize>) -> Self {
        Self { field: Field::parse(&text), text, bytes }
    }

    fn compares(&self, comparison: Comparison, atom: &Atom, bytes: Range<usize>) -> Result<Expr, Wrong> {
        let text = if atom.star { format!("{}*", atom.text) } else { atom.text.clone() };
        let field = self.field.clone();
        match field {
            Field::Level => match Level::parse(&crate::text::fold(&text)) {
                Some(level) => Ok(Expr::Level { comparison, level }),
                None => Err(Wrong(Kind::UnknownLevel(text), bytes)),
            },
            Field::Ts | Field::ReceivedAt => match Timestamp::parse(&text) {
                Ok(at) => Ok(Expr::Time { field, comparison, at }),
                Err(_) => Err(Wrong(Kind::NotATime(text), bytes)),
            },
            Field::Named(_) => match as_number(&text) {
                Some(value) => Ok(Expr::Number { field, comparison, value }),
                None => Err(Wrong(Kind::NotANumber(text), bytes)),
            },
            _ => Err(Wrong(Kind::NotComparable(self.text.clone()), self.bytes.clone())),
        }
    }
}

/// Refuses a text without words, and one with too many to be a phrase.
fn words(atom: &Atom, bytes: Range<usize>) -> Result<(), Wrong> {
    match query_terms(&atom.text).len() {
        0 => Err(Wrong(Kind::NoWords(atom.text.clone()), bytes)),
        1..=MAX_PHRASE_TERMS => Ok(()),
        _ => Err(Wrong(Kind::PhraseTooLong, bytes)),
    }
}

fn is_kind(atom: &Atom) -> bool {
    let folded = crate::text::fold(&atom.text);
    [EventKind::Log, EventKind::Metric, EventKind::Event]
        .into_iter()
        .any(|kind| if atom.star { kind.name().starts_with(&folded) } else { kind.name() == folded })
}

fn reversed(low: &Expr, high: &Expr) -> bool {
    match (low, high) {
        (Expr::Number { value: low, .. }, Expr::Number { value: high, .. }) => low > high,
        (Expr::Level { level: low, .. }, Expr::Level { level: high, .. }) => low > high,
        (Expr::Time { at: low, .. }, Expr::Time { at: high, .. }) => low > high,
        _ => false,
    }
}

fn joined(mut exprs: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    if exprs.len() == 1 { exprs.swap_remove(0) } else { join(exprs) }
}
