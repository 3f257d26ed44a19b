//! Connections to MySQL 8 and MariaDB 10.6, and later ones.
//!
//! Whatever the server's defaults are, a session here is the same one:
//!
//! - strict, so that a text that does not fit is refused, never cut;
//! - in UTC, in `utf8mb4`, comparing by bytes;
//! - READ COMMITTED. Transactions here lock the rows that they decide by (`FOR UPDATE`) and otherwise only add; under
//!   the default, REPEATABLE READ, each insert would also lock the gap it falls into, and processors that add rows
//!   beside each other would wait for, and deadlock with, each other. A server that replicates by statement
//!   (`binlog_format = STATEMENT`) refuses it: ROW, MySQL's default, or MIXED, MariaDB's, is needed;
//! - counting rows found, not rows changed: the driver asks for `CLIENT_FOUND_ROWS`, and callers that mean "not there"
//!   look again all the same.
//!
//! All values are bound, so that no mode changes what a text means (`NO_BACKSLASH_ESCAPES`, `ANSI_QUOTES`).

use crate::fault::{Attempt, failed, mysql_number, refused};
use crate::row::Row;
use crate::value::Value;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySql, Transaction};
use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;
use store::sql::{SqlError, SqlResult};

/// Connections of a process, at most. Servers take 151 by default, of all processes.
const CONNECTIONS: u32 = 10;
/// Those of their own for the reads of charts.
const CHART_CONNECTIONS: u32 = 4;
/// How long a statement of a chart may run.
const CHART_DEADLINE: Duration = Duration::from_secs(30);
/// How long to wait for a free connection, or for a new one.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// After how long without an answer a connection counts as lost.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
/// How long a statement waits for another transaction's row; then the whole transaction is tried again.
const LOCK_WAIT_SECS: u32 = 5;

/// Which family of servers, because each has its own name for a statement's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    MySql,
    MariaDb,
}

impl Server {
    /// By what `VERSION()` answers.
    fn of(version: &str) -> SqlResult<Self> {
        let mut numbers =
            version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
        let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let (server, least) =
            if version.contains("MariaDB") { (Self::MariaDb, (10, 6)) } else { (Self::MySql, (8, 0)) };
        if found >= least {
            return Ok(server);
        }
        Err(SqlError::Failed(format!(
            "the database server is of version {version}: MySQL 8.0 or MariaDB 10.6, or a later one, is needed"
        )))
    }

    /// The session's settings.
    fn session(self, deadline: Option<Duration>) -> String {
        let mut sql = format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,\
             NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = {LOCK_WAIT_SECS}"
        );
        if let Some(deadline) = deadline {
            sql.push_str(&match self {
                Self::MySql => format!(", max_execution_time = {}", deadline.as_millis()),
                Self::MariaDb => format!(", max_statement_time = {}", deadline.as_secs_f64()),
            });
        }
        sql
    }
}

const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Connections to one database.
#[derive(Debug)]
pub(crate) struct MySqlConnections {
    pool: MySqlPool,
    charts: MySqlPool,
    chart_deadline: Duration,
}

