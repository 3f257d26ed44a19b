//! The store.

use crate::migration;
use crate::mysql::MySqlConnections;
use crate::names::Names;
use crate::pool::Pool;
use std::path::Path;
use std::sync::Arc;
use store::sql::SqlResult;

/// The SQL store on one database; implements every trait of [`store::sql`].
///
/// Rollups, extremes, arrivals and inflow are read on connections of their own, so that charts never keep a login
/// or a token waiting; each of their statements is stopped by the database after 30 s, and the call answers
/// [`store::sql::SqlError::Failed`]. A database in memory has one connection for everything, and no deadline.
///
/// A MySQL database may have many processes: what they write into each other's way is tried again.
#[derive(Debug)]
pub struct SqlDatabase {
    pub(crate) pool: Pool,
    pub(crate) names: Names,
}

impl SqlDatabase {
    /// Opens `sqlite:///path/qgx.db`, making the file where it is not there, or `sqlite::memory:` for a database that
    /// lives as long as this value; or `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, of MySQL 8.0, MariaDB 10.6 or a later
    /// one, where the database must be there and the user may do anything in it. `?ssl-mode=VERIFY_IDENTITY` insists on
    /// TLS and checks the server's certificate, `&ssl-ca=FILE` against this authority; without them TLS is used where
    /// the server has it. The schema is brought up by [`store::sql::Accounts::migrate`].
    ///
    /// # Errors
    /// [`store::sql::SqlError::Schema`] where the database is newer than this program,
    /// [`store::sql::SqlError::Failed`] where it cannot be opened.
    pub async fn connect(url: &str) -> SqlResult<Arc<Self>> {
        let pool = Pool::connect(url).await?;
        migration::refuse_newer(&pool).await?;
        Ok(Arc::new(Self { pool, names: Names::default() }))
    }

    /// Makes the database of a `mysql://` address where it is not there and the user may make it; what
    /// [`Self::connect`] needs. Changes nothing where it is there.
    ///
    /// # Errors
    /// [`store::sql::SqlError::Failed`] where the server cannot be reached or the user is refused.
    pub async fn make(url: &str) -> SqlResult<()> {
        if url.starts_with("sqlite:") { Ok(()) } else { MySqlConnections::make_database(url).await }
    }

    /// Opens the SQLite database in a file of any name, making it where it is not there. A URL gives `?`, `%` and `#` a
    /// meaning of their own; a path does not. Else as [`Self::connect`].
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn open(path: &Path) -> SqlResult<Arc<Self>> {
        let pool = Pool::open(path).await?;
        migration::refuse_newer(&pool).await?;
        Ok(Arc::new(Self { pool, names: Names::default() }))
    }

    /// Answers the version of the schema, where it is this program's; changes nothing.
    ///
    /// # Errors
    /// [`store::sql::SqlError::Schema`] where it is older or newer; its `remedy` says what to do.
    pub async fn expect_current_schema(&self) -> SqlResult<i64> {
        migration::expect_current(&self.pool).await
    }

    /// Finishes what is being written and closes every connection; later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::sql::Accounts;

    #[tokio::test]
    async fn a_path_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a?mode=ro", "50%20", "#1 & ü", ":memory:"] {
            let path = folder.path().join(name).join("qgx.db");
            std::fs::create_dir(folder.path().join(name)).unwrap();
            let database = SqlDatabase::open(&path).await.unwrap();
            database.migrate().await.unwrap();
            database.close().await;
            assert!(path.is_file(), "{}", path.display());
        }
    }
}
