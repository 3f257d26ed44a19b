//! The event index as the rest of the product sees it.

use crate::admin::{ClusterHealth, TemplateState};
use crate::client::Client;
use crate::export::{ExportRequest, export};
use crate::options::OpenSearchOptions;
use crate::page::{instant, sort};
use crate::scope::{Answer, Ask, Scope, Window};
use async_trait::async_trait;
use bytes::Bytes;
use domain::api::{Facet, FieldInfo, Order};
use domain::query::Query;
use domain::{EventId, TenantId, TimeRange, Timestamp};
use futures::stream::BoxStream;
use parking_lot::RwLock;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use store::index::{
    EventIndex, Found, IndexEntry, IndexError, IndexStats, LevelCounts, NumericAggregation, NumericResult,
    ReadLimit, Search, Written,
};

/// The cluster, and what this process knows of it.
pub(crate) struct Cluster {
    pub options: OpenSearchOptions,
    pub client: Client,
    /// The template was seen.
    pub ready: AtomicBool,
    /// Tenants that are gone: nothing of them is found, purged or not.
    buried: RwLock<Arc<HashSet<TenantId>>>,
}

impl Cluster {
    /// Whether a tenant is gone.
    pub fn is_buried(&self, tenant: &TenantId) -> bool {
        self.buried.read().contains(tenant)
    }
}

impl OpenSearchIndex {
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }
}

/// The event index on OpenSearch; any number of processes may have it open.
pub struct OpenSearchIndex {
    cluster: Arc<Cluster>,
}

impl OpenSearchIndex {
    /// Makes the connection. Nothing is asked of OpenSearch yet: it may come up later.
    ///
    /// # Errors
    /// [`IndexError::Failed`] where an option is wrong.
    pub fn connect(options: OpenSearchOptions) -> Result<Arc<Self>, IndexError> {
        let client = Client::new(&options)?;
        let cluster = Cluster { options, client, ready: AtomicBool::new(false), buried: RwLock::default() };
        Ok(Arc::new(Self { cluster: Arc::new(cluster) }))
    }

    /// Puts the index template in its place: what `qgx migrate` does. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`IndexError::Failed`] where OpenSearch cannot be reached, refuses, is too old, or has a newer template.
    pub async fn ensure(&self) -> Result<(), IndexError> {
        self.cluster.ensure().await
    }

    /// Whether what [`Self::ensure`] makes is there. Changes nothing.
    ///
    /// # Errors
    /// [`IndexError::Failed`] where OpenSearch cannot be reached, refuses, or is too old.
    pub async fn template_state(&self) -> Result<TemplateState, IndexError> {
        self.cluster.template_state().await
    }

    /// How the cluster is: for `doctor`, metrics and alerts.
    ///
    /// # Errors
    /// [`IndexError::Failed`] where OpenSearch cannot be reached or refuses.
    pub async fn health(&self) -> Result<ClusterHealth, IndexError> {
        self.cluster.health().await
    }

    /// From now on nothing is found of these tenants, and of no others that were named before.
    pub fn bury(&self, tenants: HashSet<TenantId>) {
        *self.cluster.buried.write() = Arc::new(tenants);
    }

    /// Removes every event of a tenant that is gone. Returns how many there were.
    ///
    /// # Errors
    /// [`IndexError::Failed`] where OpenSearch cannot be reached, refuses, or needs longer: asked again, it goes on.
    pub async fn purge(&self, tenant: &TenantId) -> Result<u64, IndexError> {
        self.cluster.purge(tenant).await
    }
}

#[async_trait]
impl EventIndex for OpenSearchIndex {
    async fn write(&self, batch: Vec<IndexEntry>) -> Result<Written, IndexError> {
        self.cluster.write(batch).await
    }

    async fn search(&self, tenant: &TenantId, search: Search, limit: ReadLimit) -> Result<Found, IndexError> {
        self.cluster.page(tenant, &search, &limit).await
    }

    async fn count(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        limit: ReadLimit,
    ) -> Result<u64, IndexError> {
        let scope = Scope { tenant, query: &query, window: Window::Inside(range) };
        let body =
            self.cluster.ask_sums("count", &scope, json!({ "track_total_hits": true }), &limit).await?;
        Ok(Answer::parse(&body)?.total())
    }

    async fn outside(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        received_since: Timestamp,
        limit: ReadLimit,
    ) -> Result<Option<(u64, TimeRange)>, IndexError> {
        let scope = Scope { tenant, query: &query, window: Window::Outside(range, received_since) };
        // Aggregations know milliseconds; sort keys know nanoseconds.
        let mut ends = [None; 2];
        let mut total = 0;
        for (end, order) in ends.iter_mut().zip([Order::Asc, Order::Desc]) {
            let indexes = self.cluster.all_indexes();
            let body = json!({ "size": 1, "sort": sort(order), "track_total_hits": true, "_source": false });
            let ask =
                Ask { operation: "outside", indexes: &indexes, body, longest: crate::client::LONGEST_ANSWER };
            let body = self.cluster.ask(&scope, ask, &limit).await?;
            let answer = Answer::parse(&body)?;
            total = answer.total();
            *end = answer.hits.hits.first().and_then(|hit| instant(hit, 0));
        }
        let [Some(from), Some(last)] = ends else { return Ok(None) };
        Ok(Some((total, TimeRange { from, to: last.plus_nanos(1) })))
    }

    async fn histogram(
        &self,
        tenant: &TenantId,
        query: Query,
        edges: Vec<Timestamp>,
        limit: ReadLimit,
    ) -> Result<LevelCounts, IndexError> {
        self.cluster.histogram(tenant, &query, &edges, &limit).await
    }

    async fn facets(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        fields: Vec<String>,
        size: u32,
        limit: ReadLimit,
    ) -> Result<Vec<Facet>, IndexError> {
        let scope = Scope { tenant, query: &query, window: Window::Inside(range) };
        self.cluster.facets(&scope, &fields, size, &limit).await
    }

    async fn fields(
        &self,
        tenant: &TenantId,
        range: TimeRange,
        limit: ReadLimit,
    ) -> Result<Vec<FieldInfo>, IndexError> {
        let scope = Scope { tenant, query: &Query::all(), window: Window::Inside(range) };
        self.cluster.fields(&scope, &limit).await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: EventId,
        limit: ReadLimit,
    ) -> Result<Option<Bytes>, IndexError> {
        self.cluster.one(tenant, id, &limit).await
    }

    fn export(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        order: Order,
        limit: ReadLimit,
    ) -> BoxStream<'static, Result<Bytes, IndexError>> {
        let request = ExportRequest { tenant: tenant.clone(), query, range, order };
        export(self.cluster.clone(), request, limit.cancel)
    }

    async fn aggregate(
        &self,
        tenant: &TenantId,
        request: NumericAggregation,
        limit: ReadLimit,
    ) -> Result<NumericResult, IndexError> {
        self.cluster.aggregate(tenant, &request, &limit).await
    }

    async fn drop_expired(&self, now: Timestamp) -> Result<Vec<String>, IndexError> {
        self.cluster.drop_expired(now).await
    }

    async fn stats(&self) -> Result<IndexStats, IndexError> {
        self.cluster.stats().await
    }

    async fn close(&self) -> Result<(), IndexError> {
        // Writes are durable when they return.
        Ok(())
    }
}
