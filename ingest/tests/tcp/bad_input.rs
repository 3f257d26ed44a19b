//! What strangers, broken programs and line noise send: an error or a dead letter, and nothing else suffers.

use crate::rig::{Rig, soon};
use base64::Engine;
use ingest::{IntakeConfig, TcpConfig};
use serde_json::Value;
use std::time::Duration;
use store::broker::Topic;
use tokio::io::AsyncWriteExt;

/// What is sent, the messages of the events, and the codes of the dead letters.
async fn check(bytes: impl AsRef<[u8]>, events: &[&str], letters: &[&str]) -> Vec<Value> {
    let rig = Rig::start().await;
    rig.send(bytes).await;
    let got = rig.letters(letters.len()).await;
    let codes: Vec<_> = got.iter().map(|letter| letter["code"].as_str().unwrap()).collect();
    assert_eq!(codes, letters);
    assert_eq!(rig.messages(events.len()).await, events);
    // The next one is none the worse.
    rig.send("after\n").await;
    assert_eq!(rig.messages(events.len() + 1).await.last().unwrap(), "after");
    rig.all_memory_is_back().await;
    got
}

#[tokio::test]
async fn oversized_frames_leave_a_beginning_and_a_hash() {
    let big = "x".repeat((1 << 20) + 10);
    let letters = check(format!("a\n{big}\nb\n"), &["a", "b"], &["frame_too_large"]).await;
    let letter = &letters[0];
    let raw = base64::engine::general_purpose::STANDARD.decode(letter["raw"].as_str().unwrap()).unwrap();
    assert_eq!((raw.len(), letter["length"].as_u64()), (64 << 10, Some(big.len() as u64)));
    assert_eq!(letter["sha256"].as_str().unwrap().len(), 64);
    assert_eq!((&letter["replayable"], &letter["peer"]), (&false.into(), &"127.0.0.1".into()));
    let huge = "y".repeat(20 << 20);
    check(format!("a\n{huge}\nb\n"), &["a", "b"], &["frame_too_large"]).await;
    let syslog = format!("8 <13>h: a{} <13>{}8 <13>h: b", big.len() + 4, big);
    check(syslog, &["a", "b"], &["frame_too_large"]).await;
}

#[tokio::test]
async fn an_oversized_line_is_answered_on_qgx_lines() {
    let rig = Rig::start().await;
    let big = "x".repeat((1 << 20) + 10);
    let answer = rig.send(format!("HELLO {{}}\na\n{big}\nb\n")).await;
    assert!(
        answer.contains("NACK 2 {\"code\":\"frame_too_large\"") && answer.ends_with("ACK 3\n"),
        "{answer}"
    );
    assert_eq!(rig.messages(2).await, ["a", "b"]);
}

#[tokio::test]
async fn truncated_and_broken_frames_are_buried() {
    check("8 <13>h: a20 <13>h: b", &["a"], &["truncated"]).await;
    check("8 <13>h: aX <13>h: b", &["a"], &["framing"]).await;
    check("{\"short_message\":\"a\"}\0{\"short_message\":", &["a"], &["truncated"]).await;
    let letters = check(
        "{\"message\":\"a\"}\nnot json\n[1]\n{\"message\":\"b\"}\n{\"message\":",
        &["a", "b"],
        &["invalid_json", "not_an_object", "invalid_json"],
    )
    .await;
    assert_eq!(letters[0]["raw"], "bm90IGpzb24=");
    assert_eq!(letters[0]["replayable"], true);
}

