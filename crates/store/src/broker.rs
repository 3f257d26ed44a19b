//! The broker: an ordered, durable, partitioned log.
//!
//! Embedded: `store-log`, on segment files. Production: Kafka. For tests: [`memory`], which injects faults. All pass
//! the suite of `conformance` (feature `testing`).

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod memory;
mod share;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{SourceKey, TenantId, Timestamp};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

pub use share::{Membership, Share};

/// A topic of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// `qgx.events.v1`: section-5 JSON, keyed by tenant and source.
    Events,
    /// `qgx.dead-letter.v1`: what could not be stored, with its original bytes.
    DeadLetters,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 2] = [Self::Events, Self::DeadLetters];

    /// The name on the broker.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "qgx.events.v1",
            Self::DeadLetters => "qgx.dead-letter.v1",
        }
    }
}

/// A partition of a topic, from 0.
pub type Partition = u32;
/// A record's position in its partition, from 0, without gaps.
pub type Offset = u64;

/// Where a record belongs; shared by the records of a connection. The key on the broker is `tenant/source`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// Whose.
    pub tenant: TenantId,
    /// From which source.
    pub source: SourceKey,
    /// Retention class: `7d`, `30d`, `90d`, `1y`.
    pub class: Arc<str>,
    /// Index group.
    pub group: u16,
    /// The protocol it came by, for the source's page: `qgx`, `ndjson`, `syslog`, …
    pub protocol: Arc<str>,
}

impl Route {
    /// The partition among `count`.
    pub fn partition(&self, count: u32) -> Partition {
        partition_of(&self.tenant, &self.source, count)
    }
}

/// A source's partition among `count`: FNV-1a of the key, so that one source stays in order.
pub fn partition_of(tenant: &TenantId, source: &SourceKey, count: u32) -> Partition {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in tenant.as_str().bytes().chain([b'/']).chain(source.as_str().bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The high half is better mixed than the low bits of FNV.
    u32::try_from((hash >> 32) % u64::from(count.max(1))).unwrap_or(0)
}

/// What makes a re-send recognisable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Delivered at least once; nothing to recognise it by.
    Unmarked,
    /// The n-th line of a client's stream.
    Stream {
        /// The client's name of it.
        stream: Arc<str>,
        /// Its sequence, from 1.
        sequence: u64,
    },
    /// An id the client gave (`qgx_id`).
    Given(Arc<str>),
}

/// A record to append.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Where it belongs.
    pub route: Arc<Route>,
    /// How a re-send is recognised.
    pub origin: Origin,
    /// The token it came by, as an id, for "last used" and "first event"; 0 where none.
    pub token: u64,
    /// The body.
    pub payload: Bytes,
}

/// A record read back.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its position.
    pub offset: Offset,
    /// Where it belongs.
    pub route: Arc<Route>,
    /// How a re-send is recognised.
    pub origin: Origin,
    /// The token it came by; 0 where none.
    pub token: u64,
    /// The body.
    pub payload: Bytes,
}

/// What a fetch returned.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// In offset order, without gaps but for what retention removed.
    pub records: Vec<Record>,
    /// The offset the next append gets: lag is this less the offset after the last record.
    pub end: Offset,
}

/// Where a group stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: Partition,
    /// The next offset to read.
    pub committed: Offset,
    /// The offset the next append gets.
    pub end: Offset,
    /// When the oldest record not yet committed was appended; `None` where there is none.
    pub oldest_uncommitted: Option<Timestamp>,
    /// Bytes not yet committed, as far as known.
    pub bytes: u64,
}

/// Why the broker could not.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// At the size limit, or the disk is full: try again later. Nothing was stored.
    #[error("the broker takes no more for now: {reason}")]
    Busy {
        /// What is short.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The storage or the connection failed: it is not known whether the records were stored.
    #[error("the broker failed: {0}")]
    Failed(String),
    /// The offset asked for was removed by retention.
    #[error("offset {asked} was removed; the earliest kept is {earliest}")]
    OutOfRange {
        /// What was asked for.
        asked: Offset,
        /// The first that is still there.
        earliest: Offset,
    },
    /// Shut down.
    #[error("the broker is shut down")]
    Closed,
}

/// The outcome of an append, once durable.
pub type Append = BoxFuture<'static, Result<(), BrokerError>>;

/// The durable log.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// How many partitions a topic has.
    fn partitions(&self, topic: Topic) -> u32;

    /// Takes records in order and returns at once; the future resolves when all are on durable storage. Records
    /// of earlier calls of the same caller stand before those of later ones in their partition, and a call's
    /// records are stored whole or, on an error, in an unknown part.
    fn append(&self, topic: Topic, records: Vec<NewRecord>) -> Append;

    /// Reads from an offset up to about `max_bytes` (always at least one record where there is one), waiting at most
    /// `max_wait` for the first.
    async fn fetch(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Fetched, BrokerError>;

    /// Reads once from an offset up to about `max_bytes` (always at least one record where there is one), beside the
    /// readers that [`Self::fetch`] serves: wherever they are in the partition, they go on there. Waits for nothing that
    /// is not appended yet, and the `end` is asked for now. No records: there are none from the offset to that end.
    ///
    /// As it stands here it is for brokers whose fetches have no place that another one could take from them.
    async fn scan(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Fetched, BrokerError> {
        self.fetch(topic, partition, from, max_bytes, Duration::ZERO).await
    }

    /// The offset that the next append of each partition gets, asked for now.
    async fn ends(&self, topic: Topic) -> Result<Vec<Offset>, BrokerError> {
        let mut ends = Vec::new();
        for partition in 0..self.partitions(topic) {
            ends.push(self.scan(topic, partition, Offset::MAX, 0).await?.end);
        }
        Ok(ends)
    }

    /// Notes that a group has done everything before `next`; only then may retention remove it. Durable within a
    /// second; the SQL store, not the broker, is what a processor resumes from.
    async fn commit(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
        next: Offset,
    ) -> Result<(), BrokerError>;

    /// What a group committed; 0 where it never did.
    async fn committed(&self, group: &str, topic: Topic, partition: Partition)
    -> Result<Offset, BrokerError>;

    /// Where a group stands in each partition of a topic.
    async fn lag(&self, group: &str, topic: Topic) -> Result<Vec<Lag>, BrokerError>;

    /// Joins a group whose processes share the partitions of a topic. Where only one process can read, it has them all.
    async fn join(&self, group: &str, topic: Topic) -> Result<Membership, BrokerError> {
        let _ = group;
        Ok(Membership::whole(self.partitions(topic)))
    }

    /// Removes what is beyond age and size and consumed by every known group, and returns how many records went.
    /// Events that no group is known for stay; dead letters go by an age of their own, at least 30 days.
    async fn enforce_retention(&self, now: Timestamp) -> Result<u64, BrokerError>;

    /// Bytes on storage.
    async fn stored_bytes(&self) -> Result<u64, BrokerError>;

    /// Syncs and stops; later calls answer [`BrokerError::Closed`].
    async fn close(&self) -> Result<(), BrokerError>;

    /// How its files are taken for a backup, where it has files of its own.
    fn snapshots(&self) -> Option<&dyn crate::backup::LogSnapshot> {
        None
    }
}
