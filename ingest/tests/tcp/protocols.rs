//! Every protocol from its first byte to the broker.

use crate::rig::{Rig, soon};
use crate::tls::Tls;
use ingest::{IntakeConfig, TcpConfig};
use serde_json::Value;
use store::broker::Topic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What is sent, by which protocol it counts, and source and message (or kind) of each event.
async fn check(bytes: &[u8], protocol: &str, expect: &[(&str, &str)]) {
    let rig = Rig::start().await;
    // As one write, and byte by byte: what becomes of it must not depend on that.
    rig.send(bytes).await;
    let whole = rig.events(expect.len()).await;
    for record in rig.broker.records(Topic::Events) {
        assert_eq!(&*record.route.protocol, protocol);
    }
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.stream.get_ref().set_nodelay(true).unwrap();
    for byte in bytes {
        client.say([*byte]).await;
        tokio::task::yield_now().await;
    }
    client.stream.get_mut().shutdown().await.unwrap();
    client.rest().await;
    let single = rig.events(expect.len()).await;
    for (events, how) in [(whole, "whole"), (single, "byte by byte")] {
        let mut got: Vec<(&str, &str)> = events.iter().map(shown).collect();
        let mut expect = expect.to_vec();
        got.sort_unstable();
        expect.sort_unstable();
        assert_eq!(got, expect, "{how}: {}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(rig.broker.records(Topic::DeadLetters).len(), 0);
    rig.all_memory_is_back().await;
}

fn shown(event: &Value) -> (&str, &str) {
    (event["source"].as_str().unwrap(), event["message"].as_str().unwrap_or(event["kind"].as_str().unwrap()))
}

#[tokio::test]
async fn ndjson() {
    check(
        b"{\"message\":\"a\",\"source\":\"s\"}\n\r\n{\"message\":\"b\"}\r\n{\"v\":1}",
        "ndjson",
        &[("s", "a"), ("127.0.0.1", "b"), ("127.0.0.1", "metric")],
    )
    .await;
    check(b"\xef\xbb\xbf{\"message\":\"a\"}\n", "ndjson", &[("127.0.0.1", "a")]).await;
}

#[tokio::test]
async fn gelf() {
    check(
        b"{\"version\":\"1.1\",\"host\":\"h\",\"short_message\":\"a\"}\0{\"host\":\"h\",\n\"short_message\":\"b\"}\0",
        "gelf",
        &[("h", "a"), ("h", "b")],
    )
    .await;
}

#[tokio::test]
async fn syslog() {
    check(
        b"<38>Dec 10 06:55:46 LabSZ sshd[24200]: a\n<34>1 2003-10-11T22:14:15.003Z host su - ID47 - b\n",
        "syslog",
        &[("LabSZ", "a"), ("host", "b")],
    )
    .await;
}

#[tokio::test]
async fn syslog_counted() {
    let frames = ["<34>1 - h su - - - one\ntwo", "<38>Dec 10 06:55:46 LabSZ sshd[1]: b"];
    let stream: String = frames.iter().map(|frame| format!("{} {frame}", frame.len())).collect();
    check(stream.as_bytes(), "syslog", &[("h", "one\ntwo"), ("LabSZ", "b")]).await;
}

#[tokio::test]
async fn lines() {
    check(
        b"cpu,host=web-1 usage=1.5 1700000000000000000\njust text\nDec 10 06:55:46 LabSZ sshd[1]: b",
        "lines",
        &[("web-1", "metric"), ("127.0.0.1", "just text"), ("LabSZ", "Dec 10 06:55:46 LabSZ sshd[1]: b")],
    )
    .await;
    check(b"2\n20\n200 OK\n", "lines", &[("127.0.0.1", "2"), ("127.0.0.1", "20"), ("127.0.0.1", "200 OK")])
        .await;
    check(b"HELLO\n", "lines", &[("127.0.0.1", "HELLO")]).await;
    check(b"PO", "lines", &[("127.0.0.1", "PO")]).await;
}

#[tokio::test]
async fn cp949_is_korean() {
    check(b"\xb9\xe8\xbc\xdb\n", "lines", &[("127.0.0.1", "배송")]).await;
}

#[tokio::test]
async fn a_credential_line_comes_before_any_protocol() {
    check(b"AUTH qgx_bound\n<13>x\n", "syslog", &[("pump-1", "x")]).await;
    check(b"AUTH qgx_good\r\n{\"message\":\"m\"}\n", "ndjson", &[("my token", "m")]).await;
}

#[tokio::test]
async fn a_credential_may_stand_in_the_records() {
    async fn check(bytes: &str, events: usize, refused: &[&str]) {
        let rig = Rig::with(TcpConfig::default(), IntakeConfig::default(), false).await;
        rig.send(bytes).await;
        let records = rig.records(Topic::Events, events).await;
        assert_eq!(records.len(), events, "{bytes}");
        for record in records {
            assert_eq!(record.token, 1);
            assert!(!String::from_utf8_lossy(&record.payload).contains("qgx_good"));
        }
        assert_eq!(rig.refusals(refused.len()).await, refused);
    }
    check("{\"qgx_token\":\"qgx_good\",\"v\":1}\n{\"v\":2}\n{\"v\":3,\"qgx_token\":\"qgx_good\"}\n", 3, &[])
        .await;
    check("{\"_qgx_token\":\"qgx_good\",\"short_message\":\"m\"}\0", 1, &[]).await;
    check("m,qgx_token=qgx_good v=1 1700000000\nm v=2 1700000000\n", 2, &[]).await;
    check("<13>1 - h a - - [qgx@32473 token=\"qgx_good\"] m\n", 1, &[]).await;
    let two = "{\"qgx_token\":\"qgx_good\",\"v\":1}\n{\"qgx_token\":\"qgx_bound\",\"v\":2}\n{\"v\":3}\n";
    check(two, 2, &["identity_changed"]).await;
    check("{\"qgx_token\":\"qgx_wrong\",\"v\":1}\n", 0, &["bad_token"]).await;
    check("{\"qgx_token\":\"good\",\"v\":1}\n", 0, &["no_credential"]).await;
    check("text\n", 0, &["no_credential"]).await;
}

#[tokio::test]
async fn what_does_not_belong_here_is_told_where_to_go() {
    async fn check(bytes: &[u8], answer: &str, code: &str) {
        let rig = Rig::start().await;
        let got = rig.send(bytes).await;
        assert!(got.starts_with(answer), "{got}");
        assert_eq!(rig.refusals(1).await, [code]);
        assert_eq!(rig.broker.records(Topic::Events).len(), 0);
    }
    let http = "HTTP/1.1 400 Bad Request\r\n";
    check(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", http, "http").await;
    check(b"POST /api/v1/ingest HTTP/1.1\r\n\r\n{}", http, "http").await;
    // Any method, and what browsers can send to a port that a page names.
    check(b"PROPFIND /a HTTP/1.1\r\nHost: x\r\n\r\n", http, "http").await;
    check(b"QGX * HTTP/1.0\r\n\r\n{\"message\":\"a\"}\n", http, "http").await;
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http, "http").await;
    check(b"\xef\xbb\xbfBREW /pot HTTP/1.1", http, "http").await;
    let stun = b"\0\x03\0\x08\x21\x12\xa4\x42transaction!\0\x19\0\x04\x11\0\0\0text\n";
    check(stun, "", "unsupported_protocol").await;
    check(&[b"\0\x1c".as_slice(), stun].concat(), "", "unsupported_protocol").await;
    check(b"\x16\x03\x01\0\0", "", "tls_not_set_up").await;
    let rig = Rig::start().await;
    assert!(rig.send("GET / HTTP/1.1\r\n\r\n").await.contains("31090"));
}

#[tokio::test]
async fn tls_carries_every_protocol() {
    let tls_of = Tls::new();
    let rig = Rig::with(tls_of.port(), IntakeConfig::default(), true).await;
    let mut tls = tls_of.connect(&rig).await;
    // More than TLS hands over at a time, so that what it holds back must be asked for.
    let line = "x".repeat(1_000);
    let text: String = (0..500).map(|_| format!("{line}\n")).collect();
    soon(tls.write_all(format!("HELLO {{\"token\":\"qgx_bound\",\"stream\":\"s\"}}\n{text}").as_bytes()))
        .await
        .unwrap();
    let mut answer = String::new();
    while !answer.contains("ACK 500\n") {
        let mut bytes = [0; 1_024];
        let count = soon(tls.read(&mut bytes)).await.unwrap();
        assert_ne!(count, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    assert_eq!(rig.events(500).await.len(), 500);
    // The first line may come in one piece with the end of the handshake: the socket then has nothing more to say.
    let hello = b"HELLO {\"token\":\"qgx_bound\",\"stream\":\"at-once\"}\n";
    let at_once = |session: &mut rustls::ClientConnection| {
        std::io::Write::write_all(&mut session.writer(), hello).unwrap();
    };
    let mut tls = tls_of.connect_with(&rig, at_once).await;
    let mut bytes = [0; 1_024];
    let count = soon(tls.read(&mut bytes)).await.unwrap();
    assert!(bytes[..count].starts_with(b"OK "), "{}", String::from_utf8_lossy(&bytes[..count]));
    let rig = Rig::start().await;
    assert_eq!(rig.send("text without TLS\n").await, "");
    assert_eq!(rig.messages(1).await, ["text without TLS"]);
}
