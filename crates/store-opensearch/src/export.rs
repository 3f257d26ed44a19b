//! Everything that matches, as a stream: a point in time, gone through page by page.

use crate::client::{LONGEST_ANSWER, Request};
use crate::error::unreadable;
use crate::index::Cluster;
use crate::page;
use crate::scope::{Answer, Scope, Window, remaining};
use bytes::Bytes;
use domain::api::Order;
use domain::query::Query;
use domain::{TenantId, TimeRange};
use futures::stream::{BoxStream, StreamExt};
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::index::{IndexError, ReadLimit, SortKey};
use tokio_util::sync::CancellationToken;

/// Events asked for together.
pub(crate) const EVENTS_A_PAGE: usize = 1_000;
/// How long a page may take.
const TIME_A_PAGE: Duration = Duration::from_secs(30);
/// How long OpenSearch keeps the point in time after a page: readers may be slow, but not for ever.
const KEPT: &str = "5m";

/// What to export.
pub(crate) struct ExportRequest {
    pub tenant: TenantId,
    pub query: Query,
    pub range: TimeRange,
    pub order: Order,
}

/// The stream. The point in time is given back when it ends or is dropped.
pub(crate) fn export(
    cluster: Arc<Cluster>,
    request: ExportRequest,
    cancel: CancellationToken,
) -> BoxStream<'static, Result<Bytes, IndexError>> {
    async_stream::try_stream! {
        let Some(mut point) = Point::open(&cluster, &request.tenant, &cancel).await? else { return };
        let mut after = None;
        let mut size = EVENTS_A_PAGE;
        loop {
            let (events, next) = match point.page(&request, after, size, &cancel).await {
                // Very large events: fewer of them.
                Err(IndexError::TooLarge(_)) if size > 1 => {
                    size = size.div_ceil(8);
                    continue;
                }
                page => page?,
            };
            for event in events {
                yield event;
            }
            match next {
                Some(next) => after = Some(next),
                None => return,
            }
        }
    }
    .boxed()
}

/// A point in time of a tenant's shards, or of all shards of an index.
pub(crate) struct Point {
    cluster: Arc<Cluster>,
    id: String,
}

impl Point {
    /// `None` where there is no index.
    async fn open(
        cluster: &Arc<Cluster>,
        tenant: &TenantId,
        cancel: &CancellationToken,
    ) -> Result<Option<Self>, IndexError> {
        let limit = ReadLimit::within(TIME_A_PAGE, cancel.clone());
        if limit.ended() {
            return Err(IndexError::Deadline);
        }
        // OpenSearch cannot make a point of no index at all.
        if cluster.indexes().await?.is_empty() {
            return Ok(None);
        }
        let path = format!("{}/_search/point_in_time", cluster.all_indexes());
        let query = [
            ("keep_alive", KEPT),
            ("routing", tenant.as_str()),
            ("allow_partial_pit_creation", "false"),
            ("ignore_unavailable", "true"),
        ];
        Self::opened(cluster, &path, &query, &limit).await.map(Some)
    }

    /// Of everything in an index, whoever it belongs to: for copies of the whole.
    pub(crate) async fn of_index(cluster: &Arc<Cluster>, index: &str) -> Result<Self, IndexError> {
        let path = format!("{index}/_search/point_in_time");
        let query = [("keep_alive", KEPT), ("allow_partial_pit_creation", "false")];
        let limit = ReadLimit::within(TIME_A_PAGE, CancellationToken::new());
        Self::opened(cluster, &path, &query, &limit).await
    }

    async fn opened(
        cluster: &Arc<Cluster>,
        path: &str,
        query: &[(&str, &str)],
        limit: &ReadLimit,
    ) -> Result<Self, IndexError> {
        #[derive(Deserialize)]
        struct Opened {
            pit_id: String,
        }
        let request = Request { method: Method::Post, path, query, body: None };
        let answer = cluster.client.read(request, limit, LONGEST_ANSWER).await?;
        let Opened { pit_id } = serde_json::from_slice(&answer).map_err(unreadable)?;
        Ok(Self { cluster: cluster.clone(), id: pit_id })
    }

    /// A page of everything.
    pub(crate) async fn whole_page(
        &mut self,
        after: Option<SortKey>,
        size: usize,
    ) -> Result<(Vec<Bytes>, Option<SortKey>), IndexError> {
        self.next_page(json!({ "match_all": {} }), Order::Asc, after, size, &CancellationToken::new()).await
    }

    async fn page(
        &mut self,
        request: &ExportRequest,
        after: Option<SortKey>,
        size: usize,
        cancel: &CancellationToken,
    ) -> Result<(Vec<Bytes>, Option<SortKey>), IndexError> {
        let scope =
            Scope { tenant: &request.tenant, query: &request.query, window: Window::Inside(request.range) };
        if self.cluster.is_buried(scope.tenant) {
            return Ok((Vec::new(), None));
        }
        self.next_page(scope.filter(), request.order, after, size, cancel).await
    }

    async fn next_page(
        &mut self,
        filter: Value,
        order: Order,
        after: Option<SortKey>,
        size: usize,
        cancel: &CancellationToken,
    ) -> Result<(Vec<Bytes>, Option<SortKey>), IndexError> {
        let limit = ReadLimit::within(TIME_A_PAGE, cancel.clone());
        let mut body = json!({
            "size": size + 1,
            "sort": page::sort(order),
            "track_total_hits": false,
            "query": filter,
            "pit": { "id": self.id, "keep_alive": KEPT },
        });
        if let Some(after) = after {
            body["search_after"] = page::search_after(after);
        }
        let left = remaining(&limit);
        let query = [
            ("pre_filter_shard_size", "1"),
            ("allow_partial_search_results", "false"),
            ("cancel_after_time_interval", left.as_str()),
        ];
        let asked = Request::post("_search", &query, &body);
        let answer = self.cluster.client.read(asked, &limit, LONGEST_ANSWER).await?;
        let mut found = Answer::parse(&answer)?;
        let (events, last) = page::events(&answer, &found.hits.hits, size)?;
        let next = last.filter(|_| events.len() < found.hits.hits.len());
        if let Some(id) = found.pit_id.take() {
            self.id = id;
        }
        Ok((events, next))
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        // Without a runtime it is OpenSearch that lets it go, in its time.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (cluster, body) = (self.cluster.clone(), json!({ "pit_id": [self.id] }));
        telemetry::spawn("event-export-end", async move {
            let path = "_search/point_in_time";
            let request =
                Request { method: Method::Delete, path, query: &[], body: Some(body.to_string().into()) };
            if let Err(fault) = cluster.client.call(request, TIME_A_PAGE).await {
                tracing::debug!(error = %IndexError::from(fault), "a point in time was left to OpenSearch");
            }
        });
    }
}
