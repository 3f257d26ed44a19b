//! Searches: events, histograms, facets, fields.

use super::Page;
use crate::{Event, Level, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

/// Newest or oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Newest first.
    #[default]
    Desc,
    /// Oldest first.
    Asc,
}

/// A query over a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventFilter {
    /// Text in the query language; empty is everything.
    pub q: String,
    /// By `ts`.
    pub range: TimeRange,
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchResult {
    /// The events and their exact total.
    pub page: Page<Event>,
    /// How long the store took, in milliseconds.
    pub took_ms: f64,
    /// Arrivals of the last 15 minutes that match but whose `ts` lies outside the window; where there are any, the
    /// window that holds them.
    pub outside: Option<OutsideWindow>,
}

/// Events that arrived just now but lie outside the shown window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutsideWindow {
    /// How many.
    pub count: u64,
    /// A window that shows them all.
    pub range: TimeRange,
}

/// Counts over time, by level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Histogram {
    /// Bucket edges: `counts[i]` covers `edges[i] .. edges[i + 1]`; one more edge than buckets.
    pub edges: Vec<Timestamp>,
    /// One row a level (`None`: events without a level), each with a count per bucket.
    pub series: Vec<HistogramSeries>,
    /// Sum of all counts.
    pub total: u64,
    /// How long the store took, in milliseconds.
    pub took_ms: f64,
}

/// One level's counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistogramSeries {
    /// The level; `None`: events without one.
    pub level: Option<Level>,
    /// A count per bucket.
    pub counts: Vec<u64>,
}

/// A field's most frequent values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facet {
    /// `level`, `source`, `kind`, or a field's name with dots.
    pub field: String,
    /// How many different values there are (exact below 10,000).
    pub distinct: u64,
    /// Most frequent first.
    pub values: Vec<FacetValue>,
}

/// One value of a facet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FacetValue {
    /// As text.
    pub value: String,
    /// How many events have it.
    pub count: u64,
}

/// A field that occurs, for completion and for columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldInfo {
    /// With dots.
    pub name: String,
    /// It has numbers.
    pub numeric: bool,
    /// It has strings.
    pub text: bool,
    /// It has booleans.
    pub boolean: bool,
}

/// The events around one: of the same source, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Surroundings {
    /// Earlier ones, oldest first.
    pub before: Vec<Event>,
    /// The one itself.
    pub event: Event,
    /// Later ones, oldest first.
    pub after: Vec<Event>,
}
