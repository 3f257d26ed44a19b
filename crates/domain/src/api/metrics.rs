//! Numbers over time.

use crate::{SourceKey, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

/// How values of a step are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Mean.
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// Sum.
    Sum,
    /// How many values.
    Count,
    /// The latest by `ts`.
    Last,
}

/// A question about a number over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricQuery {
    /// The field's name, with dots.
    pub metric: String,
    /// Of these sources; empty is all, each a series.
    #[serde(default)]
    pub sources: Vec<SourceKey>,
    /// How a step is summed up.
    pub aggregate: Aggregate,
    /// The window.
    pub range: TimeRange,
    /// Seconds a step; `None`: chosen so that about 300 points come.
    #[serde(default)]
    pub step_secs: Option<u32>,
}

/// The answer to a [`MetricQuery`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricResult {
    /// Start of each step.
    pub times: Vec<Timestamp>,
    /// Seconds a step.
    pub step_secs: u32,
    /// One a source.
    pub series: Vec<MetricSeries>,
    /// The least and greatest single value in the window, with their time: exact, whatever the step.
    pub extremes: Option<Extremes>,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricSeries {
    /// Whose.
    pub source: SourceKey,
    /// A value per step; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

/// Least and greatest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Extremes {
    /// Least value.
    pub min: f64,
    /// When it was.
    pub min_at: Timestamp,
    /// Greatest value.
    pub max: f64,
    /// When it was.
    pub max_at: Timestamp,
}

/// The latest value of a metric of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LatestValue {
    /// The field's name, with dots.
    pub metric: String,
    /// The value with the greatest `ts`.
    pub value: f64,
    /// Its `ts`.
    pub ts: Timestamp,
}
