//! Dead letters: what could not be stored as an event, to be looked at, mended, replayed and discarded.

use super::ApiState;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery, read_body, wrong_json};
use crate::http::{ApiError, Caller, ProblemExt};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use domain::api::{
    DeadLetter, DeadLetterDetail, FieldProblem, LetterCodeCount, LetterEdit, LetterQuery, LetterReport,
    LetterSelection, LetterState, Page,
};
use domain::{EventId, SourceKey, Timestamp};
use serde::Deserialize;
use services::{Ctx, EDIT_BYTES, ServiceError};
use utoipa::IntoParams;

/// Which letters, and how they are paged.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// With this code, such as `invalid_json`.
    code: Option<String>,
    /// From this source.
    source: Option<String>,
    /// In this state.
    state: Option<LetterState>,
    /// Given up at this instant or later: RFC 3339, `now-15m`, or epoch milliseconds.
    from: Option<String>,
    /// Given up before this instant.
    to: Option<String>,
    /// In the reason.
    #[serde(default)]
    text: String,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Letters a page.
    #[serde(default = "fifty")]
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: u32,
}

fn fifty() -> u32 {
    50
}

impl ListParams {
    fn query(&self, ctx: &Ctx) -> Result<LetterQuery, ApiError> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: &str| {
            let (field, message) = (field.to_owned(), message.to_owned());
            problems.push(FieldProblem { field, message, span: None });
        };
        let now = Timestamp::now();
        let mut time = |field: &str, text: &Option<String>| {
            let at = Timestamp::parse_relative(text.as_deref()?, now);
            let message = ctx.lang.pick(
                "시각이 아닙니다. 2026-11-22T09:00:00+09:00 또는 now-15m처럼 적어 주세요.",
                "It is no time; write it as 2026-11-22T09:00:00+09:00 or now-15m.",
            );
            at.map_err(|_| wrong(field, message)).ok()
        };
        let (from, to) = (time("from", &self.from), time("to", &self.to));
        let source = self.source.as_deref().and_then(|text| {
            let message = ctx.lang.pick("소스 키가 아닙니다.", "It is no source key.");
            SourceKey::new(text).map_err(|_| wrong("source", message)).ok()
        });
        if !problems.is_empty() {
            return Err(ApiError::of(&ServiceError::Invalid(problems), ctx));
        }
        let (code, state, text) = (self.code.clone(), self.state, self.text.clone());
        Ok(LetterQuery { code, source, state, from, to, text })
    }
}

fn id(text: &str, ctx: &Ctx) -> Result<EventId, ApiError> {
    EventId::parse(text).map_err(|_| ServiceError::NotFound { what: "dead_letter" }).problem(ctx)
}

/// List dead letters, the latest first, without their bytes.
///
/// A dead letter is what was sent and could not be stored as an event. It is kept for 30 days, whatever becomes of it; of a
/// tenant's at most 100,000 and 256 MiB are kept, and the oldest go first, of them those that somebody dealt with.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "dead letters", operation_id = "list_dead_letters",
    params(ListParams), responses((status = 200, body = Page<DeadLetter>)))]
pub async fn list(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(params): ApiQuery<ListParams>,
) -> Result<Json<Page<DeadLetter>>, ApiError> {
    let query = params.query(&ctx)?;
    let page = state.services.dead_letters(&ctx, query, params.cursor.as_deref(), params.limit).await;
    page.problem(&ctx).map(Json)
}

/// How many dead letters there are, by code and by what became of them.
#[utoipa::path(get, path = "/api/v1/dead-letters/summary", tag = "dead letters",
    operation_id = "dead_letter_summary", responses((status = 200, body = [LetterCodeCount])))]
pub async fn summary(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
) -> Result<Json<Vec<LetterCodeCount>>, ApiError> {
    state.services.dead_letter_codes(&ctx).await.problem(&ctx).map(Json)
}

/// One dead letter, with its bytes and what a replay would make of it.
#[utoipa::path(get, path = "/api/v1/dead-letters/{id}", tag = "dead letters", operation_id = "get_dead_letter",
    params(("id" = String, Path, description = "The letter's id")),
    responses((status = 200, body = DeadLetterDetail), (status = 404, description = "There is none")))]
