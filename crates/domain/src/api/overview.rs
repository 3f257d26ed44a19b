//! The first screen.

use super::{Histogram, SourceCounts, SourceSummary};
use crate::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The first screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When it was made.
    pub at: Timestamp,
    /// Events a second over the last ten seconds.
    pub rate: f64,
    /// The rate of each of the last 60 seconds, oldest first.
    pub rate_history: Vec<f64>,
    /// Events since the tenant's midnight.
    pub events_today: u64,
    /// Bytes since the tenant's midnight.
    pub bytes_today: u64,
    /// Change against the same part of yesterday, in per cent.
    pub change_percent: Option<f64>,
    /// Sources by state: online, offline, unseen.
    pub sources: SourceCounts,
    /// From arrival to searchable, p99 over the last minute, in milliseconds.
    pub freshness_p99_ms: Option<f64>,
    /// Arrivals a minute by level over the last hour.
    pub inflow: Histogram,
    /// The busiest sources.
    pub top_sources: Vec<SourceSummary>,
    /// Latest warnings and worse.
    pub notable: Vec<Event>,
    /// Records of the last day that named more new sources than a day may have, and are kept under their token's.
    #[serde(default)]
    pub unplaced: u64,
    /// Latest arrival of all.
    pub last_event: Option<Timestamp>,
}
