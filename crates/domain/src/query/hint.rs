//! Hints: a query that is right, but perhaps not what was meant.

use super::lexer::{Lexeme, Token, lex};
use crate::Lang;

/// What may not have been meant, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// What.
    pub kind: HintKind,
    /// Where: first character and first one after, counted in characters of the text.
    pub span: (usize, usize),
}

/// What may not have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HintKind {
    /// `and`, `or`, `not` between words: searched for as words.
    LowercaseOperator(String),
    /// `10.0.0.1:514`, `http://…`, `06:55`: read as a field and its value.
    LooksLikeText(String),
}

impl HintKind {
    /// What it does, and what to write for the other meaning.
    pub fn message(&self, lang: Lang) -> String {
        match self {
            Self::LowercaseOperator(word) => {
                let upper = word.to_ascii_uppercase();
                lang.pick(
                    format!("“{word}”을(를) 낱말로 찾습니다. 연산자는 {upper}처럼 대문자로 씁니다."),
                    format!("This searches for the word “{word}”. Operators are upper case: {upper}."),
                )
            }
            Self::LooksLikeText(text) => lang.pick(
                format!("필드와 값으로 읽었습니다. 텍스트로 찾으려면 \"{text}\"처럼 따옴표로 묶으세요."),
                format!("This was read as a field and its value. To search for it as text write \"{text}\"."),
            ),
        }
    }
}

/// What of the text may not have been meant, in order.
pub fn hints(text: &str) -> Vec<Hint> {
    let tokens: Vec<Token> = lex(text).into_iter().filter(|t| t.lexeme != Lexeme::Space).collect();
    let chars = |bytes: usize| text[..bytes].chars().count();
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let hint = match &token.lexeme {
            Lexeme::Atom(_) => {
                let word = &text[token.bytes.clone()];
                let value = i > 0 && matches!(tokens[i - 1].lexeme, Lexeme::Colon | Lexeme::Compare(_));
                let joins = i + 1 < tokens.len() && (i > 0 || word == "not");
                (!value && joins && matches!(word, "and" | "or" | "not"))
                    .then(|| (HintKind::LowercaseOperator(word.to_owned()), token.bytes.end))
            }
            Lexeme::Field(name) if matches!(tokens.get(i + 1), Some(t) if t.lexeme == Lexeme::Colon) => {
                let Some(Token { lexeme: Lexeme::Atom(value), bytes }) = tokens.get(i + 2) else { continue };
                let address = name.contains(|c: char| c.is_ascii_digit())
                    && name.chars().all(|c| c.is_ascii_digit() || c == '.');
                let whole = &text[token.bytes.start..bytes.end];
                (address || value.text.starts_with("//"))
                    .then(|| (HintKind::LooksLikeText(whole.to_owned()), bytes.end))
            }
            _ => None,
        };
        if let Some((kind, end)) = hint {
            found.push(Hint { kind, span: (chars(token.bytes.start), chars(end)) });
        }
        // More would bury the query bar; it also keeps the work linear.
        if found.len() == 8 {
            break;
        }
    }
    found
}