impl MySqlConnections {
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE`. Without an `ssl-mode` the
    /// connection is encrypted where the server offers it, and the server's certificate is not verified.
    pub async fn connect(url: &str) -> SqlResult<Self> {
        Self::with(url, CHART_DEADLINE).await
    }

    /// Makes the database of the address where it is not there and the user may.
    ///
    /// Where it is there, or the user may not, nothing is changed: connecting tells.
    pub async fn make_database(url: &str) -> SqlResult<()> {
        let options = MySqlConnectOptions::from_str(url).map_err(failed)?;
        let Some(name) = options.get_database().filter(|name| !name.is_empty()).map(str::to_owned) else {
            return Ok(());
        };
        let making = async {
            // A database that everybody may look into.
            let mut connection = options.database("information_schema").connect().await?;
            let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM schemata WHERE schema_name = ?")
                .bind(&name)
                .fetch_optional(&mut connection)
                .await?;
            if known.is_none() {
                // A name cannot be bound; in quotes of its kind nothing but that quote means anything.
                let quoted = name.replace('`', "``");
                let sql = format!(
                    "CREATE DATABASE IF NOT EXISTS `{quoted}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
                );
                let made = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
                if let Err(error) = made {
                    tracing::info!(%error, "the database is not there, and this user may not make it");
                }
            }
            connection.close().await
        };
        answered(making).await.map_err(failed)
    }

    async fn with(url: &str, chart_deadline: Duration) -> SqlResult<Self> {
        let options = MySqlConnectOptions::from_str(url).map_err(failed)?;
        if options.get_database().is_none_or(str::is_empty) {
            let needed = "the database URL must name a database: mysql://user:password@host/database";
            return Err(SqlError::Failed(needed.to_owned()));
        }
        let options = options
            .charset("utf8mb4")
            .collation("utf8mb4_bin")
            .timezone(Some("+00:00".to_owned()))
            // The mode is set whole, below.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .statement_cache_capacity(128)
            // Statements stay out of the log: they may name what customers call things.
            .disable_statement_logging();
        let server = server(&options).await?;
        let pool = |most: u32, deadline: Option<Duration>| {
            let settings = server.session(deadline);
            MySqlPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(CONNECT_DEADLINE)
                .after_connect(move |connection, _| {
                    let settings = settings.clone();
                    Box::pin(async move {
                        connection.execute(AssertSqlSafe(settings)).await?;
                        connection.execute(ISOLATION).await.map(|_| ())
                    })
                })
                .connect_lazy_with(options.clone())
        };
        let charts = pool(CHART_CONNECTIONS, Some(chart_deadline));
        Ok(Self { pool: pool(CONNECTIONS, None), charts, chart_deadline })
    }

    pub fn connections(&self) -> &MySqlPool {
        &self.pool
    }

    pub async fn rows(&self, sql: Cow<'static, str>, values: &[Value]) -> SqlResult<Vec<Row>> {
        let rows = answered(query(sql, values).fetch_all(&self.pool)).await.map_err(failed)?;
        Ok(rows.into_iter().map(Row::MySql).collect())
    }

    pub async fn row(&self, sql: Cow<'static, str>, values: &[Value]) -> SqlResult<Option<Row>> {
        Ok(answered(query(sql, values).fetch_optional(&self.pool)).await.map_err(failed)?.map(Row::MySql))
    }

    /// The server itself stops the statement at the deadline, also where nobody waits for it any more.
    pub async fn chart_rows(&self, sql: Cow<'static, str>, values: &[Value]) -> SqlResult<Vec<Row>> {
        match answered(query(sql, values).fetch_all(&self.charts)).await {
            Ok(rows) => Ok(rows.into_iter().map(Row::MySql).collect()),
            Err(error) if stopped(&error) => {
                Err(SqlError::Failed(format!("a statement took longer than {:?}", self.chart_deadline)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub async fn run(
        &self,
        sql: Cow<'static, str>,
        values: &[Value],
        unique: &[&'static str],
    ) -> Attempt<u64> {
        let done = answered(query(sql, values).execute(&self.pool)).await;
        done.map(|done| done.rows_affected()).map_err(|error| refused(error, unique))
    }

    pub async fn begin(&self) -> SqlResult<MySqlTx> {
        Ok(MySqlTx(answered(self.pool.begin()).await.map_err(failed)?))
    }

    /// Takes the server's lock of a name that has the database in it, for the server has one set of names for all.
    pub async fn lock(&self, purpose: &'static str, wait: Duration) -> SqlResult<Option<MySqlLock>> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        // The lock belongs to the connection, which must not come back to the pool with it.
        connection.close_on_drop();
        let values = [Value::from(purpose), Value::from(wait.as_secs())];
        let sql = "SELECT GET_LOCK(LEFT(CONCAT('qgx.', ?, '.', DATABASE()), 64), CAST(? AS SIGNED))";
        let waiting = query(sql.into(), &values).fetch_one(&mut *connection);
        let row = Row::MySql(answered(waiting).await.map_err(failed)?);
        Ok((row.opt_int(0)? == Some(1)).then_some(MySqlLock { connection, purpose }))
    }

    pub async fn close(&self) {
        self.charts.close().await;
        self.pool.close().await;
    }
}

/// Asks which server it is.
async fn server(options: &MySqlConnectOptions) -> SqlResult<Server> {
    let asking = async {
        let mut connection = options.connect().await?;
        let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(version)
    };
    let version = tokio::time::timeout(CONNECT_DEADLINE, asking)
        .await
        .map_err(|_| SqlError::Failed(format!("the database did not answer within {CONNECT_DEADLINE:?}")))?
        .map_err(failed)?;
    Server::of(&version)
}

/// A lock held by a connection of its own.
pub(crate) struct MySqlLock {
    connection: PoolConnection<MySql>,
    purpose: &'static str,
}

impl MySqlLock {
    /// Gives it back. Where that fails the connection is gone, and with it the lock.
    pub async fn release(mut self) {
        let sql = "SELECT RELEASE_LOCK(LEFT(CONCAT('qgx.', ?, '.', DATABASE()), 64))";
        let values = [Value::from(self.purpose)];
        let _ = answered(query(sql.into(), &values).fetch_one(&mut *self.connection)).await;
        let _ = self.connection.close().await;
    }

    /// Runs a statement on the connection that holds the lock: it is done while the lock is held, or not at all.
    pub async fn rows(&mut self, sql: &'static str, values: &[Value]) -> SqlResult<Vec<Row>> {
        let rows =
            answered(query(sql.into(), values).fetch_all(&mut *self.connection)).await.map_err(failed)?;
        Ok(rows.into_iter().map(Row::MySql).collect())
    }

    /// Runs one statement of a migration, however long it takes. What is there already is passed over: MySQL commits
    /// each change of the schema by itself, so that a step that was cut short is run again from its start.
    pub async fn change_schema(&mut self, statement: &'static str) -> SqlResult<()> {
        /// Table, column, index and constraint are there; what is to be dropped is not.
        const DONE_BEFORE: [u16; 5] = [1050, 1060, 1061, 1826, 1091];
        match sqlx::raw_sql(statement).execute(&mut *self.connection).await {
            Err(error) if mysql_number(&error).is_some_and(|number| DONE_BEFORE.contains(&number)) => Ok(()),
            done => done.map(|_| ()).map_err(failed),
        }
    }
}

/// A transaction.
pub(crate) struct MySqlTx(Transaction<'static, MySql>);

impl MySqlTx {
    pub async fn rows(&mut self, sql: Cow<'static, str>, values: &[Value]) -> Attempt<Vec<Row>> {
        let rows = answered(query(sql, values).fetch_all(&mut *self.0)).await;
        let rows = rows.map_err(|error| refused(error, &[]))?;
        Ok(rows.into_iter().map(Row::MySql).collect())
    }

    pub async fn run(&mut self, sql: Cow<'static, str>, values: &[Value]) -> Attempt<u64> {
        let done = answered(query(sql, values).execute(&mut *self.0)).await;
        done.map(|done| done.rows_affected()).map_err(|error| refused(error, &[]))
    }

    pub async fn commit(self) -> Attempt<()> {
        answered(self.0.commit()).await.map_err(|error| refused(error, &[]))
    }
}

/// A network that swallows packets would keep a caller waiting for ever.
async fn answered<T>(call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(ANSWER_DEADLINE, call).await.unwrap_or_else(|_| {
        let reason = format!("the database did not answer within {ANSWER_DEADLINE:?}");
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, reason)))
    })
}

/// A statement that the server stopped at its deadline: `ER_QUERY_TIMEOUT`, MariaDB's `ER_STATEMENT_TIMEOUT`, or
/// `ER_QUERY_INTERRUPTED`.
fn stopped(error: &sqlx::Error) -> bool {
    mysql_number(error).is_some_and(|number| matches!(number, 3024 | 1969 | 1317))
}

fn query(sql: Cow<'static, str>, values: &[Value]) -> Query<'static, MySql, MySqlArguments> {
    // All text is built in this crate of constants; whatever comes from outside is bound.
    let mut query = match sql {
        Cow::Borrowed(text) => sqlx::query(text),
        Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
    };
    for value in values {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Int(value) => query.bind(*value),
            Value::Real(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.as_str()),
            Value::Bytes(value) => query.bind(value.as_slice()),
        };
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        let check = |version: &str, expect: Option<Server>| {
            assert_eq!(Server::of(version).ok(), expect, "{version}");
        };
        check("8.0.36", Some(Server::MySql));
        check("9.7.4-2", Some(Server::MySql));
        check("10.11.19-MariaDB-0+deb12u1", Some(Server::MariaDb));
        check("11.4.2-MariaDB-log", Some(Server::MariaDb));
        check("5.7.44-log", None);
        check("10.5.23-MariaDB", None);
        check("", None);
    }

    #[tokio::test]
    async fn a_heavy_chart_is_stopped_by_the_server() {
        const ENDLESS: &str = "SELECT COUNT(*) FROM information_schema.collations a, information_schema.collations b, \
                               information_schema.collations c, information_schema.collations d";
        let Some(url) = store::testing::wanted("QGX_TEST_MYSQL", "the mysql:// URL of a server") else {
            return;
        };
        let options = MySqlConnectOptions::from_str(&url).unwrap().database("information_schema");
        let deadline = Duration::from_millis(300);
        let database = MySqlConnections::with(options.to_url_lossy().as_str(), deadline).await.unwrap();
        for _ in 0..CHART_CONNECTIONS + 1 {
            let Err(SqlError::Failed(reason)) = database.chart_rows(ENDLESS.into(), &[]).await else {
                panic!("an endless statement ended")
            };
            assert!(reason.contains("longer than 300ms"), "{reason}");
        }
        // The connections go on, and others have no such deadline.
        let seven = database.chart_rows("SELECT 7".into(), &[]).await.unwrap();
        assert_eq!(seven[0].int(0).unwrap(), 7);
        database.close().await;
    }

    #[tokio::test]
    async fn a_session_is_the_same_whatever_the_servers_defaults() {
        let Some(url) = store::testing::wanted("QGX_TEST_MYSQL", "the mysql:// URL of a server") else {
            return;
        };
        let options = MySqlConnectOptions::from_str(&url).unwrap().database("information_schema");
        let database = MySqlConnections::connect(options.to_url_lossy().as_str()).await.unwrap();
        let sql = "SELECT @@sql_mode, @@time_zone, @@collation_connection, '\\\\' = ?, 'a' = 'A'";
        let row = database.row(sql.into(), &[Value::from("\\")]).await.unwrap().unwrap();
        let mode = row.text(0).unwrap();
        assert!(mode.contains("STRICT_ALL_TABLES") && !mode.contains("NO_BACKSLASH_ESCAPES"), "{mode}");
        assert_eq!(
            (row.text(1).unwrap(), row.text(2).unwrap()),
            ("+00:00".to_owned(), "utf8mb4_bin".to_owned())
        );
        assert!(row.flag(3).unwrap() && !row.flag(4).unwrap());
        let isolation = "SHOW VARIABLES WHERE variable_name IN ('transaction_isolation', 'tx_isolation')";
        let rows = database.rows(isolation.into(), &[]).await.unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            assert_eq!(row.text(1).unwrap(), "READ-COMMITTED");
        }
        database.close().await;
    }
}
