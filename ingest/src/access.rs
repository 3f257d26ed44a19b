//! What ingestion asks of others: who a connection is, and how far a stream has come.

use async_trait::async_trait;
use domain::{SourceKey, TenantId};
use std::sync::Arc;
use store::sql::SqlStore;

pub use services::ingest_access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode};

/// How far the processor has come with a client's stream.
#[async_trait]
pub trait StreamPositions: Send + Sync + 'static {
    /// The highest sequence processed; 0 where the stream is unknown.
    ///
    /// # Errors
    /// Where it cannot be known just now.
    async fn position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown>;
}

/// It cannot be known just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the position of the stream cannot be known just now")]
pub struct Unknown;

/// From the SQL store.
pub struct SqlStreams(pub Arc<dyn SqlStore>);

#[async_trait]
impl StreamPositions for SqlStreams {
    async fn position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> Result<u64, Unknown> {
        self.0.stream_position(tenant, source, stream).await.map_err(|error| {
            tracing::warn!(%error, "the position of a stream cannot be read");
            Unknown
        })
    }
}
