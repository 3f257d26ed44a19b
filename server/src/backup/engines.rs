//! The stores as copies need them: each by what it is, not by what it serves.

use super::relocate::Moving;
use crate::config::Config;
use crate::serve::data_dir::database_path;
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use store::backup::IndexCopy;
use store::broker::Broker;
use store::index::EventIndex;
use store_index::{IndexOptions, TantivyIndex};
use store_kafka::KafkaBroker;
use store_log::{EmbeddedLog, LogOptions};
use store_opensearch::OpenSearchIndex;
use store_sql::SqlDatabase;

/// The three stores.
#[derive(Clone)]
pub struct Engines {
    /// The database.
    pub sql: Arc<SqlDatabase>,
    /// The index, for questions.
    pub index: Arc<dyn EventIndex>,
    /// The same, for copies.
    pub events: Arc<dyn IndexCopy>,
    /// Whether it tells events apart by their ids, so that one loaded twice is there once.
    pub knows_ids: bool,
    /// The log.
    pub broker: Arc<dyn Broker>,
}

impl Engines {
    /// Opens what the settings name; embedded ones in a data directory that this process holds.
    ///
    /// # Errors
    /// As the stores; the message says which.
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self> {
        let sql = database(config, data_dir).await?;
        let broker = broker(config, data_dir).await?;
        let Index { index, events, knows_ids } = search(config, data_dir).await?;
        Ok(Self { sql, index, events, knows_ids, broker })
    }

    /// These, with the engines of other settings for those that move.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn moved_to(&self, to: &Config, moving: Moving) -> Result<Self> {
        let mut engines = self.clone();
        if moving.database {
            engines.sql = database(to, &to.data_dir).await?;
        }
        if moving.broker {
            engines.broker = broker(to, &to.data_dir).await?;
        }
        if moving.search {
            let Index { index, events, knows_ids } = search(to, &to.data_dir).await?;
            (engines.index, engines.events, engines.knows_ids) = (index, events, knows_ids);
        }
        Ok(engines)
    }

    /// Syncs and closes those that are other ones than before.
    ///
    /// # Errors
    /// As the stores.
    pub async fn close_moved(self, moving: Moving) -> Result<()> {
        if moving.broker {
            self.broker.close().await?;
        }
        if moving.search {
            self.index.close().await?;
        }
        if moving.database {
            self.sql.close().await;
        }
        Ok(())
    }

    /// Opens embedded stores in a folder, made where it is not there; the database has no schema yet.
    ///
    /// # Errors
    /// As the stores.
    pub async fn embedded(dir: &Path, partitions: u32) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let sql = SqlDatabase::open(&database_path(dir)).await?;
        let broker = embedded_log(dir, LogOptions { partitions, ..LogOptions::default() }).await?;
        let index = embedded_index(dir).await?;
        Ok(Self { sql, index: index.clone(), events: index, knows_ids: false, broker })
    }

    /// Syncs and closes them.
    ///
    /// # Errors
    /// As the stores.
    pub async fn close(self) -> Result<()> {
        self.broker.close().await?;
        self.index.close().await?;
        self.sql.close().await;
        Ok(())
    }
}

async fn database(config: &Config, data_dir: &Path) -> Result<Arc<SqlDatabase>> {
    match &config.database {
        Some(url) => SqlDatabase::connect(url.secret()).await.context("the database cannot be used"),
        None => SqlDatabase::open(&database_path(data_dir)).await.context("the embedded database"),
    }
}

async fn broker(config: &Config, data_dir: &Path) -> Result<Arc<dyn Broker>> {
    Ok(match &config.kafka {
        Some(kafka) => KafkaBroker::connect(kafka.clone()).await.context("the broker cannot be used")?,
        None => embedded_log(data_dir, LogOptions::default()).await?,
    })
}

struct Index {
    index: Arc<dyn EventIndex>,
    events: Arc<dyn IndexCopy>,
    knows_ids: bool,
}

async fn search(config: &Config, data_dir: &Path) -> Result<Index> {
    if let Some(search) = &config.search {
        let index = OpenSearchIndex::connect(search.clone()).context("the event index cannot be used")?;
        return Ok(Index { index: index.clone(), events: index, knows_ids: true });
    }
    let index = embedded_index(data_dir).await?;
    Ok(Index { index: index.clone(), events: index, knows_ids: false })
}

async fn embedded_log(dir: &Path, options: LogOptions) -> Result<Arc<EmbeddedLog>> {
    let dir = dir.join("log");
    let open = move || EmbeddedLog::open(dir, options);
    telemetry::spawn_blocking_named("open-log", open).await?.context("the embedded log cannot be opened")
}

async fn embedded_index(dir: &Path) -> Result<Arc<TantivyIndex>> {
    let dir = dir.join("index");
    let open = move || TantivyIndex::open(&dir, IndexOptions::default());
    telemetry::spawn_blocking_named("open-index", open).await?.context("the embedded index cannot be opened")
}
