//! Brings the schema up to this program's.

use crate::dialect::Dialect;
use crate::pool::{Pool, values};
use domain::Timestamp;
use store::sql::{SqlError, SqlResult};

/// One step, from `migrations/<dialect>/`.
struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const SQLITE: &[Migration] =
    &[Migration { version: 1, name: "initial", sql: include_str!("../migrations/sqlite/0001_initial.sql") }];

fn migrations(dialect: Dialect) -> &'static [Migration] {
    match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::MySql => &[],
    }
}

fn newest(dialect: Dialect) -> i64 {
    migrations(dialect).last().map_or(0, |it| it.version)
}

const NEWER: &str = "it was written by a newer version of qgx: start that version again, or restore a backup made \
                     before the upgrade";

/// An error where the database has steps that this program does not know.
pub(crate) async fn refuse_newer(pool: &Pool) -> SqlResult<()> {
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
        return Ok(());
    }
    let found = pool.row("SELECT MAX(version) FROM schema_migrations", vec![]).await?;
    let found = found.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0);
    let needed = newest(pool.dialect());
    if found > needed { Err(SqlError::Schema { found, needed, remedy: NEWER }) } else { Ok(()) }
}

/// Runs the steps that are missing, each with its note in one transaction; answers the version reached.
pub(crate) async fn migrate(pool: &Pool) -> SqlResult<i64> {
    pool.run(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, name VARCHAR(100) NOT \
         NULL, applied_at BIGINT NOT NULL)",
        vec![],
        &[],
    )
    .await?;
    refuse_newer(pool).await?;
    for step in migrations(pool.dialect()) {
        let mut tx = pool.begin().await?;
        // Asked inside the transaction: another process may have run it meanwhile.
        let done =
            tx.rows("SELECT 1 FROM schema_migrations WHERE version = ?", values![step.version]).await?;
        if done.is_empty() {
            tx.script(step.sql).await?;
            let note = "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)";
            tx.run(note, values![step.version, step.name, Timestamp::now()]).await?;
            tracing::info!(version = step.version, name = step.name, "brought the database schema up");
        }
        tx.commit().await?;
    }
    Ok(newest(pool.dialect()))
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
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("qgx.db").display());
        let database = SqlDatabase::connect(&url).await.unwrap();
        assert_eq!(database.migrate().await.unwrap(), newest(Dialect::Sqlite));
        assert_eq!(database.migrate().await.unwrap(), newest(Dialect::Sqlite), "again changes nothing");
        let future = "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, 'later', 0)";
        database.pool.run(future, values![99_i64], &[]).await.unwrap();
        let refused = |error| matches!(error, SqlError::Schema { found: 99, remedy, .. } if remedy == NEWER);
        assert!(refused(database.migrate().await.unwrap_err()));
        database.close().await;
        assert!(refused(SqlDatabase::connect(&url).await.unwrap_err()));
    }
}
