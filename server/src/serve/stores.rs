//! Opens the embedded stores of a data directory, and closes them in the right order.

use super::data_dir::{DataDir, database_path};
use crate::config::Config;
use anyhow::{Context, Result};
use services::{PasswordParams, Services, ServicesConfig, Stores};
use store_index::{IndexOptions, TantivyIndex};
use store_log::{EmbeddedLog, LogOptions};
use store_sql::SqlDatabase;

/// What hashing passwords may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// As strong as it should be.
    Strong,
    /// As cheap as can be: tests only.
    Cheap,
}

/// Opens all stores, brings the SQL schema up, and puts the services on them.
///
/// # Errors
/// Where a store cannot be opened; the message says which and what to do.
pub async fn open(data_dir: &DataDir, config: &Config, cost: Cost) -> Result<Services> {
    let path = data_dir.path();
    let keys = data_dir.secret_keys(&config.access.secret_keys)?;
    let database = database_path(path);
    let sql = SqlDatabase::open(&database)
        .await
        .with_context(|| format!("the database {} cannot be opened; run `qgx doctor`", database.display()))?;
    store::sql::Accounts::migrate(&*sql)
        .await
        .context("the database cannot be brought to this version's schema")?;
    let log_options = LogOptions {
        retention_age: config.broker.retention,
        retention_bytes: config.broker.max_bytes,
        ..LogOptions::default()
    };
    let (log_dir, index_dir) = (path.join("log"), path.join("index"));
    // Opening reads and repairs files: not the runtime's work.
    let broker = {
        let dir = log_dir.clone();
        telemetry::spawn_blocking_named("open-log", move || EmbeddedLog::open(dir, log_options)).await?
    };
    let broker = broker
        .with_context(|| format!("the log in {} cannot be opened; run `qgx doctor`", log_dir.display()))?;
    let index = {
        let dir = index_dir.clone();
        telemetry::spawn_blocking_named("open-index", move || {
            TantivyIndex::open(&dir, IndexOptions::default())
        })
        .await?
    };
    let index = index.with_context(|| {
        format!("the event index in {} cannot be opened; run `qgx doctor`", index_dir.display())
    })?;
    let stores = Stores { sql, index, broker };
    Ok(Services::new(
        stores,
        ServicesConfig {
            secret_keys: keys,
            embedded: true,
            loopback_default_tenant: config.access.loopback_default_tenant,
            password_params: match cost {
                Cost::Strong => PasswordParams::default(),
                Cost::Cheap => PasswordParams::cheap(),
            },
        },
    ))
}

/// Syncs and closes broker and index. The SQL store's connections close with the process.
pub async fn close(services: &Services) {
    let Stores { broker, index, .. } = services.stores();
    if let Err(error) = broker.close().await {
        tracing::error!(%error, "the log could not be closed");
    }
    if let Err(error) = index.close().await {
        tracing::error!(%error, "the event index could not be closed");
    }
}
