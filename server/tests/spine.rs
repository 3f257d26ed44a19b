//! From a TCP byte to an answer of the REST API.

mod harness;

use bytes::Bytes;
use harness::Server;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_by_tcp_is_found() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    let hot = "{\"message\":\"베어링 과열\",\"temperature\":81.5,\"source\":\"pump-1\"}\n";
    server.send(hot.as_bytes()).await;
    server.send(b"plain line\n").await;

    let all = api.until("/api/v1/events", |found| found["total"] == 2).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    assert!(all["next_cursor"].is_null());
    let found = api.get("/api/v1/events?q=%EA%B3%BC%EC%97%B4%20temperature%3E=80").await.ok().json();
    assert_eq!(found["total"], 1);
    let event = &found["items"][0];
    assert_eq!(event["source"], "pump-1");
    assert_eq!(event["fields"], json!({ "temperature": 81.5 }));
    assert!(event.get("tenant").is_none());

    let id = event["id"].as_str().unwrap();
    assert_eq!(&api.get(&format!("/api/v1/events/{id}")).await.ok().json(), event);
    let around = api.get(&format!("/api/v1/events/{id}/surroundings")).await.ok().json();
    assert_eq!(around["event"], *event);
    let facets = api.get("/api/v1/events/facets?fields=source").await.ok().json();
    assert_eq!(facets[0]["distinct"], 2, "{facets}");
    let histogram = api.get("/api/v1/events/histogram?buckets=10").await.ok().json();
    assert_eq!(histogram["total"], 2);
    let names = api.get("/api/v1/events/fields").await.ok().json();
    assert!(names.as_array().unwrap().iter().any(|field| field["name"] == "temperature"), "{names}");
    // The registry follows the index within the batch.
    let sources = api.until("/api/v1/sources?search=pump", |found| found["total"] == 1).await;
    assert_eq!((&sources["total"], &sources["items"][0]["state"]), (&json!(1), &json!("online")));
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_charted() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    server.send(b"{\"source\":\"m\",\"value\":2}\n{\"source\":\"m\",\"value\":4}\n").await;
    api.until("/api/v1/events?q=kind:metric", |found| found["total"] == 2).await;
    api.until("/api/v1/sources?search=m", |found| found["total"] == 1).await;
    let query = json!({ "metric": "value", "aggregate": "max", "from": "now-1h" });
    let chart = api.post("/api/v1/metrics/query", &query).await.ok().json();
    assert_eq!((&chart["extremes"]["min"], &chart["extremes"]["max"]), (&json!(2.0), &json!(4.0)), "{chart}");
    let latest = api.get("/api/v1/sources/m/latest").await.ok().json();
    assert_eq!(latest[0]["metric"], "value");
    assert_eq!(api.get("/api/v1/sources/m/metrics").await.ok().json(), json!(["value"]));
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_exports_hold_everything_once() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    let lines: String = (0..250).map(|n| format!("{{\"message\":\"=cmd {n}\",\"n\":{n}}}\n")).collect();
    server.send(lines.as_bytes()).await;
    api.until("/api/v1/events", |found| found["total"] == 250).await;

    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/events?limit=100{cursor}")).await.ok().json();
        for event in page["items"].as_array().unwrap() {
            assert!(seen.insert(event["id"].as_str().unwrap().to_owned()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 250);

    let export = api.get("/api/v1/events/export").await.ok();
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    assert_eq!(export.text().lines().count(), 250);
    let csv = api.get("/api/v1/events/export?format=csv&fields=n&order=asc").await.ok();
    let text = csv.text();
    assert!(text.starts_with("id,ts,received_at,source,kind,level,message,n\r\n"), "{text:.80}");
    assert!(text.contains(",'=cmd 7,7\r\n"), "a formula must not start a cell");
    assert_eq!(text.lines().count(), 251);
    let wrong = api.get("/api/v1/events/export?q=%28").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.text());
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_s_sister_stores_before_it_answers_and_once_a_key() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    let sender = server.back().bearer(&server.token("ingest", None).await).with("idempotency-key", "batch-1");
    for _ in 0..2 {
        let answer =
            sender.ask(Method::POST, "/api/v1/ingest", "{\"message\":\"a\"}\n{\"message\":\"b\"}\n").await;
        assert_eq!(answer.ok().json()["accepted"], 2);
    }
    sender
        .clone()
        .with("idempotency-key", "2")
        .ask(Method::POST, "/api/v1/ingest", "{\"message\":\"c\"}\n")
        .await
        .ok();
    api.until("/api/v1/events?q=c", |found| found["total"] == 1).await;
    assert_eq!(api.get("/api/v1/events").await.ok().json()["total"], 3);
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_is_heard_live_and_ends_with_the_server() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    let response = api.open(Method::GET, "/api/v1/live?q=hot", Bytes::new()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut body = response.into_body();
    server.send(b"{\"message\":\"hot\"}\n{\"message\":\"cold\"}\n").await;
    let mut heard = String::new();
    while !heard.contains("\"type\":\"tail\"") {
        let frame = tokio::time::timeout(std::time::Duration::from_secs(20), body.frame()).await;
        let frame = frame.expect("a message in time").expect("no end yet").unwrap();
        heard.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
    }
    assert!(heard.contains("hot") && !heard.contains("cold"), "{heard}");
    server.running.shutdown().await;
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything() {
    let server = Server::start().await;
    let token = server.token("api", None).await;
    server.send(b"{\"message\":\"kept\"}\n").await;
    server.back().bearer(&token).until("/api/v1/events?q=kept", |found| found["total"] == 1).await;
    let Server { running, dir } = server;
    running.shutdown().await;
    let running = server::start(harness::config(dir.path(), &[])).await.unwrap();
    let server = Server { running, dir };
    let found = server.back().bearer(&token).get("/api/v1/events?q=kept").await.ok().json();
    assert_eq!(found["total"], 1);
    server.running.shutdown().await;
}
