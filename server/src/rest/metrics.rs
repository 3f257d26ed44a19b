//! Numbers over time.

use super::ApiState;
use super::window::WindowParams;
use crate::http::extract::ApiJson;
use crate::http::{ApiError, Caller, ProblemExt};
use axum::Json;
use axum::extract::State;
use domain::SourceKey;
use domain::api::{Aggregate, MetricQuery, MetricResult};
use serde::Deserialize;
use utoipa::ToSchema;

/// A question about a number over time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricInput {
    /// The field's name, with dots.
    metric: String,
    /// Of these sources; none is all.
    #[serde(default)]
    sources: Vec<SourceKey>,
    /// How a step is summed up.
    #[serde(default = "avg")]
    #[schema(default = "avg")]
    aggregate: Aggregate,
    /// First instant: RFC 3339, `now-15m`, or epoch milliseconds. Default: 15 minutes before `to`.
    from: Option<String>,
    /// First instant after. Default: now.
    to: Option<String>,
    /// Seconds a step; not given: chosen so that about 300 points come.
    step: Option<u32>,
}

fn avg() -> Aggregate {
    Aggregate::Avg
}

/// Chart a number over time, a series for each source.
#[utoipa::path(post, path = "/api/v1/metrics/query", tag = "metrics", operation_id = "query_metrics",
    request_body = MetricInput, responses((status = 200, body = MetricResult)))]
pub async fn query(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiJson(input): ApiJson<MetricInput>,
) -> Result<Json<MetricResult>, ApiError> {
    let range = WindowParams { q: String::new(), from: input.from, to: input.to }.range(&ctx)?;
    let query = MetricQuery {
        metric: input.metric,
        sources: input.sources,
        aggregate: input.aggregate,
        range,
        step_secs: input.step,
    };
    state.services.metrics(&ctx, query).await.problem(&ctx).map(Json)
}
