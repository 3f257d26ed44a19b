//! Lumberjack v2 on real sockets.

use crate::rig::{Client, Rig, soon};
use crate::tls::Tls;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use ingest::{IntakeConfig, TcpConfig};
use std::io::Write;
use std::time::Duration;
use store::broker::Topic;
use store::broker::memory::AppendFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn window(count: u32) -> Vec<u8> {
    [b"2W".as_slice(), &count.to_be_bytes()].concat()
}

fn record(sequence: u32, json: &str) -> Vec<u8> {
    let length = (json.len() as u32).to_be_bytes();
    [b"2J".as_slice(), &sequence.to_be_bytes(), &length, json.as_bytes()].concat()
}

fn compressed(frames: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(frames).unwrap();
    let bytes = zlib.finish().unwrap();
    [b"2C".as_slice(), &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}

/// The sequence of the next acknowledgement; `None` at the end.
async fn acked(client: &mut Client) -> Option<u32> {
    let mut ack = [0; 6];
    soon(client.stream.read_exact(&mut ack)).await.ok()?;
    assert_eq!(&ack[..2], b"2A");
    Some(u32::from_be_bytes(ack[2..].try_into().unwrap()))
}

/// The last acknowledgement of a connection.
async fn last_acked(mut client: Client) -> Option<u32> {
    let mut last = None;
    while let Some(sequence) = acked(&mut client).await {
        last = Some(sequence);
    }
    last
}

#[tokio::test]
async fn windows_are_acknowledged_once_durable() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    rig.broker.hold_acks();
    let event = r#"{"@timestamp":"2026-11-22T01:02:03.004Z","message":"a","host":{"name":"web-1"},
        "fields":{"site":"부산"},"log":{"offset":12}}"#;
    let frames = [record(1, event), compressed(&record(2, r#"{"message":"b"}"#))].concat();
    client.say([window(3), compressed(&frames), record(3, r#"{"message":"c"}"#)].concat()).await;
    assert_eq!(rig.messages(3).await, ["a", "b", "c"]);
    let early = tokio::time::timeout(Duration::from_millis(50), acked(&mut client)).await;
    assert!(early.is_err(), "acknowledged before durable: {early:?}");
    rig.broker.release_acks();
    assert_eq!(acked(&mut client).await, Some(3));
    client.say([window(1), record(1, r#"{"message":"d"}"#)].concat()).await;
    assert_eq!(acked(&mut client).await, Some(1));
    let events = rig.events(4).await;
    let first = events.iter().find(|event| event["message"] == "a").unwrap();
    assert_eq!((&first["source"], &first["s"]["fields/site"]), (&"web-1".into(), &"부산".into()));
    assert_eq!(first["ts"], "2026-11-22T01:02:03.004000000Z");
    assert!(rig.broker.records(Topic::Events).iter().all(|it| &*it.route.protocol == "lumberjack"));
    drop(client);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn it_does_not_matter_how_bytes_arrive() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.stream.get_ref().set_nodelay(true).unwrap();
    let frames = [record(1, r#"{"message":"a"}"#), record(2, r#"{"message":"b"}"#)].concat();
    for byte in [window(2), compressed(&compressed(&frames))].concat() {
        client.say([byte]).await;
        tokio::task::yield_now().await;
    }
    // Part of a window may be acknowledged on the way.
    while acked(&mut client).await != Some(2) {}
    assert_eq!(rig.messages(2).await, ["a", "b"]);
}

#[tokio::test]
async fn the_first_event_says_who_it_is() {
    async fn check(json: &str, token: Option<u64>, refused: &[&str]) {
        let rig = Rig::with(TcpConfig::default(), IntakeConfig::default(), false).await;
        let mut client = rig.connect().await;
        client.say([window(1), compressed(&record(1, json))].concat()).await;
        assert_eq!(acked(&mut client).await, token.map(|_| 1), "{json}");
        assert_eq!(rig.refusals(refused.len()).await, refused);
        let records = rig.broker.records(Topic::Events);
        assert_eq!(records.iter().map(|record| record.token).collect::<Vec<_>>(), Vec::from_iter(token));
        assert!(records.iter().all(|record| !String::from_utf8_lossy(&record.payload).contains("qgx_good")));
    }
    check(r#"{"message":"a","fields":{"qgx_token":"qgx_good","x":1}}"#, Some(1), &[]).await;
    check(r#"{"message":"a","qgx_token":"qgx_good"}"#, Some(1), &[]).await;
    check(r#"{"message":"a","fields":{"qgx_token":"qgx_wrong"}}"#, None, &["bad_token"]).await;
    check(r#"{"message":"a","other":{"qgx_token":"qgx_good"}}"#, None, &["no_credential"]).await;
    check(r#"{"message":"a"}"#, None, &["no_credential"]).await;
}

#[tokio::test]
async fn bad_events_are_buried_and_acknowledged() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    let big = format!("{{\"message\":\"{}\"}}", "x".repeat(1 << 20));
    let frames = [record(1, "nope"), record(2, &big), record(3, r#"{"message":"ok"}"#)].concat();
    client.say([window(3), compressed(&frames)].concat()).await;
    while acked(&mut client).await != Some(3) {}
    let letters = rig.letters(2).await;
    let codes: Vec<_> = letters.iter().map(|letter| letter["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["invalid_json", "frame_too_large"]);
    assert_eq!(rig.messages(1).await, ["ok"]);
    drop(client);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn what_is_not_lumberjack_ends_after_the_durable() {
    async fn check(rest: &[u8]) {
        let rig = Rig::start().await;
        let mut client = rig.connect().await;
        client.say([window(1).as_slice(), &record(1, r#"{"message":"a"}"#), rest].concat()).await;
        assert_eq!(last_acked(client).await, Some(1), "{rest:?}");
        assert_eq!(rig.messages(1).await, ["a"]);
        rig.all_memory_is_back().await;
    }
    check(&record(2, "{}")).await;
    check(b"2Xxxxx").await;
    check(&[window(1).as_slice(), b"2C\0\0\0\x04junk"].concat()).await;
    check(&[window(1), compressed(b"2J\0\0")].concat()).await;
}

#[tokio::test]
async fn half_a_window_is_left_to_the_sender() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    let event = record(2, r#"{"message":"b"}"#);
    client.say([window(2), record(1, r#"{"message":"a"}"#), event[..12].to_vec()].concat()).await;
    client.stream.get_mut().shutdown().await.unwrap();
    assert_eq!(last_acked(client).await, Some(1), "what is durable of it");
    assert_eq!(rig.messages(1).await, ["a"]);
    assert_eq!(rig.broker.records(Topic::DeadLetters).len(), 0);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn what_is_temporary_ends_the_connection_without_an_acknowledgement() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.say([window(1), record(1, r#"{"message":"a"}"#)].concat()).await;
    assert_eq!(acked(&mut client).await, Some(1));
    rig.broker.inject(AppendFault::Busy { retry_after: Duration::from_secs(7) });
    client.say([window(1), record(1, r#"{"message":"b"}"#)].concat()).await;
    assert_eq!(last_acked(client).await, None);
    assert_eq!(rig.messages(1).await, ["a"]);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn bombs_take_no_memory_from_others() {
    let rig = Rig::start().await;
    let mut header = record(1, "");
    header[6..].copy_from_slice(&(300u32 << 20).to_be_bytes());
    let zeros = [header, vec![0; 300 << 20]].concat();
    let mut client = rig.connect().await;
    client.say(window(1)).await;
    let _ = client.stream.get_mut().write_all(&compressed(&zeros)).await;
    assert_eq!(last_acked(client).await, None);
    rig.send("after\n").await;
    assert_eq!(rig.messages(1).await, ["after"]);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn compressed_frames_without_a_record_end_it() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    let empty = compressed(b"").repeat(100_000);
    let _ = client.stream.get_mut().write_all(&[window(1), compressed(&empty)].concat()).await;
    assert_eq!(acked(&mut client).await, None);
    assert_eq!(rig.refusals(1).await, ["framing"]);
    drop(client);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn what_becomes_much_must_do_so_in_time() {
    let config = TcpConfig { handshake: Duration::from_millis(1), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let mut header = record(1, "");
    header[6..].copy_from_slice(&(12u32 << 20).to_be_bytes());
    let mut client = rig.connect().await;
    // All of it comes at once: nothing is waited for.
    let frames = [window(1), compressed(&[header, vec![0; 12 << 20]].concat())].concat();
    let _ = client.stream.get_mut().write_all(&frames).await;
    assert_eq!(acked(&mut client).await, None);
    assert_eq!(rig.refusals(1).await, ["handshake_timeout"]);
    drop(client);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn a_compressed_record_must_come_whole_in_time() {
    /// After so many records that say who it is.
    async fn check(known: u32, refused: &[&str]) {
        let in_time = Duration::from_millis(300);
        let config = TcpConfig { handshake: in_time, frame: in_time, ..TcpConfig::default() };
        let rig = Rig::with(config, IntakeConfig::default(), true).await;
        let mut client = rig.connect().await;
        client.say(window(known + 1)).await;
        for sequence in 1..=known {
            client.say(record(sequence, r#"{"message":"a"}"#)).await;
            assert_eq!(acked(&mut client).await, Some(sequence));
        }
        let large = record(known + 1, &format!("{{\"message\":\"{}\"}}", "x".repeat(900_000)));
        let frame = compressed(&large);
        // Most of it at once; then something comes all the time, and the end never.
        let (most, rest) = frame.split_at(frame.len() - 100);
        client.say(most).await;
        let mut ended = false;
        for byte in &rest[..90] {
            let _ = client.stream.get_mut().write_all(&[*byte]).await;
            if let Ok(ack) = tokio::time::timeout(Duration::from_millis(20), acked(&mut client)).await {
                ended = ack.is_none();
                break;
            }
        }
        assert!(ended, "{known} records before");
        drop(client);
        assert_eq!(rig.refusals(refused.len()).await, refused);
        rig.all_memory_is_back().await;
    }
    check(0, &["handshake_timeout"]).await;
    check(1, &[]).await;
}

#[tokio::test]
async fn it_goes_in_tls() {
    let tls = Tls::new();
    let rig = Rig::with(tls.port(), IntakeConfig::default(), true).await;
    let mut client = tls.connect(&rig).await;
    let frames = [window(1), compressed(&record(1, r#"{"message":"in TLS"}"#))].concat();
    soon(client.write_all(&frames)).await.unwrap();
    let mut ack = [0; 6];
    soon(client.read_exact(&mut ack)).await.unwrap();
    assert_eq!(&ack, b"2A\0\0\0\x01");
    assert_eq!(rig.messages(1).await, ["in TLS"]);
}