#[tokio::test]
async fn garbage_nuls_and_bad_utf8_are_kept_as_they_came() {
    check(b"a\0b\n\0\0\n\xff\xfe\x80\n", &["a\0b", "\0\0", "\u{fffd}\u{fffd}\u{fffd}"], &[]).await;
    let noise: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let rig = Rig::start().await;
    rig.send([b"x".as_slice(), &noise].concat()).await;
    rig.send("after\n").await;
    let found = soon(async {
        loop {
            if rig
                .broker
                .records(Topic::Events)
                .iter()
                .any(|r| r.payload.windows(7).any(|w| w == b"\"after\""))
            {
                return true;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(found.await);
    for record in rig.broker.records(Topic::Events) {
        domain::event::StoredEvent::parse(&record.payload).unwrap();
    }
}

#[tokio::test]
async fn wide_and_deep_objects_are_buried() {
    let wide: Vec<String> = (0..10_000).map(|i| format!("\"f{i}\":{i}")).collect();
    let deep = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let arrays = format!("{{\"a\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let text = format!("{{{}}}\n{deep}\n{arrays}\n{{\"message\":\"ok\"}}\n", wide.join(","));
    check(text, &["ok"], &["too_many_fields", "too_deep", "too_deep"]).await;
}

#[tokio::test]
async fn tokens_do_not_reach_dead_letters() {
    let secret = format!("qgx_{}", "Ab3d5".repeat(8));
    let letters =
        check(format!("{{\"message\":\"a\"}}\nbroken {secret} 900101-1234567\n"), &["a"], &["invalid_json"])
            .await;
    let raw = base64::engine::general_purpose::STANDARD.decode(letters[0]["raw"].as_str().unwrap()).unwrap();
    let expect = format!("broken qgx_{} 900101-*******", "*".repeat(40));
    assert_eq!(String::from_utf8(raw).unwrap(), expect);
    assert_eq!((&letters[0]["blanked"], &letters[0]["replayable"]), (&true.into(), &false.into()));
}

#[tokio::test]
async fn slow_senders_hold_nothing() {
    let rig = Rig::start().await;
    let budget = rig.intake.free_bytes();
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut client = rig.connect().await;
        client.say("a slow li").await;
        slow.push(client);
    }
    rig.send("quick\n").await;
    rig.messages(1).await;
    assert_eq!(rig.intake.free_bytes(), budget);
    for client in &mut slow {
        for byte in b"ne\n" {
            client.say([*byte]).await;
        }
    }
    assert_eq!(rig.messages(51).await.iter().filter(|m| *m == "a slow line").count(), 50);
}

#[tokio::test]
async fn large_frames_that_never_end_leave_room_for_others() {
    let config = TcpConfig { frame: Duration::from_millis(500), ..TcpConfig::default() };
    let intake = IntakeConfig { budget_bytes: 4 << 20, ..IntakeConfig::default() };
    let rig = Rig::with(config, intake, true).await;
    let mut hostile = Vec::new();
    for _ in 0..20 {
        let mut client = rig.connect().await;
        // One whole line first, so that it counts as a sender.
        let _ = client.stream.get_mut().write_all(b"x\n").await;
        let _ = client.stream.get_mut().write_all("y".repeat(500_000).as_bytes()).await;
        hostile.push(client);
    }
    rig.send("quick\n").await;
    soon(async {
        while !rig
            .broker
            .records(Topic::Events)
            .iter()
            .any(|r| r.payload.windows(7).any(|w| w == b"\"quick\""))
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Their time is over, or there was no room for them: either way they are closed and the memory is back.
    rig.all_memory_is_back().await;
    for client in hostile {
        client.rest().await;
    }
}

#[tokio::test]
async fn a_sender_that_never_reads_is_closed() {
    let config = TcpConfig { write: Duration::from_millis(500), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let mut client = rig.connect().await;
    client.say("HELLO {}\n").await;
    // Each empty line is answered by a line of its own, until the answers fill every buffer on the way.
    let lines = b"\n".repeat(64 << 10);
    let closed = soon(async {
        while client.stream.get_mut().write_all(&lines).await.is_ok() {}
        true
    });
    assert!(closed.await);
    rig.all_memory_is_back().await;
    rig.send("after\n").await;
    assert_eq!(rig.messages(1).await, ["after"]);
}

#[tokio::test]
async fn idle_connections_are_cheap() {
    let rig = Rig::start().await;
    let budget = rig.intake.free_bytes();
    let mut idle = Vec::new();
    for i in 0..500 {
        let mut client = rig.connect().await;
        match i % 3 {
            0 => {}
            1 => client.say("{\"message\":\"one\"}\n").await,
            _ => {
                client.hello("{}").await;
            }
        }
        idle.push(client);
    }
    rig.messages(167).await;
    rig.all_memory_is_back().await;
    assert_eq!(rig.intake.free_bytes(), budget);
    rig.send("after\n").await;
    assert_eq!(rig.messages(168).await.iter().filter(|m| *m == "after").count(), 1);
}
