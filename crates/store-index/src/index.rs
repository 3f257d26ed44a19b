//! The event index as the rest of the product sees it.

use crate::catalog::{Catalog, Snapshot};
use crate::chart;
use crate::error::failed;
use crate::export::{ExportRequest, export};
use crate::facet::{self, FacetRequest};
use crate::mark::Mark;
use crate::options::IndexOptions;
use crate::page::{PageRequest, Total, page};
use crate::scan::{Scan, Window};
use crate::stored::StoredJson;
use crate::writer::Writers;
use async_trait::async_trait;
use bytes::Bytes;
use domain::api::{Facet, FieldInfo, Order};
use domain::query::{Expr, Field, Query};
use domain::{EventId, TenantId, TimeRange, Timestamp};
use futures::stream::BoxStream;
use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use store::index::{
    EventIndex, Found, IndexEntry, IndexError, IndexStats, LevelCounts, NumericAggregation, NumericResult,
    ReadLimit, Search, Written,
};
use tantivy::DocAddress;
use tokio::sync::Mutex;

/// The embedded event index: a directory of tantivy indexes that belongs to this process alone.
pub struct TantivyIndex {
    catalog: Arc<Catalog>,
    /// One write at a time, in the order of the calls.
    writers: Arc<Mutex<Writers>>,
}

impl TantivyIndex {
    /// Opens the directory, or makes it. Only names are listed: each index opens when it is first needed.
    ///
    /// # Errors
    /// [`IndexError::Failed`] where the directory cannot be made or listed.
    pub fn open(dir: &Path, options: IndexOptions) -> Result<Arc<Self>, IndexError> {
        let catalog = Arc::new(Catalog::list(dir, &options)?);
        let writers = Arc::new(Mutex::new(Writers::new(catalog.clone(), options)));
        Ok(Arc::new(Self { catalog, writers }))
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub(crate) fn writers(&self) -> &Arc<Mutex<Writers>> {
        &self.writers
    }

    /// Runs a read on a blocking thread. It ends early when the limit does, or when the caller stops waiting.
    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        limit: ReadLimit,
        work: impl FnOnce(&Catalog, &ReadLimit) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let limit = ReadLimit { cancel: limit.cancel.child_token(), ..limit };
        let _left = limit.cancel.clone().drop_guard();
        let catalog = self.catalog.clone();
        let started = Instant::now();
        let result = blocking(move || {
            if limit.ended() {
                return Err(IndexError::Deadline);
            }
            work(&catalog, &limit)
        })
        .await;
        metrics::histogram!("qgx_index_search_seconds", "operation" => operation).record(started.elapsed());
        result
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    telemetry::spawn_blocking_named("event-index", work).await.unwrap_or_else(|error| Err(failed(error)))
}

#[async_trait]
impl EventIndex for TantivyIndex {
    async fn write(&self, batch: Vec<IndexEntry>) -> Result<Written, IndexError> {
        // The lock is taken here and not on the blocking thread: it is fair, so batches keep the order of the calls.
        let mut writers = self.writers.clone().lock_owned().await;
        blocking(move || writers.write(batch)).await
    }

    async fn search(&self, tenant: &TenantId, search: Search, limit: ReadLimit) -> Result<Found, IndexError> {
        let tenant = tenant.clone();
        self.read("search", limit, move |catalog, limit| {
            let snapshots = catalog.snapshots_in(search.range)?;
            let request = PageRequest {
                tenant: &tenant,
                query: &search.query,
                range: search.range,
                order: search.order,
                limit: search.limit.clamp(1, 1_000) as usize,
                after: search.after,
            };
            let page = page(&snapshots, &request, Total::Counted, limit)?;
            let total = page.total;
            let (events, next) = page.events(&snapshots, search.order, limit)?;
            Ok(Found { events, total, next })
        })
        .await
    }

