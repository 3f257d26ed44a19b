//! Quotas, counts of connections, deadlines, and a broker that takes no more.

use crate::rig::{Rig, soon};
use ingest::record::Limits;
use ingest::{IntakeConfig, TcpConfig};
use std::time::{Duration, Instant};
use store::broker::Topic;
use store::broker::memory::AppendFault;

#[tokio::test]
async fn reads_are_delayed_at_the_soft_limit() {
    let rig = Rig::start().await;
    let started = Instant::now();
    rig.send(format!("AUTH qgx_limited\n{}", "x\n".repeat(20))).await;
    rig.messages(20).await;
    assert!(
        started.elapsed() > Duration::from_millis(700),
        "twenty at ten a second: {:?}",
        started.elapsed()
    );
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn beyond_patience_acknowledged_senders_are_told_to_come_again() {
    let config = TcpConfig { patience: Duration::from_millis(200), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let answer = rig.send("HELLO {\"token\":\"qgx_spent\"}\na\n").await;
    let end = answer.lines().last().unwrap();
    assert!(end.starts_with("ERR {\"code\":\"quota\"") && end.contains("\"retry_after\":"), "{answer}");
    assert_eq!(rig.refusals(1).await, ["quota"]);
    // Others have no answer: what is over is left out and counted.
    rig.send("AUTH qgx_spent\na\nb\n").await;
    rig.send("after\n").await;
    assert_eq!(rig.messages(1).await, ["after"]);
}

#[tokio::test]
async fn connections_are_counted_by_address() {
    let config = TcpConfig { max_connections_per_address: 2, ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    first.hello("{}").await;
    second.hello("{}").await;
    let refused = rig.connect().await.rest().await;
    assert!(refused.starts_with("ERR {\"code\":\"too_many_connections\""), "{refused}");
    drop(first);
    soon(async { while !rig.connect().await.hello_or_end().await.starts_with("OK") {} }).await;
}

#[tokio::test]
async fn strangers_that_take_their_time_make_room_where_they_are_many() {
    let handshake = Duration::from_millis(100);
    let config = TcpConfig { handshake, max_connections: 10, ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let mut known = rig.connect().await;
    known.hello("{}").await;
    let mut strangers = tokio::task::JoinSet::new();
    for number in 0..9 {
        let mut stranger = rig.connect().await;
        if number % 2 == 0 {
            stranger.say("<").await;
        }
        strangers.spawn(stranger.rest());
    }
    // At two of ten places they are not many any more, and may stay.
    for _ in 0..7 {
        let said = strangers.join_next().await.unwrap().unwrap();
        assert_eq!(said, "");
    }
    soon(async { while !rig.connect().await.hello_or_end().await.starts_with("OK") {} }).await;
    known.say("hot\n").await;
    known.acked(1).await;
}

#[tokio::test]
async fn who_does_not_say_what_it_is_in_time_is_closed() {
    let config = TcpConfig { handshake: Duration::from_millis(100), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let mut client = rig.connect().await;
    client.say("HELLO {").await;
    assert!(client.rest().await.contains("handshake_timeout"));
    assert_eq!(rig.refusals(1).await, ["handshake_timeout"]);
}

#[tokio::test]
async fn who_is_silent_for_long_is_closed() {
    let config = TcpConfig { idle: Duration::from_millis(100), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    assert_eq!(rig.connect().await.rest().await, "");
    let mut client = rig.connect().await;
    client.hello("{}").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_busy_broker_is_waited_for_where_there_is_no_answer() {
    let rig = Rig::start().await;
    for _ in 0..3 {
        rig.broker.inject(AppendFault::Busy { retry_after: Duration::from_millis(20) });
    }
    rig.send("a\nb\n").await;
    assert_eq!(rig.messages(2).await, ["a", "b"]);
    rig.broker.inject(AppendFault::Lost { stored: 0 });
    rig.send("c\n").await;
    assert_eq!(rig.messages(3).await.iter().filter(|m| *m == "c").count(), 1);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn a_broker_that_stays_busy_holds_back_the_socket() {
    let intake = IntakeConfig { budget_bytes: 4 << 20, ..IntakeConfig::default() };
    let rig = Rig::with(TcpConfig::default(), intake, true).await;
    rig.broker.limit_bytes(Some(0));
    let mut client = rig.connect().await;
    let line = format!("{}\n", "x".repeat(1_000)).repeat(1_000);
    let mut sent = 0;
    // Some 20 MB fit into the sockets at most; more must not be taken.
    while tokio::time::timeout(Duration::from_millis(300), client.say_some(&line)).await.is_ok() {
        sent += line.len();
        assert!(sent < 100 << 20, "it takes more and more");
    }
    rig.broker.limit_bytes(None);
    drop(client);
    soon(async {
        while rig.broker.records(Topic::Events).len() < sent / 1_001 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn strangers_take_nothing_from_those_who_are_known() {
    let intake = IntakeConfig { budget_bytes: 4 << 20, ..IntakeConfig::default() };
    let rig = Rig::with(TcpConfig::default(), intake, true).await;
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let mut stranger = rig.connect().await;
        stranger.say(format!("{{{}", "x".repeat(17 << 10))).await;
        strangers.push(stranger);
    }
    let mut honest = rig.connect().await;
    assert!(honest.hello(r#"{"token":"qgx_good"}"#).await.starts_with("OK "));
    honest.say("a\n").await;
    honest.acked(1).await;
    // A first record that is large as well.
    let large = "y".repeat(100 << 10);
    rig.send(format!("{{\"message\":\"{large}\"}}\n")).await;
    let messages = rig.messages(2).await;
    assert!(messages.contains(&"a".to_owned()) && messages.contains(&large));
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn strangers_that_hold_too_much_are_told_to_come_again() {
    let mut intake = IntakeConfig::default();
    intake.limits.frame_bytes = 20 << 10;
    let rig = Rig::with(TcpConfig::default(), intake, true).await;
    let begun = format!("{{{}", "x".repeat(17 << 10));
    let mut strangers = Vec::new();
    for _ in 0..40 {
        let mut stranger = rig.connect().await;
        stranger.say(&begun).await;
        strangers.push(stranger);
    }
    assert_eq!(rig.refusals(1).await[0], "busy");
    // They go, and there is room again.
    drop(strangers);
    let line = format!("{{\"message\":\"{}\"}}\n", "y".repeat(17 << 10));
    soon(async { while rig.send(&line).await.contains("\"code\":\"busy\"") {} }).await;
    rig.records(Topic::Events, 1).await;
}

#[tokio::test]
async fn a_large_first_record_must_come_in_time() {
    let config = TcpConfig { handshake: Duration::from_millis(100), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let mut client = rig.connect().await;
    client.say(format!("{{{}", "x".repeat(17 << 10))).await;
    assert!(client.rest().await.contains("handshake_timeout"));
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn a_sender_is_not_silent_while_nobody_listens() {
    let config = TcpConfig { idle: Duration::from_millis(300), appends: 1, ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    rig.broker.limit_bytes(Some(0));
    let mut client = rig.connect().await;
    client.say("a\n").await;
    let early = tokio::time::timeout(Duration::from_millis(700), client.line()).await;
    assert!(early.is_err(), "closed while the broker was busy: {early:?}");
    client.say("b\n").await;
    rig.broker.limit_bytes(None);
    assert_eq!(rig.messages(2).await, ["a", "b"]);
    assert_eq!(client.rest().await, "", "then its silence counts again");
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn oversized_frames_count_against_the_quota() {
    let config = TcpConfig { patience: Duration::from_millis(200), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let big = "x".repeat((1 << 20) + 10);
    let answer = rig.send(format!("HELLO {{\"token\":\"qgx_spent\"}}\n{big}\n")).await;
    assert!(answer.lines().last().unwrap().starts_with("ERR {\"code\":\"quota\""), "{answer}");
    // Without an answer it is left out and counted.
    rig.send(format!("AUTH qgx_spent\n{big}\n")).await;
    rig.send(format!("{big}\n")).await;
    assert_eq!(rig.letters(1).await.len(), 1);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn what_a_connection_ends_with_counts_against_the_quota_too() {
    /// Sends what ends within a frame; how many dead letters there are.
    async fn check(token: &str, rest: &[u8], letters: usize) {
        let limits = Limits { frame_bytes: 100, ..Limits::default() };
        let config = IntakeConfig { limits, ..IntakeConfig::default() };
        let tcp = TcpConfig { patience: Duration::from_millis(50), ..TcpConfig::default() };
        let rig = Rig::with(tcp, config, true).await;
        rig.send([format!("AUTH {token}\n").as_bytes(), rest].concat()).await;
        assert_eq!(rig.broker.records(Topic::DeadLetters).len(), letters, "{token} {}", rest.escape_ascii());
    }
    let long = format!("{{\"a\":\"{}", "x".repeat(200));
    for rest in [&b"60 <34>cut off"[..], b"8 <34>word7x<34>", long.as_bytes()] {
        check("qgx_good", rest, 1).await;
        check("qgx_spent", rest, 0).await;
    }
}
