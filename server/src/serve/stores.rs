//! Opens the stores that the settings name, and closes them in the right order.

use super::absent::{NoBroker, NoIndex};
use super::data_dir::{DataDir, database_path, expect_not_moved};
use super::engines::{Newer, await_engine};
use super::pipeline;
use super::readiness::Readiness;
use crate::config::{Config, ServerRole};
use anyhow::{Context, Result, bail};
use ingest::LetterReplay;
use services::{PasswordParams, Services, ServicesConfig, Stores};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use store::broker::Broker;
use store::index::EventIndex;
use store::sql::Accounts;
use store_index::{IndexOptions, TantivyIndex};
use store_kafka::{Ensured, KafkaBroker, KafkaOptions, ensure_topics};
use store_log::{EmbeddedLog, LogOptions};
use store_opensearch::{OpenSearchIndex, OpenSearchOptions, TemplateState};
use store_sql::SqlDatabase;

const DATABASE: &str = "the database cannot be used; check QGX_DATABASE_URL";
const SEARCH: &str = "the event index cannot be used; check QGX_SEARCH_URL";

/// What hashing passwords may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// As strong as it should be.
    Strong,
    /// As cheap as can be: tests only.
    Cheap,
}

/// Which stores beside the SQL store somebody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The durable log.
    pub broker: bool,
    /// The event index.
    pub index: bool,
}

impl Needs {
    /// All of them.
    pub const ALL: Self = Self { broker: true, index: true };
    /// The SQL store alone.
    pub const SQL: Self = Self { broker: false, index: false };

    /// What these roles use: the rest is neither connected nor held in memory.
    pub fn of(roles: &BTreeSet<ServerRole>) -> Self {
        let any = |of: &[ServerRole]| of.iter().any(|role| roles.contains(role));
        Self {
            broker: any(&[ServerRole::Back, ServerRole::Ingestion, ServerRole::Processor]),
            index: any(&[ServerRole::Front, ServerRole::Back, ServerRole::Processor]),
        }
    }
}

/// Opens all stores, and puts the services on them. An embedded database is brought up to this version's schema; what an
/// engine needs is made by [`prepare`] and only looked for here.
///
/// # Errors
/// Where a store cannot be opened; the message says which and what to do.
pub async fn open(data_dir: &DataDir, config: &Config, cost: Cost) -> Result<Services> {
    open_needed(data_dir, config, cost, Needs::ALL).await
}

/// As [`open`], of the stores only those that are needed. Embedded ones are opened always: they are in this process.
///
/// # Errors
/// As [`open`].
pub async fn open_needed(data_dir: &DataDir, config: &Config, cost: Cost, needs: Needs) -> Result<Services> {
    let path = data_dir.path();
    let keys = data_dir.secret_keys(&config.access.secret_keys)?;
    let sql = open_sql(path, config).await?;
    let broker = match &config.kafka {
        Some(_) if !needs.broker => Arc::new(NoBroker),
        Some(kafka) => connect_broker(kafka).await?,
        None => open_log(path, config).await?,
    };
    let index = match &config.search {
        Some(_) if !needs.index => Arc::new(NoIndex),
        Some(search) => connect_index(search).await?,
        None => open_index(path).await?,
    };
    Ok(services_on(Stores { sql, index, broker }, config, keys, cost))
}

/// As [`open_needed`]; engines that are away, or not prepared yet, are waited for.
///
/// # Errors
/// Where waiting cannot help: an embedded store that cannot be opened, an engine of a later version.
pub async fn await_needed(
    data_dir: &DataDir,
    config: &Config,
    cost: Cost,
    needs: Needs,
    readiness: &Readiness,
) -> Result<Services> {
    let path = data_dir.path();
    let keys = data_dir.secret_keys(&config.access.secret_keys)?;
    let sql = async {
        match &config.database {
            Some(_) => await_engine("database", readiness, || open_sql(path, config)).await,
            None => open_sql(path, config).await,
        }
    };
    let broker = async {
        match &config.kafka {
            Some(_) if !needs.broker => Ok(Arc::new(NoBroker) as Arc<dyn Broker>),
            Some(kafka) => await_engine("broker", readiness, || connect_broker(kafka)).await,
            None => open_log(path, config).await,
        }
    };
    let index = async {
        match &config.search {
            Some(_) if !needs.index => Ok(Arc::new(NoIndex) as Arc<dyn EventIndex>),
            Some(search) => await_engine("event index", readiness, || connect_index(search)).await,
            None => open_index(path).await,
        }
    };
    let (sql, broker, index) = tokio::try_join!(sql, broker, index)?;
    Ok(services_on(Stores { sql, index, broker }, config, keys, cost))
}

