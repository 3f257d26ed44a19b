//! Rate, errors and duration of each endpoint, by its pattern, never by its path.

use super::stack::HttpState;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;

/// Middleware: counts and times. The time is that until the answer begins; streams go on after it.
pub async fn measure(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let labels = [
        ("site", state.site.name().to_owned()),
        ("method", known_method(method)),
        ("route", route),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("qgx_http_requests_total", &labels).increment(1);
    metrics::histogram!("qgx_http_request_seconds", &labels[..3]).record(started.elapsed().as_secs_f64());
    response
}

/// Made-up methods must not make series.
fn known_method(method: String) -> String {
    match method.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => "other".to_owned(),
    }
}
