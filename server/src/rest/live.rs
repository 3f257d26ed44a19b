//! What happens just now, as server-sent events.

use super::ApiState;
use crate::http::extract::ApiQuery;
use crate::http::{ApiError, Caller, ProblemExt, sse};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use services::LiveRequest;
use utoipa::IntoParams;

/// What to hear of.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LiveParams {
    /// Events that match this query, at most 200 a second; an empty one is every event. Not given: no events.
    q: Option<String>,
    /// The tenant's totals of each second, and sources that come and go. Default: only without `q`.
    totals: Option<bool>,
}

/// Follow live: events that match, or the tenant's totals.
///
/// Each message is a `LiveMessage` in JSON, told apart by its `type`. A heartbeat comes every ten seconds; `lagged`
/// says that the reader was too slow and how much it missed.
#[utoipa::path(get, path = "/api/v1/live", tag = "events", operation_id = "live",
    params(LiveParams),
    responses((status = 200, description = "A stream of `LiveMessage`", body = domain::api::LiveMessage,
        content_type = "text/event-stream")))]
pub async fn live(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(params): ApiQuery<LiveParams>,
) -> Result<Response, ApiError> {
    let totals = params.totals.unwrap_or(params.q.is_none());
    let tails = params.q.map(|q| ("q".to_owned(), q)).into_iter().collect();
    let request = LiveRequest { totals, tails, refusals: false };
    let messages = state.services.subscribe(&ctx, request).await.problem(&ctx)?;
    Ok(sse::answer(messages, state.stopping.clone()))
}
