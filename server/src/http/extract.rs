//! Extractors whose rejections are problem details.

use super::actor::Caller;
use super::problem::ApiError;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use domain::api::FieldProblem;
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
        let bytes = axum::body::to_bytes(body, BODY_MAX).await.map_err(|_| {
            let text = ctx.lang.pick("본문은 1 MiB까지 보낼 수 있습니다.", "A body may have at most 1 MiB.");
            ApiError::of(&ServiceError::TooLarge(text.to_owned()), &ctx)
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| wrong("body", error.to_string(), &ctx))
    }
}
