//! The HTTP sister.

use crate::rig::Rig;
use bytes::Bytes;
use futures::{StreamExt, stream};
use ingest::access::{Identity, IngestAccess};
use ingest::{HttpError, IngestReport, IntakeConfig, TcpConfig, ingest_ndjson};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use store::broker::memory::AppendFault;
use store::broker::{Origin, Topic};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn identity(rig: &Rig, token: &str) -> Identity {
    rig.access.identify(token, PEER).await.unwrap()
}

async fn post(rig: &Rig, body: &str, piece: usize, key: Option<&str>) -> Result<IngestReport, HttpError> {
    post_as(rig, "qgx_good", body, piece, key).await
}

async fn post_as(
    rig: &Rig,
    token: &str,
    body: &str,
    piece: usize,
    key: Option<&str>,
) -> Result<IngestReport, HttpError> {
    let chunks: Vec<_> =
        body.as_bytes().chunks(piece).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
    ingest_ndjson(&rig.intake, identity(rig, token).await, PEER, stream::iter(chunks), key).await
}

#[tokio::test]
async fn lines_are_durable_and_bad_ones_are_named() {
    for piece in [1, 7, 1_000] {
        let rig = Rig::start().await;
        let report =
            post(&rig, "{\"message\":\"a\"}\n\nnope\n[]\n{\"message\":\"b\"}", piece, None).await.unwrap();
        assert_eq!((report.accepted, report.rejected_total), (2, 2));
        let bad: Vec<_> = report.rejected.iter().map(|line| (line.line, line.error.code())).collect();
        assert_eq!(bad, [(3, "invalid_json"), (4, "not_an_object")]);
        assert_eq!(rig.broker.records(Topic::Events).len(), 2);
        assert_eq!(rig.broker.records(Topic::DeadLetters).len(), 0);
        assert!(rig.broker.records(Topic::Events).iter().all(|r| r.origin == Origin::Unmarked));
        rig.all_memory_is_back().await;
    }
}

#[tokio::test]
async fn a_key_makes_a_repeat_recognisable() {
    let rig = Rig::start().await;
    for _ in 0..2 {
        post(&rig, "{\"v\":1}\n{\"v\":2}\n", 100, Some("key-1")).await.unwrap();
    }
    let records = rig.broker.records(Topic::Events);
    let id = |at: usize| {
        let event: serde_json::Value = serde_json::from_slice(&records[at].payload).unwrap();
        (event["id"].to_string(), records[at].origin.clone())
    };
    assert_eq!((id(0), id(1)), (id(2), id(3)));
    assert!(
        matches!(&records[1].origin, Origin::Stream { sequence: 2, stream } if stream.starts_with("http/"))
    );
}

#[tokio::test]
async fn a_key_recognises_only_what_was_stored() {
    /// How many lines of the second body are taken for lines of the first, sent with the same key.
    async fn check(first: (&str, &str), second: (&str, &str), known: usize) {
        let rig = Rig::start().await;
        for ((token, body), piece) in [(first, 777), (second, 100_000)] {
            let report = post_as(&rig, token, body, piece, Some("batch-1")).await.unwrap();
            assert_eq!(report.accepted as usize, body.lines().count());
        }
        let records = rig.broker.records(Topic::Events);
        let place = |at: usize| (records[at].route.source.clone(), records[at].origin.clone());
        let count = first.1.lines().count();
        let before: HashSet<_> = (0..count).map(|at| format!("{:?}", place(at))).collect();
        let again = (count..records.len()).filter(|at| before.contains(&format!("{:?}", place(*at))));
        assert_eq!(again.count(), known);
        rig.all_memory_is_back().await;
    }
    let a = "{\"source\":\"s1\",\"message\":\"a\"}";
    let b = "{\"source\":\"s1\",\"message\":\"b\"}";
    check(("qgx_good", a), ("qgx_good", a), 1).await;
    check(("qgx_good", a), ("qgx_limited", a), 0).await;
    check(("qgx_good", a), ("qgx_good", b), 0).await;
    check(("qgx_bound", a), ("qgx_bound", b), 0).await;
    // Lines of 64 bytes: 1,024 of them end in the first block.
    let body = |changed: usize| -> String {
        let line =
            |at: usize| format!("{{\"source\":\"s1\",\"n\":{:>43}}}\n", at + usize::from(at == changed));
        (0..2_500).map(line).collect()
    };
    assert!(body(0).lines().all(|line| line.len() == 63));
    check(("qgx_good", &body(2_500)), ("qgx_good", &body(2_500)), 2_500).await;
    check(("qgx_good", &body(2_500)), ("qgx_good", &body(1_500)), 1_024).await;
    check(("qgx_good", &body(2_500)), ("qgx_good", &body(0)), 0).await;
}

#[tokio::test]
async fn what_stops_it_says_what_was_taken() {
    let rig = Rig::start().await;
    rig.broker.inject(AppendFault::Busy { retry_after: Duration::from_secs(3) });
    let busy = post(&rig, "{\"v\":1}\n", 100, None).await;
    assert!(
        matches!(busy, Err(HttpError::Busy { retry_after, .. }) if retry_after == Duration::from_secs(3))
    );
    let spent = identity(&rig, "qgx_spent").await;
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{\"v\":1}\n"))]);
    let over = ingest_ndjson(&rig.intake, spent, PEER, body, None).await;
    assert!(matches!(over, Err(HttpError::Quota { .. })), "{over:?}");
    let body = stream::iter([
        Ok(Bytes::from_static(b"{\"v\":1}\n{\"v\"")),
        Err(std::io::Error::other("the client left")),
    ]);
    let broken = ingest_ndjson(&rig.intake, identity(&rig, "qgx_good").await, PEER, body, None).await;
    assert!(matches!(broken, Err(HttpError::Body { report, .. }) if report.accepted == 1));
    rig.all_memory_is_back().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up() {
    let rig = Rig::start().await;
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{\"v\":1}\n{\"v\""))]);
    let body = body.chain(stream::pending());
    let slow = ingest_ndjson(&rig.intake, identity(&rig, "qgx_good").await, PEER, body, None).await;
    assert!(matches!(&slow, Err(HttpError::Slow { report }) if report.accepted == 1), "{slow:?}");
    rig.all_memory_is_back().await;
}

#[tokio::test]
async fn an_upload_that_waits_at_a_quota_leaves_the_budget_to_others() {
    // Of three quarters of a MiB, a piece takes half a MiB.
    let config = IntakeConfig { budget_bytes: 768 << 10, ..IntakeConfig::default() };
    let rig = Rig::with(TcpConfig::default(), config, true).await;
    let slow = async {
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"v\":1}\n".repeat(30)))]);
        let limited = identity(&rig, "qgx_limited").await;
        ingest_ndjson(&rig.intake, limited, PEER, body, None).await
    };
    let other = async {
        rig.records(Topic::Events, 10).await;
        post(&rig, "{\"v\":2}\n", 100, None).await.unwrap();
        rig.broker.records(Topic::Events).len()
    };
    let (slow, stored) = tokio::join!(slow, other);
    assert!(stored < 30, "the other came only after all {stored}");
    assert_eq!(slow.unwrap().accepted, 30);
    rig.all_memory_is_back().await;
}
