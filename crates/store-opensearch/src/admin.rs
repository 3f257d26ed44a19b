//! The cluster as an operator sees it: templates, retention, health, the shard budget, tenants that are gone.

use crate::circuit::CircuitState;
use crate::client::Request;
use crate::error::{Fault, Refusal, unreadable};
use crate::index::Cluster;
use crate::template;
use domain::{TenantId, Timestamp};
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::index::{IndexError, IndexName, IndexStats};

/// How long an administrative request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the purge of a tenant may take in one go; asked again, it goes on.
const TIME_A_PURGE: Duration = Duration::from_secs(600);

/// How the cluster is.
#[derive(Debug, Clone)]
pub struct ClusterHealth {
    /// `green`, `yellow`, `red`, as OpenSearch says of its shards.
    pub status: String,
    /// Nodes that hold data.
    pub data_nodes: u64,
    /// Open shards of the whole cluster.
    pub shards: u64,
    /// So many it may have: past it no new index can be made.
    pub shards_allowed: u64,
    /// Indexes that take no writes because a disk is too full.
    pub read_only: Vec<String>,
    /// How requests fare.
    pub circuit: CircuitState,
}

impl ClusterHealth {
    /// Whether four fifths of the shard budget are spent.
    pub fn is_nearly_full(&self) -> bool {
        self.shards.saturating_mul(5) >= self.shards_allowed.saturating_mul(4)
    }
}

/// Of which version the index template is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateState {
    /// There is none, or one that nobody of ours made.
    Missing,
    /// Of an earlier version.
    Older,
    /// Of this one.
    Current,
    /// Of a later one.
    Newer,
}

impl Cluster {
    /// Whether the template is there, on a server that can be used.
    pub async fn template_state(&self) -> Result<TemplateState, IndexError> {
        self.expect_server().await?;
        Ok(match self.template_version().await? {
            None => TemplateState::Missing,
            Some(version) => match version.cmp(&template::VERSION) {
                std::cmp::Ordering::Less => TemplateState::Older,
                std::cmp::Ordering::Equal => TemplateState::Current,
                std::cmp::Ordering::Greater => TemplateState::Newer,
            },
        })
    }

