//! The one stream of a page.

use super::WebState;
use crate::http::extract::ApiQuery;
use crate::http::{ApiError, Caller, ProblemExt, sse};
use axum::extract::State;
use axum::response::Response;
use services::LiveRequest;

/// `totals=1`, `refusals=1`, and any number of `tail=<query>`: the n-th tail's id is `t0`, `t1`, …
pub async fn live(
    State(state): State<WebState>,
    Caller(ctx): Caller,
    ApiQuery(pairs): ApiQuery<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let flag = |name: &str| pairs.iter().any(|(key, value)| key == name && value == "1");
    let queries = pairs.iter().filter(|(key, _)| key == "tail").map(|(_, query)| query.clone());
    let request = LiveRequest {
        totals: flag("totals"),
        refusals: flag("refusals"),
        tails: queries.enumerate().map(|(n, query)| (format!("t{n}"), query)).collect(),
    };
    let messages = state.services.subscribe(&ctx, request).await.problem(&ctx)?;
    Ok(sse::answer(messages, state.stopping.clone()))
}
