//! Sources and what people set of them.

use super::FieldProblem;
use crate::{SourceKey, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether a source is heard from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// Heard from within its interval.
    Online,
    /// Not heard from within its interval.
    Offline,
    /// Registered, never heard from.
    Unseen,
}

/// A source as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceSummary {
    /// Its key.
    pub key: SourceKey,
    /// What people call it; empty where nobody named it.
    pub name: String,
    /// Free words such as 설비 or server.
    pub kind: String,
    /// Free attributes, such as site.
    pub attributes: BTreeMap<String, String>,
    /// Online, offline, unseen.
    pub state: SourceState,
    /// First event ever.
    pub first_seen: Option<Timestamp>,
    /// Latest arrival.
    pub last_seen: Option<Timestamp>,
    /// By which protocol it last came: `qgx`, `syslog`, …
    pub protocol: Option<String>,
    /// Events ever.
    pub events: u64,
    /// Bytes ever.
    pub bytes: u64,
    /// Events a second over the last minute.
    pub rate: f64,
    /// Events a minute over the last hour, oldest first, 60 values.
    pub sparkline: Vec<u32>,
    /// Seconds of silence after which it counts as offline.
    pub offline_after_secs: u32,
    /// The arrival-independent span of its events' `ts`, where known.
    pub ts_range: Option<TimeRange>,
}

/// What a person may set of a source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceInput {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Free words.
    #[serde(default)]
    pub kind: String,
    /// Free attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Seconds of silence after which it counts as offline; `None`: 300.
    #[serde(default)]
    pub offline_after_secs: Option<u32>,
}

/// Sources by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub struct SourceCounts {
    pub online: u64,
    pub offline: u64,
    pub unseen: u64,
}

/// Which sources, in which order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceListRequest {
    /// In key, name or kind, without regard to case; empty is all.
    #[serde(default)]
    pub search: String,
    /// Only these.
    #[serde(default)]
    pub state: Option<SourceState>,
    /// By latest arrival, newest first, instead of by key.
    #[serde(default)]
    pub by_last_seen: bool,
    /// Where the page starts: `next_cursor` of the one before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most this many, 1–200.
    pub limit: u32,
}

impl Default for SourceListRequest {
    fn default() -> Self {
        Self { search: String::new(), state: None, by_last_seen: false, cursor: None, limit: 50 }
    }
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// Made.
    pub created: u64,
    /// Known before, and overwritten.
    pub updated: u64,
    /// Lines left out; `field` is `line 3: kind`, lines counted from 1 with the header.
    pub problems: Vec<FieldProblem>,
}
