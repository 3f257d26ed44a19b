//! Headers that keep browsers from doing more than we ask.

use super::origin::RequestOrigin;
use super::stack::{HttpState, Site};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use http::{HeaderName, HeaderValue, header};
use std::sync::Arc;

/// The nonce of a response's Content-Security-Policy; an extension of each request.
#[derive(Clone)]
pub struct CspNonce(pub Arc<str>);

impl CspNonce {
    fn new() -> Self {
        let mut random = [0; 18];
        getrandom::fill(&mut random).expect("the system gives random bytes");
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random).into())
    }
}

/// The policy of the web: scripts by nonce only, styles from here, nothing from anywhere else. Style attributes are
/// allowed, because server-rendered views set widths and colours by them.
fn web_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'strict-dynamic' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
         style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    )
}

/// The policy of answers that are no pages.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The policy of the API's browsable page, whose styles stand in its page.
pub const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                               img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
                               form-action 'none'; frame-ancestors 'none'";

/// Middleware: sets them, without overwriting what a handler chose.
pub async fn secure(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let nonce = CspNonce::new();
    request.extensions_mut().insert(nonce.clone());
    let https = request.extensions().get::<RequestOrigin>().is_some_and(|origin| origin.https);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    match state.site {
        Site::App => set(header::CONTENT_SECURITY_POLICY, &web_policy(&nonce.0)),
        Site::Api => set(header::CONTENT_SECURITY_POLICY, API_POLICY),
    }
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    // Forms without scripts are sent back to where they came from, by the referrer: same origin needs it.
    set(header::REFERRER_POLICY, "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()",
    );
    if https {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}
