//! What comes out of what went in.

use super::fixture::{self, eventually, source, tenant};
use super::{World, logs, streamed};
use crate::dead_letter::DeadLetter;
use domain::api::{Aggregate, SourceState};
use domain::query::Query;
use domain::{TimeRange, Timestamp};
use services::{Stage, Tail, TailId};
use std::sync::Arc;
use store::broker::{Broker, Origin, Topic};
use store::index::{EventIndex, ReadLimit};
use store::sql::sources::RollupQuery;
use store_index::{IndexOptions, TantivyIndex};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_index_sql_and_live() {
    let world = World::new().await;
    let processor = world.start();
    let mut records = logs("a", 0..10);
    records.extend(logs("b", 0..5));
    for record in &mut records[..10] {
        record.token = 7;
    }
    let bytes: usize = records.iter().map(|it| it.payload.len()).sum();
    world.append(records).await;
    world.drained().await;
    assert_eq!(world.index.payloads().len(), 15);
    assert_eq!((world.counted("a").await, world.counted("b").await), (10, 5));
    eventually("the totals", async || world.hooks.total() == (15, bytes as u64)).await;
    processor.shutdown().await;
    let inflow = world.sql.inflow(&tenant(), TimeRange::ALL).await.unwrap();
    assert_eq!(
        inflow.iter().map(|it| (it.2, it.3)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (15, bytes as u64)
    );

    let totals = world.hooks.totals.lock();
    assert_eq!(totals.iter().map(|it| it.1.levels[4]).sum::<u64>(), 15);
    let of_a: u64 =
        totals.iter().flat_map(|it| &it.1.sources).filter(|it| it.0 == source("a")).map(|it| it.1).sum();
    assert_eq!(of_a, 10);
    assert!(totals.iter().filter(|it| it.1.events > 0).all(|it| it.1.freshness_p99_ms > 900.0));
    assert_eq!(*world.hooks.fresh.lock(), 15);
    assert_eq!(*world.hooks.tokens.lock(), [(tenant(), 7, source("a"))]);
    let mut sources: Vec<_> = world.hooks.sources.lock().iter().map(|it| (it.1.clone(), it.2)).collect();
    sources.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(sources, [(source("a"), SourceState::Online), (source("b"), SourceState::Online)]);
    for stage in [Stage::Processor, Stage::Index, Stage::Sql] {
        assert_eq!(world.hooks.recorded.lock()[&stage], (15, bytes as u64));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_counts_once() {
    let world = World::new().await;
    let given = |id: &str, n| {
        let mut record = logs("b", n..n + 1).remove(0);
        record.origin = Origin::Given(id.into());
        record
    };
    let processor = world.start();
    world.append(streamed("a", "boot", 0..10)).await;
    world.append(streamed("a", "boot", 5..12)).await;
    world.append(streamed("a", "other", 0..3)).await;
    world.append(vec![given("x", 0), given("y", 1), given("x", 0)]).await;
    world.drained().await;
    world.append(streamed("a", "boot", 0..12)).await;
    world.append(vec![given("x", 0)]).await;
    world.drained().await;
    processor.shutdown().await;
    // After a restart nothing is in memory.
    let processor = world.start();
    world.append(streamed("a", "boot", 8..14)).await;
    world.append(vec![given("y", 1), given("z", 2)]).await;
    world.drained().await;
    processor.shutdown().await;
    assert_eq!((world.counted("a").await, world.counted("b").await), (14 + 3, 3));
    assert_eq!(world.index.payloads().len(), 20);
    assert_eq!(world.sql.stream_position(&tenant(), &source("a"), "boot").await.unwrap(), 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_becomes_a_dead_letter() {
    let world = World::new().await;
    let processor = world.start();
    let mut records = logs("a", 0..2);
    records.push(fixture::new_record("a", "{\"not\": \"an event\""));
    records.push(fixture::new_record(
        "a",
        &fixture::event("a", r#""kind":"log","message":"m","s":{"refuse":"x"}"#),
    ));
    records.extend(logs("a", 2..4));
    world.append(records).await;
    world.drained().await;
    processor.shutdown().await;
    assert_eq!(world.counted("a").await, 4);
    assert_eq!(world.index.payloads().len(), 4);
    let letters = world.broker.records(Topic::DeadLetters);
    let letters: Vec<_> = letters.iter().map(|it| DeadLetter::parse(&it.payload).unwrap()).collect();
    for (code, text) in [("undecodable", "an event"), ("refused", "refuse")] {
        let letter = letters.iter().find(|it| it.code == code).unwrap();
        let original = String::from_utf8(letter.original().unwrap()).unwrap();
        assert!(original.contains(text), "{original}");
        let place = letter.place.unwrap();
        assert_eq!(world.places_of(text), [(place.partition, place.offset)]);
        assert_eq!((&letter.tenant, &letter.source), (&tenant(), &source("a")));
    }
    assert_eq!(letters.len(), 2);
    eventually("the totals", async || world.hooks.total().0 == 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_many_series_is_divided() {
    let mut world = World::new().await;
    world.config.batch_series = 10;
    let metric = |n: u64| {
        let rest = format!(r#""kind":"metric","n":{{"m{n}":{n},"shared":{n}}}"#);
        let now = Timestamp::from_secs(1_790_000_000 + i64::try_from(n).unwrap()).to_string();
        fixture::new_record("a", &fixture::event_at("a", &now, &now, &rest))
    };
    world.append((0..100).map(metric).collect()).await;
    let processor = world.start();
    world.drained().await;
    processor.shutdown().await;
    let query = |metric: String, aggregate| RollupQuery {
        tenant: tenant(),
        metric,
        sources: vec![],
        aggregate,
        range: TimeRange::ALL,
        step_secs: 3_600,
        offset_secs: 0,
    };
    let shared = world.sql.rollup(&query("shared".to_owned(), Aggregate::Sum)).await.unwrap();
    assert_eq!(shared.iter().map(|it| it.2).sum::<f64>(), (0..100).sum::<u64>() as f64);
    assert_eq!(world.sql.latest_values(&tenant(), &source("a")).await.unwrap().len(), 101);
    assert!(world.index.writes() >= 10);
    assert_eq!(world.index.skipped(), 0);
    assert_eq!(world.index.places().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tails_get_what_matches() {
    let world = World::new().await;
    let tail = |id, tenant: &str, text: &str| Tail {
        id: TailId(id),
        tenant: domain::TenantId::new(tenant).unwrap(),
        query: Query::parse(text).unwrap(),
    };
    *world.hooks.tails.lock() = Arc::new(vec![
        tail(1, "t_acme", "\"number 3\""),
        tail(2, "t_other", ""),
        tail(3, "t_acme", "level:warn"),
    ]);
    world.append(logs("a", 0..300)).await;
    let processor = world.start();
    world.drained().await;
    processor.shutdown().await;
    let tailed = world.hooks.tailed.lock();
    let of = |id| {
        let of = tailed.iter().filter(move |it| it.0 == TailId(id));
        of.fold((0, 0), |sum, it| (sum.0 + it.1.len() as u64, sum.1 + it.2))
    };
    assert_eq!(of(1), (1, 0));
    assert_eq!(of(2), (0, 0));
    let (sent, omitted) = of(3);
    assert_eq!(sent + omitted, 300);
    assert!(sent >= 200 && tailed.iter().all(|it| it.1.len() <= 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_on_the_embedded_stores() {
    let folder = tempfile::tempdir().unwrap();
    let broker =
        store_log::EmbeddedLog::open(folder.path().join("log"), store_log::LogOptions::default()).unwrap();
    let index = TantivyIndex::open(&folder.path().join("index"), IndexOptions::default()).unwrap();
    let world = World::new().await;
    let deps = super::Deps {
        broker: broker.clone(),
        index: index.clone(),
        sql: world.sql.clone(),
        hooks: world.hooks.clone(),
    };
    let processor = super::Processor::start(deps, world.config.clone());
    broker.append(Topic::Events, streamed("a", "boot", 0..50)).await.unwrap();
    broker.append(Topic::Events, streamed("a", "boot", 0..60)).await.unwrap();
    broker.append(Topic::Events, vec![fixture::new_record("a", "rubbish")]).await.unwrap();
    let count = async || {
        let limit = ReadLimit::within(std::time::Duration::from_secs(10), Default::default());
        index.count(&tenant(), Query::all(), TimeRange::ALL, limit).await.unwrap()
    };
    eventually("the end of the log", async || {
        let lag = broker.lag("qgx-processor", Topic::Events).await.unwrap();
        lag.iter().map(|it| it.end).sum::<u64>() == 111 && lag.iter().all(|it| it.committed == it.end)
    })
    .await;
    processor.shutdown().await;
    assert_eq!((count().await, world.counted("a").await), (60, 60));
    index.close().await.unwrap();
    broker.close().await.unwrap();
}
