//! Connections, transactions, values and rows: the only place that knows a driver.

use crate::dialect::{Dialect, Upsert};
use domain::{SourceKey, TenantId, Timestamp};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _, Sqlite, Transaction};
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
/// Rows of one statement; a few fixed sizes, so that prepared statements are used again.
const ROWS: [usize; 4] = [512, 64, 8, 1];

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<u64> for Value {
    /// Saturates: databases count in signed 64 bits.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<f64> for Value {
    /// Beyond what a double holds it becomes its greatest: databases take neither infinity nor NaN.
    fn from(value: f64) -> Self {
        Self::Real(if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) })
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.as_nanos())
    }
}
impl From<&TenantId> for Value {
    fn from(value: &TenantId) -> Self {
        value.as_str().into()
    }
}
impl From<&SourceKey> for Value {
    fn from(value: &SourceKey) -> Self {
        value.as_str().into()
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement, in the order of its placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::pool::Value::from($value)),*] };
}
pub(crate) use values;

/// A row read; columns by position. A column that is not what the program expects is an error, never a panic.
pub(crate) enum Row {
    Sqlite(SqliteRow),
}

impl Row {
    fn get<'r, T>(&'r self, at: usize) -> SqlResult<T>
    where
        T: sqlx::Decode<'r, Sqlite>,
    {
        match self {
            // Unchecked: a sum has no declared type.
            Self::Sqlite(row) => row.try_get_unchecked(at).map_err(failed),
        }
    }
    pub fn int(&self, at: usize) -> SqlResult<i64> {
        self.get(at)
    }
    pub fn opt_int(&self, at: usize) -> SqlResult<Option<i64>> {
        self.get(at)
    }
    pub fn count(&self, at: usize) -> SqlResult<u64> {
        self.int(at).map(|n| u64::try_from(n).unwrap_or(0))
    }
    pub fn opt_count(&self, at: usize) -> SqlResult<Option<u64>> {
        Ok(self.opt_int(at)?.map(|n| u64::try_from(n).unwrap_or(0)))
    }
    pub fn small(&self, at: usize) -> SqlResult<u32> {
        self.int(at).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }
    pub fn flag(&self, at: usize) -> SqlResult<bool> {
        self.int(at).map(|n| n != 0)
    }
    pub fn time(&self, at: usize) -> SqlResult<Timestamp> {
        self.int(at).map(Timestamp::from_nanos)
    }
    pub fn opt_time(&self, at: usize) -> SqlResult<Option<Timestamp>> {
        Ok(self.opt_int(at)?.map(Timestamp::from_nanos))
    }
    pub fn real(&self, at: usize) -> SqlResult<f64> {
        self.get(at)
    }
    pub fn opt_real(&self, at: usize) -> SqlResult<Option<f64>> {
        self.get(at)
    }
    pub fn text(&self, at: usize) -> SqlResult<String> {
        self.get(at)
    }
    pub fn opt_text(&self, at: usize) -> SqlResult<Option<String>> {
        self.get(at)
    }
    pub fn tenant(&self, at: usize) -> SqlResult<TenantId> {
        TenantId::new(self.get(at)?).map_err(unreadable)
    }
    pub fn source(&self, at: usize) -> SqlResult<SourceKey> {
        SourceKey::new(self.get(at)?).map_err(unreadable)
    }
}

/// A failure of the driver.
pub(crate) fn failed(error: sqlx::Error) -> SqlError {
    SqlError::Failed(error.to_string())
}

/// A stored value that this program cannot read.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> SqlError {
    SqlError::Failed(format!("a stored value is unreadable: {error}"))
}

/// A statement's failure: a taken key by the column of its index, a reference to nothing as `NotFound`.
fn refused(error: sqlx::Error, unique: &[&'static str]) -> SqlError {
    if let sqlx::Error::Database(database) = &error {
        if database.is_unique_violation() {
            let message = database.message();
            if let Some(column) = unique.iter().find(|column| message.contains(**column)) {
                return SqlError::Conflict(column);
            }
        }
        if database.is_foreign_key_violation() {
            return SqlError::NotFound;
        }
    }
    failed(error)
}

/// Connections to one database.
#[derive(Debug)]
pub(crate) enum Pool {
    /// One connection writes, so that writers queue fairly here instead of polling SQLite's lock; several read.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        /// `None` for a database in memory: its only connection must never be interrupted.
        charts: Option<Charts>,
    },
}

