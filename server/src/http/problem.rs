//! Errors as problem details (RFC 9457), in the caller's language.

use axum::response::{IntoResponse, Response};
use domain::Lang;
use domain::api::{FieldProblem, Problem};
use http::{HeaderValue, StatusCode, header};
use services::{Ctx, ServiceError};
use std::time::Duration;

/// An answer that is an error.
#[derive(Debug)]
pub struct ApiError {
    problem: Box<Problem>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// From the services' error; an internal one is logged here, once, with its cause.
    pub fn of(error: &ServiceError, ctx: &Ctx) -> Self {
        Self::new(error, ctx.lang, &ctx.request_id)
    }

    /// As [`ApiError::of`], before there is a [`Ctx`].
    pub fn new(error: &ServiceError, lang: Lang, request_id: &str) -> Self {
        error.log(request_id);
        Self { problem: Box::new(error.problem(lang, request_id)), retry_after: error.retry_after() }
    }

    /// An error that arises before any service is asked.
    pub fn plain(status: StatusCode, code: &str, title: &str, request_id: &str) -> Self {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            code: code.to_owned(),
            request_id: request_id.to_owned(),
            errors: Vec::new(),
        };
        Self { problem: Box::new(problem), retry_after: None }
    }

    /// One wrong input.
    pub fn invalid(field: &str, ko: &str, en: &str, ctx: &Ctx) -> Self {
        let problem =
            FieldProblem { field: field.to_owned(), message: ctx.lang.pick(ko, en).to_owned(), span: None };
        Self::of(&ServiceError::Invalid(vec![problem]), ctx)
    }

    /// The same with an explanation.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.problem.detail = Some(detail.into());
        self
    }

    /// What it says.
    pub fn into_problem(self) -> Problem {
        *self.problem
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            // At least a second: Retry-After has no fractions (RFC 9110 §10.2.3).
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"qgx\""));
        }
        response
    }
}

/// Maps a service's result onto an answer.
pub trait ProblemExt<T> {
    /// The error as problem details for this caller.
    ///
    /// # Errors
    /// The same, mapped.
    fn problem(self, ctx: &Ctx) -> Result<T, ApiError>;
}

impl<T> ProblemExt<T> for Result<T, ServiceError> {
    fn problem(self, ctx: &Ctx) -> Result<T, ApiError> {
        self.map_err(|error| ApiError::of(&error, ctx))
    }
}
