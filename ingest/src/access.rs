//! What ingestion asks of others: who a connection is, and how far a stream has come.

use async_trait::async_trait;
use domain::{SourceKey, TenantId};
use std::sync::Arc;
use std::time::Duration;
use store::broker::{Broker, BrokerError, Origin, Topic, partition_of};
use store::sql::SqlStore;
use tokio::time::Instant;

pub use services::ingest_access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode};

/// How far a client's stream has come.
#[async_trait]
pub trait StreamPositions: Send + Sync + 'static {
    /// The highest sequence processed; 0 where the stream is unknown.
    ///
    /// # Errors
    /// Where it cannot be known just now.
    async fn position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown>;

    /// The highest sequence on durable storage, processed or not.
    ///
    /// # Errors
    /// As [`Self::position`].
    async fn durable(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown>;
}

/// It cannot be known just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the position of the stream cannot be known just now")]
pub struct Unknown;

/// Bytes of the log read at a time.
const READ_BYTES: usize = 4 << 20;
/// How long a client waits while the log is read. A processor that is so far behind is waited for by coming again.
const PATIENCE: Duration = Duration::from_secs(5);

/// From the SQL store, and from what stands in the log behind it.
pub struct StoredStreams {
    /// How far the processor has come.
    pub sql: Arc<dyn SqlStore>,
    /// What it has not come to.
    pub broker: Arc<dyn Broker>,
}

#[async_trait]
impl StreamPositions for StoredStreams {
    async fn position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown> {
        self.sql.stream_position(tenant, source, stream).await.map_err(|error| {
            tracing::warn!(%error, "the position of a stream cannot be read");
            Unknown
        })
    }

    async fn durable(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown> {
        let until = Instant::now() + PATIENCE;
        let partition = partition_of(tenant, source, self.broker.partitions(Topic::Events));
        // In this order: what is processed in between is seen twice, not never.
        let offsets = self.sql.offsets(Topic::Events.name()).await.map_err(|error| {
            tracing::warn!(%error, "the processor's offsets cannot be read");
            Unknown
        })?;
        let mut highest = self.position(tenant, source, stream).await?;
        let mut from = offsets.iter().find(|(of, _)| *of == partition).map_or(0, |(_, next)| *next);
        let mut end = None;
        loop {
            let fetched = self.broker.fetch(Topic::Events, partition, from, READ_BYTES, Duration::ZERO).await;
            let fetched = match fetched {
                Err(BrokerError::OutOfRange { earliest, .. }) if earliest > from => {
                    from = earliest;
                    continue;
                }
                fetched => fetched.map_err(|error| {
                    tracing::warn!(%error, "the log cannot be read for the position of a stream");
                    Unknown
                })?,
            };
            // What comes from now on is not this client's.
            let end = *end.get_or_insert(fetched.end);
            for record in &fetched.records {
                let route = &record.route;
                if let Origin::Stream { stream: name, sequence } = &record.origin
                    && **name == *stream
                    && route.source == *source
                    && route.tenant == *tenant
                {
                    highest = highest.max(*sequence);
                }
            }
            match fetched.records.last() {
                Some(last) if last.offset + 1 < end => from = last.offset + 1,
                _ => return Ok(highest),
            }
            if Instant::now() >= until {
                return Err(Unknown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::tests::fixture;
    use store::broker::memory::MemoryBroker;
    use store::sql::{Flush, StreamPosition};

    #[tokio::test]
    async fn what_is_in_the_log_counts_though_nobody_has_processed_it() {
        let (sql, broker) = (fixture::sql().await, MemoryBroker::new(3));
        let (tenant, source) = (fixture::tenant(), fixture::source("pump-1"));
        let numbered = |name: &str, stream: &str, sequence| {
            let origin = Origin::Stream { stream: stream.into(), sequence };
            store::broker::NewRecord { origin, ..fixture::new_record(name, "{}") }
        };
        let streams = StoredStreams { sql: sql.clone(), broker: broker.clone() };
        let check = async |stream: &str, processed: u64, durable: u64| {
            assert_eq!(streams.position(&tenant, &source, stream).await, Ok(processed), "{stream}");
            assert_eq!(streams.durable(&tenant, &source, stream).await, Ok(durable), "{stream}");
        };
        check("boot-7", 0, 0).await;
        let records = vec![
            numbered("pump-1", "boot-7", 1),
            numbered("pump-1", "boot-7", 2),
            numbered("pump-1", "boot-8", 9),
            numbered("pump-2", "boot-7", 50),
        ];
        broker.append(Topic::Events, records).await.unwrap();
        check("boot-7", 0, 2).await;
        check("boot-8", 0, 9).await;
        let partition = partition_of(&tenant, &source, 3);
        let position = StreamPosition {
            tenant: tenant.clone(),
            source: source.clone(),
            stream: "boot-7".to_owned(),
            sequence: 2,
        };
        let flush = Flush { offsets: vec![(partition, 3)], streams: vec![position], ..Flush::default() };
        sql.flush(Topic::Events.name(), &flush).await.unwrap();
        check("boot-7", 2, 2).await;
        broker.append(Topic::Events, vec![numbered("pump-1", "boot-7", 3)]).await.unwrap();
        check("boot-7", 2, 3).await;
    }
}