    async fn count(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        limit: ReadLimit,
    ) -> Result<u64, IndexError> {
        let tenant = tenant.clone();
        self.read("count", limit, move |catalog, limit| {
            let mut count = 0;
            for snapshot in &catalog.snapshots_in(range)? {
                let scan = Scan::new(snapshot, &tenant, &query, Window::Inside(range), limit)?;
                for segment in scan.segments() {
                    count += scan.count(segment)?;
                }
            }
            Ok(count)
        })
        .await
    }

    async fn outside(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        received_since: Timestamp,
        limit: ReadLimit,
    ) -> Result<Option<(u64, TimeRange)>, IndexError> {
        let tenant = tenant.clone();
        self.read("outside", limit, move |catalog, limit| {
            let since = received_since.as_nanos();
            let wanted = |mark: &Mark| mark.received_at.is_some_and(|(_, last)| last >= since);
            outside(&catalog.snapshots(wanted)?, &tenant, &query, Window::Outside(range, since), limit)
        })
        .await
    }

    async fn histogram(
        &self,
        tenant: &TenantId,
        query: Query,
        edges: Vec<Timestamp>,
        limit: ReadLimit,
    ) -> Result<LevelCounts, IndexError> {
        let tenant = tenant.clone();
        self.read("histogram", limit, move |catalog, limit| {
            let snapshots = match chart::window(&edges) {
                Some(range) => catalog.snapshots_in(range)?,
                None => Vec::new(),
            };
            chart::histogram(&snapshots, &tenant, &query, &edges, limit)
        })
        .await
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
        let tenant = tenant.clone();
        self.read("facets", limit, move |catalog, limit| {
            let snapshots = catalog.snapshots_in(range)?;
            let request = FacetRequest { tenant: &tenant, query: &query, range, size: size as usize };
            facet::facets(&snapshots, &request, &fields, limit)
        })
        .await
    }

    async fn fields(
        &self,
        tenant: &TenantId,
        range: TimeRange,
        limit: ReadLimit,
    ) -> Result<Vec<FieldInfo>, IndexError> {
        let tenant = tenant.clone();
        self.read("fields", limit, move |catalog, limit| {
            facet::fields(&catalog.snapshots_in(range)?, &tenant, range, limit)
        })
        .await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: EventId,
        limit: ReadLimit,
    ) -> Result<Option<Bytes>, IndexError> {
        let tenant = tenant.clone();
        self.read("get", limit, move |catalog, limit| {
            let found = get(catalog, &tenant, id, limit);
            catalog.close_unused_readers();
            found
        })
        .await
    }

    fn export(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        order: Order,
        limit: ReadLimit,
    ) -> BoxStream<'static, Result<Bytes, IndexError>> {
        export(
            self.catalog.clone(),
            ExportRequest { tenant: tenant.clone(), query, range, order },
            limit.cancel,
        )
    }

    async fn aggregate(
        &self,
        tenant: &TenantId,
        request: NumericAggregation,
        limit: ReadLimit,
    ) -> Result<NumericResult, IndexError> {
        let tenant = tenant.clone();
        self.read("aggregate", limit, move |catalog, limit| {
            let snapshots = match chart::window(&request.edges) {
                Some(range) => catalog.snapshots_in(range)?,
                None => Vec::new(),
            };
            chart::aggregate(&snapshots, &tenant, &request, limit)
        })
        .await
    }

    async fn drop_expired(&self, now: Timestamp) -> Result<Vec<String>, IndexError> {
        let mut writers = self.writers.clone().lock_owned().await;
        let catalog = self.catalog.clone();
        let dropped = blocking(move || {
            writers.close_unused();
            let mut dropped = Vec::new();
            for entry in catalog.entries() {
                if entry.name.expires_at() < now {
                    writers.forget(entry.name);
                    if catalog.drop_index(entry.name)? {
                        dropped.push(entry.name.to_string());
                    }
                }
            }
            dropped.extend(catalog.drop_damaged(now)?);
            Ok(dropped)
        })
        .await;
        // Removing many files takes a while: writes go on meanwhile.
        let catalog = self.catalog.clone();
        blocking(move || catalog.remove_dropped()).await?;
        dropped
    }

    async fn stats(&self) -> Result<IndexStats, IndexError> {
        let catalog = self.catalog.clone();
        blocking(move || stats(&catalog)).await
    }

