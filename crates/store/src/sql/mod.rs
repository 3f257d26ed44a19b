//! The SQL store: people, tenants, tokens, sources, sessions, rollups, pipeline state.
//!
//! Embedded: SQLite. Production: MySQL. One trait a concern; [`SqlStore`] is all of them.

pub mod accounts;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod dead_letters;
pub mod pipeline;
pub mod quotas;
pub mod sessions;
pub mod sources;
pub mod tokens;
pub mod trust;

pub use accounts::{Accounts, MembershipRow, TenantRow, UserRow};
pub use dead_letters::{DeadLetters, Letter, LetterBatch, LetterFilter, LetterRow};
pub use pipeline::{Flush, MetricPoint, Pipeline, Rollup, SourceDelta, StreamPosition};
pub use quotas::{QuotaBook, QuotaLease, QuotaUse, Quotas};
pub use sessions::{SessionRow, Sessions};
pub use sources::{SourceRow, Sources};
pub use tokens::{TokenRow, Tokens};
pub use trust::{Added, AddressRuleRow, AuthorityRow, RevokedCertificateRow, Trust};

/// Why the store could not.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// A unique key is taken.
    #[error("already there: {0}")]
    Conflict(&'static str),
    /// The row is not there.
    #[error("not found")]
    NotFound,
    /// Another migration state than this program's.
    #[error("the database is at schema {found}, this program needs {needed}: {remedy}")]
    Schema {
        /// What the database has.
        found: i64,
        /// What the program needs.
        needed: i64,
        /// What to do.
        remedy: &'static str,
    },
    /// The storage or the connection failed: try again.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// Result of a call of the SQL store.
pub type SqlResult<T> = Result<T, SqlError>;

/// Everything the SQL store does.
pub trait SqlStore: Accounts + Sessions + Tokens + Sources + Pipeline + Trust + DeadLetters + Quotas {}
impl<T: Accounts + Sessions + Tokens + Sources + Pipeline + Trust + DeadLetters + Quotas> SqlStore for T {}
