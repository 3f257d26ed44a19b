//! The middleware of every web and API listener, assembled in one place.
//!
//! From the outside in: origin and request id, measurement, secure headers, panics, size of the head, plain path,
//! cross-site guard, session, actor, rate limit. A handler so finds a [`super::Caller`] and never looks at a header to
//! know who asks.

use super::guesses::Guesses;
use super::idempotency::Idempotency;
use super::problem::ApiError;
use super::rate::RateLimit;
use super::{actor, csrf, head, headers, origin, path, rate, red, session};
use crate::config::Config;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::StatusCode;
use ipnet::IpNet;
use services::Services;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// Which site a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// The user web.
    App,
    /// The REST API.
    Api,
}

impl Site {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "front",
            Self::Api => "back",
        }
    }

    /// Whose sessions it takes: the API's are those of the user web, so that a signed-in person can call it.
    pub fn sessions(self) -> &'static str {
        "app"
    }
}

/// What the middleware needs. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// The use cases.
    pub services: Services,
    /// Which site.
    pub site: Site,
    /// Origins of our own pages.
    pub public_origins: Arc<[String]>,
    /// Requests a token or person may make.
    pub rate: Arc<RateLimit>,
    /// Wrong tokens.
    pub guesses: Arc<Guesses>,
    /// Answers to creations.
    pub idempotency: Idempotency,
    /// How long a session lives without a visit.
    pub session_idle: Duration,
    trusted: Arc<[IpNet]>,
}

impl HttpState {
    /// For a site, from the settings.
    pub fn new(services: Services, site: Site, config: &Config) -> Self {
        let web = &config.web;
        Self {
            services,
            site,
            public_origins: web.public_url.iter().chain(&web.api_public_url).cloned().collect(),
            rate: Arc::new(RateLimit::new(web.requests_per_sec, web.requests_burst)),
            guesses: Arc::default(),
            idempotency: Idempotency::default(),
            session_idle: web.session_idle,
            trusted: config.trusted_proxies.as_slice().into(),
        }
    }

    /// Puts all of the middleware around a router.
    pub fn wrap(&self, router: Router) -> Router {
        self.guarded(self.identified(router))
    }

    /// The inner part: who asks, and how often.
    pub fn identified(&self, router: Router) -> Router {
        router
            .layer(from_fn_with_state(self.clone(), rate::limit))
            .layer(from_fn_with_state(self.clone(), actor::identify))
            .layer(from_fn_with_state(self.clone(), session::open))
            .layer(from_fn_with_state(self.clone(), csrf::guard))
    }

    /// The outer part, which every answer needs.
    pub fn guarded(&self, router: Router) -> Router {
        router
            .layer(from_fn(path::plain))
            .layer(from_fn(head::limit))
            .layer(from_fn(catch_panics))
            .layer(from_fn_with_state(self.clone(), headers::secure))
            .layer(from_fn_with_state(self.clone(), red::measure))
            .layer(from_fn_with_state(Arc::clone(&self.trusted), origin::note))
    }
}

async fn catch_panics(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let request_id =
        request.extensions().get::<origin::RequestOrigin>().map(|origin| Arc::clone(&origin.request_id));
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            let request_id = request_id.unwrap_or_default();
            tracing::error!(%request_id, "a handler panicked");
            metrics::counter!("qgx_http_panics_total").increment(1);
            ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", &request_id)
                .into_response()
        }
    }
}