    /// Puts the index template in its place. New indexes are made by it; those there are stay as they are.
    pub async fn ensure(&self) -> Result<(), IndexError> {
        self.expect_server().await?;
        if self.template_version().await?.is_some_and(|version| version > template::VERSION) {
            return Err(IndexError::Failed(
                "the index template on OpenSearch was made by a newer version of QGX: upgrade this one"
                    .to_owned(),
            ));
        }
        let path = format!("_index_template/{}", template::name(&self.options));
        let body = template::template(&self.options).to_string();
        let request = Request { method: Method::Put, path: &path, query: &[], body: Some(body.into()) };
        self.client.call(request, PATIENCE).await?;
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// OpenSearch 2.11 or later of its line, or 3.
    async fn expect_server(&self) -> Result<(), IndexError> {
        let answer = self.client.call(Request::get("", &[]), PATIENCE).await?;
        let about: Value = serde_json::from_slice(&answer).map_err(unreadable)?;
        let version = about["version"]["number"].as_str().unwrap_or_default();
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let known =
            about["version"]["distribution"] == "opensearch" && (major > 2 || (major == 2 && minor >= 11));
        if known {
            return Ok(());
        }
        Err(IndexError::Failed(format!(
            "QGX_SEARCH_URL leads to {version:?}; expected OpenSearch 2.11 or later"
        )))
    }

    /// The version of the template there is.
    pub async fn template_version(&self) -> Result<Option<u64>, IndexError> {
        let path = format!("_index_template/{}", template::name(&self.options));
        match self.client.call(Request::get(&path, &[]), PATIENCE).await {
            Ok(answer) => {
                let answer: Value = serde_json::from_slice(&answer).map_err(unreadable)?;
                Ok(answer["index_templates"][0]["index_template"]["_meta"]["qgx_version"].as_u64())
            }
            Err(Fault::Refused(Refusal { status: 404, .. })) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// The indexes of events there are.
    pub async fn indexes(&self) -> Result<Vec<IndexName>, IndexError> {
        #[derive(Deserialize)]
        struct Row {
            index: String,
        }
        let path = format!("_cat/indices/{}", self.all_indexes());
        let query = [("format", "json"), ("h", "index"), ("expand_wildcards", "all")];
        let answer = self.client.call(Request::get(&path, &query), PATIENCE).await?;
        let rows = serde_json::from_slice::<Vec<Row>>(&answer).map_err(unreadable)?;
        let name = |row: Row| IndexName::parse(row.index.strip_prefix(&self.options.prefix)?);
        let mut names = rows.into_iter().filter_map(name).collect::<Vec<_>>();
        names.sort();
        Ok(names)
    }

    /// Drops whole indexes whose time is over.
    pub async fn drop_expired(&self, now: Timestamp) -> Result<Vec<String>, IndexError> {
        let mut dropped = Vec::new();
        for name in self.indexes().await?.into_iter().filter(|name| name.expires_at() < now) {
            let path = format!("{}{name}", self.options.prefix);
            let request = Request { method: Method::Delete, path: &path, query: &[], body: None };
            match self.client.call(request, PATIENCE).await {
                Ok(_) => dropped.push(name.to_string()),
                // Somebody else was faster.
                Err(Fault::Refused(Refusal { status: 404, .. })) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(dropped)
    }

    /// What it holds.
    pub async fn stats(&self) -> Result<IndexStats, IndexError> {
        #[derive(Deserialize)]
        struct Answer {
            indices: HashMap<String, Value>,
        }
        let path = format!("{}/_stats/docs,store,segments", self.all_indexes());
        let answer = self.client.call(Request::get(&path, &[("level", "indices")]), PATIENCE).await?;
        let answer = serde_json::from_slice::<Answer>(&answer).map_err(unreadable)?;
        let mut stats = IndexStats::default();
        for index in answer.indices.values() {
            let number = |part: &Value| part.as_u64().unwrap_or(0);
            stats.indexes += 1;
            stats.segments += number(&index["total"]["segments"]["count"]);
            stats.events += number(&index["primaries"]["docs"]["count"]);
            stats.bytes += number(&index["total"]["store"]["size_in_bytes"]);
        }
        // Whoever watches the index watches the budget: an index that cannot be made stops every partition.
        let health = self.health().await?;
        if health.is_nearly_full() {
            let (shards, allowed) = (health.shards, health.shards_allowed);
            tracing::warn!(shards, allowed, "OpenSearch has nearly as many shards as it may have");
        }
        metrics::gauge!("qgx_index_segments").set(stats.segments as f64);
        metrics::gauge!("qgx_index_bytes").set(stats.bytes as f64);
        metrics::gauge!("qgx_index_indexes").set(stats.indexes as f64);
        Ok(stats)
    }

    /// How the cluster is.
    pub async fn health(&self) -> Result<ClusterHealth, IndexError> {
        #[derive(Deserialize)]
        struct Health {
            status: String,
            number_of_data_nodes: u64,
            active_shards: u64,
            initializing_shards: u64,
            unassigned_shards: u64,
        }
        let answer = self.client.call(Request::get("_cluster/health", &[]), PATIENCE).await?;
        let health = serde_json::from_slice::<Health>(&answer).map_err(unreadable)?;
        let allowed = self.shards_a_node().await?.saturating_mul(health.number_of_data_nodes.max(1));
        // Unassigned ones count: OpenSearch refuses an index by what it would have, not by what it runs.
        let shards = health.active_shards + health.initializing_shards + health.unassigned_shards;
        metrics::gauge!("qgx_search_shards").set(shards as f64);
        metrics::gauge!("qgx_search_shards_allowed").set(allowed as f64);
        Ok(ClusterHealth {
            status: health.status,
            data_nodes: health.number_of_data_nodes,
            shards,
            shards_allowed: allowed,
            read_only: self.read_only().await?,
            circuit: self.client.circuit(),
        })
    }

    async fn shards_a_node(&self) -> Result<u64, IndexError> {
        const KEY: &str = "cluster.max_shards_per_node";
        let query = [("include_defaults", "true"), ("flat_settings", "true")];
        let answer = self.client.call(Request::get("_cluster/settings", &query), PATIENCE).await?;
        let settings: Value = serde_json::from_slice(&answer).map_err(unreadable)?;
        let set =
            ["transient", "persistent", "defaults"].iter().find_map(|level| settings[level][KEY].as_str());
        Ok(set.and_then(|text| text.parse().ok()).unwrap_or(1_000))
    }

    async fn read_only(&self) -> Result<Vec<String>, IndexError> {
        let path = format!("{}/_settings/index.blocks.read_only_allow_delete", self.all_indexes());
        let query = [("flat_settings", "true")];
        let answer = self.client.call(Request::get(&path, &query), PATIENCE).await?;
        let settings = serde_json::from_slice::<HashMap<String, Value>>(&answer).map_err(unreadable)?;
        let blocked = |value: &Value| value["settings"]["index.blocks.read_only_allow_delete"] == "true";
        let mut blocked = settings
            .into_iter()
            .filter(|(_, value)| blocked(value))
            .map(|(index, _)| index)
            .collect::<Vec<_>>();
        blocked.sort();
        Ok(blocked)
    }

    /// Removes every event of a tenant that is gone. Returns how many.
    pub async fn purge(&self, tenant: &TenantId) -> Result<u64, IndexError> {
        let path = format!("{}/_delete_by_query", self.all_indexes());
        let query = [
            ("routing", tenant.as_str()),
            ("conflicts", "proceed"),
            ("refresh", "true"),
            ("ignore_unavailable", "true"),
            ("allow_no_indices", "true"),
        ];
        let body = json!({ "query": { "term": { "tenant": tenant.as_str() } } });
        let answer = self.client.call(Request::post(&path, &query, &body), TIME_A_PURGE).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(unreadable)?;
        Ok(answer["deleted"].as_u64().unwrap_or(0))
    }
}
