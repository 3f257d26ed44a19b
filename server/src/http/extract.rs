//! Extractors whose rejections are problem details.

use super::actor::Caller;
use super::patience::TooSlow;
use super::problem::ApiError;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use domain::Lang;
use domain::api::FieldProblem;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use services::{Ctx, ServiceError};

/// A query string.
pub struct ApiQuery<T>(pub T);
/// A path's parameters.
pub struct ApiPath<T>(pub T);
/// A JSON body.
pub struct ApiJson<T>(pub T);

fn wrong(field: &str, message: String, ctx: &Ctx) -> ApiError {
    ApiError::of(
        &ServiceError::Invalid(vec![FieldProblem { field: field.to_owned(), message, span: None }]),
        ctx,
    )
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(ctx) = Caller::from_request_parts(parts, state).await?;
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(wrong("query", rejection.body_text(), &ctx)),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(ctx) = Caller::from_request_parts(parts, state).await?;
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(wrong("path", rejection.body_text(), &ctx)),
        }
    }
}

/// A body of the API beyond ingestion: small.
pub const BODY_MAX: usize = 1 << 20;

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Caller(ctx) = Caller::from_request_parts(&mut parts, state).await?;
        let bytes = read_body(body, BODY_MAX, &ctx).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| wrong_json(&error.to_string(), &ctx))
    }
}

/// A whole body of at most so many bytes, by the request's deadline.
///
/// # Errors
/// 413 for a larger one, 408 for a slower one.
pub async fn read_body(body: Body, most: usize, ctx: &Ctx) -> Result<Bytes, ApiError> {
    match tokio::time::timeout_at(ctx.deadline, axum::body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Err(_) => Err(too_slow(ctx)),
        Ok(Err(error)) if TooSlow::caused(&error) => Err(too_slow(ctx)),
        Ok(Err(_)) => {
            let kib = most / 1024;
            let text = ctx.lang.pick(
                format!("본문은 {kib} KiB까지 보낼 수 있습니다."),
                format!("A body may have at most {kib} KiB."),
            );
            Err(ApiError::of(&ServiceError::TooLarge(text), ctx))
        }
    }
}

/// The body came too slowly: 408.
pub fn too_slow(ctx: &Ctx) -> ApiError {
    let title = ctx.lang.pick("본문이 제때 도착하지 않았습니다.", "The body did not arrive in time.");
    ApiError::plain(StatusCode::REQUEST_TIMEOUT, "body_timeout", title, &ctx.request_id)
}

/// What is wrong with a JSON body: an unknown member by its name, anything else as serde says it.
pub fn wrong_json(message: &str, ctx: &Ctx) -> ApiError {
    match unknown_member(message) {
        Some((name, known)) => unknown(name, known, ctx),
        None => wrong("body", message.to_owned(), ctx),
    }
}

/// Name and known names, of serde's "unknown field `a`, expected one of `b`, `c`".
fn unknown_member(message: &str) -> Option<(&str, Vec<&str>)> {
    let quoted: Vec<&str> = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2).collect();
    let (name, known) = quoted.split_first()?;
    Some((*name, known.to_vec()))
}

/// A name that means nothing here: 400, with those that do.
pub fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, ctx: &Ctx) -> ApiError {
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    let message = match (known.is_empty(), ctx.lang) {
        (true, Lang::Ko) => "알 수 없는 이름입니다. 여기에서는 아무것도 받지 않습니다.".to_owned(),
        (true, Lang::En) => "This name is not known; nothing is taken here.".to_owned(),
        (false, Lang::Ko) => format!("알 수 없는 이름입니다. 받는 이름: {known}"),
        (false, Lang::En) => format!("This name is not known; known are: {known}"),
    };
    wrong(name, message, ctx)
}
