//! Connections and transactions, whatever the driver.

use crate::dialect::{Dialect, Upsert};
use crate::fault::{Attempt, retrying};
use crate::mysql::{MySqlConnections, MySqlLock, MySqlTx};
use crate::row::Row;
use crate::sqlite::{SqliteConnections, SqliteTx};
use crate::value::Value;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;
use store::sql::{SqlError, SqlResult};

/// Rows of one statement; a few fixed sizes, so that prepared statements are used again.
const ROWS: [usize; 4] = [512, 64, 8, 1];

/// Connections to one database.
#[derive(Debug)]
pub(crate) enum Pool {
    Sqlite(SqliteConnections),
    MySql(MySqlConnections),
}

impl Pool {
    /// `sqlite://PATH`, `sqlite::memory:`, `mysql://…` or `mariadb://…`.
    pub async fn connect(url: &str) -> SqlResult<Self> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Ok(Self::Sqlite(SqliteConnections::connect(url).await?)),
            Some(("mysql" | "mariadb", _)) => Ok(Self::MySql(MySqlConnections::connect(url).await?)),
            _ => Err(SqlError::Failed(
                "the database URL must start with sqlite:, mysql: or mariadb:".to_owned(),
            )),
        }
    }

    /// The SQLite database in a file; any path will do.
    pub async fn open(path: &Path) -> SqlResult<Self> {
        Ok(Self::Sqlite(SqliteConnections::open(path).await?))
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::MySql(_) => Dialect::MySql,
        }
    }

    /// Reads all rows of a query.
    pub async fn rows(&self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> SqlResult<Vec<Row>> {
        match self {
            Self::Sqlite(database) => database.rows(sql.into(), values).await,
            Self::MySql(database) => database.rows(sql.into(), &values).await,
        }
    }

    /// Reads at most one row of a query.
    pub async fn row(&self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> SqlResult<Option<Row>> {
        match self {
            Self::Sqlite(database) => database.row(sql.into(), values).await,
            Self::MySql(database) => database.row(sql.into(), &values).await,
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
            Self::Sqlite(database) => database.chart_rows(sql.into(), values).await,
            Self::MySql(database) => database.chart_rows(sql.into(), &values).await,
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
        let sql = sql.into();
        match self {
            Self::Sqlite(database) => Ok(database.run(sql, values, unique).await?),
            Self::MySql(database) => retrying(|| database.run(sql.clone(), &values, unique)).await,
        }
    }

    /// Starts a transaction that may write. Dropping it rolls back.
    pub async fn begin(&self) -> SqlResult<Tx> {
        match self {
            Self::Sqlite(database) => Ok(Tx::Sqlite(database.begin().await?)),
            Self::MySql(database) => Ok(Tx::MySql(database.begin().await?)),
        }
    }

    /// Takes a lock that one process of those on this database has at a time; `None` where another had it all the time
    /// of `wait`. SQLite belongs to one process.
    pub async fn lock(&self, purpose: &'static str, wait: Duration) -> SqlResult<Option<Lock>> {
        match self {
            Self::Sqlite(_) => Ok(Some(Lock::Owned)),
            Self::MySql(database) => Ok(database.lock(purpose, wait).await?.map(Lock::MySql)),
        }
    }

    pub async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::MySql(database) => database.close().await,
        }
    }
}

/// A lock held. Dropping it gives it back a little later.
pub(crate) enum Lock {
    /// The database has no other process.
    Owned,
    MySql(MySqlLock),
}

impl Lock {
    /// Gives it back.
    pub async fn release(self) {
        if let Self::MySql(lock) = self {
            lock.release().await;
        }
    }
}

/// A transaction.
pub(crate) enum Tx {
    Sqlite(SqliteTx),
    MySql(MySqlTx),
}

impl Tx {
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::MySql(_) => Dialect::MySql,
        }
    }

    pub async fn rows(&mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Attempt<Vec<Row>> {
        match self {
            Self::Sqlite(tx) => tx.rows(sql.into(), values).await,
            Self::MySql(tx) => tx.rows(sql.into(), &values).await,
        }
    }

    pub async fn run(&mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Attempt<u64> {
        match self {
            Self::Sqlite(tx) => tx.run(sql.into(), values).await,
            Self::MySql(tx) => tx.run(sql.into(), &values).await,
        }
    }

    /// Writes rows, laid out one after the other, each in the order of key and columns.
    pub async fn upsert(&mut self, upsert: &Upsert, values: Vec<Value>) -> Attempt<()> {
        let width = upsert.width();
        debug_assert_eq!(values.len() % width, 0, "whole rows of {}", upsert.table);
        let dialect = self.dialect();
        let most = dialect.most_values() / width;
        let mut left = values.len() / width;
        let mut values = values.into_iter();
        for rows in ROWS {
            if rows > most || left < rows {
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

    pub async fn commit(self) -> Attempt<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::MySql(tx) => tx.commit().await,
        }
    }
}
