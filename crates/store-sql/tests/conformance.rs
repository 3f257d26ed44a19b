//! SQLite passes the conformance suite, in a file and in memory. MySQL's turn is in `mysql/main.rs`.

use std::sync::Arc;
use store::sql::{Accounts, SqlStore};
use store_sql::SqlDatabase;

async fn migrated(url: &str) -> Arc<dyn SqlStore> {
    let database = SqlDatabase::connect(url).await.expect("the database opens");
    database.migrate().await.expect("the schema is brought up");
    database
}

mod file {
    use super::*;

    async fn fresh() -> Option<(Arc<dyn SqlStore>, tempfile::TempDir)> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = migrated(&format!("sqlite://{}", folder.path().join("qgx.db").display())).await;
        Some((store, folder))
    }

    store::sql_conformance!(fresh);
}

mod memory {
    use super::*;

    async fn fresh() -> Option<(Arc<dyn SqlStore>, ())> {
        Some((migrated("sqlite::memory:").await, ()))
    }

    store::sql_conformance!(fresh);
}
