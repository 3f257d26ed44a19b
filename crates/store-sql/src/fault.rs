//! What becomes of a driver's error, and which ones are worth another attempt.

use sqlx::mysql::MySqlDatabaseError;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use store::sql::{SqlError, SqlResult};

/// Attempts at a transaction that others keep getting in the way of.
const ATTEMPTS: u32 = 10;
/// The wait before the second attempt, doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(2);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Why a statement or a transaction did not go through.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Other transactions were in the way, and the database gave this one up: nothing of it was applied, and another
    /// attempt may go through.
    Contended(String),
    /// Another attempt would end the same way, or nobody knows.
    Final(SqlError),
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Self::Final(error)
    }
}

impl From<Fault> for SqlError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Contended(reason) => Self::Failed(reason),
            Fault::Final(error) => error,
        }
    }
}

/// Result of what happens inside a transaction.
pub(crate) type Attempt<T> = Result<T, Fault>;

/// A failure of the driver.
pub(crate) fn failed(error: sqlx::Error) -> SqlError {
    SqlError::Failed(error.to_string())
}

/// A stored value that this program cannot read.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> SqlError {
    SqlError::Failed(format!("a stored value is unreadable: {error}"))
}

/// A statement's failure: a taken key by the column of its index, a reference to nothing as `NotFound`.
pub(crate) fn refused(error: sqlx::Error, unique: &[&'static str]) -> Fault {
    if let Some(number) = mysql_number(&error)
        && contended(number)
    {
        return Fault::Contended(error.to_string());
    }
    if let sqlx::Error::Database(database) = &error {
        if database.is_unique_violation() {
            let index = index_of(database.message());
            if let Some(column) = unique.iter().find(|column| index.contains(**column)) {
                return SqlError::Conflict(column).into();
            }
        }
        if database.is_foreign_key_violation() {
            return SqlError::NotFound.into();
        }
    }
    failed(error).into()
}

/// The part of a message that names the index. MySQL's also quotes the value, which may look like any name: `Duplicate
/// entry '…' for key 'tenants.tenants_slug'`.
fn index_of(message: &str) -> &str {
    message.rsplit_once(" for key ").map_or(message, |(_, index)| index)
}

/// MySQL's number of an error.
pub(crate) fn mysql_number(error: &sqlx::Error) -> Option<u16> {
    let sqlx::Error::Database(database) = error else { return None };
    database.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// The errors after which MySQL's own advice is to try the transaction again.
fn contended(number: u16) -> bool {
    /// `ER_CHECKREAD`: with MariaDB's `innodb_snapshot_isolation`, a row changed since it was read.
    const CHANGED_SINCE_READ: u16 = 1020;
    /// `ER_LOCK_WAIT_TIMEOUT`. It undoes the statement alone, so the transaction must be dropped.
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    /// `ER_LOCK_DEADLOCK`. The transaction is undone.
    const DEADLOCK: u16 = 1213;
    matches!(number, CHANGED_SINCE_READ | LOCK_WAIT_TIMEOUT | DEADLOCK)
}

/// Runs a transaction until others are out of its way, a bounded number of times. `attempt` begins, works and commits;
/// dropped without a commit, it leaves nothing behind.
pub(crate) async fn retrying<T, F>(mut attempt: impl FnMut() -> F) -> SqlResult<T>
where
    F: Future<Output = Attempt<T>>,
{
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(Fault::Contended(reason)) => {
                metrics::counter!("qgx_sql_retries_total").increment(1);
                tracing::debug!(reason, "a transaction was in another's way, and is tried again");
                tokio::time::sleep(jittered(wait)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            done => return done.map_err(SqlError::from),
        }
    }
    attempt().await.map_err(SqlError::from)
}

/// Between half of a wait and all of it, so that two that met do not meet again.
fn jittered(wait: Duration) -> Duration {
    // Each state is seeded at random.
    let random = RandomState::new().build_hasher().finish() % 1_024;
    wait / 2 + wait.mul_f64(0.5) * u32::try_from(random).unwrap_or(0) / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_index_is_told_from_the_value() {
        let check = |message: &str, index: &str| assert_eq!(index_of(message), index);
        check("Duplicate entry 'a' for key 'tenants.tenants_slug'", "'tenants.tenants_slug'");
        check("Duplicate entry 'x for key 'PRIMARY'' for key 'tenants_slug'", "'tenants_slug'");
        check("UNIQUE constraint failed: tenants.slug", "UNIQUE constraint failed: tenants.slug");
    }

    #[tokio::test]
    async fn contention_is_tried_again_and_not_for_ever() {
        let check = async |failures: u32, expect: Option<u32>| {
            let tried = Cell::new(0);
            let outcome = retrying(|| async {
                tried.set(tried.get() + 1);
                if tried.get() <= failures {
                    Err(Fault::Contended("deadlock".to_owned()))
                } else {
                    Ok(tried.get())
                }
            })
            .await;
            assert_eq!(outcome.ok(), expect);
        };
        check(0, Some(1)).await;
        check(3, Some(4)).await;
        check(ATTEMPTS - 1, Some(ATTEMPTS)).await;
        check(ATTEMPTS, None).await;
        let tried = Cell::new(0);
        let outcome: SqlResult<()> = retrying(|| async {
            tried.set(tried.get() + 1);
            Err(SqlError::Conflict("offset").into())
        })
        .await;
        assert!(matches!(outcome, Err(SqlError::Conflict("offset"))));
        assert_eq!(tried.get(), 1, "what is final is not tried again");
    }
}
