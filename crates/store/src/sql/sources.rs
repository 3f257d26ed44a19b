//! The registry of sources and what is known of them.

use super::SqlResult;
use async_trait::async_trait;
use domain::api::{Aggregate, LatestValue};
use domain::{SourceKey, TenantId, TimeRange, Timestamp};
use std::collections::BTreeMap;

/// A source. Rows come from people and, at the first event, from the processor.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// Whose.
    pub tenant: TenantId,
    /// Its key.
    pub key: SourceKey,
    /// What people call it.
    pub name: String,
    /// Free words.
    pub kind: String,
    /// Free attributes.
    pub attributes: BTreeMap<String, String>,
    /// Seconds of silence after which it counts as offline.
    pub offline_after_secs: u32,
    /// Made.
    pub created_at: Timestamp,
    /// First event ever.
    pub first_seen: Option<Timestamp>,
    /// Latest arrival.
    pub last_seen: Option<Timestamp>,
    /// By which protocol it last came.
    pub protocol: Option<String>,
    /// Events ever.
    pub events: u64,
    /// Bytes ever.
    pub bytes: u64,
    /// Least `ts` ever.
    pub ts_min: Option<Timestamp>,
    /// Greatest `ts` ever.
    pub ts_max: Option<Timestamp>,
}

/// Which sources, in which order.
#[derive(Debug, Clone, Default)]
pub struct SourceFilter {
    /// In key, name or kind, without regard to case; empty is all.
    pub search: String,
    /// Heard from at or after; `None`: do not care.
    pub seen_since: Option<Timestamp>,
    /// Heard from before, but once; `None`: do not care.
    pub silent_since: Option<Timestamp>,
    /// Never heard from.
    pub unseen_only: bool,
    /// By latest arrival, newest first, instead of by key.
    pub by_last_seen: bool,
    /// Skip this many.
    pub skip: u64,
    /// At most this many.
    pub limit: u32,
    /// They are not counted: the total is that of the page.
    pub uncounted: bool,
}

/// Sources, arrivals per minute, latest values, rollups: the reading side. Arrivals, inflow and rollups may be heavy: a
/// store keeps them apart from short reads, and may give up on one after 30 s with [`super::SqlError::Failed`].
#[async_trait]
pub trait Sources: Send + Sync + 'static {
    /// Makes one; `Conflict("key")`.
    async fn create_source(&self, source: &SourceRow) -> SqlResult<()>;
    /// Overwrites what people set: name, kind, attributes, offline_after. `NotFound` where it is not there.
    async fn update_source(&self, source: &SourceRow) -> SqlResult<()>;
    /// Removes it from the registry with its latest values; its events stay, and it comes back with its next event.
    async fn delete_source(&self, tenant: &TenantId, key: &SourceKey) -> SqlResult<()>;
    /// One.
    async fn source(&self, tenant: &TenantId, key: &SourceKey) -> SqlResult<Option<SourceRow>>;
    /// A page, and how many there are in all.
    async fn sources(&self, tenant: &TenantId, filter: &SourceFilter) -> SqlResult<(Vec<SourceRow>, u64)>;
    /// The keys after one, in their order, of every source the tenant ever had.
    async fn source_keys(
        &self,
        tenant: &TenantId,
        after: Option<&SourceKey>,
        limit: u32,
    ) -> SqlResult<Vec<SourceKey>>;
    /// How many are (online, offline, unseen) at an instant, each by its own interval.
    async fn source_counts(&self, tenant: &TenantId, now: Timestamp) -> SqlResult<(u64, u64, u64)>;
    /// Arrivals a minute in a window of `received_at`: (source, minute, events). Of one source, or of all.
    async fn arrivals(
        &self,
        tenant: &TenantId,
        sources: &[SourceKey],
        range: TimeRange,
    ) -> SqlResult<Vec<(SourceKey, Timestamp, u64)>>;
    /// Arrivals a minute by level, in a window of `received_at`: (minute, level rank or 9 for none, events, bytes).
    async fn inflow(&self, tenant: &TenantId, range: TimeRange) -> SqlResult<Vec<(Timestamp, u8, u64, u64)>>;
    /// Latest values of a source, by name.
    async fn latest_values(&self, tenant: &TenantId, source: &SourceKey) -> SqlResult<Vec<LatestValue>>;
    /// Rollup points of a metric in a window of `ts`: (source, step start, value), steps of `step_secs` (a multiple of
    /// 60) counted from the epoch plus `offset_secs` (the zone's). `Last` takes the value of the greatest `ts`.
    async fn rollup(&self, query: &RollupQuery) -> SqlResult<Vec<(SourceKey, Timestamp, f64)>>;
    /// Least and greatest single value of a metric in a window, where rollups cover it: (min, its ts, max, its ts).
    async fn rollup_extremes(
        &self,
        query: &RollupQuery,
    ) -> SqlResult<Option<(f64, Timestamp, f64, Timestamp)>>;
}

/// A read of rollups.
#[derive(Debug, Clone)]
pub struct RollupQuery {
    /// Whose.
    pub tenant: TenantId,
    /// The field's name as stored (with `/`).
    pub metric: String,
    /// Of these; empty is all.
    pub sources: Vec<SourceKey>,
    /// How a step is summed up.
    pub aggregate: Aggregate,
    /// By `ts`.
    pub range: TimeRange,
    /// Seconds a step, a multiple of 60.
    pub step_secs: u32,
    /// Seconds east of UTC, to align steps of hours and days.
    pub offset_secs: i64,
}
