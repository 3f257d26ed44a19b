//! Several processes on one bus: two web roles and two processors, say.

use super::fixture::{Fixture, key, next};
use crate::*;
use domain::api::{LiveMessage, LiveTotals, Refusal, TokenInput, TokenKind};
use domain::{Event, Timestamp};
use futures::stream::BoxStream;
use std::collections::HashSet;
use std::time::Duration;
use store::live_bus::{LiveBus, MemoryBus};
use tokio_util::sync::CancellationToken;

/// Processes on the same stores, joined by a bus until dropped.
struct Joined {
    fixture: Fixture,
    processes: Vec<Services>,
    bus: Arc<MemoryBus>,
    stop: CancellationToken,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn joined(count: usize) -> Joined {
    let fixture = Fixture::new().await;
    let (bus, stop) = (Arc::new(MemoryBus::default()), CancellationToken::new());
    let processes: Vec<_> = (0..count)
        .map(|_| Services::new(fixture.services.stores().clone(), fixture.services.inner.config.clone()))
        .collect();
    for services in &processes {
        let (services, bus, stop) = (services.clone(), bus.clone(), stop.clone());
        telemetry::spawn(
            "test-bus",
            async move { services.join_bus(bus, vec!["front".to_owned()], stop).await },
        );
    }
    let all = Joined { fixture, processes, bus, stop };
    until(|| all.processes.iter().all(|services| services.processes().len() == count)).await;
    all
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes");
}

/// The next message that is no heartbeat.
async fn heard(stream: &mut BoxStream<'static, LiveMessage>) -> LiveMessage {
    loop {
        match next(stream).await.expect("the stream goes on") {
            LiveMessage::Heartbeat { .. } => {}
            message => return message,
        }
    }
}

fn totals(at: i64, events: u64, source: &str) -> LiveTotals {
    let mut levels = [0; 10];
    levels[9] = events;
    LiveTotals {
        at: Timestamp::from_secs(at),
        events,
        bytes: 10 * events,
        levels,
        sources: vec![(key(source), events)],
        freshness_p99_ms: events as f64,
    }
}

#[tokio::test]
async fn a_second_is_the_sum_of_all_processors_and_loses_nothing() {
    let all = joined(3).await;
    let (web, tenant) = (&all.processes[0], &all.fixture.tenant);
    let request = LiveRequest { totals: true, ..LiveRequest::default() };
    let mut stream = web.subscribe(&all.fixture.local(), request).await.unwrap();
    let second = Timestamp::now().as_secs();
    all.processes[1].status().record_freshness(tenant, 3, Duration::from_millis(100));
    all.processes[1].publish_second(tenant, totals(second, 3, "pump-1"));
    all.processes[2].publish_second(tenant, totals(second, 4, "pump-2"));
    let LiveMessage::Totals(sum) = heard(&mut stream).await else { panic!("totals") };
    assert_eq!((sum.at.as_secs(), sum.events, sum.bytes, sum.levels[9]), (second, 7, 70, 7));
    assert_eq!(sum.sources, [(key("pump-2"), 4), (key("pump-1"), 3)]);
    assert!((sum.freshness_p99_ms - 4.0).abs() < 1e-9);
    // A processor whose clock is behind: its second is over, so that it counts in the next.
    all.processes[1].publish_second(tenant, totals(second, 5, "pump-1"));
    all.processes[2].publish_second(tenant, totals(second + 1, 6, "pump-1"));
    let LiveMessage::Totals(late) = heard(&mut stream).await else { panic!("totals") };
    assert_eq!((late.at.as_secs(), late.events), (second + 1, 11));
    assert_eq!(web.live().totals_history(tenant).iter().map(|it| it.events).sum::<u64>(), 18);
    let freshness = web.status().freshness_p99_ms(tenant).expect("it was told");
    assert!((95.0..112.0).contains(&freshness), "{freshness}");
}

#[tokio::test]
async fn tails_are_watched_for_by_processors_and_forgotten_with_their_page() {
    let all = joined(3).await;
    let (web, processors) = (&all.processes[0], &all.processes[1..]);
    let tails = vec![("t1".to_owned(), "level>=warn".to_owned())];
    let request = LiveRequest { tails, ..LiveRequest::default() };
    let mut stream = web.subscribe(&all.fixture.local(), request).await.unwrap();
    until(|| processors.iter().all(|it| it.live().tails().len() == 1)).await;
    let event: Event = serde_json::from_str(
        r#"{"id":"01900000-0000-7000-8000-000000000001","source":"pump-1","ts":"2026-11-22T01:02:03Z",
            "received_at":"2026-11-22T01:02:03Z","kind":"log","level":"warn","message":"hot","fields":{}}"#,
    )
    .unwrap();
    // Of both together no more than of one.
    for (processor, found, expect) in [(&processors[0], 150, (150, 1)), (&processors[1], 100, (50, 51))] {
        let tails = processor.live().tails();
        assert_eq!((&tails[0].tenant, tails[0].query.text.as_str()), (&all.fixture.tenant, "level>=warn"));
        processor.live().publish_tail(tails[0].id, vec![event.clone(); found], 1);
        let LiveMessage::Tail { id, events, omitted } = heard(&mut stream).await else { panic!("a tail") };
        assert_eq!((id.as_str(), events.len(), omitted), ("t1", expect.0, expect.1));
    }
    drop(stream);
    until(|| processors.iter().all(|it| it.live().tails().is_empty())).await;
}

