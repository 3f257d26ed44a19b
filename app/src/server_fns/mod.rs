//! What the browser asks of the server. Paths are fixed: `/api/app/<name>`. Every body is context, service, error.

pub mod account;
pub mod auth;
pub mod events;
pub mod masking;
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

    /// The answer to a form. What the person got wrong travels inside a call that went well: browsers write every
    /// failed call to their console. A form sent without scripts has no inside, and goes back with its mistake.
    pub(super) fn form_answer<T>(
        result: Result<T, ServiceError>,
        request: &RequestContext,
    ) -> Answer<Answer<T>> {
        match result {
            Err(error @ (ServiceError::Invalid(_) | ServiceError::Conflict { .. })) if is_call() => {
                Ok(Err(AppError::of(&error, request)))
            }
            result => answer(result, request).map(Ok),
        }
    }

    /// What arguments that cannot be read are answered: 400, where a server function was called.
    pub(crate) fn wrong_arguments(error: &ServerFnErrorErr) -> Option<AppError> {
        let (ServerFnErrorErr::Args(_)
        | ServerFnErrorErr::MissingArg(_)
        | ServerFnErrorErr::Deserialization(_)) = error
        else {
            return None;
        };
        let request = use_request()?;
        if !use_context::<http::request::Parts>()?.uri.path().starts_with("/api/") {
            return None;
        }
        let form = request.lang.pick("요청의 형식이 맞지 않습니다.", "The request has the wrong form.");
        answer::<()>(Err(ServiceError::invalid("arguments", form)), &request).err()
    }

    /// Whether the browser called a server function, rather than asked for a page that calls it while rendering, or
    /// sent a form without scripts (which is sent back to where it came from, with the error in the address).
    pub(super) fn is_call() -> bool {
        use_context::<http::request::Parts>().is_some_and(|parts| {
            let html = parts.headers.get(http::header::ACCEPT).and_then(|v| v.to_str().ok());
            parts.uri.path().starts_with("/api/") && !html.is_some_and(|v| v.contains("text/html"))
        })
    }

    /// Hands a secret from a form sent without scripts to the page that comes next: sealed, for cookies go to every
    /// port of the host, and bound to the session, for others may plant cookies.
    pub(super) fn hand_over(request: &RequestContext, secret: &str) {
        let services::Actor::Person(person) = &request.ctx.actor else { return };
        // Without a key it cannot be shown; the token can be made again.
        if let Ok(sealed) = request.services.seal(&format!("{} {secret}", person.session_id)) {
            append_cookie(&crate::cookies::once(crate::cookies::MADE, &sealed));
        }
    }

    /// The secret handed over, which is read once.
    pub(crate) fn take_over(request: &RequestContext) -> Option<String> {
        let sealed = request.cookie(crate::cookies::MADE)?;
        append_cookie(&crate::cookies::over(crate::cookies::MADE));
        let services::Actor::Person(person) = &request.ctx.actor else { return None };
        let opened = request.services.open(&sealed).ok()?;
        opened.strip_prefix(&person.session_id)?.strip_prefix(' ').map(str::to_owned)
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
use request::{answer, append_cookie, form_answer, hand_over, is_call, request};
#[cfg(feature = "ssr")]
pub(crate) use request::{take_over, wrong_arguments};