pub async fn get(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<Json<DeadLetterDetail>, ApiError> {
    let id = id(&text, &ctx)?;
    state.services.dead_letter(&ctx, id).await.problem(&ctx).map(Json)
}

/// The largest body of an edit: escapes and base64 make bytes longer.
const EDIT_BODY_MAX: usize = EDIT_BYTES * 3;

/// Make something else of an open letter's bytes, at most 1 MiB of them; the original is kept beside.
///
/// What would be no event is refused, with the reason. Tokens and what the tenant's masking rules name are hidden. With
/// `preview` nothing is kept, and the answer shows what would become of it.
#[utoipa::path(patch, path = "/api/v1/dead-letters/{id}", tag = "dead letters", operation_id = "edit_dead_letter",
    params(("id" = String, Path, description = "The letter's id")), request_body = LetterEdit,
    responses((status = 200, body = DeadLetterDetail), (status = 404, description = "There is none"),
        (status = 409, description = "It is not open, or was cut")))]
pub async fn edit(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
    body: Body,
) -> Result<Json<DeadLetterDetail>, ApiError> {
    let body = read_body(body, EDIT_BODY_MAX, &ctx).await?;
    let edit = serde_json::from_slice(&body).map_err(|error| wrong_json(&error.to_string(), &ctx))?;
    let id = id(&text, &ctx)?;
    state.services.edit_dead_letter(&ctx, id, edit).await.problem(&ctx).map(Json)
}

/// Make an event of a dead letter. It is on durable storage before the answer; one that is replayed again stays as it is.
///
/// The event has the letter's id. What cannot be an event stays open, with the new reason.
#[utoipa::path(post, path = "/api/v1/dead-letters/{id}/replay", tag = "dead letters",
    operation_id = "replay_dead_letter", params(("id" = String, Path, description = "The letter's id")),
    responses((status = 200, body = DeadLetter), (status = 404, description = "There is none"),
        (status = 409, description = "There is no event in it, or it was discarded")))]
pub async fn replay(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<Json<DeadLetter>, ApiError> {
    let id = id(&text, &ctx)?;
    state.services.replay_dead_letter(&ctx, id).await.problem(&ctx).map(Json)
}

/// Want no event of a dead letter.
#[utoipa::path(post, path = "/api/v1/dead-letters/{id}/discard", tag = "dead letters",
    operation_id = "discard_dead_letter", params(("id" = String, Path, description = "The letter's id")),
    responses((status = 200, body = DeadLetter), (status = 404, description = "There is none"),
        (status = 409, description = "It was replayed, or that has begun")))]
pub async fn discard(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<Json<DeadLetter>, ApiError> {
    let id = id(&text, &ctx)?;
    state.services.discard_dead_letter(&ctx, id).await.problem(&ctx).map(Json)
}

/// Take a discard back.
#[utoipa::path(post, path = "/api/v1/dead-letters/{id}/reopen", tag = "dead letters",
    operation_id = "reopen_dead_letter", params(("id" = String, Path, description = "The letter's id")),
    responses((status = 200, body = DeadLetter), (status = 404, description = "There is none"),
        (status = 409, description = "It was replayed, or that has begun")))]
pub async fn reopen(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(text): ApiPath<String>,
) -> Result<Json<DeadLetter>, ApiError> {
    let id = id(&text, &ctx)?;
    state.services.reopen_dead_letter(&ctx, id).await.problem(&ctx).map(Json)
}

/// Make events of several dead letters: of these, or of the open ones that a filter finds, about 1,000 a call.
#[utoipa::path(post, path = "/api/v1/dead-letters/replay", tag = "dead letters",
    operation_id = "replay_dead_letters", request_body = LetterSelection,
    responses((status = 200, body = LetterReport)))]
pub async fn replay_many(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiJson(selection): ApiJson<LetterSelection>,
) -> Result<Json<LetterReport>, ApiError> {
    state.services.replay_dead_letters(&ctx, selection).await.problem(&ctx).map(Json)
}

/// Want no event of several dead letters: of these, or of the open ones that a filter finds, about 1,000 a call.
#[utoipa::path(post, path = "/api/v1/dead-letters/discard", tag = "dead letters",
    operation_id = "discard_dead_letters", request_body = LetterSelection,
    responses((status = 200, body = LetterReport)))]
pub async fn discard_many(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiJson(selection): ApiJson<LetterSelection>,
) -> Result<Json<LetterReport>, ApiError> {
    state.services.discard_dead_letters(&ctx, selection).await.problem(&ctx).map(Json)
}
