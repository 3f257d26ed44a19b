//! Starting and stopping a process, and administration beside it.

mod harness;

use domain::Lang;
use harness::{Server, config};
use http::Method;
use server::control::{Command, client};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_has_one_server_and_a_socket_for_its_owner() {
    let server = Server::start().await;
    let second = server::start(config(server.dir.path(), &[])).await;
    let message = second.err().expect("a second server must not start").to_string();
    assert!(message.contains("is in use by process"), "{message}");

    let socket = server.running.addresses.control.clone();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let settings = config(server.dir.path(), &[]);
    let tenants = client::run(&settings, Command::TenantList, Lang::En).await.unwrap();
    assert_eq!(tenants[0]["slug"], "default");
    let wrong = Command::SourceList { tenant: "none".to_owned() };
    let message = client::run(&settings, wrong, Lang::En).await.unwrap_err().to_string();
    assert!(message.contains("tenant"), "{message}");

    server.running.shutdown().await;
    assert!(!socket.exists());
    // Nobody is there any more: the same command opens the stores itself.
    let tenants = client::run(&settings, Command::TenantList, Lang::En).await.unwrap();
    assert_eq!(tenants[0]["slug"], "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_addresses_that_are_taken_are_named() {
    let server = Server::start().await;
    let other = tempfile::tempdir().unwrap();
    let taken = [
        ("QGX_FRONT_LISTEN", server.running.addresses.front.unwrap().to_string()),
        ("QGX_BACK_LISTEN", server.running.addresses.back.unwrap().to_string()),
    ];
    let taken: Vec<(&str, &str)> = taken.iter().map(|(name, address)| (*name, address.as_str())).collect();
    let message = server::start(config(other.path(), &taken)).await.err().unwrap().to_string();
    assert!(message.contains("front_listen") && message.contains("back_listen"), "{message}");
    assert!(message.contains("--port-offset"), "{message}");
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn management_tells_how_it_is() {
    let server = Server::start().await;
    let management = server.management();
    assert_eq!(management.get("/livez").await.ok().text(), "ok\n");
    assert_eq!(management.get("/readyz").await.ok().text(), "ready\n");
    assert_eq!(management.get("/buildinfo").await.ok().json()["name"], "qgx");
    let token = server.token("api", None).await;
    server.send(b"{\"message\":\"x\"}\n").await;
    server.back().bearer(&token).until("/api/v1/events", |found| found["total"] == 1).await;
    let metrics = management.get("/metrics").await.ok().text();
    for name in [
        "qgx_http_requests_total{site=\"back\",method=\"GET\",route=\"/api/v1/events\",status=\"200\"}",
        "qgx_http_request_seconds_bucket",
        "qgx_stage_records_total{stage=\"processor\"}",
        "qgx_index_events",
        "qgx_broker_stored_bytes",
    ] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    assert!(!metrics.contains("default") && !metrics.contains(&token), "no tenant and no secret in metrics");
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_watches_itself() {
    let server = Server::start_with(&[("QGX_SELF_MONITOR", "true"), ("QGX_SELF_MONITOR_SECS", "1")]).await;
    let api = server.back().bearer(&server.token("api", None).await);
    let found = api.until("/api/v1/events?q=kind:metric", |found| found["total"].as_u64() >= Some(1)).await;
    let fields = &found["items"][0]["fields"];
    assert!(fields["memory.percent"].is_number() && fields["cpu.percent"].is_number(), "{found}");
    assert_eq!(found["items"][0]["source"], server::agent::host_name());
    // It sends by a token of its own, and each start ends that of the last.
    let own = async |services: &services::Services| {
        let found = services.find_tenant(&services::Ctx::local(Lang::En), "default").await.unwrap();
        let ctx = services::Ctx::local_in(Lang::En, found.key);
        let tokens = services.tokens(&ctx, None).await.unwrap();
        let own = tokens.iter().filter(|token| token.name == "self-monitor");
        own.map(|token| token.revoked_at.is_some()).collect::<BTreeSet<_>>()
    };
    assert_eq!(own(&server.running.services).await, BTreeSet::from([false]));
    server.running.shutdown().await;
    let again = server::start(config(server.dir.path(), &[("QGX_SELF_MONITOR", "true")])).await.unwrap();
    assert_eq!(own(&again.services).await, BTreeSet::from([false, true]));
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_served_where_it_is_asked_for() {
    let server = Server::start_with(&[("QGX_TLS_SELF_SIGNED", "true")]).await;
    let target = server::client::Target {
        address: format!("localhost:{}", server.running.addresses.ingestion.unwrap().port()),
        tls_ca: Some(server.dir.path().join("self-signed.crt")),
        ..server::client::Target::default()
    };
    let hello = server::client::Hello { stream: Some("tls".to_owned()), ..server::client::Hello::default() };
    let (_, _, reply) = server::client::connection::greet(&target, &hello).await.unwrap();
    assert_eq!(reply, server::client::Reply::Ok { last_seq: 0 });
    let web = server::client::Target {
        address: format!("localhost:{}", server.running.addresses.front.unwrap().port()),
        ..target
    };
    let (mut reader, mut writer) = web.connect().await.unwrap();
    let request = b"GET /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut writer, request).await.unwrap();
    let mut answer = String::new();
    let _ = tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut answer).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("strict-transport-security"),
        "{answer:.300}"
    );
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_request_on_the_tcp_port_is_told_where_to_go() {
    let server = Server::start().await;
    let mut client = server.back();
    client.address = server.running.addresses.ingestion.unwrap();
    let answer = client.ask(Method::GET, "/", "").await;
    assert_eq!(answer.status.as_u16(), 400);
    assert!(answer.text().contains("/api/v1/ingest"), "{}", answer.text());
    server.running.shutdown().await;
}
