//! RELP on real sockets.

use crate::rig::{Client, Rig, soon};
use crate::tls::Tls;
use ingest::{IntakeConfig, TcpConfig};
use std::time::Duration;
use store::broker::Topic;
use store::broker::memory::AppendFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const OPEN: &str = "1 open 30 relp_version=0\ncommands=syslog\n";
const CLOSED: &str = "0 serverclose 0\n";

fn syslog(txnr: u32, message: &str) -> String {
    format!("{txnr} syslog {} {message}\n", message.len())
}

/// The next frame of the server.
async fn frame(client: &mut Client) -> String {
    let mut frame = client.line().await;
    // Of all answers only the one to `open` has several lines.
    if frame.starts_with("1 rsp") {
        for _ in 0..3 {
            frame = format!("{frame} {}", client.line().await);
        }
    }
    frame
}

async fn opened(rig: &Rig) -> Client {
    let mut client = rig.connect().await;
    client.say(OPEN).await;
    assert!(frame(&mut client).await.starts_with("1 rsp 55 200 OK"));
    client
}

#[tokio::test]
async fn messages_are_acknowledged_once_durable() {
    let rig = Rig::start().await;
    let mut client = opened(&rig).await;
    rig.broker.hold_acks();
    client.say(syslog(2, "<13>1 - h su - - - one\ntwo") + &syslog(3, "<13>Dec 10 06:55:46 h su: b")).await;
    assert_eq!(rig.messages(2).await, ["one\ntwo", "b"]);
    let early = tokio::time::timeout(Duration::from_millis(50), client.line()).await;
    assert!(early.is_err(), "acknowledged before durable: {early:?}");
    rig.broker.release_acks();
    assert_eq!(frame(&mut client).await, "2 rsp 6 200 OK");
    assert_eq!(frame(&mut client).await, "3 rsp 6 200 OK");
    client.say("4 close 0\n").await;
    assert_eq!(client.rest().await, format!("4 rsp 0\n{CLOSED}"));
    assert!(rig.broker.records(Topic::Events).iter().all(|record| &*record.route.protocol == "relp"));
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn it_does_not_matter_how_bytes_arrive() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.stream.get_ref().set_nodelay(true).unwrap();
    for byte in [OPEN, &syslog(2, "<13>h a: x"), &syslog(3, ""), "4 close 0\n"].concat().bytes() {
        client.say([byte]).await;
        tokio::task::yield_now().await;
    }
    let answer = client.rest().await;
    assert!(answer.ends_with(&format!("2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 0\n{CLOSED}")), "{answer}");
    assert_eq!(rig.events(1).await.len(), 1);
}

#[tokio::test]
async fn the_first_message_says_who_it_is() {
    async fn check(message: &str, answer: &str, refused: &[&str]) {
        let rig = Rig::with(TcpConfig::default(), IntakeConfig::default(), false).await;
        let mut client = opened(&rig).await;
        client.say(syslog(2, message)).await;
        assert!(frame(&mut client).await.starts_with(answer));
        assert_eq!(rig.refusals(refused.len()).await, refused);
        if refused.is_empty() {
            let record = rig.records(Topic::Events, 1).await.remove(0);
            assert_eq!(record.token, 1);
            assert!(!String::from_utf8_lossy(&record.payload).contains("qgx_good"));
        } else {
            assert_eq!(client.rest().await, CLOSED);
            assert_eq!(rig.broker.records(Topic::Events).len(), 0);
        }
    }
    check("<13>1 - h a - - [qgx@32473 token=\"qgx_good\"] m", "2 rsp 6 200 OK", &[]).await;
    check("<13>1 - h a - - [qgx@32473 token=\"qgx_wrong\"] m", "2 rsp 71 500 bad_token: ", &["bad_token"])
        .await;
    check("<13>m", "2 rsp", &["no_credential"]).await;
    let rig = Rig::with(TcpConfig::default(), IntakeConfig::default(), false).await;
    let answer = rig.send(format!("AUTH qgx_bound\n{OPEN}{}3 close 0\n", syslog(2, "<13>x"))).await;
    assert!(answer.ends_with(&format!("2 rsp 6 200 OK\n3 rsp 0\n{CLOSED}")), "{answer}");
    assert_eq!(rig.events(1).await[0]["source"], "pump-1");
}

