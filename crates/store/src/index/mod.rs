//! The event index: everything people search, count and chart.
//!
//! Embedded: `store-index` on tantivy. Production: OpenSearch. Both answer alike: the conformance suite decides.

#[cfg(feature = "testing")]
pub mod conformance;
pub mod layout;

pub use layout::IndexName;

use crate::broker::{Offset, Partition, Record};
use async_trait::async_trait;
use bytes::Bytes;
use domain::api::{Aggregate, Extremes, Facet, FieldInfo, Order};
use domain::query::Query;
use domain::{EventId, Level, SourceKey, TenantId, TimeRange, Timestamp};
use futures::stream::BoxStream;

/// A record to index: its place in the log and its section-5 JSON.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// The partition it came from.
    pub partition: Partition,
    /// The record as the broker holds it.
    pub record: Record,
}

/// A record that the index refuses for good.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Why: stable code.
    pub code: &'static str,
    /// Why, for people.
    pub reason: String,
}

/// What a write did.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Indexed now.
    pub indexed: u64,
    /// Already there: skipped.
    pub skipped: u64,
    /// Refused for good.
    pub rejected: Vec<Rejected>,
}

/// Where a search goes on: the sort key of the last event of a page. Ties are impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    /// Its `ts`.
    pub ts: Timestamp,
    /// Its arrival.
    pub received_at: Timestamp,
    /// Its id.
    pub id: EventId,
}

/// A search.
#[derive(Debug, Clone)]
pub struct Search {
    /// The parsed query.
    pub query: Query,
    /// By `ts`.
    pub range: TimeRange,
    /// Newest or oldest first, by (`ts`, `received_at`, `id`).
    pub order: Order,
    /// At most this many, 1–1,000; fewer where they would be more than [`PAGE_BYTES`].
    pub limit: u32,
    /// Only what stands after this key in the order.
    pub after: Option<SortKey>,
}

/// How many bytes of events a page, or a chunk of an export, holds at most; a larger event comes alone.
pub const PAGE_BYTES: usize = 16 << 20;

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Section-5 JSON, in order.
    pub events: Vec<Bytes>,
    /// How many match in the whole window, whatever page this is: exact.
    pub total: u64,
    /// Where the next page starts; `None` on the last.
    pub next: Option<SortKey>,
}

/// Counts per bucket by level; the last row of `by_level` is events without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelCounts {
    /// `by_level[Level::rank()][bucket]`, then one row for events without a level.
    pub by_level: Vec<Vec<u64>>,
}

/// An aggregation of one number over time, from the events themselves.
#[derive(Debug, Clone)]
pub struct NumericAggregation {
    /// Which events.
    pub query: Query,
    /// The field's name, with dots.
    pub metric: String,
    /// Of these sources; empty is all.
    pub sources: Vec<SourceKey>,
    /// How a bucket is summed up.
    pub aggregate: Aggregate,
    /// Bucket edges; one more than buckets.
    pub edges: Vec<Timestamp>,
    /// At most this many sources, the ones with the most values.
    pub max_series: usize,
}

/// One source's buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct NumericSeries {
    /// Whose.
    pub source: SourceKey,
    /// A value per bucket; `None` where there was none.
    pub values: Vec<Option<f64>>,
}

/// The answer to a [`NumericAggregation`].
#[derive(Debug, Clone, PartialEq)]
pub struct NumericResult {
    /// By source.
    pub series: Vec<NumericSeries>,
    /// Of all values in the window.
    pub extremes: Option<Extremes>,
}

/// What the index holds, for `doctor`, metrics and the shard budget.
#[derive(Debug, Clone, Default)]
pub struct IndexStats {
    /// Day (week, month) indexes.
    pub indexes: u64,
    /// Segments (shards) in all.
    pub segments: u64,
    /// Events.
    pub events: u64,
    /// Bytes on storage.
    pub bytes: u64,
}

/// Why the index could not.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Took longer than the deadline, or the caller left.
    #[error("the search was stopped at its deadline")]
    Deadline,
    /// Would need more memory or buckets than allowed.
    #[error("the question is too large: {0}")]
    TooLarge(String),
    /// It does not answer just now, and will by itself.
    #[error("the event index is away: {reason}")]
    Away {
        /// What was heard of it last.
        reason: String,
        /// When to try again.
        retry_after: std::time::Duration,
    },
    /// The storage or the connection failed: try again.
    #[error("the event index failed: {0}")]
    Failed(String),
}

