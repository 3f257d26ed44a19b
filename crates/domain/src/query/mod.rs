//! The query language: one parser for the browser and the server (DESIGN section 6).
//!
//! [`Query::parse`] reads it, [`highlight`] colours it while it is typed, [`complete`] helps to type it,
//! [`with_filter`] and its like edit it, [`Query::matches`] evaluates it.

pub mod ast;
mod error;
mod lexer;
mod matcher;
mod parser;
mod value;

pub use ast::{Comparison, Expr, Field, Query};
pub use error::{QueryError, QueryErrorKind};
pub use matcher::Matcher;
pub use value::{as_bool, as_number};

/// The longest text of a query, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;
/// The deepest nesting of parentheses.
pub const MAX_DEPTH: usize = 64;
/// The most conditions of a query.
pub const MAX_CLAUSES: usize = 256;
/// The most terms of one phrase.
pub const MAX_PHRASE_TERMS: usize = 256;
