//! Opens the stores that the settings name, and closes them in the right order.

use super::data_dir::{DataDir, database_path};
use crate::config::Config;
use anyhow::{Context, Result};
use services::{PasswordParams, Services, ServicesConfig, Stores};
use std::path::Path;
use std::sync::Arc;
use store::broker::Broker;
use store::index::EventIndex;
use store_index::{IndexOptions, TantivyIndex};
use store_kafka::{Ensured, KafkaBroker, ensure_topics};
use store_log::{EmbeddedLog, LogOptions};
use store_opensearch::OpenSearchIndex;
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
    let sql = open_sql(path, config).await?;
    store::sql::Accounts::migrate(&*sql)
        .await
        .context("the database cannot be brought to this version's schema")?;
    let broker = open_broker(path, config).await?;
    let index = open_index(path, config).await?;
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

async fn open_sql(path: &Path, config: &Config) -> Result<Arc<SqlDatabase>> {
    if let Some(url) = &config.database {
        let database = SqlDatabase::connect(url.secret()).await;
        return database.context("the database cannot be used; check QGX_DATABASE_URL");
    }
    let file = database_path(path);
    SqlDatabase::open(&file)
        .await
        .with_context(|| format!("the database {} cannot be opened; run `qgx doctor`", file.display()))
}

async fn open_broker(path: &Path, config: &Config) -> Result<Arc<dyn Broker>> {
    if let Some(kafka) = &config.kafka {
        let broker = KafkaBroker::connect(kafka.clone()).await;
        return Ok(broker.context("the broker cannot be used; check QGX_BROKER_URL")?);
    }
    let options = LogOptions {
        retention_age: config.broker.retention,
        retention_bytes: config.broker.max_bytes,
        ..LogOptions::default()
    };
    let log_dir = path.join("log");
    let opening = {
        let dir = log_dir.clone();
        telemetry::spawn_blocking_named("open-log", move || EmbeddedLog::open(dir, options)).await?
    };
    Ok(opening
        .with_context(|| format!("the log in {} cannot be opened; run `qgx doctor`", log_dir.display()))?)
}

async fn open_index(path: &Path, config: &Config) -> Result<Arc<dyn EventIndex>> {
    if let Some(search) = &config.search {
        let index = OpenSearchIndex::connect(search.clone());
        return Ok(index.context("the event index cannot be used; check QGX_SEARCH_URL")?);
    }
    let index_dir = path.join("index");
    // Opening reads and repairs files: not the runtime's work.
    let index = {
        let dir = index_dir.clone();
        telemetry::spawn_blocking_named("open-index", move || {
            TantivyIndex::open(&dir, IndexOptions::default())
        })
        .await?
    };
    Ok(index.with_context(|| {
        format!("the event index in {} cannot be opened; run `qgx doctor`", index_dir.display())
    })?)
}

/// Makes what the stores need from outside and a migration may make: Kafka's topics, OpenSearch's index template.
/// Answers what was done, a line each.
///
/// # Errors
/// Where a cluster does not answer or refuses.
pub async fn prepare(config: &Config) -> Result<Vec<String>> {
    let mut done = prepare_topics(config).await?;
    if let Some(search) = &config.search {
        let ensured = OpenSearchIndex::connect(search.clone())?.ensure().await;
        ensured.context("the index template cannot be made; check QGX_SEARCH_URL")?;
        done.push("the index template on OpenSearch is of this version".to_owned());
    }
    Ok(done)
}

async fn prepare_topics(config: &Config) -> Result<Vec<String>> {
    let Some(kafka) = &config.kafka else { return Ok(Vec::new()) };
    let ensured =
        ensure_topics(kafka).await.context("the Kafka topics cannot be made; check QGX_BROKER_URL")?;
    let told = |it: Ensured| match it {
        Ensured::Created { topic, partitions } => {
            format!("made the topic {topic} with {partitions} partitions")
        }
        Ensured::Grown { topic, from, to } => format!("the topic {topic} has {to} partitions, {from} before"),
        Ensured::Kept { topic, partitions } => {
            format!("the topic {topic} is there with {partitions} partitions")
        }
    };
    Ok(ensured.into_iter().map(told).collect())
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