/// When a read must end: at its deadline, or when the caller leaves.
#[derive(Debug, Clone)]
pub struct ReadLimit {
    /// Latest end.
    pub deadline: tokio::time::Instant,
    /// Ends when cancelled.
    pub cancel: tokio_util::sync::CancellationToken,
}

impl ReadLimit {
    /// Ends after this long, or when the token is cancelled.
    pub fn within(time: std::time::Duration, cancel: tokio_util::sync::CancellationToken) -> Self {
        Self { deadline: tokio::time::Instant::now() + time, cancel }
    }

    /// Whether the read must end now.
    pub fn ended(&self) -> bool {
        self.cancel.is_cancelled() || tokio::time::Instant::now() >= self.deadline
    }
}

/// The event index. Every read names its tenant, and the store itself filters by it.
#[async_trait]
pub trait EventIndex: Send + Sync + 'static {
    /// Indexes a batch and makes it durable and visible; OpenSearch makes it visible with its next refresh, a second
    /// later at most, if not told otherwise. Entries of a partition come in offset order over all calls; what was
    /// indexed before is skipped. The index an entry lands in is a function of its class, group and
    /// `received_at` alone.
    async fn write(&self, batch: Vec<IndexEntry>) -> Result<Written, IndexError>;

    /// One page, with the exact total.
    async fn search(&self, tenant: &TenantId, search: Search, limit: ReadLimit) -> Result<Found, IndexError>;

    /// How many match.
    async fn count(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        limit: ReadLimit,
    ) -> Result<u64, IndexError>;

    /// Arrivals since an instant (by `received_at`) that match but whose `ts` lies outside `range`: how many, and
    /// the window that holds them.
    async fn outside(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        received_since: Timestamp,
        limit: ReadLimit,
    ) -> Result<Option<(u64, TimeRange)>, IndexError>;

    /// Counts by level in the buckets between the edges.
    async fn histogram(
        &self,
        tenant: &TenantId,
        query: Query,
        edges: Vec<Timestamp>,
        limit: ReadLimit,
    ) -> Result<LevelCounts, IndexError>;

    /// The `size` most frequent values of each field: `level`, `source`, `kind`, or a field's name with dots.
    async fn facets(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        fields: Vec<String>,
        size: u32,
        limit: ReadLimit,
    ) -> Result<Vec<Facet>, IndexError>;

    /// The fields that occur in the window, most frequent first, at most 500.
    async fn fields(
        &self,
        tenant: &TenantId,
        range: TimeRange,
        limit: ReadLimit,
    ) -> Result<Vec<FieldInfo>, IndexError>;

    /// One event's section-5 JSON.
    async fn get(
        &self,
        tenant: &TenantId,
        id: EventId,
        limit: ReadLimit,
    ) -> Result<Option<Bytes>, IndexError>;

    /// Everything that matches, in the order, streamed in bounded memory. The limit's deadline is ignored; the stream
    /// ends with [`IndexError::Deadline`] only where 30 s bring it no further.
    fn export(
        &self,
        tenant: &TenantId,
        query: Query,
        range: TimeRange,
        order: Order,
        limit: ReadLimit,
    ) -> BoxStream<'static, Result<Bytes, IndexError>>;

    /// A number over time.
    async fn aggregate(
        &self,
        tenant: &TenantId,
        request: NumericAggregation,
        limit: ReadLimit,
    ) -> Result<NumericResult, IndexError>;

    /// Drops whole indexes whose period ended longer ago than their class keeps. Returns their names.
    async fn drop_expired(&self, now: Timestamp) -> Result<Vec<String>, IndexError>;

    /// What it holds.
    async fn stats(&self) -> Result<IndexStats, IndexError>;

    /// Commits and stops.
    async fn close(&self) -> Result<(), IndexError>;

    /// How its files are taken for a backup, where it has files of its own.
    fn snapshots(&self) -> Option<&dyn crate::backup::IndexSnapshot> {
        None
    }
}

/// The level row of [`LevelCounts`].
pub fn level_row(level: Option<Level>) -> usize {
    level.map_or(Level::ALL.len(), |l| usize::from(l.rank()))
}
