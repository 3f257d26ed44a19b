//! Stores that fail, restarts, shutdowns.

use super::fixture::{FakeIndex, eventually, source, tenant};
use super::{EVENTS, World, logs, streamed};
use services::Stage;
use std::time::Duration;
use store::broker::memory::AppendFault;
use store::broker::{Broker, Topic};
use store::index::{EventIndex, IndexEntry};
use store::sql::{Accounts, Flush};
use store_sql::SqlDatabase;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_index_loses_nothing() {
    let world = World::new().await;
    world.index.fail(5);
    let processor = world.start();
    world.append(logs("a", 0..20)).await;
    world.drained().await;
    world.index.fail(2);
    world.append(logs("a", 20..30)).await;
    world.drained().await;
    processor.shutdown().await;
    assert_eq!((world.counted("a").await, world.index.payloads().len()), (30, 30));
    assert!(world.hooks.failed(Stage::Index) && world.hooks.goes_on());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_broker_loses_nothing() {
    let world = World::new().await;
    world.broker.fail_fetches(4);
    let mut records = logs("a", 0..10);
    records.push(super::fixture::new_record("a", "rubbish"));
    world.append(records).await;
    world.broker.inject(AppendFault::Lost { stored: 0 });
    let processor = world.start();
    world.drained().await;
    processor.shutdown().await;
    assert_eq!(world.counted("a").await, 10);
    assert_eq!(world.broker.records(Topic::DeadLetters).len(), 1, "the letter was appended again");
    assert!(world.hooks.failed(Stage::Broker) && world.hooks.goes_on());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_ahead_changes_nothing() {
    let world = World::new().await;
    world.append(streamed("a", "boot", 0..20)).await;
    // As a crash between index and SQL leaves them.
    let records = world.broker.records(Topic::Events);
    let partition = records[0].route.partition(world.broker.partitions(Topic::Events));
    let ahead = records.into_iter().take(12).map(|record| IndexEntry { partition, record }).collect();
    world.index.write(ahead).await.unwrap();
    for _ in 0..2 {
        let processor = world.start();
        world.drained().await;
        processor.shutdown().await;
        assert_eq!((world.counted("a").await, world.index.payloads().len()), (20, 20));
        assert_eq!(world.index.skipped(), 12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_is_waited_for_and_resumed_from() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("qgx.db").display());
    let database = SqlDatabase::connect(&url).await.unwrap();
    database.migrate().await.unwrap();
    let mut world = World::new().await;
    world.sql = database.clone();
    world.config.drain = Duration::from_millis(50);
    let processor = world.start();
    world.append(streamed("a", "boot", 0..10)).await;
    world.drained().await;
    database.close().await;
    world.append(streamed("a", "boot", 10..20)).await;
    eventually("the failure", async || world.hooks.failed(Stage::Sql)).await;
    processor.shutdown().await;

    world.sql = SqlDatabase::connect(&url).await.unwrap();
    assert_eq!(world.counted("a").await, 10);
    let processor = world.start();
    world.append(streamed("a", "boot", 15..25)).await;
    world.drained().await;
    processor.shutdown().await;
    assert_eq!((world.counted("a").await, world.index.payloads().len()), (25, 25));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_finishes_what_is_on_its_way() {
    let mut world = World::new().await;
    world.config.batch_records = 10;
    world.index.gate(false);
    world.append(logs("a", 0..10)).await;
    let processor = world.start();
    eventually("the first write", async || world.index.writes() == 1).await;
    let shutdown = telemetry::spawn("shutdown", processor.shutdown());
    assert!(!shutdown.is_finished());
    world.index.gate(true);
    tokio::time::timeout(Duration::from_secs(30), shutdown).await.unwrap().unwrap();
    assert_eq!(world.counted("a").await, 10);
    assert_eq!(world.sql.offsets(EVENTS).await.unwrap().iter().map(|it| it.1).sum::<u64>(), 10);
    eventually("the last totals", async || world.hooks.total().0 == 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut world = World::new().await;
    world.config.drain = Duration::from_millis(20);
    world.index.fail(usize::MAX);
    world.append(logs("a", 0..10)).await;
    let processor = world.start();
    eventually("the failure", async || world.hooks.failed(Stage::Index)).await;
    tokio::time::timeout(Duration::from_secs(30), processor.shutdown()).await.unwrap();
    assert_eq!(world.sql.offsets(EVENTS).await.unwrap(), []);
    world.index = FakeIndex::new();
    let processor = world.start();
    world.drained().await;
    processor.shutdown().await;
    assert_eq!(world.counted("a").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_in_time_though_a_sink_never_answers() {
    let mut world = World::new().await;
    world.index.gate(false);
    world.append(logs("a", 0..10)).await;
    let processor = world.start();
    eventually("the first write", async || world.index.writes() == 1).await;
    let started = std::time::Instant::now();
    processor.shutdown_within(Duration::from_millis(500)).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(world.sql.offsets(EVENTS).await.unwrap(), [], "nothing of it is committed");
    world.index = FakeIndex::new();
    let processor = world.start();
    world.drained().await;
    processor.shutdown().await;
    assert_eq!(world.counted("a").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_moved_by_another_are_resumed_from() {
    let world = World::new().await;
    // Two sources in different partitions.
    let partitions = world.broker.partitions(Topic::Events);
    let partition = |name: &str| super::fixture::new_record(name, "").route.partition(partitions);
    let other = ["b", "c", "d", "e", "f"].into_iter().find(|it| partition(it) != partition("a")).unwrap();
    world.index.gate(false);
    let mut records = streamed("a", "boot", 0..10);
    records.extend(streamed(other, "boot", 0..10));
    world.append(records).await;
    let processor = world.start();
    eventually("the first write", async || world.index.writes() == 1).await;
    let moved = Flush { offsets: vec![(partition("a"), 10)], ..Flush::default() };
    world.sql.flush(EVENTS, &moved).await.unwrap();
    world.index.gate(true);
    world.drained().await;
    processor.shutdown().await;
    assert_eq!(world.counted("a").await, 0, "the other writer did these");
    assert_eq!(world.counted(other).await, 10);
    assert_eq!(world.sql.stream_position(&tenant(), &source(other), "boot").await.unwrap(), 10);
}
