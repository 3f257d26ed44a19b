//! What the processor writes, in one transaction a batch, and what it resumes from.

use super::SqlResult;
use crate::broker::{Offset, Partition};
use async_trait::async_trait;
use domain::{SourceKey, TenantId, Timestamp};

/// A minute of a metric of a source, to be merged into what is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// Whose.
    pub tenant: TenantId,
    /// Which source.
    pub source: SourceKey,
    /// The field's name as stored (with `/`).
    pub metric: String,
    /// Start of the minute, by `ts`.
    pub minute: Timestamp,
    /// The values merged.
    pub point: MetricPoint,
}

/// Values merged into one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricPoint {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least, and when.
    pub min: (f64, Timestamp),
    /// The greatest, and when.
    pub max: (f64, Timestamp),
    /// The latest by `ts`, and when.
    pub last: (f64, Timestamp),
}

impl MetricPoint {
    /// A single value.
    pub fn of(value: f64, ts: Timestamp) -> Self {
        Self { count: 1, sum: value, min: (value, ts), max: (value, ts), last: (value, ts) }
    }

    /// Takes another in. Of equal values the earlier time stands; of equal times the later value.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        if other.min.0 < self.min.0 || (other.min.0 == self.min.0 && other.min.1 < self.min.1) {
            self.min = other.min;
        }
        if other.max.0 > self.max.0 || (other.max.0 == self.max.0 && other.max.1 < self.max.1) {
            self.max = other.max;
        }
        if other.last.1 >= self.last.1 {
            self.last = other.last;
        }
    }
}

/// What a batch adds to a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceDelta {
    /// Whose.
    pub tenant: TenantId,
    /// Which source.
    pub source: SourceKey,
    /// By which protocol it came.
    pub protocol: String,
    /// Arrivals by minute and level: (minute of `received_at`, level rank or 9, events, bytes).
    pub arrivals: Vec<(Timestamp, u8, u64, u64)>,
    /// First and last arrival.
    pub received: (Timestamp, Timestamp),
    /// Least and greatest `ts`.
    pub ts: (Timestamp, Timestamp),
}

/// How far a client's stream has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamPosition {
    /// Whose.
    pub tenant: TenantId,
    /// Which source.
    pub source: SourceKey,
    /// The client's name of it.
    pub stream: String,
    /// The highest sequence seen.
    pub sequence: u64,
}

/// One batch's writes; all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Flush {
    /// The next offset to read of each partition.
    pub offsets: Vec<(Partition, Offset)>,
    /// Where the batch began in each partition: `next` of the flush before it, or what [`Pipeline::offsets`] said. Where
    /// something else is stored, the partition was taken over by another writer. A partition left out is not checked.
    pub starts: Vec<(Partition, Offset)>,
    /// One a (source, metric, minute).
    pub rollups: Vec<Rollup>,
    /// One a (source, metric): the latest value.
    pub latest: Vec<(TenantId, SourceKey, String, f64, Timestamp)>,
    /// One a source.
    pub sources: Vec<SourceDelta>,
    /// One a stream.
    pub streams: Vec<StreamPosition>,
    /// Ids that clients gave: (tenant, source, id, seen at).
    pub given_ids: Vec<(TenantId, SourceKey, String, Timestamp)>,
}

/// What became of a flush.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Sources heard from for the first time ever.
    pub new_sources: Vec<(TenantId, SourceKey)>,
}

/// The processor's state.
#[async_trait]
pub trait Pipeline: Send + Sync + 'static {
    /// The next offset to read of each partition of a topic; those never flushed are absent.
    async fn offsets(&self, topic: &str) -> SqlResult<Vec<(Partition, Offset)>>;
    /// Writes a batch in one transaction. Rollups merge, latest values keep the greater `ts`, stream positions and
    /// offsets never go back. A batch whose offsets are all stored was applied before, and changes nothing;
    /// `Conflict("offset")` where another writer moved them: nothing of it is applied, and the caller starts again from
    /// [`Self::offsets`].
    async fn flush(&self, topic: &str, flush: &Flush) -> SqlResult<Flushed>;
    /// The highest sequence stored of a stream; 0 where it is unknown.
    async fn stream_position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> SqlResult<u64>;
    /// The highest sequence stored of a tenant's stream over all its sources; 0 where it is unknown.
    async fn stream_highest(&self, tenant: &TenantId, stream: &str) -> SqlResult<u64>;
    /// Which of these client-given ids were seen before.
    async fn known_ids(
        &self,
        ids: &[(TenantId, SourceKey, String)],
    ) -> SqlResult<Vec<(TenantId, SourceKey, String)>>;
    /// Drops minute rollups before `minute_before`, arrivals before `arrivals_before`, given ids and streams unused
    /// since `ids_before`; makes hour rollups of what it drops, and drops those that by the clock are older than
    /// their tenant's retention class. In short transactions, so that a flush never waits long. Answers how many
    /// rows went.
    async fn expire(
        &self,
        minute_before: Timestamp,
        arrivals_before: Timestamp,
        ids_before: Timestamp,
    ) -> SqlResult<u64>;

    /// How its file is taken for a backup, where it has a file of its own.
    fn snapshots(&self) -> Option<&dyn crate::backup::SqlSnapshot> {
        None
    }
}
