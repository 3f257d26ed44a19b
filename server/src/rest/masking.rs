//! What is hidden in the tenant's arriving data.

use super::ApiState;
use crate::http::extract::ApiJson;
use crate::http::{ApiError, Caller, ProblemExt};
use axum::Json;
use axum::extract::State;
use domain::masking::Rule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The tenant's masking rules.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskingSettings {
    /// At most 32. Where two find things that overlap, the one that begins first is followed; of those that begin
    /// together, the one that stands first. None: nothing is masked.
    rules: Vec<Rule>,
}

/// The masking rules that hold: the tenant's own, else the installation's.
#[utoipa::path(get, path = "/api/v1/masking", tag = "masking", operation_id = "get_masking",
    responses((status = 200, body = MaskingSettings)))]
pub async fn get(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
) -> Result<Json<MaskingSettings>, ApiError> {
    let rules = state.services.masking(&ctx).await.problem(&ctx)?;
    Ok(Json(MaskingSettings { rules }))
}

/// Set the tenant's own masking rules. They hold for what arrives from now on, on open connections within about a
/// minute; what is stored stays as it is.
#[utoipa::path(put, path = "/api/v1/masking", tag = "masking", operation_id = "set_masking",
    request_body = MaskingSettings, responses((status = 200, body = MaskingSettings)))]
pub async fn set(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiJson(settings): ApiJson<MaskingSettings>,
) -> Result<Json<MaskingSettings>, ApiError> {
    state.services.set_masking(&ctx, settings.rules.clone()).await.problem(&ctx)?;
    Ok(Json(settings))
}
