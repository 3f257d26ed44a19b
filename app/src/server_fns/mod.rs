//! What the browser asks of the server. Paths are fixed: `/api/app/<name>`. Every body is context, service, error.

pub mod account;
pub mod auth;
pub mod events;
pub mod overview;
pub mod sources;
pub mod tastes;
pub mod tokens;

#[cfg(feature = "ssr")]
mod request {
    use crate::context::{RequestContext, use_request};
    use crate::error::{Answer, AppError};
    use leptos::prelude::use_context;
    use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
    use services::ServiceError;

    /// The request in hand.
    pub(super) fn request() -> Answer<RequestContext> {
        use_request().ok_or_else(|| {
            AppError::from_server_fn_error(ServerFnErrorErr::MiddlewareError("no request context".to_owned()))
        })
    }

    /// The answer of a service as the browser gets it, with the status to match.
    pub(super) fn answer<T>(result: Result<T, ServiceError>, request: &RequestContext) -> Answer<T> {
        result.map_err(|error| {
            if let (Some(options), Ok(status)) =
                (use_context::<leptos_axum::ResponseOptions>(), http::StatusCode::from_u16(error.status()))
                && is_call()
            {
                options.set_status(status);
            }
            AppError::of(&error, request)
        })
    }

    /// Whether the browser called a server function, rather than asked for a page that calls it while rendering, or
    /// sent a form without scripts (which is sent back to where it came from, with the error in the address).
    fn is_call() -> bool {
        use_context::<http::request::Parts>().is_some_and(|parts| {
            let html = parts.headers.get(http::header::ACCEPT).and_then(|v| v.to_str().ok());
            parts.uri.path().starts_with("/api/") && !html.is_some_and(|v| v.contains("text/html"))
        })
    }

    /// Adds a cookie to the response.
    pub(super) fn append_cookie(line: &str) {
        if let (Some(options), Ok(value)) =
            (use_context::<leptos_axum::ResponseOptions>(), http::HeaderValue::from_str(line))
        {
            options.append_header(http::header::SET_COOKIE, value);
        }
    }
}
#[cfg(feature = "ssr")]
use request::{answer, append_cookie, request};
