//! The query language: one parser for the browser and the server (DESIGN section 6).
//!
//! [`Query::parse`] reads it, [`highlight`] colours it while it is typed, [`complete`] helps to type it,
//! [`with_filter`] and its like edit it, [`Query::matches`] evaluates it.

pub mod ast;
mod complete;
mod edit;
mod error;
mod highlight;
mod hint;
mod lexer;
mod matcher;
mod parser;
mod print;
mod value;

pub use ast::{Comparison, Expr, Field, Query};
pub use complete::{
    Completion, CompletionKind, CompletionSource, Completions, byte_offset, complete, field_at, utf16_offset,
};
pub use edit::{filter_state, with_exclusion, with_existing, with_filter, with_missing, without_filter};
pub use error::{QueryError, QueryErrorKind};
pub use highlight::{Class, Span, highlight};
pub use hint::{Hint, HintKind, hints};
pub use matcher::Matcher;
pub use print::quote;
pub use value::{as_bool, as_number};

/// The longest text of a query, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;
/// The deepest nesting of parentheses.
pub const MAX_DEPTH: usize = 64;
/// The most conditions of a query.
pub const MAX_CLAUSES: usize = 256;
/// The most terms of one phrase.
pub const MAX_PHRASE_TERMS: usize = 256;

#[cfg(test)]
mod tests;
