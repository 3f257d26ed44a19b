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
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use store::index::{
    EventIndex, Found, IndexEntry, IndexError, IndexStats, LevelCounts, NumericAggregation, NumericResult,
    ReadLimit, Search, Written,
};
use tantivy::{DocAddress, Index, directory::MmapDirectory};
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(failed(error)))
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
            Ok(Found { events: page.events(&snapshots, limit)?, total: page.total, next: page.next })
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
            get(&catalog.snapshots_in(TimeRange::ALL)?, &tenant, id, limit)
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
        blocking(move || {
            let mut dropped = Vec::new();
            for entry in catalog.entries() {
                if entry.name.expires_at() < now {
                    writers.forget(entry.name);
                    catalog.drop_index(entry.name)?;
                    dropped.push(entry.name.to_string());
                }
            }
            Ok(dropped)
        })
        .await
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
    snapshots: &[Snapshot],
    tenant: &TenantId,
    id: EventId,
    limit: &ReadLimit,
) -> Result<Option<Bytes>, IndexError> {
    let is_it = Expr::Equals { field: Field::Id, value: id.to_string() };
    let query = Query { text: String::new(), expr: is_it };
    // The newest first: people look at what has just come.
    let mut newest = snapshots.iter().collect::<Vec<_>>();
    newest.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.name.period().from));
    for snapshot in newest {
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

fn stats(catalog: &Catalog) -> Result<IndexStats, IndexError> {
    let mut stats = IndexStats::default();
    for entry in catalog.entries() {
        stats.indexes += 1;
        stats.events += catalog.mark(&entry)?.map_or(0, |mark| mark.events);
        if entry.path.join("meta.json").exists() {
            let index = MmapDirectory::open(&entry.path)
                .map_err(failed)
                .and_then(|d| Index::open(d).map_err(failed))?;
            stats.segments += index.searchable_segment_ids().map_err(failed)?.len() as u64;
        }
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
