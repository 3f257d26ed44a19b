//! Who is asking: a bearer token, a signed-in person, or nobody.

use super::csrf::accept_language;
use super::origin::RequestOrigin;
use super::problem::ApiError;
use super::session::BrowserSession;
use super::stack::HttpState;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::Lang;
use domain::api::Me;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use services::{Actor, Ctx, ServiceError};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a read may take.
pub const READ_DEADLINE: Duration = Duration::from_secs(30);

/// The caller, as services know it; an extension of each request, put there by [`identify`].
#[derive(Clone)]
pub struct Caller(pub Arc<Ctx>);

/// What a signed-in person's profile says; an extension of their requests.
#[derive(Clone)]
pub struct Profile(pub Arc<Me>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error", "")
        })
    }
}

/// Middleware: finds out who asks. A wrong token is refused here; no credential at all is [`Actor::Anonymous`], and
/// services decide. When the client leaves, what was begun for it is cancelled.
pub async fn identify(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let Some(origin) = request.extensions().get::<RequestOrigin>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let lang = asked_language(request.headers());
    let authorization = request.headers().get(header::AUTHORIZATION).cloned();
    let session = request.extensions().get::<BrowserSession>().cloned();
    let actor = match find_actor(&state, authorization, session, &origin).await {
        Ok(actor) => actor,
        Err(error) => return ApiError::new(&error, lang, &origin.request_id).into_response(),
    };
    let cancel = CancellationToken::new();
    let guard = cancel.clone().drop_guard();
    let mut ctx = Ctx {
        actor,
        request_id: origin.request_id.clone(),
        lang,
        peer: Some(origin.client),
        deadline: Instant::now() + READ_DEADLINE,
        cancel,
    };
    if matches!(ctx.actor, Actor::Person(_)) {
        match state.services.me(&ctx).await {
            Ok(me) => {
                ctx.lang = me.user.as_ref().and_then(|user| user.lang).unwrap_or(lang);
                request.extensions_mut().insert(Profile(Arc::new(me)));
            }
            Err(error) => return ApiError::of(&error, &ctx).into_response(),
        }
    }
    request.extensions_mut().insert(Caller(Arc::new(ctx)));
    next.run(request).await.map(|body| Body::new(GuardedBody { body, _guard: guard }))
}

async fn find_actor(
    state: &HttpState,
    authorization: Option<HeaderValue>,
    session: Option<BrowserSession>,
    origin: &RequestOrigin,
) -> Result<Actor, ServiceError> {
    if let Some(value) = authorization {
        let secret = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, secret)| secret.trim())
            .ok_or(ServiceError::Unauthenticated)?;
        let (client, now) = (origin.client, std::time::Instant::now());
        if state.guesses.is_wrong(client, secret, now) {
            return Err(ServiceError::Unauthenticated);
        }
        state.guesses.may_ask(client, secret, now).map_err(|retry_after| {
            metrics::counter!("qgx_http_guesses_refused_total", "site" => state.site.name()).increment(1);
            ServiceError::RateLimited { retry_after }
        })?;
        let found = state.services.token_actor(secret, Some(client)).await;
        if matches!(found, Ok(_) | Err(ServiceError::Unauthenticated)) {
            state.guesses.answered(client, secret, found.is_ok(), now);
        }
        return found.map(Actor::Token);
    }
    let Some(session) = session else { return Ok(Actor::Anonymous) };
    let Some(user_id) = session.user_id().await? else { return Ok(Actor::Anonymous) };
    let (tenant, session_id) = (session.tenant().await?, session.id().unwrap_or_default());
    let person = state.services.person(&user_id, &session_id, tenant.as_ref()).await?;
    Ok(person.map_or(Actor::Anonymous, Actor::Person))
}

/// The language that a request asks for: the cookie that the web keeps, else `Accept-Language`.
fn asked_language(headers: &HeaderMap) -> Lang {
    app::cookies::find(headers, app::cookies::LANG)
        .and_then(|tag| Lang::from_tag(&tag))
        .unwrap_or_else(|| accept_language(headers))
}

/// A body that cancels what feeds it when it is dropped before its end.
struct GuardedBody {
    body: Body,
    _guard: DropGuard,
}

impl hyper::body::Body for GuardedBody {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
