//! How several ingestion processes keep one quota together.

use super::SqlResult;
use async_trait::async_trait;
use domain::{TenantId, Timestamp};

/// What a process used of a tenant's quota since it last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaUse {
    /// Whose.
    pub tenant: TenantId,
    /// Events a second.
    pub events: u64,
    /// It would have taken more.
    pub events_short: bool,
    /// Bytes a second.
    pub bytes: u64,
    /// It would have taken more.
    pub bytes_short: bool,
    /// When the tenant's day ends, and bytes that were not told yet; `None` without a limit of the day.
    pub day: Option<(Timestamp, u64)>,
}

/// What a process told last of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaLease {
    /// Whose quota.
    pub tenant: TenantId,
    /// Which process.
    pub replica: String,
    /// By the clock of that process: it lives while this changes.
    pub told_at: Timestamp,
    /// Events a second.
    pub events: u64,
    /// It would have taken more.
    pub events_short: bool,
    /// Bytes a second.
    pub bytes: u64,
    /// It would have taken more.
    pub bytes_short: bool,
}

/// What all processes told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaBook {
    /// Of every process and tenant, the dead ones of the last hour too.
    pub leases: Vec<QuotaLease>,
    /// Bytes of each tenant's day that ends then, of all processes.
    pub days: Vec<(TenantId, Timestamp, u64)>,
}

/// Quotas of several processes.
#[async_trait]
pub trait Quotas: Send + Sync + 'static {
    /// Tells what a process used, and answers what all of them told. Where it fails it is not known whether it was told.
    async fn lease_quotas(&self, replica: &str, now: Timestamp, uses: &[QuotaUse]) -> SqlResult<QuotaBook>;
}
