//! Pages and server functions, rendered in one and the same context.

use super::{WebState, returned};
use crate::http::actor::Profile;
use crate::http::extract::read_body;
use crate::http::headers::CspNonce;
use crate::http::session::{BrowserSession, cookie_name};
use crate::http::{Caller, RequestOrigin};
use app::context::{RequestContext, SignIn};
use app::cookies;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use domain::Timestamp;
use domain::api::Theme;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use leptos::prelude::Owner;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// The paths of all pages, in the router's form.
pub fn paths() -> Vec<String> {
    let mut paths: Vec<String> = app::routes().iter().map(|listing| listing.path().to_owned()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The one context of pages, server functions and the fallback; `None` where the middleware is missing.
fn context(state: &WebState, request: &Request) -> Option<RequestContext> {
    let extensions = request.extensions();
    let Caller(ctx) = extensions.get::<Caller>()?.clone();
    let origin = extensions.get::<RequestOrigin>()?;
    let session = extensions.get::<BrowserSession>()?.clone();
    let me = extensions.get::<Profile>().map(|Profile(me)| me.as_ref().clone());
    let profile_theme = me.as_ref().and_then(|me| me.user.as_ref()).map(|user| user.theme);
    Some(RequestContext {
        services: state.services.clone(),
        lang: ctx.lang,
        theme: profile_theme.unwrap_or_else(|| cookie_theme(request.headers())),
        me,
        session: Arc::new(session),
        assets: state.assets.head(),
        nonce: extensions.get::<CspNonce>()?.0.clone(),
        sign_in: if cookie_name(origin).is_some() { SignIn::Allowed } else { SignIn::PlainHttp },
        host: origin.host().into(),
        ports: state.ports_for(origin.host()),
        now: Timestamp::now(),
        ctx,
    })
}

fn cookie_theme(headers: &HeaderMap) -> Theme {
    match cookies::find(headers, cookies::THEME).as_deref() {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        _ => Theme::System,
    }
}

/// A page.
pub async fn page(State(state): State<WebState>, request: Request) -> Response {
    render(&state, request).await
}

/// Everything that is no page: said so in the language and frame of the web.
pub async fn not_found(State(state): State<WebState>, request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") || !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    }
    let mut response = render(&state, request).await;
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// Every page is rendered whole, in `Async` mode, so that status and cookies can still be set.
async fn render(state: &WebState, request: Request) -> Response {
    let address = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if let Some(address) = returned::forged(address, &state.services) {
        return Redirect::to(&address).into_response();
    }
    let Some(context) = context(state, &request) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let owner = Arc::new(OnceLock::new());
    let found = Arc::clone(&owner);
    let provide = move || {
        if let Some(current) = Owner::current() {
            // Called once a page; were it called again, the first would be the page's own all the same.
            let _ = found.set(current);
        }
        context.clone().provide();
    };
    let future = leptos_axum::render_app_async_with_context(provide, app::shell)(request);
    let mut response = Owned { owner, future }.await;
    uncached(&mut response);
    response
}

/// Renders with the page's own reactive owner in force at every step. Leptos 0.8 leaves it between rendering the body
/// and writing the head; where the runtime goes on with the request on another thread just then, a title that reads a
/// signal finds no arena, or that of another request, and panics.
struct Owned<F> {
    owner: Arc<OnceLock<Owner>>,
    future: F,
}

impl<F: Future + Unpin> Future for Owned<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.owner.get().cloned() {
            Some(owner) => owner.with(|| Pin::new(&mut self.future).poll(cx)),
            None => Pin::new(&mut self.future).poll(cx),
        }
    }
}

/// The largest body of a server function: an import of sources (5 MiB), as forms escape it.
const FORM_MAX: usize = 16 << 20;
/// The same of somebody who is not signed in: nothing but signing in.
const FORM_MAX_OF_STRANGERS: usize = 64 << 10;

/// A server function.
pub async fn server_function(State(state): State<WebState>, request: Request) -> Response {
    let Some(context) = context(&state, &request) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Leptos reads a body to its end, however long that is.
    let (parts, body) = request.into_parts();
    let most = if context.me.is_some() { FORM_MAX } else { FORM_MAX_OF_STRANGERS };
    let request = match read_body(body, most, &context.ctx).await {
        Ok(body) => Request::from_parts(parts, Body::from(body)),
        Err(error) => return error.into_response(),
    };
    let provide = move || context.clone().provide();
    let answer = leptos_axum::handle_server_fns_with_context(provide, request).await;
    let mut response = answer.into_response().map(Body::new);
    returned::seal(response.headers_mut(), &state.services);
    uncached(&mut response);
    response
}

/// What a person sees is theirs, and is asked for anew each time.
fn uncached(response: &mut Response) {
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
}