    async fn close(&self) -> Result<(), IndexError> {
        let mut writers = self.writers.clone().lock_owned().await;
        blocking(move || {
            writers.close();
            Ok(())
        })
        .await
    }

    fn snapshots(&self) -> Option<&dyn store::backup::IndexSnapshot> {
        Some(self)
    }
}

fn outside(
    snapshots: &[Snapshot],
    tenant: &TenantId,
    query: &Query,
    window: Window,
    limit: &ReadLimit,
) -> Result<Option<(u64, TimeRange)>, IndexError> {
    let mut count = 0;
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for snapshot in snapshots {
        let scan = Scan::new(snapshot, tenant, query, window, limit)?;
        for segment in scan.segments() {
            let ts = segment.fast_fields().i64("ts").map_err(failed)?;
            scan.each(segment, |docs| {
                count += docs.len() as u64;
                for at in docs.iter().filter_map(|doc| ts.first(*doc)) {
                    first = first.min(at);
                    last = last.max(at);
                }
            })?;
        }
    }
    let to = Timestamp::from_nanos(last).plus_nanos(1);
    Ok((count > 0).then_some((count, TimeRange { from: Timestamp::from_nanos(first), to })))
}

fn get(
    catalog: &Catalog,
    tenant: &TenantId,
    id: EventId,
    limit: &ReadLimit,
) -> Result<Option<Bytes>, IndexError> {
    let is_it = Expr::Equals { field: Field::Id, value: id.to_string() };
    let query = Query { text: String::new(), expr: is_it };
    let arrived = arrival(id);
    let mut entries = catalog.entries();
    // Where the id tells when the event arrived, its index comes first; then the newest, as people look at what has
    // just come. Each opens when its turn comes.
    entries.sort_by_key(|entry| {
        let period = entry.name.period();
        Reverse((arrived.is_some_and(|at| period.contains(at)), period.from))
    });
    for entry in entries {
        let Some(snapshot) = &catalog.snapshot(&entry, |_| true)? else { continue };
        let scan = Scan::new(snapshot, tenant, &query, Window::Inside(TimeRange::ALL), limit)?;
        for (number, segment) in scan.segments().iter().enumerate() {
            let mut found = None;
            scan.each(segment, |docs| found = found.or(docs.first().copied()))?;
            if let Some(doc) = found {
                let address = DocAddress::new(number as u32, doc);
                let StoredJson(json) = snapshot.searcher.doc(address).map_err(failed)?;
                return Ok(Some(json));
            }
        }
    }
    Ok(None)
}

/// When an event with a UUIDv7 (RFC 9562) arrived, to the millisecond; other ids do not tell.
fn arrival(id: EventId) -> Option<Timestamp> {
    let (seconds, nanos) = (id.0.get_version_num() == 7).then(|| id.0.get_timestamp())??.to_unix();
    let nanos = i64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(i64::from(nanos))?;
    Some(Timestamp::from_nanos(nanos))
}

fn stats(catalog: &Catalog) -> Result<IndexStats, IndexError> {
    let mut stats = IndexStats::default();
    for entry in catalog.entries() {
        stats.indexes += 1;
        stats.events += catalog.mark(&entry)?.map_or(0, |mark| mark.events);
        stats.segments += catalog.segments(&entry)?.unwrap_or(0);
        stats.bytes += bytes_under(&entry.path)?;
    }
    metrics::gauge!("qgx_index_segments").set(stats.segments as f64);
    metrics::gauge!("qgx_index_bytes").set(stats.bytes as f64);
    metrics::gauge!("qgx_index_indexes").set(stats.indexes as f64);
    Ok(stats)
}

fn bytes_under(dir: &Path) -> Result<u64, IndexError> {
    let mut bytes = 0;
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(error)),
    };
    for file in files {
        // Merged segments vanish meanwhile: what is gone counts nothing.
        bytes += file.and_then(|file| file.metadata()).map_or(0, |file| file.len());
    }
    Ok(bytes)
}
