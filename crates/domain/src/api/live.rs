//! What pages are told as it happens.

use super::SourceState;
use crate::{Event, SourceKey, Timestamp};
use serde::{Deserialize, Serialize};

/// One second of a tenant, published on `qgx.live.v1` and pushed to its browsers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveTotals {
    /// The second, by arrival.
    pub at: Timestamp,
    /// Events indexed in it.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events by level, in the order of [`crate::Level::ALL`], then those without.
    pub levels: [u64; 10],
    /// Events by source, the busiest 20.
    pub sources: Vec<(SourceKey, u64)>,
    /// p99 from arrival to searchable, in milliseconds.
    pub freshness_p99_ms: f64,
}

/// What the multiplexed stream of a page carries. `id` names a subscription of the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveMessage {
    /// One second of the tenant.
    Totals(LiveTotals),
    /// Events that match a tail.
    Tail {
        /// The tail.
        id: String,
        /// At most 200 a second.
        events: Vec<Event>,
        /// How many matched but were left out in this second.
        omitted: u64,
    },
    /// A source came, went, or was heard from for the first time.
    Source {
        /// Which.
        key: SourceKey,
        /// Its new state.
        state: SourceState,
    },
    /// A connection was refused (on Connect).
    Refusal(Refusal),
    /// A token's first event arrived (on Connect).
    TokenSeen {
        /// The token's id.
        token: String,
        /// The source it came as.
        source: SourceKey,
    },
    /// Nothing happened; the stream is alive.
    Heartbeat {
        /// Server time.
        at: Timestamp,
    },
    /// The reader was too slow; this many messages were left out.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// A connection or record that was turned away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub peer: String,
    /// By which protocol, as far as known.
    pub protocol: String,
    /// Stable code: `no_credential`, `bad_token`, `expired_token`, `revoked_token`, `wrong_kind`, `http`,
    /// `frame_too_large`, …
    pub code: String,
    /// The token it showed, by id, where it is one of the tenant's.
    pub token: Option<String>,
    /// How often within the minute.
    pub count: u64,
}
