//! What roles tell each other: on the processor's port, and only to who shows a service key.

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use services::{ProcessStatus, Services, StageStatus};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// How the pipeline does.
pub const PIPELINE_PATH: &str = "/internal/v1/pipeline";

/// The keys, hashed: of one length, whatever theirs is.
type Keys = Arc<[[u8; 32]]>;

/// Everything that the processor's listener serves.
pub fn router(services: Services, service_keys: &[String]) -> Router {
    let keys: Keys = service_keys.iter().map(|key| Sha256::digest(key).into()).collect();
    Router::new()
        .route(PIPELINE_PATH, get(pipeline))
        .with_state(services)
        // What is not there is told to nobody without a key either.
        .layer(from_fn_with_state(keys, expect_key))
}

async fn expect_key(State(keys): State<Keys>, request: Request, next: Next) -> Response {
    if holds_key(request.headers(), &keys) {
        return next.run(request).await;
    }
    metrics::counter!("qgx_internal_refusals_total").increment(1);
    let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
    (StatusCode::UNAUTHORIZED, challenge, "show a service key (QGX_SERVICE_KEYS) as a bearer token\n")
        .into_response()
}

/// Looks at all keys, each in the same time, whichever fits.
fn holds_key(headers: &HeaderMap, keys: &[[u8; 32]]) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    let given: [u8; 32] = Sha256::digest(given.trim()).into();
    keys.iter().fold(false, |found, key| found | bool::from(key.ct_eq(&given)))
}

async fn pipeline(State(services): State<Services>) -> Json<Value> {
    let own: Vec<_> = services.status().stages().iter().map(stage).collect();
    let processes: Vec<_> = services.processes().iter().map(process).collect();
    Json(json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "stages": own,
        "processes": processes,
    }))
}

/// What a process told of itself over the live bus.
pub fn process(of: &ProcessStatus) -> Value {
    let stages: Vec<_> = of.stages.iter().filter(|stage| stage.last_active.is_some()).map(stage).collect();
    json!({
        "process": of.process,
        "pid": of.pid,
        "roles": of.roles,
        "at": of.at,
        "started_at": of.started_at,
        "stages": stages,
    })
}

/// A stage's figures, as programs read them.
pub fn stage(of: &StageStatus) -> Value {
    json!({
        "stage": of.stage.name(),
        "records_per_sec": of.records_per_sec,
        "bytes_per_sec": of.bytes_per_sec,
        "backlog_records": of.backlog.records,
        "oldest_secs": of.age.map(|age| age.as_secs_f64()),
        "failing": of.failing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_of_two_keys_opens_and_nothing_else() {
        let keys: Vec<[u8; 32]> =
            ["first-key-of-the-two", "second-key-of-the-two"].map(|key| Sha256::digest(key).into()).to_vec();
        let check = |shown: Option<&'static str>, expect: bool| {
            let headers = shown
                .map(|shown| (header::AUTHORIZATION, HeaderValue::from_static(shown)))
                .into_iter()
                .collect();
            assert_eq!(holds_key(&headers, &keys), expect, "{shown:?}");
        };
        check(Some("Bearer first-key-of-the-two"), true);
        check(Some("Bearer second-key-of-the-two"), true);
        check(Some("Bearer first-key-of-the-tw"), false);
        check(Some("Bearer "), false);
        check(Some("first-key-of-the-two"), false);
        check(Some("Basic first-key-of-the-two"), false);
        check(None, false);
        assert!(!holds_key(
            &[(header::AUTHORIZATION, HeaderValue::from_static("Bearer "))].into_iter().collect(),
            &[]
        ));
    }
}
