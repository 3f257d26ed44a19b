//! The export of what Explore shows, as a file.

use super::WebState;
use crate::http::extract::{self, ApiQuery};
use crate::http::{ApiError, Caller};
use crate::rest::export::{self, ExportParams, Opening};
use crate::rest::window::WindowParams;
use axum::extract::State;
use axum::response::Response;
use services::{Actor, Ctx};
use utoipa::IntoParams;

/// As `GET /api/v1/events/export`, by cookie, and so that spreadsheets read Korean.
pub async fn events(
    State(state): State<WebState>,
    Caller(ctx): Caller,
    ApiQuery(window): ApiQuery<WindowParams>,
    ApiQuery(params): ApiQuery<ExportParams>,
    ApiQuery(pairs): ApiQuery<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    only_known(&pairs, &ctx)?;
    let filter = window.filter(&ctx)?;
    export::answer(&state.services, &ctx, filter, &params, Opening::Mark).await
}

/// Refuses parameters that an export does not have. Those who may not ask at all are told that instead.
fn only_known(pairs: &[(String, String)], ctx: &Ctx) -> Result<(), ApiError> {
    let known = [WindowParams::into_params(|| None), ExportParams::into_params(|| None)].concat();
    let wrong = pairs.iter().find(|(name, _)| known.iter().all(|parameter| parameter.name != *name));
    match wrong {
        Some((name, _)) if !matches!(ctx.actor, Actor::Anonymous) => {
            Err(extract::unknown(name, known.iter().map(|parameter| parameter.name.as_str()), ctx))
        }
        _ => Ok(()),
    }
}
