//! The export of what Explore shows, as a file.

use super::WebState;
use crate::http::extract::ApiQuery;
use crate::http::{ApiError, Caller};
use crate::rest::export::{self, ExportParams, Opening};
use crate::rest::window::WindowParams;
use axum::extract::State;
use axum::response::Response;

/// As `GET /api/v1/events/export`, by cookie, and so that spreadsheets read Korean.
pub async fn events(
    State(state): State<WebState>,
    Caller(ctx): Caller,
    ApiQuery(window): ApiQuery<WindowParams>,
    ApiQuery(params): ApiQuery<ExportParams>,
) -> Result<Response, ApiError> {
    let filter = window.filter(&ctx)?;
    export::answer(&state.services, &ctx, filter, &params, Opening::Mark).await
}
