//! Who may do what, on which port.

mod harness;

use harness::{Answer, Client, PASSWORD, Server};
use http::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;

/// What each caller gets, in the order of [`CALLERS`].
type Expected = [u16; 6];
const CALLERS: [&str; 6] = ["anonymous", "viewer", "editor", "owner", "ingest token", "api token (viewer)"];

const READ: Expected = [401, 200, 200, 200, 403, 200];
const READ_ONE: Expected = [401, 404, 404, 404, 403, 404];
const WRITE_ONE: Expected = [401, 403, 404, 404, 403, 403];

/// Every operation of the REST API, with a body that is right. The path's parameters name things that do not exist, so
/// that those who may get 404, and those who may not 401 or 403.
const REST: &[(&str, &str, &str, Expected)] = &[
    // Open to all, so that its input is looked at first.
    ("POST", "/api/v1/auth/login", "{}", [400; 6]),
    ("GET", "/api/v1/me", "", READ),
    ("GET", "/api/v1/events", "", READ),
    ("GET", "/api/v1/events/histogram", "", READ),
    ("GET", "/api/v1/events/facets", "", READ),
    ("GET", "/api/v1/events/fields", "", READ),
    ("GET", "/api/v1/events/export", "", READ),
    ("GET", "/api/v1/events/{id}", "", READ_ONE),
    ("GET", "/api/v1/events/{id}/surroundings", "", READ_ONE),
    ("GET", "/api/v1/live", "", READ),
    ("POST", "/api/v1/ingest", "{\"message\":\"x\"}\n", [401, 403, 200, 200, 200, 403]),
    ("GET", "/api/v1/sources", "", READ),
    ("POST", "/api/v1/sources", r#"{"key":"made"}"#, [401, 403, 201, 409, 403, 403]),
    ("GET", "/api/v1/sources/{key}", "", READ_ONE),
    ("PUT", "/api/v1/sources/{key}", r#"{"name":"x"}"#, WRITE_ONE),
    ("DELETE", "/api/v1/sources/{key}", "", WRITE_ONE),
    ("GET", "/api/v1/sources/{key}/latest", "", READ_ONE),
    ("GET", "/api/v1/sources/{key}/metrics", "", READ_ONE),
    ("POST", "/api/v1/metrics/query", r#"{"metric":"value"}"#, READ),
    ("GET", "/api/v1/dead-letters", "", READ),
    ("GET", "/api/v1/dead-letters/summary", "", READ),
    ("POST", "/api/v1/dead-letters/replay", r#"{"filter":{}}"#, [401, 403, 200, 200, 403, 403]),
    ("POST", "/api/v1/dead-letters/discard", r#"{"filter":{}}"#, [401, 403, 200, 200, 403, 403]),
    ("GET", "/api/v1/dead-letters/{id}", "", READ_ONE),
    ("PATCH", "/api/v1/dead-letters/{id}", r#"{"text":"x"}"#, WRITE_ONE),
    ("POST", "/api/v1/dead-letters/{id}/replay", "", WRITE_ONE),
    ("POST", "/api/v1/dead-letters/{id}/discard", "", WRITE_ONE),
    ("POST", "/api/v1/dead-letters/{id}/reopen", "", WRITE_ONE),
    ("GET", "/api/v1/masking", "", [401, 403, 403, 200, 403, 403]),
    ("PUT", "/api/v1/masking", r#"{"rules":[{"kind":"kr_rrn"}]}"#, [401, 403, 403, 200, 403, 403]),
    ("GET", "/api/v1/tokens", "", [401, 403, 200, 200, 403, 403]),
    ("POST", "/api/v1/tokens", r#"{"kind":"ingest","name":"x"}"#, [401, 403, 201, 201, 403, 403]),
    ("DELETE", "/api/v1/tokens/{id}", "", WRITE_ONE),
    // Last: it ends the sessions.
    ("POST", "/api/v1/auth/logout", "", [401, 204, 204, 204, 204, 204]),
];

fn filled(path: &str) -> String {
    path.replace("{id}", "0190b5e1-0000-7000-8000-000000000000").replace("{key}", "no-such")
}

async fn callers(server: &Server) -> [Client; 6] {
    let back = server.back();
    [
        back.clone(),
        server.person("viewer").await,
        server.person("editor").await,
        back.clone().sign_in(harness::EMAIL).await,
        back.clone().bearer(&server.token("ingest", None).await),
        back.bearer(&server.token("api", None).await),
    ]
}

#[test]
fn every_documented_operation_stands_in_the_table() {
    let api = serde_json::to_value(server::rest::openapi()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let table: BTreeSet<_> =
        REST.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(documented, table);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_each_caller_as_the_table_says() {
    let server = Server::start().await;
    let callers = callers(&server).await;
    let mut wrong = Vec::new();
    for (method, path, body, expected) in REST {
        for ((client, who), expect) in callers.iter().zip(CALLERS).zip(expected) {
            let method: Method = method.parse().unwrap();
            // The live stream has no end: its head is enough.
            let client = client.clone().with("content-type", "application/json");
            let response = client.open(method.clone(), &filled(path), (*body).into()).await;
            if response.status().as_u16() != *expect {
                wrong.push(format!(
                    "{method} {path} as {who}: {} instead of {expect}",
                    response.status().as_u16()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.running.shutdown().await;
}

#[track_caller]
fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{problem}");
    assert_eq!(problem["request_id"], answer.header("x-request-id"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_in_the_caller_s_language() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    check_problem(&server.back().get("/api/v1/events").await, 401, "unauthenticated");
    check_problem(&server.back().bearer("qgx_nonsense").get("/api/v1/events").await, 401, "unauthenticated");
    check_problem(&api.get("/api/v1/nothing").await, 404, "not_found");
    check_problem(&api.ask(Method::PATCH, "/api/v1/events", "").await, 405, "method_not_allowed");
    check_problem(&api.get("/api/v1/events?limit=many").await, 400, "invalid");
    check_problem(&api.get("/api/v1/events?from=yesterday").await, 400, "invalid");
    let query = api.get("/api/v1/events?q=%28a").await;
    check_problem(&query, 400, "invalid");
    assert!(query.json()["errors"][0]["span"].is_array(), "{}", query.text());
    check_problem(&api.post("/api/v1/metrics/query", &json!({})).await, 400, "invalid");
    let korean = server.back().with("accept-language", "ko").get("/api/v1/me").await;
    assert_eq!(korean.json()["title"], "로그인이 필요합니다");
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_answers_on_a_port_where_it_does_not_belong() {
    let server = Server::start().await;
    let (front, back, management) = (server.front(), server.back(), server.management());
    for (_, path, ..) in REST {
        assert_eq!(front.get(&filled(path)).await.status, StatusCode::NOT_FOUND, "front {path}");
        assert_eq!(management.get(&filled(path)).await.status, StatusCode::NOT_FOUND, "management {path}");
    }
    for path in ["/metrics", "/livez", "/readyz", "/loglevel", "/buildinfo"] {
        assert_eq!(management.get(path).await.status, if path == "/loglevel" { 404 } else { 200 }, "{path}");
        assert_eq!(front.get(path).await.status, StatusCode::NOT_FOUND, "front {path}");
        assert_eq!(back.get(path).await.status, StatusCode::NOT_FOUND, "back {path}");
    }
    for (path, method) in server::web::server_functions() {
        for elsewhere in [&back, &management] {
            let answer = elsewhere.ask(method.clone(), path, "").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    for path in server::web::pages::paths().iter().filter(|path| !path.contains('{') && *path != "/") {
        assert_eq!(back.get(path).await.status, StatusCode::NOT_FOUND, "back {path}");
    }
    for (path, _) in server_fn::axum::server_fn_paths() {
        assert!(path.starts_with(server::web::SERVER_FN_PREFIX), "{path} has no prefix of a known web");
    }
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_gives_a_safe_cookie_and_signing_out_ends_it() {
    let server = Server::start().await;
    let input = json!({ "email": harness::EMAIL, "password": PASSWORD });
    let answer = server.back().post("/api/v1/auth/login", &input).await.ok();
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("qgx_app=") && cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    assert!(!cookie.contains("Secure"), "Safari keeps no Secure cookie on http://localhost: {cookie}");

    let signed_in = server.back().sign_in(harness::EMAIL).await;
    let me = signed_in.get("/api/v1/me").await.ok().json();
    assert_eq!((&me["user"]["email"], &me["role"]), (&json!(harness::EMAIL), &json!("owner")));
    let other_site = signed_in.clone().with("origin", "https://evil.example");
    check_problem(&other_site.post("/api/v1/sources", &json!({ "key": "x" })).await, 403, "cross_site");
    assert_eq!(signed_in.post("/api/v1/auth/logout", &json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(signed_in.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);

    let elsewhere = server.back().with("host", "192.168.0.7:31090");
    check_problem(&elsewhere.post("/api/v1/auth/login", &input).await, 403, "plain_http");
    let wrong = json!({ "email": harness::EMAIL, "password": "not the password" });
    check_problem(&server.back().post("/api/v1/auth/login", &wrong).await, 401, "bad_credentials");
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_the_cookie_is_of_the_host_alone() {
    let server = Server::start_with(&[
        ("QGX_TRUSTED_PROXIES", "127.0.0.0/8"),
        ("QGX_PUBLIC_URL", "https://qgx.example.com"),
    ])
    .await;
    let input = json!({ "email": harness::EMAIL, "password": PASSWORD });
    let proxied = server
        .back()
        .with("host", "qgx.example.com")
        .with("x-forwarded-proto", "https")
        .with("origin", "https://qgx.example.com");
    let answer = proxied.post("/api/v1/auth/login", &input).await.ok();
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-qgx_app=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(!answer.header("strict-transport-security").is_empty());
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_sent_twice_is_made_once() {
    let server = Server::start().await;
    let owner = server.back().sign_in(harness::EMAIL).await.with("idempotency-key", "k1");
    let input = json!({ "kind": "ingest", "name": "line 1" });
    let first = owner.post("/api/v1/tokens", &input).await.ok();
    let second = owner.post("/api/v1/tokens", &input).await.ok();
    assert_eq!(first.body, second.body);
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", "true"));
    let other = owner.post("/api/v1/tokens", &json!({ "kind": "ingest", "name": "line 2" })).await;
    check_problem(&other, 422, "idempotency_key_reused");
    assert_eq!(owner.get("/api/v1/tokens").await.ok().json()["total"], 1);
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_again() {
    let limits = [("QGX_API_REQUESTS_PER_SEC", "1"), ("QGX_API_REQUESTS_BURST", "3")];
    let server = Server::start_with(&limits).await;
    let api = server.back().bearer(&server.token("api", None).await);
    for _ in 0..3 {
        api.get("/api/v1/me").await.ok();
    }
    let refused = api.get("/api/v1/me").await;
    check_problem(&refused, 429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    let other = server.back().bearer(&server.token("api", None).await);
    other.get("/api/v1/me").await.ok();
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_the_headers_that_keep_browsers_safe() {
    let server = Server::start().await;
    let page = server.front().get("/login").await.ok();
    let policy = page.header("content-security-policy");
    let nonce = policy.split_once("'nonce-").unwrap().1.split('\'').next().unwrap();
    assert!(policy.contains("'strict-dynamic'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(nonce.len() >= 22, "{policy}");
    let again = server.front().get("/login").await.ok();
    assert!(!again.header("content-security-policy").contains(nonce), "a nonce is used once");
    for (answer, what) in [(page, "page"), (server.back().get("/api/v1/openapi.json").await.ok(), "api")] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{what}");
        assert!(
            !answer.header("referrer-policy").is_empty() && !answer.header("permissions-policy").is_empty()
        );
        assert!(
            answer.header("strict-transport-security").is_empty(),
            "plain http must not pin https: {what}"
        );
    }
    let docs = server.back().get("/api/v1/docs/").await.ok();
    assert!(docs.text().contains("swagger"), "{}", docs.text());
    assert!(docs.header("content-security-policy").contains("script-src 'self'"));
    server.running.shutdown().await;
}

/// A server function's path, its arguments, whether they go as JSON, and what anonymous, viewer, editor, owner get.
type Function = (&'static str, &'static str, Encoding, [u16; 4]);

#[derive(Clone, Copy)]
enum Encoding {
    Form,
    Json,
}
use Encoding::{Form, Json};

const SEE: [u16; 4] = [401, 200, 200, 200];
const ID: &str = r#"{"id":"0190b5e1-0000-7000-8000-000000000000"}"#;

/// Every server function. What exists for nobody answers 404 to those who may.
const FUNCTIONS: &[Function] = &[
    ("change-masking", "was=phone+mask+&gone=1", Form, [401, 403, 403, 404]),
    ("create-source", "key=made", Form, [401, 403, 200, 200]),
    ("create-token", "kind=ingest&name=x", Form, [401, 403, 200, 200]),
    ("delete-source", "key=no-such", Form, [401, 403, 404, 404]),
    ("event", ID, Json, [401, 404, 404, 404]),
    ("facets", r#"{"filter":{"q":"","range":RANGE},"fields":["level"],"size":5}"#, Json, SEE),
    ("fields", r#"{"range":RANGE}"#, Json, SEE),
    ("histogram", r#"{"filter":{"q":"","range":RANGE},"buckets":10}"#, Json, SEE),
    ("import-sources", "csv=key%0Aimported", Form, [401, 403, 200, 200]),
    // Open: the sign-in page has them too.
    ("language", "lang=en", Form, [200; 4]),
    ("login", "email=nobody%40example.com&password=wrong+wrong+wrong", Form, [401; 4]),
    ("masking", "{}", Json, [401, 403, 403, 200]),
    ("metrics", r#"{"query":{"metric":"value","aggregate":"avg","range":RANGE}}"#, Json, SEE),
    ("nearest", r#"{"filter":{"q":"","range":RANGE}}"#, Json, SEE),
    ("overview", "{}", Json, SEE),
    ("password", "current=wrong+wrong+wrong&new=another+long+one", Form, [401, 200, 200, 200]),
    ("profile", "name=x", Form, SEE),
    ("refusals", "{}", Json, [401, 403, 200, 200]),
    ("revoke-session", "id=none", Form, [401, 404, 404, 404]),
    ("revoke-sessions", "", Form, SEE),
    ("revoke-token", "id=99", Form, [401, 403, 404, 404]),
    ("search", r#"{"filter":{"q":"","range":RANGE},"order":"desc","limit":5,"cursor":null}"#, Json, SEE),
    ("select-tenant", "tenant=t_none", Form, [404, 404, 404, 404]),
    ("sessions", "{}", Json, SEE),
    ("source", r#"{"key":"no-such"}"#, Json, [401, 404, 404, 404]),
    ("sources", r#"{"list":{"search":"","limit":5}}"#, Json, SEE),
    ("surroundings", ID, Json, [401, 404, 404, 404]),
    ("theme", "theme=dark", Form, [200; 4]),
    ("tokens", r#"{"kind":null}"#, Json, [401, 403, 200, 200]),
    ("try-masking", "text=x&kind=phone&action=mask", Form, [401, 403, 403, 200]),
    ("update-source", "key=no-such&name=x&offline_after_secs=60", Form, [401, 403, 404, 404]),
    ("values", r#"{"field":"level","prefix":"","range":RANGE}"#, Json, SEE),
    // Last: it ends the sessions.
    ("logout", "", Form, [200; 4]),
];

#[test]
fn every_server_function_stands_in_the_table() {
    let registered: BTreeSet<String> =
        server::web::server_functions().into_iter().map(|(path, _)| path.to_owned()).collect();
    let table: BTreeSet<String> =
        FUNCTIONS.iter().map(|(name, ..)| format!("{}{name}", server::web::SERVER_FN_PREFIX)).collect();
    assert_eq!(registered, table);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_function_answers_each_caller_as_the_table_says() {
    let server = Server::start().await;
    let front = |client: Client| Client {
        address: server.running.addresses.front.unwrap(),
        headers: client.with("origin", &server.front().origin()).headers,
    };
    let callers = [
        front(server.front()),
        front(server.person("viewer").await),
        front(server.person("editor").await),
        front(server.back().sign_in(harness::EMAIL).await),
    ];
    let range = r#"{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z"}"#;
    let mut wrong = Vec::new();
    for (name, body, encoding, expected) in FUNCTIONS {
        let content_type = match encoding {
            Form => "application/x-www-form-urlencoded",
            Json => "application/json",
        };
        let body = body.replace("RANGE", range);
        for ((client, who), expect) in callers.iter().zip(CALLERS).zip(expected) {
            let client = client.clone().with("content-type", content_type).with("accept", "application/json");
            let path = format!("{}{name}", server::web::SERVER_FN_PREFIX);
            let answer = client.ask(Method::POST, &path, body.clone()).await;
            // A redirect of a call without scripts stands for done.
            let status = if answer.status.is_redirection() { 200 } else { answer.status.as_u16() };
            if status != *expect {
                let text = answer.text();
                wrong.push(format!("{name} as {who}: {status} instead of {expect}: {text:.200}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_roads_of_the_web_are_guarded() {
    let server = Server::start().await;
    let front = server.front();
    for path in ["/api/app/live?totals=1", "/download/events"] {
        assert_eq!(front.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let cross = front.with("origin", "https://evil.example").with("sec-fetch-site", "cross-site");
    let refused = cross.ask(Method::POST, "/api/app/login", "email=a&password=b").await;
    check_problem(&refused, 403, "cross_site");
    server.running.shutdown().await;
}
