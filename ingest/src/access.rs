//! What ingestion asks of others: who a connection is, and how far a stream has come.

use crate::budget::ByteBudget;
use crate::streams::{StoredStream, StreamKey, Unprocessed};
use async_trait::async_trait;
use domain::{SourceKey, TenantId};
use std::sync::Arc;
use store::broker::Broker;
use store::sql::{SqlError, SqlStore};

pub use services::ingest_access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode};

/// How far a client's stream has come.
#[async_trait]
pub trait StreamPositions: Send + Sync + 'static {
    /// The highest sequence processed of a source's stream; 0 where the stream is unknown. Everything before it is
    /// processed as well.
    ///
    /// # Errors
    /// Where it cannot be known just now.
    async fn position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown>;

    /// A sequence that no line of the stream is beyond that is on durable storage, processed or not; 0 where the stream is
    /// unknown. It may take long while there is much that is not processed: who does not wait loses nothing by asking
    /// again. What is read meanwhile is covered by the budget.
    ///
    /// # Errors
    /// As [`Self::position`].
    async fn highest(&self, stream: &StoredStream, budget: &ByteBudget) -> Result<u64, Unknown>;

    /// Waits until other processes that had a connection on the stream have let it go, and answers the highest sequence
    /// that any of them handed to the broker, whatever became of it. They were told by [`IngestAccess::stream_taken`].
    /// As it stands here nobody is waited for.
    ///
    /// # Errors
    /// As [`Self::position`].
    async fn others_let_go(&self, stream: &StreamKey) -> Result<u64, Unknown> {
        let _ = stream;
        Ok(0)
    }
}

/// It cannot be known just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the position of the stream cannot be known just now")]
pub struct Unknown;

/// From the SQL store, and from what stands in the log behind it.
pub struct StoredStreams {
    sql: Arc<dyn SqlStore>,
    unprocessed: Unprocessed,
}

impl StoredStreams {
    /// `sql` tells how far the processor has come, `broker` what it has not come to.
    pub fn new(sql: Arc<dyn SqlStore>, broker: Arc<dyn Broker>) -> Self {
        Self { unprocessed: Unprocessed::new(sql.clone(), broker), sql }
    }
}

#[async_trait]
impl StreamPositions for StoredStreams {
    async fn position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown> {
        self.sql.stream_position(tenant, source, stream).await.map_err(|error| unread(&error))
    }

    async fn highest(&self, stream: &StoredStream, budget: &ByteBudget) -> Result<u64, Unknown> {
        // In this order: what is processed in between is seen twice, not never.
        let unprocessed = self.unprocessed.highest(stream, budget).await?;
        let StoredStream { tenant, source, name } = stream;
        let processed = match source {
            Some(source) => self.sql.stream_position(tenant, source, name).await,
            None => self.sql.stream_highest(tenant, name).await,
        };
        Ok(unprocessed.max(processed.map_err(|error| unread(&error))?))
    }
}

fn unread(error: &SqlError) -> Unknown {
    tracing::warn!(%error, "the position of a stream cannot be read");
    Unknown
}
