//! QGX lines: acknowledged, resumable.

use crate::rig::{Rig, soon};
use ingest::{IntakeConfig, TcpConfig};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::broker::memory::AppendFault;
use store::broker::{Origin, Topic};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn lines_are_acknowledged_once_durable() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    let greeting =
        client.hello(r#"{"token":"qgx_good","source":"pump-1","stream":"boot-7","acked":41}"#).await;
    assert_eq!(greeting, r#"OK {"stream":"boot-7","last_seq":41}"#);
    rig.broker.hold_acks();
    client.say("{\"temperature\":81.2}\nbearing hot\n").await;
    let events = rig.events(2).await;
    assert_eq!(
        (&events[0]["n"]["temperature"], &events[1]["message"]),
        (&81.2.into(), &"bearing hot".into())
    );
    assert!(events.iter().all(|event| event["source"] == "pump-1" && event["tenant"] == "t_one"));
    let early = tokio::time::timeout(Duration::from_millis(50), client.line()).await;
    assert!(early.is_err(), "acknowledged before durable: {early:?}");
    rig.broker.release_acks();
    assert_eq!(client.acked(43).await, Vec::<String>::new());
    let records = rig.records(Topic::Events, 2).await;
    let origins: Vec<_> = records.iter().map(|record| record.origin.clone()).collect();
    let at = |sequence| Origin::Stream { stream: "token/1/boot-7".into(), sequence };
    assert_eq!(origins, [at(42), at(43)]);
    assert!(records.iter().all(|record| record.token == 1 && &*record.route.protocol == "qgx"));
}

#[tokio::test]
async fn the_same_line_has_the_same_id() {
    let rig = Rig::start().await;
    for _ in 0..2 {
        let mut client = rig.connect().await;
        client.hello(r#"{"token":"qgx_bound","stream":"a","acked":0}"#).await;
        client.say("x\n").await;
        client.acked(1).await;
    }
    let again = rig.connect().await.hello(r#"{"token":"qgx_bound","stream":"a"}"#).await;
    assert_eq!(again, r#"OK {"stream":"a","last_seq":2}"#, "what is durable in this process counts");
    let events = rig.events(2).await;
    assert_ne!(events[0]["id"], events[1]["id"], "the second connection went on at 2");
}

#[tokio::test]
async fn a_stream_resumes_where_the_processor_is() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    let hello = r#"{"token":"qgx_good","source":"a","stream":"processed","acked":7}"#;
    assert_eq!(client.hello(hello).await, r#"OK {"stream":"processed","last_seq":100}"#);
}

#[tokio::test]
async fn bad_lines_are_answered_and_settled() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    assert!(client.hello("{}").await.starts_with("OK {\"stream\":\"c-"));
    let deep = format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9));
    client.say(format!("ok\n{{\"a\":\n\n{deep}\nok\n")).await;
    let nacks = client.acked(5).await;
    let starts: Vec<_> = nacks.iter().map(|line| line.split('"').take(4).collect::<String>()).collect();
    assert_eq!(
        starts,
        ["NACK 2 {code:invalid_json", "NACK 3 {code:empty_line", "NACK 4 {code:too_deep"],
        "{nacks:?}"
    );
    assert_eq!(rig.messages(2).await, ["ok", "ok"]);
    assert_eq!(rig.broker.records(Topic::DeadLetters).len(), 0, "the sender has them still");
}

#[tokio::test]
async fn the_last_line_counts_without_its_newline() {
    let rig = Rig::start().await;
    let answer = rig.send("HELLO {\"stream\":\"s\"}\na\nb").await;
    assert!(answer.ends_with("ACK 2\n"), "{answer}");
    assert_eq!(rig.messages(2).await, ["a", "b"]);
}

/// A sender that dies in the middle of a line sends the whole of it when it is back.
#[tokio::test]
async fn half_an_object_at_the_end_is_not_settled() {
    let rig = Rig::start().await;
    for cut in ["{", "{\"message\":\"bé", "{\"a\":{\"b\":1}"] {
        let answer =
            rig.send(&format!("HELLO {{\"token\":\"qgx_bound\",\"stream\":\"s\",\"acked\":0}}\n{cut}")).await;
        assert_eq!(answer, "OK {\"stream\":\"s\",\"last_seq\":0}\n", "{cut}");
    }
    let mut client = rig.connect().await;
    let greeting = client.hello(r#"{"token":"qgx_bound","stream":"s"}"#).await;
    assert_eq!(greeting, r#"OK {"stream":"s","last_seq":0}"#);
    client.say("{\"message\":\"whole\"}\n").await;
    client.acked(1).await;
    assert_eq!(rig.messages(1).await, ["whole"]);
    // A whole object needs no newline.
    let answer = rig.send("HELLO {\"token\":\"qgx_bound\",\"stream\":\"t\"}\n{\"message\":\"last\"}").await;
    assert!(answer.ends_with("ACK 1\n"), "{answer}");
    assert_eq!(rig.messages(2).await, ["whole", "last"]);
}

#[tokio::test]
async fn a_second_connection_closes_the_first() {
    let rig = Rig::start().await;
    let hello = r#"{"token":"qgx_bound","stream":"s"}"#;
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    first.hello(hello).await;
    first.say("a\n").await;
    first.acked(1).await;
    assert_eq!(second.hello(hello).await, r#"OK {"stream":"s","last_seq":1}"#);
    let end = first.rest().await;
    assert!(end.starts_with("ERR {\"code\":\"superseded\""), "{end}");
    second.say("b\n").await;
    second.acked(2).await;
}

#[tokio::test]
async fn what_is_temporary_ends_the_connection_after_the_durable() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.hello(r#"{"token":"qgx_bound","stream":"s"}"#).await;
    client.say("a\n").await;
    client.acked(1).await;
    rig.broker.inject(AppendFault::Busy { retry_after: Duration::from_secs(7) });
    client.say("b\n").await;
    // More may follow before the answer is there: none of it may be stored ahead of what was refused.
    let _ = client.stream.get_mut().write_all(&b"c\n".repeat(50_000)).await;
    let end = client.rest().await;
    assert!(end.starts_with("ERR {\"code\":\"busy\"") && end.contains("\"retry_after\":7"), "{end}");
    assert_eq!(rig.messages(1).await, ["a"]);
    let mut client = rig.connect().await;
    let greeting = client.hello(r#"{"token":"qgx_bound","stream":"s","acked":1}"#).await;
    assert_eq!(greeting, r#"OK {"stream":"s","last_seq":1}"#);
    client.say("b\n").await;
    client.acked(2).await;
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn many_lines_go_in_few_appends_and_order() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.hello(r#"{"token":"qgx_bound","stream":"s"}"#).await;
    const LINES: u64 = 50_000;
    let (read, mut write) = client.stream.into_inner().into_split();
    let sending = async move {
        for chunk in 0..LINES / 1_000 {
            let text: String = (0..1_000).map(|i| format!("{{\"i\":{}}}\n", chunk * 1_000 + i + 1)).collect();
            write.write_all(text.as_bytes()).await.unwrap();
        }
        write
    };
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(read));
    let receiving = async {
        let mut acks = Vec::new();
        while acks.last() != Some(&LINES) {
            let line = lines.next_line().await.unwrap().expect("it goes on");
            acks.push(line.strip_prefix("ACK ").expect("only ACKs").parse::<u64>().unwrap());
        }
        acks
    };
    let (_write, acks) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(acks.is_sorted() && acks.len() < 5_000, "{} acknowledgements", acks.len());
    let events = rig.events(LINES as usize).await;
    let numbers: Vec<_> = events.iter().map(|event| event["n"]["i"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=LINES));
    let ids: HashSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as u64, LINES);
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn hello_is_checked() {
    async fn check(opening: &str, expect: &str) {
        let rig = Rig::with(TcpConfig::default(), IntakeConfig::default(), false).await;
        let answer = rig.send(format!("{opening}\nline\n")).await;
        assert!(answer.starts_with(&format!("ERR {{\"code\":\"{expect}\"")), "{opening}: {answer}");
        assert_eq!(rig.refusals(1).await, [expect]);
        assert_eq!(rig.broker.records(Topic::Events).len(), 0);
    }
    check(r#"HELLO {"token":"qgx_wrong"}"#, "bad_token").await;
    check(r#"HELLO {"token":"qgx_expired"}"#, "expired_token").await;
    check(r#"HELLO {"source":"a"}"#, "no_credential").await;
    check(r#"HELLO {"#, "bad_hello").await;
    check(r#"HELLO {"stream":"s","acked":18446744073709551615}"#, "bad_hello").await;
    check(&format!(r#"HELLO {{"stream":"{}"}}"#, "x".repeat(65)), "bad_hello").await;
    check(r#"HELLO {"stream":"http/0123"}"#, "bad_hello").await;
    check(r#"HELLO {"stream":"bound/s"}"#, "bad_hello").await;
    check(&format!("HELLO {{{}", "x".repeat(100_000)), "line_too_long").await;
    check("AUTH qgx_wrong", "bad_token").await;
    check("AUTH qgx_good\nHELLO {\"token\":\"qgx_bound\"}", "identity_changed").await;
}

#[tokio::test]
async fn the_tokens_source_beats_hellos_and_the_loser_stays() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.hello(r#"{"token":"qgx_bound","source":"other"}"#).await;
    client.say("{\"v\":1}\n").await;
    client.acked(1).await;
    let events = rig.events(1).await;
    assert_eq!((&events[0]["source"], &events[0]["s"]["source"]), (&"pump-1".into(), &"other".into()));
}

#[tokio::test]
async fn a_revoked_token_closes_its_connections() {
    let rig = Rig::start().await;
    let (mut revoked, mut other) = (rig.connect().await, rig.connect().await);
    revoked.hello(r#"{"token":"qgx_good"}"#).await;
    other.hello(r#"{"token":"qgx_bound"}"#).await;
    rig.access.revoked.send_replace(Arc::new(HashSet::from([1])));
    let end = tokio::time::timeout(Duration::from_secs(5), revoked.rest()).await.expect("within 5 s");
    assert!(end.starts_with("ERR {\"code\":\"revoked_token\""), "{end}");
    other.say("x\n").await;
    other.acked(1).await;
}

#[tokio::test]
async fn a_stop_finishes_whole_frames() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.hello(r#"{"token":"qgx_bound","stream":"s"}"#).await;
    rig.broker.hold_acks();
    client.say("a\nb\nhalf").await;
    rig.events(2).await;
    let (broker, port) = (Arc::clone(&rig.broker), rig.port);
    let stopping = telemetry::spawn("stopping", async move { port.shutdown(Duration::from_secs(10)).await });
    broker.release_acks();
    assert_eq!(client.rest().await, "ACK 2\n");
    soon(stopping).await.unwrap().unwrap();
    assert_eq!(broker.records(Topic::Events).len(), 2);
}

#[tokio::test]
async fn an_old_connection_is_closed_after_its_acknowledgements() {
    let config = TcpConfig { max_age: Duration::from_millis(300), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let mut client = rig.connect().await;
    client.hello(r#"{"stream":"s"}"#).await;
    client.say("a\n").await;
    assert_eq!(client.rest().await, "ACK 1\n");
}

#[tokio::test]
async fn a_stream_that_goes_on_at_another_process_ends_here() {
    let rig = Rig::start().await;
    let other = rig.beside().await;
    let hello = r#"{"token":"qgx_bound","stream":"s"}"#;
    let mut old = rig.connect().await;
    old.hello(hello).await;
    old.say("a\n").await;
    old.acked(1).await;
    let mut new = other.connect().await;
    new.hello(r#"{"token":"qgx_bound","stream":"s","acked":1}"#).await;
    assert!(old.rest().await.contains("superseded"));
    new.say("b\n").await;
    new.acked(2).await;
    // And back again.
    let mut back = rig.connect().await;
    back.hello(r#"{"token":"qgx_bound","stream":"s","acked":2}"#).await;
    assert!(new.rest().await.contains("superseded"));
    back.say("c\n").await;
    back.acked(3).await;
    assert_eq!(rig.messages(3).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn devices_without_a_source_keep_their_own_streams() {
    /// Two openings of a stream of one name, each from its address; whether they are the same stream.
    async fn check(first: (&str, [u8; 4]), second: (&str, [u8; 4]), same: bool) {
        let rig = Rig::start().await;
        let hello = |token: &str| match token {
            "" => r#"{"stream":"boot-7"}"#.to_owned(),
            token => format!(r#"{{"token":"{token}","stream":"boot-7"}}"#),
        };
        let mut one = rig.connect_from(first.1).await;
        one.hello(&hello(first.0)).await;
        one.say("a\n").await;
        one.acked(1).await;
        let greeting = rig.connect_from(second.1).await.hello(&hello(second.0)).await;
        let last_seq = u8::from(same);
        assert_eq!(greeting, format!(r#"OK {{"stream":"boot-7","last_seq":{last_seq}}}"#));
        if same {
            assert!(one.rest().await.contains("superseded"));
        } else {
            one.say("b\n").await;
            one.acked(2).await;
        }
    }
    const A: [u8; 4] = [127, 0, 0, 1];
    const B: [u8; 4] = [127, 0, 0, 2];
    check(("qgx_good", A), ("qgx_limited", A), false).await;
    check(("qgx_good", A), ("qgx_good", B), true).await;
    check(("", A), ("", B), false).await;
    check(("", A), ("", A), true).await;
    check(("", A), ("qgx_good", A), false).await;
}

/// Sends a line as a new sender of a stream does; answers what it was greeted with, and where the record is kept.
async fn first_line(rig: &Rig, hello: &str, line: &str, count: usize) -> (String, String, Origin) {
    let mut client = rig.connect().await;
    let greeting = client.hello(hello).await;
    client.say(format!("{line}\n")).await;
    let ack = client.line().await;
    assert!(ack.starts_with("ACK "), "{ack}");
    let records = rig.records(Topic::Events, count).await;
    let record = records.last().expect("it was acknowledged");
    (greeting, record.route.source.as_str().to_owned(), record.origin.clone())
}

#[tokio::test]
async fn what_two_senders_number_alike_is_kept_apart() {
    /// Two senders of a stream of one name, whose records are of one source.
    async fn check(first: &str, second: &str) {
        let rig = Rig::start().await;
        let one = first_line(&rig, first, r#"{"source":"pump-8","first":1}"#, 1).await;
        let two = first_line(&rig, second, r#"{"source":"pump-8","second":1}"#, 2).await;
        assert_eq!((one.1.as_str(), two.1.as_str()), ("pump-8", "pump-8"));
        assert!(two.0.ends_with("\"last_seq\":0}"), "{}", two.0);
        assert_ne!(one.2, two.2, "{first}, {second}: the second would be taken for sent before");
    }
    check(r#"{"token":"qgx_limited","stream":"boot-8"}"#, r#"{"token":"qgx_good","stream":"boot-8"}"#).await;
    check(r#"{"stream":"boot-8"}"#, r#"{"token":"qgx_good","stream":"boot-8"}"#).await;
    let named = r#"{"token":"qgx_good","source":"pump-8","stream":"boot-8"}"#;
    check(r#"{"token":"qgx_limited","source":"pump-8","stream":"boot-8"}"#, named).await;
    check(r#"{"token":"qgx_limited","stream":"boot-8"}"#, named).await;
    let poison = r#"{"token":"qgx_limited","source":"pump-8","stream":"boot-8","acked":9007199254740000}"#;
    check(poison, named).await;
}

#[tokio::test]
async fn a_line_is_the_same_one_after_a_restart() {
    /// The same greeting before and after: the n-th line is the same record, whoever names its source.
    async fn check(hello: &str) {
        let (before, after) = (Rig::start().await, Rig::start().await);
        let one = first_line(&before, hello, r#"{"source":"pump-8","v":1}"#, 1).await;
        let two = first_line(&after, hello, r#"{"source":"pump-8","v":1}"#, 1).await;
        assert_eq!(one, two, "{hello}");
    }
    check(r#"{"token":"qgx_good","stream":"s","acked":0}"#).await;
    check(r#"{"token":"qgx_good","stream":"s"}"#).await;
    check(r#"{"stream":"s","acked":0}"#).await;
    check(r#"{"token":"qgx_good","source":"pump-8","stream":"s"}"#).await;
    check(r#"{"token":"qgx_bound","stream":"s"}"#).await;
}

#[tokio::test]
async fn nobody_gets_onto_the_streams_of_a_bound_source() {
    let rig = Rig::start().await;
    let mut owner = rig.connect().await;
    assert_eq!(
        owner.hello(r#"{"token":"qgx_bound","stream":"s"}"#).await,
        r#"OK {"stream":"s","last_seq":0}"#
    );
    owner.say("a\n").await;
    owner.acked(1).await;
    let mut other = rig.connect().await;
    let greeting = other.hello(r#"{"token":"qgx_good","source":"pump-1","stream":"s"}"#).await;
    assert_eq!(greeting, r#"OK {"stream":"s","last_seq":0}"#, "it learns nothing of the owner's stream");
    other.say("b\n").await;
    other.acked(1).await;
    // The owner goes on, and is told apart where positions and ids are kept.
    owner.say("c\n").await;
    owner.acked(2).await;
    let records = rig.records(Topic::Events, 3).await;
    let origin = |stream: &str, sequence| Origin::Stream { stream: stream.into(), sequence };
    let origins: Vec<_> = records.iter().map(|record| record.origin.clone()).collect();
    assert_eq!(origins, [origin("bound/s", 1), origin("token/1/s", 1), origin("bound/s", 2)]);
    let ids: HashSet<_> = rig.events(3).await.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 3);
}