/// Connections for reads that may be heavy.
#[derive(Debug)]
pub(crate) struct Charts {
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
        let rows = sqlite(sql, values).fetch_all(&mut *connection).await;
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

impl Pool {
    /// `sqlite://PATH`, or `sqlite::memory:` for a database that lives as long as the pool.
    pub async fn connect(url: &str) -> SqlResult<Self> {
        if !url.starts_with("sqlite:") {
            return Err(SqlError::Failed("the database URL must start with sqlite:".to_owned()));
        }
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
            return Ok(Self::Sqlite { readers: writer.clone(), writer, charts: None });
        }
        let options = options.pragma("cache_size", "-4000").pragma("query_only", "ON");
        let readers = pool.clone().max_connections(READERS).connect_lazy_with(options.clone());
        let charts = Charts {
            pool: pool.max_connections(CHART_READERS).connect_lazy_with(options),
            deadline: CHART_DEADLINE,
        };
        Ok(Self::Sqlite { writer, readers, charts: Some(charts) })
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// Reads all rows of a query.
    pub async fn rows(&self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> SqlResult<Vec<Row>> {
        match self {
            Self::Sqlite { readers, .. } => {
                let rows = sqlite(sql.into(), values).fetch_all(readers).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// Reads at most one row of a query.
    pub async fn row(&self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> SqlResult<Option<Row>> {
        match self {
            Self::Sqlite { readers, .. } => {
                Ok(sqlite(sql.into(), values).fetch_optional(readers).await.map_err(failed)?.map(Row::Sqlite))
            }
        }
    }

    /// Reads all rows of a query that may be heavy: on connections of its own, and no longer than 30 s, after which
    /// the statement is stopped and the answer is [`SqlError::Failed`]. A database in memory has neither.
    pub async fn chart_rows(
        &self,
        sql: impl Into<Cow<'static, str>>,
        values: Vec<Value>,
    ) -> SqlResult<Vec<Row>> {
        match self {
            Self::Sqlite { charts: Some(charts), .. } => charts.rows(sql.into(), values).await,
            Self::Sqlite { .. } => self.rows(sql, values).await,
        }
    }

    /// Runs one statement by itself. `unique` are the columns that a taken key may be named by; answers how many rows
    /// were changed.
    pub async fn run(
        &self,
        sql: impl Into<Cow<'static, str>>,
        values: Vec<Value>,
        unique: &[&'static str],
    ) -> SqlResult<u64> {
        match self {
            Self::Sqlite { writer, .. } => {
                let done = sqlite(sql.into(), values).execute(writer).await;
                done.map(|done| done.rows_affected()).map_err(|error| refused(error, unique))
            }
        }
    }

    /// Starts a transaction that may write. Dropping it rolls back.
    pub async fn begin(&self) -> SqlResult<Tx> {
        match self {
            // Immediate: a transaction that first reads and then writes must not fail half way.
            Self::Sqlite { writer, .. } => {
                Ok(Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?))
            }
        }
    }

    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, charts } => {
                if let Some(charts) = charts {
                    charts.pool.close().await;
                }
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

/// A transaction.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
}

impl Tx {
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    pub async fn rows(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: Vec<Value>,
    ) -> SqlResult<Vec<Row>> {
        match self {
            Self::Sqlite(tx) => {
                let rows = sqlite(sql.into(), values).fetch_all(&mut **tx).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    pub async fn run(&mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> SqlResult<u64> {
        match self {
            Self::Sqlite(tx) => {
                let done = sqlite(sql.into(), values).execute(&mut **tx).await;
                done.map(|done| done.rows_affected()).map_err(|error| refused(error, &[]))
            }
        }
    }

    /// Runs statements divided by `;`, as they stand in a migration.
    pub async fn script(&mut self, sql: &'static str) -> SqlResult<()> {
        match self {
            Self::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ()).map_err(failed),
        }
    }

    /// Writes rows, laid out one after the other, each in the order of key and columns.
    pub async fn upsert(&mut self, upsert: &Upsert, values: Vec<Value>) -> SqlResult<()> {
        let width = upsert.width();
        debug_assert_eq!(values.len() % width, 0, "whole rows of {}", upsert.table);
        let dialect = self.dialect();
        let most = dialect.most_values() / width;
        let mut left = values.len() / width;
        let mut values = values.into_iter();
        for rows in ROWS {
            if rows > most {
                continue;
            }
            if left < rows {
                continue;
            }
            let sql = dialect.upsert(upsert, rows);
            while left >= rows {
                let chunk = values.by_ref().take(rows * width).collect();
                self.run(sql.clone(), chunk).await?;
                left -= rows;
            }
        }
        Ok(())
    }

    pub async fn commit(self) -> SqlResult<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await.map_err(failed),
        }
    }
}

fn sqlite(
    sql: Cow<'static, str>,
    values: Vec<Value>,
) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
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
        let mut pool = Pool::open(&folder.path().join("qgx.db")).await.unwrap();
        let Pool::Sqlite { charts: Some(charts), .. } = &mut pool else { panic!("a file has charts") };
        charts.deadline = Duration::from_millis(300);
        let heavy = || pool.chart_rows(ENDLESS, vec![]);
        let light = async {
            for _ in 0..20 {
                pool.rows("SELECT 1", vec![]).await.unwrap();
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
            assert_eq!(pool.chart_rows("SELECT 7", vec![]).await.unwrap()[0].int(0).unwrap(), 7);
        }
        pool.close().await;
    }
}