#[tokio::test]
async fn a_second_credential_stores_nothing() {
    let rig = Rig::with(TcpConfig::default(), IntakeConfig::default(), false).await;
    let mut client = opened(&rig).await;
    for (txnr, token) in [(2, "qgx_good"), (3, "qgx_bound"), (4, "qgx_good")] {
        client.say(syslog(txnr, &format!("<13>1 - h a - - [qgx@32473 token=\"{token}\"] m{txnr}"))).await;
        assert_eq!(frame(&mut client).await, format!("{txnr} rsp 6 200 OK"));
    }
    assert_eq!(rig.messages(2).await, ["m2", "m4"]);
    assert_eq!(rig.refusals(1).await, ["identity_changed"]);
}

#[tokio::test]
async fn too_long_is_buried_and_acknowledged() {
    let rig = Rig::start().await;
    let mut client = opened(&rig).await;
    client.say(syslog(2, &"x".repeat((1 << 20) + 1))).await;
    client.say(syslog(3, "<13>after")).await;
    assert_eq!(frame(&mut client).await, "2 rsp 6 200 OK");
    assert_eq!(frame(&mut client).await, "3 rsp 6 200 OK");
    assert_eq!(rig.letters(1).await[0]["code"], "frame_too_large");
    assert_eq!(rig.messages(1).await, ["after"]);
    drop(client);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn what_is_not_relp_is_answered_in_relp() {
    async fn check(bytes: &str, answer: &str, events: usize) {
        let rig = Rig::start().await;
        let got = rig.send(bytes).await;
        assert_eq!(
            got.split_once("commands=syslog\n").map_or(got.as_str(), |(_, rest)| rest),
            answer,
            "{bytes}"
        );
        assert_eq!(rig.broker.records(Topic::Events).len(), events);
        rig.all_memory_is_back().await;
    }
    let refused = format!("1 rsp 37 500 bad_relp: relp_version is missing\n{CLOSED}");
    check("1 open 0\n", &refused, 0).await;
    check(&format!("{OPEN}2 syslog 3 abcd\n"), CLOSED, 0).await;
    let broken = format!("{OPEN}{}nonsense", syslog(2, "<13>a"));
    check(&broken, &format!("2 rsp 6 200 OK\n{CLOSED}"), 1).await;
    let unknown = format!("{OPEN}2 dance 0\n{}", syslog(3, "<13>a"));
    check(&unknown, &format!("2 rsp 29 500 this command is not known\n3 rsp 6 200 OK\n{CLOSED}"), 1).await;
    // Half a message is not stored: its sender has it still.
    check(&format!("{OPEN}{}3 syslog 9 <13>", syslog(2, "<13>a")), &format!("2 rsp 6 200 OK\n{CLOSED}"), 1)
        .await;
}

#[tokio::test]
async fn what_is_temporary_ends_the_session_without_an_acknowledgement() {
    let rig = Rig::start().await;
    let mut client = opened(&rig).await;
    client.say(syslog(2, "<13>a")).await;
    assert_eq!(frame(&mut client).await, "2 rsp 6 200 OK");
    rig.broker.inject(AppendFault::Busy { retry_after: Duration::from_secs(7) });
    client.say(syslog(3, "<13>b")).await;
    assert_eq!(client.rest().await, CLOSED);
    assert_eq!(rig.messages(1).await, ["a"]);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn it_goes_in_tls() {
    let tls = Tls::new();
    let rig = Rig::with(tls.port(), IntakeConfig::default(), true).await;
    let mut client = tls.connect(&rig).await;
    soon(client.write_all(format!("{OPEN}{}3 close 0\n", syslog(2, "<13>in TLS")).as_bytes())).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(client.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.ends_with(&format!("2 rsp 6 200 OK\n3 rsp 0\n{CLOSED}")), "{answer}");
    assert_eq!(rig.messages(1).await, ["in TLS"]);
}
