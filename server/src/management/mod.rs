//! The management listener: is it alive, is it ready, how is it doing, and how much does it log.
//!
//! It knows no callers; it stands on loopback unless somebody says otherwise.

use crate::serve::Readiness;
use axum::extract::{FromRequest, Request, State};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use services::Services;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use telemetry::{LogHandle, PrometheusHandle};

/// What the endpoints answer from.
#[derive(Clone)]
pub struct ManagementState {
    /// Whether requests may come.
    pub readiness: Arc<Readiness>,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// The log lines; `None` where another program embeds the server.
    pub logs: Option<LogHandle>,
    /// The pipeline's figures, once the stores are open.
    pub services: Arc<OnceLock<Services>>,
}

/// The routes.
pub fn router(state: ManagementState) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/buildinfo", get(|| async { Json(build_info()) }))
        .route("/loglevel", get(log_level).put(set_log_level))
        .with_state(state)
}

/// Version and build of this program.
pub fn build_info() -> serde_json::Value {
    serde_json::json!({
        "name": "qgx",
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("QGX_BUILD_COMMIT"),
        "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "rust": option_env!("QGX_BUILD_RUSTC"),
    })
}

async fn readyz(State(state): State<ManagementState>) -> impl IntoResponse {
    match state.readiness.problem() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

async fn metrics(State(state): State<ManagementState>) -> impl IntoResponse {
    if let Some(services) = state.services.get() {
        publish_pipeline(services).await;
    }
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], state.metrics.render())
}

/// The figures that are states, not events: taken when asked for.
async fn publish_pipeline(services: &Services) {
    for stage in services.status().stages() {
        let name = stage.stage.name();
        metrics::gauge!("qgx_stage_records_per_second", "stage" => name).set(stage.records_per_sec);
        metrics::gauge!("qgx_stage_bytes_per_second", "stage" => name).set(stage.bytes_per_sec);
        metrics::gauge!("qgx_stage_backlog_records", "stage" => name).set(stage.backlog.records as f64);
        metrics::gauge!("qgx_stage_backlog_bytes", "stage" => name).set(stage.backlog.bytes as f64);
        metrics::gauge!("qgx_stage_oldest_age_seconds", "stage" => name)
            .set(stage.age.map_or(0.0, |age| age.as_secs_f64()));
        metrics::gauge!("qgx_stage_failing", "stage" => name).set(if stage.failing.is_some() {
            1.0
        } else {
            0.0
        });
        metrics::counter!("qgx_stage_records_total", "stage" => name).absolute(stage.records);
        metrics::counter!("qgx_stage_bytes_total", "stage" => name).absolute(stage.bytes);
    }
    if let Ok(stats) = services.stores().index.stats().await {
        metrics::gauge!("qgx_index_indexes").set(stats.indexes as f64);
        metrics::gauge!("qgx_index_segments").set(stats.segments as f64);
        metrics::gauge!("qgx_index_events").set(stats.events as f64);
        metrics::gauge!("qgx_index_stored_bytes").set(stats.bytes as f64);
    }
    if let Ok(bytes) = services.stores().broker.stored_bytes().await {
        metrics::gauge!("qgx_broker_stored_bytes").set(bytes as f64);
    }
}

async fn log_level(State(state): State<ManagementState>) -> impl IntoResponse {
    match &state.logs {
        Some(logs) => (StatusCode::OK, format!("{}\n", logs.level())),
        None => (StatusCode::NOT_FOUND, "the embedding program keeps the logs\n".to_owned()),
    }
}

/// The body of `PUT /loglevel`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLevel {
    level: String,
}

/// Whether a page of some site may stand behind a request. Browsers say so by `Origin` or `Sec-Fetch-Site`; a name that
/// was pointed at this address by somebody else (DNS rebinding) shows in `Host`.
fn from_a_page(headers: &HeaderMap, authority: Option<&Authority>) -> bool {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let Some(host) = authority.or(host.as_ref()).map(Authority::host) else { return true };
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let local = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    !local && name.parse::<IpAddr>().is_err()
}

async fn set_log_level(State(state): State<ManagementState>, request: Request) -> impl IntoResponse {
    if from_a_page(request.headers(), request.uri().authority()) {
        let text = "ask by an address or as localhost, and not from a browser's page\n";
        return (StatusCode::FORBIDDEN, text.to_owned());
    }
    let Ok(Json(LogLevel { level })) = Json::<LogLevel>::from_request(request, &()).await else {
        let text = "send {\"level\":\"debug\"} with content-type: application/json\n";
        return (StatusCode::BAD_REQUEST, text.to_owned());
    };
    let Some(logs) = &state.logs else {
        return (StatusCode::NOT_FOUND, "the embedding program keeps the logs\n".to_owned());
    };
    match logs.set_level(level.trim()) {
        Ok(()) => {
            tracing::info!(level = level.trim(), "the log level was changed");
            (StatusCode::OK, format!("{}\n", logs.level()))
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_programs() {
        fn check(headers: &[(&'static str, &'static str)], expect: bool) {
            let map = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(from_a_page(&map, None), expect, "{headers:?}");
        }
        check(&[("host", "localhost:31100")], false);
        check(&[("host", "127.0.0.1:31100")], false);
        check(&[("host", "[::1]:31100")], false);
        check(&[("host", "10.1.2.3:31100")], false);
        check(&[("host", "rebound.example:31100")], true);
        check(&[("host", "localhost.example:31100")], true);
        check(&[("host", "localhost:31100"), ("origin", "http://localhost:31100")], true);
        check(&[("host", "localhost:31100"), ("sec-fetch-site", "same-origin")], true);
        check(&[], true);
    }
}
