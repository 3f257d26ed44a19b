//! What the server gives to every page and server function of one request (`ssr` only).
//!
//! The server builds one [`RequestContext`] per request and calls [`RequestContext::provide`] in the one context
//! closure that pages, server functions and the fallback share. Everything the browser needs of it travels in
//! [`crate::boot::Boot`].

pub use crate::boot::{Ports, SignIn};
use crate::cookies;
use async_trait::async_trait;
use domain::api::{Me, Theme};
use domain::{Lang, TenantId, Timestamp};
use leptos::nonce::Nonce;
use leptos::prelude::*;
use services::{Ctx, ServiceError, Services};
use std::sync::Arc;

/// The browser's session, as the server keeps it. Every method also sets the cookies of the response.
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Starts a session for a person under a new id.
    async fn login(&self, user_id: &str) -> Result<(), ServiceError>;
    /// Ends the session.
    async fn logout(&self) -> Result<(), ServiceError>;
    /// Remembers the tenant to show.
    async fn select_tenant(&self, tenant: &TenantId) -> Result<(), ServiceError>;
}

/// One request, as pages and server functions see it.
#[derive(Clone)]
pub struct RequestContext {
    /// The use cases.
    pub services: Services,
    /// Actor, request id, deadline.
    pub ctx: Arc<Ctx>,
    /// Profile, else cookie, else `Accept-Language`; see [`cookies::LANG`].
    pub lang: Lang,
    /// Profile, else cookie; see [`cookies::THEME`].
    pub theme: Theme,
    /// Who is signed in. Pages other than `/login` send a person without one there.
    pub me: Option<Me>,
    /// The browser's session.
    pub session: Arc<dyn SessionControl>,
    /// What Trunk put into `<head>`: everything between `<head>` and `</head>` of its `index.html`, with
    /// [`NONCE_PLACEHOLDER`] where the nonce goes.
    pub assets: Arc<str>,
    /// The nonce that the response's Content-Security-Policy names.
    pub nonce: Arc<str>,
    /// Whether the sign-in form is shown.
    pub sign_in: SignIn,
    /// The host name that the browser asked for, without port.
    pub host: Arc<str>,
    /// Ports that Connect prints.
    pub ports: Ports,
    /// The request's time: the one "now" of the whole page.
    pub now: Timestamp,
}

/// What Trunk writes for `nonce` in its fragment.
pub const NONCE_PLACEHOLDER: &str = "{{__TRUNK NONCE__}}";

impl RequestContext {
    /// Makes this request known to pages and server functions. To be called inside leptos_axum's additional
    /// context, which runs after its own nonce is set, so that ours wins.
    pub fn provide(self) {
        provide_context(Nonce::from_value(self.nonce.clone()));
        provide_context(self);
    }

    /// A cookie of the request.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let parts = use_context::<http::request::Parts>()?;
        cookies::find(&parts.headers, name)
    }
}

/// The request in hand; `None` while routes are being listed.
pub fn use_request() -> Option<RequestContext> {
    use_context::<RequestContext>()
}

/// Sends whoever asked for a page to another address (303), whatever they accept.
pub(crate) fn send_to(address: &str) {
    if let (Some(options), Ok(location)) =
        (use_context::<leptos_axum::ResponseOptions>(), http::HeaderValue::from_str(address))
    {
        options.set_status(http::StatusCode::SEE_OTHER);
        options.insert_header(http::header::LOCATION, location);
    }
}
