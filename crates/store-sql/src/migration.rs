//! Brings the schema up to this program's.

use crate::dialect::Dialect;
use crate::mysql::{MySqlConnections, MySqlLock};
use crate::pool::Pool;
use crate::sqlite::SqliteConnections;
use crate::value::{Value, values};
use domain::Timestamp;
use std::time::Duration;
use store::sql::{SqlError, SqlResult};

/// One step, from `migrations/<dialect>/`.
struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const SQLITE: &[Migration] = &[
    Migration { version: 1, name: "initial", sql: include_str!("../migrations/sqlite/0001_initial.sql") },
    Migration {
        version: 2,
        name: "dead letters",
        sql: include_str!("../migrations/sqlite/0002_dead_letters.sql"),
    },
    Migration { version: 3, name: "quotas", sql: include_str!("../migrations/sqlite/0003_quotas.sql") },
    Migration { version: 4, name: "trust", sql: include_str!("../migrations/sqlite/0004_trust.sql") },
    Migration {
        version: 5,
        name: "sources seen",
        sql: include_str!("../migrations/sqlite/0005_sources_seen.sql"),
    },
    Migration {
        version: 6,
        name: "streams by name",
        sql: include_str!("../migrations/sqlite/0006_streams_by_name.sql"),
    },
];
const MYSQL: &[Migration] = &[
    Migration { version: 1, name: "initial", sql: include_str!("../migrations/mysql/0001_initial.sql") },
    Migration {
        version: 2,
        name: "dead letters",
        sql: include_str!("../migrations/mysql/0002_dead_letters.sql"),
    },
    Migration { version: 3, name: "quotas", sql: include_str!("../migrations/mysql/0003_quotas.sql") },
    Migration { version: 4, name: "trust", sql: include_str!("../migrations/mysql/0004_trust.sql") },
    Migration {
        version: 5,
        name: "sources seen",
        sql: include_str!("../migrations/mysql/0005_sources_seen.sql"),
    },
    Migration {
        version: 6,
        name: "streams by name",
        sql: include_str!("../migrations/mysql/0006_streams_by_name.sql"),
    },
];

/// How long to wait for another process's migration before saying so.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often to wait.
const WAITS: u32 = 30;

fn migrations(dialect: Dialect) -> &'static [Migration] {
    match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::MySql => MYSQL,
    }
}

fn newest(dialect: Dialect) -> i64 {
    migrations(dialect).last().map_or(0, |it| it.version)
}

const NEWER: &str = "it was written by a newer version of qgx: start that version again, or restore a backup made \
                     before the upgrade";

const OLDER: &str = "it was not brought up to this version yet: run `qgx migrate`";

/// An error where the database has steps that this program does not know.
pub(crate) async fn refuse_newer(pool: &Pool) -> SqlResult<()> {
    let (found, needed) = (found(pool).await?, newest(pool.dialect()));
    if found > needed { Err(SqlError::Schema { found, needed, remedy: NEWER }) } else { Ok(()) }
}

/// An error where the database has other steps than this program, whichever way.
pub(crate) async fn expect_current(pool: &Pool) -> SqlResult<i64> {
    refuse_newer(pool).await?;
    let (found, needed) = (found(pool).await?, newest(pool.dialect()));
    if found < needed { Err(SqlError::Schema { found, needed, remedy: OLDER }) } else { Ok(found) }
}

/// The step that the database is at; 0 before the first.
pub(crate) async fn found(pool: &Pool) -> SqlResult<i64> {
    let known: &str = match pool.dialect() {
        Dialect::Sqlite => {
            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"
        }
        Dialect::MySql => {
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = \
             'schema_migrations'"
        }
    };
    let there = pool.row(known, vec![]).await?.map_or(Ok(0), |row| row.int(0))? > 0;
    if !there {
        return Ok(0);
    }
    let found = pool.row("SELECT MAX(version) FROM schema_migrations", vec![]).await?;
    Ok(found.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0))
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, name \
                     VARCHAR(100) NOT NULL, applied_at BIGINT NOT NULL)";
const DONE: &str = "SELECT 1 FROM schema_migrations WHERE version = ?";
const NOTE: &str = "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)";

impl Migration {
    fn note(&self) -> Vec<Value> {
        values![self.version, self.name, Timestamp::now()]
    }

    fn report(&self) {
        tracing::info!(version = self.version, name = self.name, "brought the database schema up");
    }

    /// Its statements, without the comments before them.
    fn statements(&self) -> impl Iterator<Item = &'static str> {
        self.sql.split(";\n").map(uncommented).filter(|statement| !statement.is_empty())
    }
}

