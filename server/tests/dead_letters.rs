//! Dead letters, from bytes that are no event to an event all the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use harness::{Client, Server};
use http::Method;
use serde_json::{Value, json};
use server::control::execute;

/// The letters of a list, once there are so many.
async fn letters(api: &Client, filter: &str, count: usize) -> Vec<Value> {
    let path = format!("/api/v1/dead-letters?{filter}");
    let found = api.until(&path, |found| found["total"] == count).await;
    found["items"].as_array().unwrap().clone()
}

fn path(letter: &Value, what: &str) -> String {
    format!("/api/v1/dead-letters/{}{what}", letter["id"].as_str().unwrap())
}

async fn patch(api: &Client, letter: &Value, edit: &Value) -> harness::Answer {
    let json = api.clone().with("content-type", "application/json");
    json.ask(Method::PATCH, &path(letter, ""), serde_json::to_vec(edit).unwrap()).await
}

#[track_caller]
fn check_problem(answer: &harness::Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].as_str()),
        (status, Some(code)),
        "{}",
        answer.text()
    );
}

async fn command(server: &Server, command: Value) -> Value {
    let command = serde_json::from_value(command).unwrap();
    execute(&server.running.services, command, domain::Lang::En).await.unwrap()
}

/// A token's secret of another tenant.
async fn stranger(server: &Server) -> Client {
    command(server, json!({ "command": "tenant_create", "slug": "other", "name": "Other", "zone": "Asia/Seoul", "retention": "30d" })).await;
    let made = command(server, json!({
        "command": "token_create", "tenant": "other", "kind": "api", "name": "t", "source": null, "role": "owner",
        "expires_at": null,
    }))
    .await;
    server.back().bearer(made["token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_found_mended_and_replayed_once() {
    let server = Server::start().await;
    let editor = server.person("editor").await;
    let viewer = server.person("viewer").await;
    server.send(b"{\"source\":\"pump-1\",\"temp\":1}\n{\"temp\": }\n").await;
    let found = letters(&viewer, "", 1).await;
    let letter = &found[0];
    assert_eq!((&letter["code"], &letter["state"]), (&json!("invalid_json"), &json!("open")));
    assert_eq!((&letter["protocol"], &letter["not_replayable"]), (&json!("ndjson"), &Value::Null));
    let shown = viewer.get(&path(letter, "")).await.ok().json();
    assert_eq!(shown["original"], json!({ "text": "{\"temp\": }" }));
    assert_eq!(
        (&shown["preview"]["code"], &shown["preview"]["event"]),
        (&json!("invalid_json"), &Value::Null)
    );

    // As it is, it fails again, and stays.
    check_problem(&editor.post(&path(letter, "/replay"), &json!({})).await, 409, "not_replayable");
    assert_eq!(viewer.get(&path(letter, "")).await.ok().json()["letter"]["state"], "open");

    let wrong = patch(&editor, letter, &json!({ "text": "{\"temp\":" })).await;
    check_problem(&wrong, 400, "invalid");
    assert_eq!(wrong.json()["errors"][0]["field"], "text");
    let mended = "{\"temp\": 81.5, \"source\": \"pump-1\", \"owner\": \"900101-1234567\"}";
    let only = patch(&editor, letter, &json!({ "text": mended, "preview": true })).await.ok().json();
    assert_eq!(only["preview"]["event"]["fields"]["temp"], 81.5);
    assert_eq!(
        viewer.get(&path(letter, "")).await.ok().json()["edited"],
        Value::Null,
        "a preview keeps nothing"
    );
    check_problem(&patch(&viewer, letter, &json!({ "text": mended })).await, 403, "forbidden");
    check_problem(&patch(&editor, letter, &json!({ "text": "x", "base64": "eA==" })).await, 400, "invalid");
    let edited = patch(&editor, letter, &json!({ "text": mended })).await.ok().json();
    assert_eq!(
        edited["edited"]["text"],
        mended.replace("1234567", "*******"),
        "the rules hold for people too"
    );
    assert_eq!(edited["original"]["text"], "{\"temp\": }");
    assert_eq!(edited["letter"]["edited_by"], "editor@example.com");

    let done = editor.post(&path(letter, "/replay"), &json!({})).await.ok().json();
    assert_eq!((&done["state"], &done["event_id"]), (&json!("replayed"), &letter["id"]));
    assert_eq!(done["resolved_by"], "editor@example.com");
    let event_path = "/api/v1/events?q=source:pump-1%20temp%3E80";
    let events = viewer.until(event_path, |found| found["total"] == 1).await;
    assert_eq!(events["items"][0]["id"], letter["id"]);
    assert_eq!(events["items"][0]["fields"]["owner"], "900101-*******");
    assert_eq!(events["items"][0]["ts"], letter["at"], "it happened when it came");

    // Again changes nothing; nor does what can no longer be done.
    let again = editor.post(&path(letter, "/replay"), &json!({})).await.ok().json();
    assert_eq!(again, done);
    check_problem(&editor.post(&path(letter, "/discard"), &json!({})).await, 409, "replayed");
    check_problem(&patch(&editor, letter, &json!({ "original": true })).await, 409, "replayed");
    let other = stranger(&server).await;
    check_problem(&other.get(&path(letter, "")).await, 404, "not_found");
    check_problem(&other.post(&path(letter, "/replay"), &json!({})).await, 404, "not_found");
    assert_eq!(other.get("/api/v1/dead-letters").await.ok().json()["total"], 0);
    let bulk =
        other.post("/api/v1/dead-letters/discard", &json!({ "ids": [letter["id"]] })).await.ok().json();
    assert_eq!((&bulk["done"], &bulk["failures"][0]["code"]), (&json!(0), &json!("not_found")));
    // With a second tenant nobody is let in without a token.
    let token = server.token("ingest", None).await;
    server.send(format!("AUTH {token}\n{{\"source\":\"pump-1\",\"temp\":90}}\n").as_bytes()).await;
    // What came after it in its partition is there: nothing else will be.
    viewer.until("/api/v1/events?q=temp:90", |found| found["total"] == 1).await;
    assert_eq!(viewer.get(event_path).await.ok().json()["total"], 2);
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_or_blanked_says_so() {
    let server = Server::start_with(&[("QGX_INGEST_FRAME_MAX_BYTES", "1024")]).await;
    let api = server.back().bearer(&server.token("api", Some("editor")).await);
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(2_000));
    server.send(long.as_bytes()).await;
    server.send(b"{\"a\": 900101-1234567}\n").await;
    server.send(b"{\"b\":\"\xff\xfe\x01\", }\n").await;
    letters(&api, "", 3).await;
    let cut = letters(&api, "code=frame_too_large", 1).await.remove(0);
    assert_eq!((&cut["not_replayable"], &cut["length"]), (&json!("cut"), &json!(long.len() - 1)));
    check_problem(&api.post(&path(&cut, "/replay"), &json!({})).await, 409, "cut");
    check_problem(&patch(&api, &cut, &json!({ "text": "{\"a\":1}" })).await, 409, "cut");
    let shown = api.get(&path(&cut, "")).await.ok().json();
    assert_eq!(
        (&shown["preview"]["code"], shown["sha256"].as_str().map(str::len)),
        (&json!("cut"), Some(64))
    );

    let all = letters(&api, "code=invalid_json", 2).await;
    let (blanked, binary): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|letter| letter["not_replayable"] == "blanked");
    check_problem(&api.post(&path(&blanked[0], "/replay"), &json!({})).await, 409, "blanked");
    patch(&api, &blanked[0], &json!({ "text": "{\"a\":1,\"qgx_token\":\"x\"}" })).await.ok();
    let done = api.post(&path(&blanked[0], "/replay"), &json!({})).await.ok().json();
    assert_eq!(done["state"], "replayed");

    let shown = api.get(&path(&binary[0], "")).await.ok().json();
    assert!(shown["original"]["text"].is_null() && shown["original"]["base64"].is_string(), "{shown}");
    assert!(
        shown["original"]["hex"].as_str().unwrap().starts_with("0000  7b 22 62 22 3a 22 ff fe 01 "),
        "{shown}"
    );
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_replayed_and_discarded_at_once() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", Some("editor")).await);
    let bad: String = (0..40).map(|n| format!("{{\"n\":{n},}}\n")).collect();
    server.send(bad.as_bytes()).await;
    server.send(b"{\"early\": 1}\n[1]\n").await;
    let all = letters(&api, "limit=100", 41).await;
    let page = api.get("/api/v1/dead-letters?limit=30").await.ok().json();
    let rest = format!("/api/v1/dead-letters?limit=30&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = api.get(&rest).await.ok().json();
    let ids = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect::<Vec<_>>()
    };
    let paged: Vec<_> = ids(&page).into_iter().chain(ids(&rest)).collect();
    assert_eq!(paged, all.iter().map(|it| it["id"].clone()).collect::<Vec<_>>());
    let summary = api.get("/api/v1/dead-letters/summary").await.ok().json();
    assert_eq!((&summary[0]["code"], &summary[0]["open"]), (&json!("invalid_json"), &json!(40)));

    for letter in all.iter().filter(|it| it["code"] == "invalid_json").take(3) {
        patch(&api, letter, &json!({ "text": "{\"mended\":1}" })).await.ok();
    }
    let filter = json!({ "filter": { "code": "invalid_json" } });
    let report = api.post("/api/v1/dead-letters/replay", &filter).await.ok().json();
    assert_eq!(
        (&report["done"], &report["failed"], &report["next_cursor"]),
        (&json!(3), &json!(37), &Value::Null)
    );
    assert_eq!(report["failures"].as_array().unwrap().len(), 37);
    api.until("/api/v1/events?q=mended:1", |found| found["total"] == 3).await;

    let report = api.post("/api/v1/dead-letters/discard", &filter).await.ok().json();
    assert_eq!((&report["done"], &report["failed"]), (&json!(37), &json!(0)));
    assert_eq!(letters(&api, "state=open", 1).await[0]["code"], "not_an_object");
    let discarded = letters(&api, "state=discarded", 37).await;
    check_problem(&api.post(&path(&discarded[0], "/replay"), &json!({})).await, 409, "discarded");
    let open = api.post(&path(&discarded[0], "/reopen"), &json!({})).await.ok().json();
    assert_eq!((&open["state"], &open["resolved_by"]), (&json!("open"), &Value::Null));

    let wrong = api.post("/api/v1/dead-letters/replay", &json!({})).await;
    check_problem(&wrong, 400, "invalid");
    let wrong = api.get("/api/v1/dead-letters?from=yesterday&source=%01").await;
    assert_eq!(wrong.json()["errors"].as_array().unwrap().len(), 2, "{}", wrong.text());
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_replays_without_a_server() {
    let server = Server::start().await;
    let token = server.token("api", Some("editor")).await;
    server.send(b"{\"a\": }\n").await;
    let letter = letters(&server.back().bearer(&token), "", 1).await.remove(0);
    let Server { running, dir } = server;
    running.shutdown().await;

    let config = harness::config(dir.path(), &[]);
    let run = async |command: Value| {
        let command = serde_json::from_value(command).unwrap();
        server::control::client::run(&config, command, domain::Lang::En).await.unwrap()
    };
    let listed =
        run(json!({ "command": "dead_letter_list", "tenant": "default", "query": {}, "limit": 10 })).await;
    assert_eq!(listed[0]["id"], letter["id"]);
    let edit = json!({ "command": "dead_letter_edit", "tenant": "default", "id": letter["id"], "base64": "eyJhIjoxfQ==" });
    assert_eq!(run(edit).await["edited"]["text"], "{\"a\":1}");
    let replay = json!({ "command": "dead_letter_replay", "tenant": "default", "selection": { "ids": [letter["id"]] } });
    assert_eq!(run(replay.clone()).await["done"], 1);
    assert_eq!(run(replay).await["before"], 1);

    let running = server::start(harness::config(dir.path(), &[])).await.unwrap();
    let server = Server { running, dir };
    let api = server.back().bearer(&token);
    let found = api.until("/api/v1/events?q=a:1&from=now-1h", |found| found["total"] == 1).await;
    assert_eq!(found["items"][0]["id"], letter["id"]);
    let done = api.get(&path(&letter, "")).await.ok().json();
    assert_eq!(
        (&done["letter"]["state"], &done["letter"]["resolved_by"]),
        (&json!("replayed"), &json!("cli"))
    );
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_letters_are_kept_and_replayed_as_well() {
    let Some(servers) = store::testing::wanted("QGX_TEST_KAFKA", "the bootstrap servers of a Kafka") else {
        return;
    };
    let (url, prefix) = (format!("kafka://{servers}"), format!("letters-{}.", std::process::id()));
    let settings = [
        ("QGX_BROKER_URL", url.as_str()),
        ("QGX_KAFKA_PREFIX", prefix.as_str()),
        ("QGX_KAFKA_PARTITIONS", "2"),
        ("QGX_KAFKA_REPLICATION", "1"),
        ("QGX_KAFKA_MIN_IN_SYNC", "1"),
    ];
    let dir = tempfile::tempdir().unwrap();
    server::serve::stores::prepare(&harness::config(dir.path(), &settings)).await.unwrap();
    let server = Server::start_with(&settings).await;
    let api = server.back().bearer(&server.token("api", Some("editor")).await);
    let token = server.token("ingest", None).await;
    server.send(format!("AUTH {token}\n{{\"a\": }}\n").as_bytes()).await;
    let letter = letters(&api, "", 1).await.remove(0);
    patch(&api, &letter, &json!({ "text": "{\"a\":1}" })).await.ok();
    let done = api.post(&path(&letter, "/replay"), &json!({})).await.ok().json();
    assert_eq!(done["state"], "replayed");
    let found = api.until("/api/v1/events?q=a:1", |found| found["total"] == 1).await;
    assert_eq!(found["items"][0]["id"], letter["id"]);
    server.running.shutdown().await;
}
