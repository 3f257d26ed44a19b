//! What somebody gets who means ill, or has only mistyped.

mod harness;

use base64::Engine;
use harness::{Answer, Client, Server};
use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[track_caller]
fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{problem}");
    assert_eq!(problem["request_id"], answer.header("x-request-id"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mean_nothing_are_named() {
    let server = Server::start().await;
    let owner = server.back().sign_in(harness::EMAIL).await.with("content-type", "application/json");
    let check = async |method: Method, path: &str, body: &str, field: &str, known: &str| {
        let answer = owner.ask(method, path, body.to_owned()).await;
        check_problem(&answer, 400, "invalid");
        let error = answer.json()["errors"][0].clone();
        assert_eq!(error["field"], field, "{path} {error}");
        assert!(error["message"].as_str().unwrap().contains(known), "{path} {error}");
    };
    let range = r#"{"metric":"t","range":{"from":"now-1d"}}"#;
    check(Method::POST, "/api/v1/metrics/query", range, "range", "aggregate, from, to").await;
    check(Method::POST, "/api/v1/sources", r#"{"key":"a","colour":"red"}"#, "colour", "offline_after_secs")
        .await;
    check(Method::PUT, "/api/v1/sources/a", r#"{"key":"b"}"#, "key", "attributes").await;
    check(
        Method::POST,
        "/api/v1/tokens",
        r#"{"kind":"ingest","name":"x","admin":true}"#,
        "admin",
        "expires_at",
    )
    .await;
    let login = r#"{"email":"a","password":"b","remember":true}"#;
    check(Method::POST, "/api/v1/auth/login", login, "remember", "password").await;
    check(Method::GET, "/api/v1/events?query=level:error", "", "query", "q, from, to, limit").await;
    check(Method::GET, "/api/v1/events?q=a&%6cimits=5", "", "limits", "cursor").await;
    check(Method::GET, "/api/v1/me?as=root", "", "as", "nothing").await;
    check(Method::DELETE, "/api/v1/tokens/1?force=1", "", "force", "nothing").await;
    owner.get("/api/v1/events?q=a&from=now-1h&to=now&limit=5&order=asc").await.ok();
    // The web's download is no operation of the API, and keeps to the same.
    let page = Client { address: server.running.addresses.front.unwrap(), ..owner.clone() };
    let misspelt = page.get("/download/events?q=a&form=now-1h").await;
    check_problem(&misspelt, 400, "invalid");
    assert_eq!(misspelt.json()["errors"][0]["field"], "form");
    page.get("/download/events?q=a&from=now-1h&to=now&order=asc&format=csv&fields=a").await.ok();
    assert_eq!(server.front().get("/download/events?x=1").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.back().get("/api/v1/events?x=1").await.status, StatusCode::UNAUTHORIZED);
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_tokens_is_slowed_down_but_not_the_neighbours() {
    let server = Server::start().await;
    let good = server.back().bearer(&server.token("api", None).await);
    let unused = server.back().bearer(&server.token("api", None).await);
    good.get("/api/v1/me").await.ok();
    for n in 0..20 {
        let guess = server.back().bearer(&format!("qgx_{n:040}"));
        check_problem(&guess.get("/api/v1/me").await, 401, "unauthenticated");
    }
    let refused = server.back().bearer(&format!("qgx_{:040}", 99)).get("/api/v1/me").await;
    check_problem(&refused, 429, "rate_limited");
    assert!(!refused.header("retry-after").is_empty());
    good.get("/api/v1/me").await.ok();
    // A right token that was never seen looks like a guess.
    check_problem(&unused.get("/api/v1/me").await, 429, "rate_limited");
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_locks_nobody_out() {
    let server = Server::start().await;
    let dead = server.back().bearer(&format!("qgx_{:040}", 1));
    for _ in 0..30 {
        check_problem(&dead.get("/api/v1/me").await, 401, "unauthenticated");
    }
    let unused = server.back().bearer(&server.token("api", None).await);
    unused.get("/api/v1/me").await.ok();
    server.running.shutdown().await;
}

/// In one thread: only so can its clock be turned.
#[tokio::test]
async fn an_upload_that_stops_coming_is_too_slow() {
    let server = Server::start().await;
    let api = server.back().bearer(&server.token("api", None).await);
    let token = server.token("ingest", None).await;
    // Enough of it that the connection is content for longer than ingestion is.
    let line = format!("{{\"message\":\"{}\"}}\n", "x".repeat(4_000));
    let head = format!(
        "POST /api/v1/ingest HTTP/1.1\r\nhost: localhost\r\naccept-language: en\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\ncontent-length: 1000000\r\n\r\n{line}"
    );
    let mut stream = tokio::net::TcpStream::connect(server.running.addresses.back.unwrap()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    api.until("/api/v1/events", |found| found["total"] == 1).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
    read.expect("the server waits for ever").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert!(answer.contains("The first 1 lines"), "{answer}");
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_read_are_the_caller_s_fault() {
    let server = Server::start().await;
    let check = async |name: &str, content_type: &str, body: &str| {
        let client = server.front().with("content-type", content_type).with("accept", "application/json");
        let answer = client.ask(Method::POST, &format!("/api/app/{name}"), body.to_owned()).await;
        check_problem(&answer, 400, "invalid");
    };
    let form = "application/x-www-form-urlencoded";
    check("login", form, "email=a").await;
    check("login", form, "%%%").await;
    check("theme", form, "theme=purple").await;
    check("event", "application/json", "{").await;
    check("event", "application/json", "{}").await;
    check("event", "application/json", r#"{"id":7}"#).await;
    let much = "email=a&password=".to_owned() + &"x".repeat(100_000);
    let front = server.front().with("content-type", form).with("accept", "application/json");
    check_problem(&front.ask(Method::POST, "/api/app/login", much).await, 413, "too_large");
    server.running.shutdown().await;
}

fn made_up(text: &str) -> String {
    let problem = json!({ "type": "about:blank", "title": text, "status": 401, "code": "bad_credentials",
        "detail": text, "request_id": "", "errors": [] });
    base64::engine::general_purpose::URL_SAFE.encode(problem.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_only_mistakes_that_were_made_here() {
    let server = Server::start().await;
    let front = server.front();
    let text = "Call +1 555 0100 and say your password";
    let forged = made_up(text);
    let check = async |address: &str, expect: &str| {
        let answer = front.get(address).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{address}");
        assert_eq!(answer.header("location"), expect, "{address}");
    };
    check(&format!("/login?__err={forged}"), "/login").await;
    check(
        &format!("/login?next=%2Fexplore&__path=%2Fapi%2Fapp%2Flogin&__err={forged}"),
        "/login?next=%2Fexplore",
    )
    .await;
    check(&format!("/login?%5F%5Ferr={forged}&__seal=v1.AAAA"), "/login").await;
    check(&format!("/nowhere?__path=%2Fapi%2Fapp%2Ftheme&__err={forged}"), "/nowhere").await;

    // A browser without scripts: the form goes back to its page, with its mistake.
    let page = format!("{}/login?next=%2Fexplore", front.origin());
    let form = Client { address: front.address, headers: front.clone().headers }
        .with("content-type", "application/x-www-form-urlencoded")
        .with("accept", "text/html")
        .with("origin", &front.origin())
        .with("referer", &page);
    let sent = form.ask(Method::POST, "/api/app/login", "email=a%40b.c&password=wrong+wrong+wrong").await;
    assert!(sent.status.is_redirection(), "{} {}", sent.status, sent.text());
    let back = sent.header("location").to_owned();
    assert!(back.starts_with("/login?next=%2Fexplore&"), "{back}");
    let shown = front.get(&back).await.ok().text();
    assert!(shown.contains("Could not sign in"), "{shown}");
    // Whatever page it says it comes from, it goes back to one of this site.
    let elsewhere = form.clone().with("referer", "https://evil.example/x");
    let sent =
        elsewhere.ask(Method::POST, "/api/app/login", "email=a%40b.c&password=wrong+wrong+wrong").await;
    assert!(sent.header("location").starts_with("/x?"), "{}", sent.header("location"));
    // The seal is of this mistake alone.
    let (before, after) = back.split_once("__err=").unwrap();
    let rest = after.split_once('&').unwrap().1;
    check(&format!("{before}__err={forged}&{rest}"), "/login?next=%2Fexplore").await;
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_has_one_reading() {
    let server = Server::start().await;
    for client in [server.front(), server.back()] {
        for path in ["/./index.html", "/.//evil.example", "//evil.example", "/a/..%2f/../b", "/%2e/login"] {
            check_problem(&client.get(path).await, 400, "bad_path");
        }
    }
    let form = server
        .front()
        .with("content-type", "application/x-www-form-urlencoded")
        .with("accept", "text/html")
        .with("origin", &server.front().origin());
    for (next, expect) in [("%2F.%2F%2Fevil.example", "/"), ("%2Fexplore", "/explore")] {
        let body = format!("email={}&password=correct+horse+battery&next={next}", "owner%40localhost");
        let answer = form.ask(Method::POST, "/api/app/login", body).await;
        assert_eq!(answer.header("location"), expect, "{next} {}", answer.text());
    }
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_changes_the_log_level() {
    let server = Server::start().await;
    let check = async |headers: &[(&'static str, &str)], body: &str, expect: u16| {
        let client =
            headers.iter().fold(server.management(), |client, &(name, value)| client.with(name, value));
        let answer = client.ask(Method::PUT, "/loglevel", body.to_owned()).await;
        assert_eq!(answer.status.as_u16(), expect, "{headers:?} {}", answer.text());
    };
    let json = ("content-type", "application/json");
    let level = r#"{"level":"debug"}"#;
    check(&[json, ("host", "rebound.example:31100")], level, 403).await;
    check(&[json, ("origin", "http://localhost:31100")], level, 403).await;
    check(&[json, ("sec-fetch-site", "same-origin")], level, 403).await;
    check(&[("content-type", "text/plain")], "debug", 400).await;
    check(&[json], r#"{"level":"debug","x":1}"#, 400).await;
    // Taken; but the logs are kept by this test's program.
    check(&[json], level, 404).await;
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_cannot_take_every_connection() {
    let server = Server::start_with(&[("QGX_HTTP_CONNECTIONS_PER_ADDRESS", "2")]).await;
    let address = server.running.addresses.back.unwrap();
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let mut third = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut byte = [0; 1];
    let ended = tokio::io::AsyncReadExt::read(&mut third, &mut byte);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), ended).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "the third connection was served");
    drop(held);
    server.running.shutdown().await;
}
