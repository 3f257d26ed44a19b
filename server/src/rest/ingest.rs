//! The TCP port's HTTP sister.

use super::ApiState;
use crate::http::extract;
use crate::http::idempotency::IDEMPOTENCY_KEY;
use crate::http::patience::TooSlow;
use crate::http::{ApiError, Caller, ProblemExt};
use ::ingest::http::{HttpError, IngestReport, ingest_ndjson};
use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Lang;
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use services::{Ctx, ServiceError};
use std::net::{IpAddr, Ipv4Addr};
use utoipa::ToSchema;

/// What became of a body. What is accepted is on durable storage.
#[derive(Serialize, ToSchema)]
pub struct IngestAnswer {
    /// Lines that are events now.
    accepted: u64,
    /// Lines that were not taken, in all.
    rejected_total: u64,
    /// The first of them.
    rejected: Vec<RejectedLine>,
}

/// A line that was not taken.
#[derive(Serialize, ToSchema)]
pub struct RejectedLine {
    /// Which, from 1.
    line: u64,
    /// Why: stable code.
    code: String,
    /// Why, for people.
    message: String,
}

impl IngestAnswer {
    fn of(report: IngestReport, lang: Lang) -> Self {
        let rejected = report.rejected.into_iter().map(|rejected| RejectedLine {
            line: rejected.line,
            code: rejected.error.code().to_owned(),
            message: rejected.error.message(lang),
        });
        Self {
            accepted: report.accepted,
            rejected_total: report.rejected_total,
            rejected: rejected.collect(),
        }
    }
}

/// Send events: a JSON object a line.
///
/// With an `Idempotency-Key` a body that is sent again changes nothing. Where the answer is 408, 429 or 503, what came
/// before in the body is stored: send it again with the same key, or only the rest. A body that says it is too large
/// (`Content-Length`) is refused whole; one without that header is stored up to the limit, and the 413 says how many
/// lines: send the rest, without them.
#[utoipa::path(post, path = "/api/v1/ingest", tag = "events", operation_id = "ingest",
    request_body(content = String, content_type = "application/x-ndjson", description = "A JSON object a line"),
    params(("Idempotency-Key" = Option<String>, Header, description = "At most 200 bytes")),
    responses((status = 200, body = IngestAnswer), (status = 413, description = "The body is too large")))]
pub async fn ingest(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let identity = state.services.sender(&ctx).await.problem(&ctx)?;
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let title = ctx.lang.pick("압축하지 않은 본문을 보내세요.", "Send the body uncompressed.");
        return Err(ApiError::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding", title, &ctx.request_id));
    }
    let key = headers.get(IDEMPOTENCY_KEY).map(|value| value.to_str().unwrap_or_default());
    if key.is_some_and(|key| key.is_empty() || key.len() > 200) {
        return Err(ApiError::invalid(
            "Idempotency-Key",
            "1바이트에서 200바이트 사이의 글자를 쓰세요.",
            "Give 1 to 200 bytes of text.",
            &ctx,
        ));
    }
    let peer = ctx.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if body.size_hint().lower() > state.ingest_body_max as u64 {
        return Err(too_large_for(state.ingest_body_max, &ctx));
    }
    let limited = Limited::new(body, state.ingest_body_max);
    let (mut too_large, mut too_slow) = (false, false);
    let chunks = limited.into_data_stream().inspect(|chunk| {
        too_large |= chunk.as_ref().is_err_and(|error| error.is::<LengthLimitError>());
        too_slow |= chunk.as_ref().is_err_and(|error| TooSlow::caused(&**error));
    });
    let taken = ingest_ndjson(&state.intake, identity, peer, chunks, key).await;
    match taken {
        Ok(report) => Ok(Json(IngestAnswer::of(report, ctx.lang)).into_response()),
        Err(HttpError::Body { report, .. }) if too_large => {
            Err(too_large_for(state.ingest_body_max, &ctx).with_detail(stored(&report, &ctx)))
        }
        // The connection's own limit was met before that of ingestion.
        Err(HttpError::Body { report, .. }) if too_slow => Err(refused(HttpError::Slow { report }, &ctx)),
        Err(error) => Err(refused(error, &ctx)),
    }
}

fn too_large_for(most: usize, ctx: &Ctx) -> ApiError {
    let text = ctx.lang.pick(
        format!("본문은 {most}바이트까지 보낼 수 있습니다. 나누어 보내세요."),
        format!("A body may have at most {most} bytes. Send it in parts."),
    );
    ApiError::of(&ServiceError::TooLarge(text), ctx)
}

fn stored(report: &IngestReport, ctx: &Ctx) -> String {
    let count = report.accepted;
    ctx.lang.pick(
        format!("앞의 {count}줄은 저장되었습니다."),
        format!("The first {count} lines that were good are stored."),
    )
}

fn refused(error: HttpError, ctx: &Ctx) -> ApiError {
    match error {
        HttpError::Quota { retry_after, report } => {
            ApiError::of(&ServiceError::RateLimited { retry_after }, ctx).with_detail(stored(&report, ctx))
        }
        HttpError::Busy { retry_after, report } => {
            ApiError::of(&ServiceError::Busy { retry_after }, ctx).with_detail(stored(&report, ctx))
        }
        HttpError::Slow { report } => extract::too_slow(ctx).with_detail(stored(&report, ctx)),
        HttpError::Body { reason, report } => {
            tracing::debug!(request_id = %ctx.request_id, reason, "a body broke off");
            let stored = stored(&report, ctx);
            ApiError::invalid(
                "body",
                &format!("본문을 끝까지 읽지 못했습니다. {stored}"),
                &format!("The body could not be read to its end. {stored}"),
                ctx,
            )
        }
    }
}