#[tokio::test]
async fn matches_beyond_a_message_are_counted() {
    let all = joined(2).await;
    let event: Event = serde_json::from_str(
        r#"{"id":"01900000-0000-7000-8000-000000000001","source":"pump-1","ts":"2026-11-22T01:02:03Z",
            "received_at":"2026-11-22T01:02:03Z","kind":"log","message":"","fields":{}}"#,
    )
    .unwrap();
    let large = Event { message: Some("x".repeat(200_000)), ..event };
    let request = LiveRequest { tails: vec![("t1".to_owned(), String::new())], ..LiveRequest::default() };
    let mut stream = all.processes[0].subscribe(&all.fixture.local(), request).await.unwrap();
    let processor = &all.processes[1];
    until(|| processor.live().tails().len() == 1).await;
    processor.live().publish_tail(processor.live().tails()[0].id, vec![large; 10], 2);
    let LiveMessage::Tail { events, omitted, .. } = heard(&mut stream).await else { panic!("a tail") };
    assert_eq!((events.len(), omitted), (3, 9));
}

#[tokio::test]
async fn refusals_and_ended_tokens_are_known_everywhere() {
    let all = joined(2).await;
    let (web, ingestion) = (&all.processes[0], &all.processes[1]);
    let ctx = all.fixture.local();
    for port in [4_000, 4_001, 4_002] {
        let refusal = Refusal {
            at: Timestamp::now(),
            peer: format!("192.0.2.1:{port}"),
            protocol: "qgx".to_owned(),
            code: "bad_token".to_owned(),
            token: None,
            count: 1,
        };
        ingestion.refused(refusal, Some(all.fixture.tenant.clone()));
    }
    let counts =
        async || web.refusals(&ctx).await.unwrap().iter().map(|refusal| refusal.count).collect::<Vec<_>>();
    let told = async {
        while counts().await != [3] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("they come, folded");

    let input = TokenInput {
        kind: TokenKind::Ingest,
        name: "token".to_owned(),
        source: None,
        role: None,
        expires_at: None,
    };
    let made = web.create_token(&ctx, input).await.unwrap();
    let mut revoked = ingestion.revocations();
    web.revoke_token(&ctx, &made.info.id).await.unwrap();
    let id: u64 = made.info.id.parse().unwrap();
    let known = revoked.wait_for(|set: &Arc<HashSet<u64>>| set.contains(&id));
    tokio::time::timeout(Duration::from_secs(5), known).await.expect("within 5 s").unwrap();
}

#[tokio::test]
async fn what_is_not_understood_is_passed_over() {
    let all = joined(2).await;
    for foreign in ["", "{", r#"{"v":2,"from":"x","said":{}}"#, r#"{"v":1,"from":"x","said":{"later":1}}"#] {
        all.bus.publish(foreign.as_bytes().to_vec().into());
    }
    let request = LiveRequest { totals: true, ..LiveRequest::default() };
    let mut stream = all.processes[0].subscribe(&all.fixture.local(), request).await.unwrap();
    all.processes[1].publish_second(&all.fixture.tenant, totals(Timestamp::now().as_secs(), 1, "a"));
    assert!(matches!(heard(&mut stream).await, LiveMessage::Totals(sum) if sum.events == 1));
}
