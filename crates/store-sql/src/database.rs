//! The store.

use crate::migration;
use crate::names::Names;
use crate::pool::Pool;
use std::sync::Arc;
use store::sql::SqlResult;

/// The SQL store on one database; implements every trait of [`store::sql`].
#[derive(Debug)]
pub struct SqlDatabase {
    pub(crate) pool: Pool,
    pub(crate) names: Names,
}

impl SqlDatabase {
    /// Opens `sqlite:///path/qgx.db`, making the file where it is not there, or `sqlite::memory:` for a database that
    /// lives as long as this value. The schema is brought up by [`store::sql::Accounts::migrate`].
    ///
    /// # Errors
    /// [`store::sql::SqlError::Schema`] where the database is newer than this program,
    /// [`store::sql::SqlError::Failed`] where it cannot be opened.
    pub async fn connect(url: &str) -> SqlResult<Arc<Self>> {
        let pool = Pool::connect(url).await?;
        migration::refuse_newer(&pool).await?;
        Ok(Arc::new(Self { pool, names: Names::default() }))
    }

    /// Finishes what is being written and closes every connection; later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
