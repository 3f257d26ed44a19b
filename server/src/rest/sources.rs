//! The registry of sources.

use super::ApiState;
use super::api_doc::{IdempotencyParams, KEY_REUSED};
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::{ApiError, Caller, ProblemExt};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::SourceKey;
use domain::api::{LatestValue, Page, SourceInput, SourceListRequest, SourceState, SourceSummary};
use http::StatusCode;
use serde::Deserialize;
use services::{Ctx, ServiceError};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Which sources, and how they are paged.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// In key, name or kind.
    #[serde(default)]
    search: String,
    /// In this state only.
    state: Option<SourceState>,
    /// `last_seen` for the latest first; else by key.
    sort: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Sources a page.
    #[serde(default = "fifty")]
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: u32,
}

fn fifty() -> u32 {
    50
}

/// List sources.
#[utoipa::path(get, path = "/api/v1/sources", tag = "sources", operation_id = "list_sources",
    params(ListParams), responses((status = 200, body = Page<SourceSummary>)))]
pub async fn list(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(params): ApiQuery<ListParams>,
) -> Result<Json<Page<SourceSummary>>, ApiError> {
    let by_last_seen = match params.sort.as_deref() {
        None | Some("key") => false,
        Some("last_seen") => true,
        Some(_) => {
            return Err(ApiError::invalid(
                "sort",
                "key 또는 last_seen입니다.",
                "It is key or last_seen.",
                &ctx,
            ));
        }
    };
    let request = SourceListRequest {
        search: params.search,
        state: params.state,
        by_last_seen,
        cursor: params.cursor,
        limit: params.limit,
    };
    state.services.sources(&ctx, request).await.problem(&ctx).map(Json)
}

/// A source to register before it sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    /// Its key, as it will call itself.
    key: SourceKey,
    // As in `SourceInput`; a flattened one would let unknown members pass.
    /// What people call it.
    #[serde(default)]
    name: String,
    /// Free words.
    #[serde(default)]
    kind: String,
    /// Free attributes.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// Seconds of silence after which it counts as offline; not given: 300.
    #[serde(default)]
    offline_after_secs: Option<u32>,
}

/// Register a source.
#[utoipa::path(post, path = "/api/v1/sources", tag = "sources", operation_id = "create_source",
    request_body = NewSource, params(IdempotencyParams),
    responses((status = 201, body = SourceSummary), (status = 409, description = "The key is taken"),
        (status = 422, description = KEY_REUSED)))]
pub async fn create(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiJson(new): ApiJson<NewSource>,
) -> Result<Response, ApiError> {
    let NewSource { key, name, kind, attributes, offline_after_secs } = new;
    let input = SourceInput { name, kind, attributes, offline_after_secs };
    let made = state.services.create_source(&ctx, key, input).await.problem(&ctx)?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

fn key(text: &str, ctx: &Ctx) -> Result<SourceKey, ApiError> {
    SourceKey::new(text).map_err(|_| ServiceError::NotFound { what: "source" }).problem(ctx)
}

/// One source.
#[utoipa::path(get, path = "/api/v1/sources/{key}", tag = "sources", operation_id = "get_source",
    params(("key" = String, Path, description = "The source's key")),
    responses((status = 200, body = SourceSummary), (status = 404, description = "There is none")))]
pub async fn get(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<Json<SourceSummary>, ApiError> {
    let key = key(&text, &ctx)?;
    state.services.source(&ctx, &key).await.problem(&ctx).map(Json)
}

/// Change what people say of a source.
#[utoipa::path(put, path = "/api/v1/sources/{key}", tag = "sources", operation_id = "update_source",
    params(("key" = String, Path, description = "The source's key")), request_body = SourceInput,
    responses((status = 200, body = SourceSummary), (status = 404, description = "There is none")))]
pub async fn update(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
    ApiJson(input): ApiJson<SourceInput>,
) -> Result<Json<SourceSummary>, ApiError> {
    let key = key(&text, &ctx)?;
    state.services.update_source(&ctx, &key, input).await.problem(&ctx).map(Json)
}

/// Remove a source from the registry. Its events stay, and it comes back with its next one.
#[utoipa::path(delete, path = "/api/v1/sources/{key}", tag = "sources", operation_id = "delete_source",
    params(("key" = String, Path, description = "The source's key")),
    responses((status = 204, description = "Removed"), (status = 404, description = "There is none")))]
pub async fn delete(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let key = key(&text, &ctx)?;
    state.services.delete_source(&ctx, &key).await.problem(&ctx)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The latest value of each of a source's metrics.
#[utoipa::path(get, path = "/api/v1/sources/{key}/latest", tag = "sources", operation_id = "source_latest",
    params(("key" = String, Path, description = "The source's key")),
    responses((status = 200, body = [LatestValue]), (status = 404, description = "There is none")))]
pub async fn latest(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<Json<Vec<LatestValue>>, ApiError> {
    let key = key(&text, &ctx)?;
    state.services.latest_values(&ctx, &key).await.problem(&ctx).map(Json)
}

/// The names of a source's metrics.
#[utoipa::path(get, path = "/api/v1/sources/{key}/metrics", tag = "sources", operation_id = "source_metrics",
    params(("key" = String, Path, description = "The source's key")),
    responses((status = 200, body = [String]), (status = 404, description = "There is none")))]
pub async fn metric_names(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<Json<Vec<String>>, ApiError> {
    let key = key(&text, &ctx)?;
    state.services.source_metrics(&ctx, &key).await.problem(&ctx).map(Json)
}
