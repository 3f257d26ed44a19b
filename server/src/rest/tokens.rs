//! Ingest and API tokens.

use super::ApiState;
use super::api_doc::{IdempotencyParams, KEY_REUSED};
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::{ApiError, Caller, ProblemExt};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::api::{NewToken, Page, TokenInfo, TokenInput, TokenKind};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which tokens.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// For this use only.
    kind: Option<TokenKind>,
}

/// List tokens, newest first; never their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "list_tokens",
    params(ListParams), responses((status = 200, body = Page<TokenInfo>)))]
pub async fn list(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(params): ApiQuery<ListParams>,
) -> Result<Json<Page<TokenInfo>>, ApiError> {
    let items = state.services.tokens(&ctx, params.kind).await.problem(&ctx)?;
    let total = items.len() as u64;
    Ok(Json(Page { items, next_cursor: None, total }))
}

/// Make a token; the answer alone holds its secret.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", operation_id = "create_token",
    request_body = TokenInput, params(IdempotencyParams),
    responses((status = 201, body = NewToken), (status = 422, description = KEY_REUSED)))]
pub async fn create(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiJson(input): ApiJson<TokenInput>,
) -> Result<Response, ApiError> {
    let made = state.services.create_token(&ctx, input).await.problem(&ctx)?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// End a token. Its open connections are closed within five seconds.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "revoke_token",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, body = TokenInfo), (status = 404, description = "There is none")))]
pub async fn revoke(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<TokenInfo>, ApiError> {
    state.services.revoke_token(&ctx, &id).await.problem(&ctx).map(Json)
}