fn services_on(stores: Stores, config: &Config, secret_keys: Vec<[u8; 32]>, cost: Cost) -> Services {
    let services_config = ServicesConfig {
        secret_keys,
        embedded: config.is_embedded(),
        loopback_default_tenant: config.access.loopback_default_tenant,
        password_params: match cost {
            Cost::Strong => PasswordParams::default(),
            Cost::Cheap => PasswordParams::cheap(),
        },
    };
    let services = Services::new(stores, services_config);
    // A process that takes records puts its own in place of it.
    services.set_replayer(Arc::new(LetterReplay::new(pipeline::limits(config))));
    services
}

/// The SQL store at this version's schema: an embedded one is brought there.
async fn open_sql(path: &Path, config: &Config) -> Result<Arc<SqlDatabase>> {
    if let Some(url) = &config.database {
        let database = SqlDatabase::connect(url.secret()).await.context(DATABASE)?;
        database.expect_current_schema().await.context(DATABASE)?;
        return Ok(database);
    }
    expect_not_moved(path, &["database"])?;
    let file = database_path(path);
    let database = SqlDatabase::open(&file)
        .await
        .with_context(|| format!("the database {} cannot be opened; run `qgx doctor`", file.display()))?;
    Accounts::migrate(&*database).await.context("the database cannot be brought to this version's schema")?;
    Ok(database)
}

async fn connect_broker(kafka: &KafkaOptions) -> Result<Arc<dyn Broker>> {
    let broker = KafkaBroker::connect(kafka.clone()).await;
    Ok(broker.context("the broker cannot be used; check QGX_BROKER_URL")?)
}

async fn open_log(path: &Path, config: &Config) -> Result<Arc<dyn Broker>> {
    expect_not_moved(path, &["broker"])?;
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

async fn connect_index(search: &OpenSearchOptions) -> Result<Arc<dyn EventIndex>> {
    let index = OpenSearchIndex::connect(search.clone()).context(SEARCH)?;
    match index.template_state().await.context(SEARCH)? {
        TemplateState::Current => Ok(index),
        TemplateState::Missing => bail!("the index template is missing on OpenSearch: run `qgx migrate`"),
        TemplateState::Older => {
            bail!("the index template on OpenSearch is of an earlier version: run `qgx migrate`")
        }
        TemplateState::Newer => Err(Newer(
            "the index template on OpenSearch was made by a newer version of qgx: start that version",
        )
        .into()),
    }
}

async fn open_index(path: &Path) -> Result<Arc<dyn EventIndex>> {
    expect_not_moved(path, &["search"])?;
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

/// Makes what engines need: the schema of a MySQL database, Kafka's topics, OpenSearch's index template. Answers what was
/// done, a line each.
///
/// # Errors
/// Where a cluster does not answer or refuses.
pub async fn prepare(config: &Config) -> Result<Vec<String>> {
    let mut done = prepare_database(config).await?;
    done.extend(prepare_topics(config).await?);
    if let Some(search) = &config.search {
        let ensured = OpenSearchIndex::connect(search.clone())?.ensure().await;
        ensured.context("the index template cannot be made; check QGX_SEARCH_URL")?;
        done.push("the index template on OpenSearch is of this version".to_owned());
    }
    Ok(done)
}

async fn prepare_database(config: &Config) -> Result<Vec<String>> {
    let Some(url) = &config.database else { return Ok(Vec::new()) };
    SqlDatabase::make(url.secret()).await.context(DATABASE)?;
    let database = SqlDatabase::connect(url.secret()).await.context(DATABASE)?;
    let migrated = Accounts::migrate(&*database).await;
    database.close().await;
    let version = migrated.context("the database cannot be brought to this version's schema")?;
    Ok(vec![format!("the database is at schema {version}")])
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
