//! Connections to SQLite.

use crate::fault::{Attempt, failed, refused};
use crate::row::Row;
use crate::value::Value;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Sqlite, Transaction};
use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};
use store::sql::{SqlError, SqlResult};

/// How many connections read at once. SQLite readers never wait for each other nor for the writer.
const READERS: u32 = 6;
/// How many of their own the reads of charts have, so that a few heavy ones cannot keep logins and tokens waiting.
const CHART_READERS: u32 = 2;
/// How long a statement of a chart may run.
const CHART_DEADLINE: Duration = Duration::from_secs(30);
/// Steps of SQLite's virtual machine between two looks at the clock: well under a millisecond.
const STEPS_A_LOOK: i32 = 20_000;

/// One connection writes, so that writers queue fairly here instead of polling SQLite's lock; several read.
#[derive(Debug)]
pub(crate) struct SqliteConnections {
    writer: SqlitePool,
    readers: SqlitePool,
    /// `None` for a database in memory: its only connection must never be interrupted.
    charts: Option<Charts>,
}

/// Connections for reads that may be heavy.
#[derive(Debug)]
struct Charts {
    pool: SqlitePool,
    deadline: Duration,
}

impl Charts {
    /// Reads all rows. At the deadline SQLite itself stops the statement, also where nobody waits for it any more:
    /// dropping the future alone would leave it running.
    async fn rows(&self, sql: Cow<'static, str>, values: Vec<Value>) -> SqlResult<Vec<Row>> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let until = Instant::now() + self.deadline;
        // It stays on the connection, and the next read replaces it.
        let in_time = move || Instant::now() < until;
        connection.lock_handle().await.map_err(failed)?.set_progress_handler(STEPS_A_LOOK, in_time);
        let rows = query(sql, values).fetch_all(&mut *connection).await;
        match rows {
            Ok(rows) => Ok(rows.into_iter().map(Row::Sqlite).collect()),
            Err(error) if interrupted(&error) => {
                Err(SqlError::Failed(format!("a statement took longer than {:?}", self.deadline)))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// `SQLITE_INTERRUPT`.
fn interrupted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.code().is_some_and(|code| code == "9"))
}

impl SqliteConnections {
    /// `sqlite://PATH`, or `sqlite::memory:` for a database that lives as long as the connections.
    pub async fn connect(url: &str) -> SqlResult<Self> {
        let options = SqliteConnectOptions::from_str(url).map_err(failed)?;
        Self::with(options, url.contains(":memory:")).await
    }

    /// The database in a file; any path will do.
    pub async fn open(path: &Path) -> SqlResult<Self> {
        // SQLite gives some names a meaning of their own: "", ":memory:", "file:…". An absolute path is none of them.
        let path = std::path::absolute(path).map_err(|error| SqlError::Failed(error.to_string()))?;
        Self::with(SqliteConnectOptions::new().filename(path), false).await
    }

    async fn with(options: SqliteConnectOptions, memory: bool) -> SqlResult<Self> {
        let options = options
            .create_if_missing(true)
            .journal_mode(if memory { SqliteJournalMode::Memory } else { SqliteJournalMode::Wal })
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30))
            .foreign_keys(true)
            .statement_cache_capacity(128)
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            // Statements stay out of the log: they may name what customers call things.
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        let writer = pool
            .clone()
            .max_connections(1)
            .connect_with(options.clone().pragma("cache_size", "-32000"))
            .await
            .map_err(failed)?;
        // A database in memory belongs to its connection.
        if memory {
            return Ok(Self { readers: writer.clone(), writer, charts: None });
        }
        let options = options.pragma("cache_size", "-4000").pragma("query_only", "ON");
        let readers = pool.clone().max_connections(READERS).connect_lazy_with(options.clone());
        let charts = Charts {
            pool: pool.max_connections(CHART_READERS).connect_lazy_with(options),
            deadline: CHART_DEADLINE,
        };
        Ok(Self { writer, readers, charts: Some(charts) })
    }

    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    pub async fn rows(&self, sql: Cow<'static, str>, values: Vec<Value>) -> SqlResult<Vec<Row>> {
        let rows = query(sql, values).fetch_all(&self.readers).await.map_err(failed)?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub async fn row(&self, sql: Cow<'static, str>, values: Vec<Value>) -> SqlResult<Option<Row>> {
        Ok(query(sql, values).fetch_optional(&self.readers).await.map_err(failed)?.map(Row::Sqlite))
    }

    pub async fn chart_rows(&self, sql: Cow<'static, str>, values: Vec<Value>) -> SqlResult<Vec<Row>> {
        match &self.charts {
            Some(charts) => charts.rows(sql, values).await,
            None => self.rows(sql, values).await,
        }
    }

    pub async fn run(
        &self,
        sql: Cow<'static, str>,
        values: Vec<Value>,
        unique: &[&'static str],
    ) -> Attempt<u64> {
        let done = query(sql, values).execute(&self.writer).await;
        done.map(|done| done.rows_affected()).map_err(|error| refused(error, unique))
    }

    pub async fn begin(&self) -> SqlResult<SqliteTx> {
        // Immediate: a transaction that first reads and then writes must not fail half way.
        Ok(SqliteTx(self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?))
    }

    pub async fn close(&self) {
        if let Some(charts) = &self.charts {
            charts.pool.close().await;
        }
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A transaction.
pub(crate) struct SqliteTx(Transaction<'static, Sqlite>);

impl SqliteTx {
    pub async fn rows(&mut self, sql: Cow<'static, str>, values: Vec<Value>) -> Attempt<Vec<Row>> {
        let rows = query(sql, values).fetch_all(&mut *self.0).await.map_err(failed)?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub async fn run(&mut self, sql: Cow<'static, str>, values: Vec<Value>) -> Attempt<u64> {
        let done = query(sql, values).execute(&mut *self.0).await;
        done.map(|done| done.rows_affected()).map_err(|error| refused(error, &[]))
    }

    /// Runs statements divided by `;`, as they stand in a migration.
    pub async fn script(&mut self, sql: &'static str) -> SqlResult<()> {
        sqlx::raw_sql(sql).execute(&mut *self.0).await.map(|_| ()).map_err(failed)
    }

    pub async fn commit(self) -> Attempt<()> {
        Ok(self.0.commit().await.map_err(failed)?)
    }
}

fn query(sql: Cow<'static, str>, values: Vec<Value>) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    // All text is built in this crate of constants; whatever comes from outside is bound.
    let mut query = match sql {
        Cow::Borrowed(text) => sqlx::query(text),
        Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
    };
    for value in values {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Int(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        };
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: &str =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_heavy_chart_is_stopped_and_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let mut pool = SqliteConnections::open(&folder.path().join("qgx.db")).await.unwrap();
        pool.charts.as_mut().unwrap().deadline = Duration::from_millis(300);
        let heavy = || pool.chart_rows(ENDLESS.into(), vec![]);
        let light = async {
            for _ in 0..20 {
                pool.rows("SELECT 1".into(), vec![]).await.unwrap();
            }
        };
        let started = Instant::now();
        let (first, second, third, ()) = futures::join!(heavy(), heavy(), heavy(), async {
            light.await;
            assert!(started.elapsed() < Duration::from_secs(20), "it waited for the charts");
        });
        for stopped in [first, second, third] {
            let Err(SqlError::Failed(reason)) = stopped else { panic!("an endless statement ended") };
            assert!(reason.contains("longer than 300ms"), "{reason}");
        }
        // The connections go on.
        for _ in 0..CHART_READERS {
            assert_eq!(pool.chart_rows("SELECT 7".into(), vec![]).await.unwrap()[0].int(0).unwrap(), 7);
        }
        pool.close().await;
    }
}