fn uncommented(statement: &'static str) -> &'static str {
    let mut rest = statement.trim_start();
    while rest.starts_with("--") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    rest.trim_end()
}

/// Runs the steps that are missing; answers the version reached.
pub(crate) async fn migrate(pool: &Pool) -> SqlResult<i64> {
    migrate_to(pool, i64::MAX).await?;
    Ok(newest(pool.dialect()))
}

/// Runs those up to a version: for rows that were written under it.
pub(crate) async fn migrate_to(pool: &Pool, last: i64) -> SqlResult<()> {
    match pool {
        Pool::Sqlite(database) => migrate_at_once(pool, database, last).await,
        Pool::MySql(database) => migrate_alone(pool, database, last).await,
    }
}

/// SQLite: each step with its note in one transaction.
async fn migrate_at_once(pool: &Pool, database: &SqliteConnections, last: i64) -> SqlResult<()> {
    pool.run(TABLE, vec![], &[]).await?;
    refuse_newer(pool).await?;
    for step in SQLITE.iter().filter(|step| step.version <= last) {
        let mut tx = database.begin().await?;
        // Asked inside the transaction: another process may have run it meanwhile.
        if tx.rows(DONE.into(), values![step.version]).await?.is_empty() {
            tx.script(step.sql).await?;
            tx.run(NOTE.into(), step.note()).await?;
            step.report();
        }
        tx.commit().await?;
    }
    Ok(())
}

/// MySQL: it commits each statement by itself, so one process at a time does it, holding a lock, and what an earlier
/// attempt left half done is done to its end.
async fn migrate_alone(pool: &Pool, database: &MySqlConnections, last: i64) -> SqlResult<()> {
    for _ in 0..WAITS {
        if let Some(mut lock) = database.lock("migrate", PATIENCE).await? {
            let done = migrate_under(pool, &mut lock, last).await;
            lock.release().await;
            return done;
        }
        tracing::info!("another process brings the database schema up; waiting for it");
    }
    let reason = format!("another process has been changing the schema for {:?}", PATIENCE * WAITS);
    Err(SqlError::Failed(reason))
}

async fn migrate_under(pool: &Pool, lock: &mut MySqlLock, last: i64) -> SqlResult<()> {
    lock.change_schema(TABLE).await?;
    refuse_newer(pool).await?;
    for step in MYSQL.iter().filter(|step| step.version <= last) {
        if lock.rows(DONE, &[step.version.into()]).await?.is_empty() {
            for statement in step.statements() {
                lock.change_schema(statement).await?;
            }
            lock.rows(NOTE, &step.note()).await?;
            step.report();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqlDatabase;
    use store::sql::Accounts;

    #[test]
    fn steps_are_numbered_without_gaps() {
        for dialect in [Dialect::Sqlite, Dialect::MySql] {
            let versions: Vec<_> = migrations(dialect).iter().map(|it| it.version).collect();
            assert_eq!(versions, (1..=i64::try_from(versions.len()).unwrap()).collect::<Vec<_>>());
        }
        let names = |dialect| migrations(dialect).iter().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(names(Dialect::Sqlite), names(Dialect::MySql));
    }

    #[test]
    fn statements_are_told_apart() {
        let check = |sql: &'static str, expect: &[&str]| {
            let step = Migration { version: 1, name: "a", sql };
            assert_eq!(step.statements().collect::<Vec<_>>(), expect);
        };
        check(
            "-- x; y\n\n-- z\nCREATE a (\n    b -- c\n);\nDROP d;\n",
            &["CREATE a (\n    b -- c\n)", "DROP d"],
        );
        check("DROP a;\n\n-- the end\n", &["DROP a"]);
        let tables = |dialect| {
            let statements = migrations(dialect).iter().flat_map(Migration::statements);
            let mut names: Vec<_> = statements
                .filter_map(|it| it.strip_prefix("CREATE TABLE ")?.split_once(' '))
                .map(|(name, _)| name)
                .collect();
            names.sort_unstable();
            names
        };
        assert_eq!(tables(Dialect::Sqlite), tables(Dialect::MySql));
    }

    #[tokio::test]
    async fn another_schema_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("qgx.db").display());
        let database = SqlDatabase::connect(&url).await.unwrap();
        let older = database.expect_current_schema().await.unwrap_err();
        assert!(matches!(older, SqlError::Schema { found: 0, remedy, .. } if remedy == OLDER));
        assert_eq!(database.migrate().await.unwrap(), newest(Dialect::Sqlite));
        assert_eq!(database.expect_current_schema().await.unwrap(), newest(Dialect::Sqlite));
        assert_eq!(database.migrate().await.unwrap(), newest(Dialect::Sqlite), "again changes nothing");
        let future = "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, 'later', 0)";
        database.pool.run(future, values![99_i64], &[]).await.unwrap();
        let refused = |error| matches!(error, SqlError::Schema { found: 99, remedy, .. } if remedy == NEWER);
        assert!(refused(database.migrate().await.unwrap_err()));
        assert!(refused(database.expect_current_schema().await.unwrap_err()));
        database.close().await;
        assert!(refused(SqlDatabase::connect(&url).await.unwrap_err()));
    }
}
