//! MySQL and MariaDB pass the conformance suite, where `QGX_TEST_MYSQL` names a server on which databases may be made;
//! and what is theirs alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use domain::{SourceKey, TenantId, TimeRange, Timestamp};
use server::Scratch;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::sql::{Accounts, Flush, Pipeline, SourceDelta, Sources, SqlError, SqlStore};
use store_sql::SqlDatabase;

async fn fresh() -> Option<(Arc<dyn SqlStore>, Scratch)> {
    let scratch = Scratch::new().await?;
    let store = scratch.migrated().await;
    Some((store, scratch))
}

store::sql_conformance!(fresh);

const TOPIC: &str = "qgx.events.v1";
const MINUTE: Timestamp = Timestamp::from_secs(1_700_006_400);

fn acme() -> TenantId {
    TenantId::new("t_acme").unwrap()
}

fn pump() -> SourceKey {
    SourceKey::new("pump-1").unwrap()
}

/// One event of a source, at a partition's next offset.
fn one_event(next: u64) -> Flush {
    let arrivals = vec![(MINUTE, 9, 1, 100)];
    let (received, ts) = ((MINUTE, MINUTE), (MINUTE, MINUTE));
    let delta =
        SourceDelta { tenant: acme(), source: pump(), protocol: "qgx".to_owned(), arrivals, received, ts };
    Flush { offsets: vec![(0, next)], starts: vec![(0, next - 1)], sources: vec![delta], ..Flush::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_migrate_once() {
    let Some(scratch) = Scratch::new().await else { return };
    let databases = [scratch.connect().await, scratch.connect().await, scratch.connect().await];
    let reached = futures::future::try_join_all(databases.iter().map(|it| it.migrate())).await.unwrap();
    assert!(reached[0] > 0 && reached.iter().all(|it| *it == reached[0]), "{reached:?}");
    assert_eq!(databases[0].migrate().await.unwrap(), reached[0], "again changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_cut_short_is_done_to_its_end() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.migrated().await;
    scratch.run("DELETE FROM schema_migrations".to_owned()).await;
    scratch.run("DROP TABLE streams".to_owned()).await;
    let store = scratch.migrated().await;
    assert_eq!(store.stream_position(&acme(), &pump(), "boot-7").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused_with_the_remedy() {
    let Some(scratch) = Scratch::new().await else { return };
    let store = scratch.migrated().await;
    scratch.run("INSERT INTO schema_migrations VALUES (99, 'later', 0)".to_owned()).await;
    let refused = |error: &SqlError| {
        matches!(error, SqlError::Schema { found: 99, .. })
            && error.to_string().contains("newer version of qgx")
    };
    let at_start = SqlDatabase::connect(&scratch.url).await.unwrap_err();
    assert!(refused(&at_start), "{at_start}");
    let at_migration = store.migrate().await.unwrap_err();
    assert!(refused(&at_migration), "{at_migration}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_and_not_cut() {
    let Some((store, _scratch)) = fresh().await else { return };
    let fits = "n".repeat(255);
    store.set_setting(&fits, "whole").await.unwrap();
    assert!(matches!(store.set_setting(&format!("{fits}n"), "cut").await, Err(SqlError::Failed(_))));
    assert_eq!(store.setting(&fits).await.unwrap().as_deref(), Some("whole"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_a_deadlock_undid_is_done_again() {
    let Some(scratch) = Scratch::new().await else { return };
    let store = scratch.migrated().await;
    store.flush(TOPIC, &one_event(1)).await.unwrap();

    // Somebody else, with more to undo, holds what the flush writes last...
    let mut other = scratch.session().await;
    other.run("BEGIN").await;
    let many: Vec<_> = (0..500).map(|n| format!("('name-{n}', '')")).collect();
    other.run(&format!("INSERT INTO settings (name, setting_value) VALUES {}", many.join(","))).await;
    other.run("UPDATE tenant_arrivals SET events = events + 0 WHERE tenant_key = 't_acme'").await;
    let flushing = telemetry::spawn("flush", {
        let store = store.clone();
        async move { store.flush(TOPIC, &one_event(2)).await }
    });
    let mut watcher = scratch.session().await;
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'INSERT INTO \
                   tenant_arrivals%'";
    let deadline = Instant::now() + Duration::from_secs(4);
    while watcher.count(waiting).await == 0 {
        assert!(Instant::now() < deadline, "the flush never waited for the other");
        tokio::task::yield_now().await;
    }
    // ...and wants what it wrote first.
    other.run("UPDATE sources SET name = 'Pump' WHERE source_key = 'pump-1'").await;
    other.run("COMMIT").await;

    flushing.await.unwrap().expect("the deadlock's victim tries again");
    let minute = TimeRange::new(MINUTE, MINUTE.plus_nanos(1));
    assert_eq!(store.inflow(&acme(), minute).await.unwrap(), [(MINUTE, 9, 2, 200)]);
    let row = store.source(&acme(), &pump()).await.unwrap().expect("it is registered");
    assert_eq!((row.name.as_str(), row.events), ("Pump", 2));
}

#[tokio::test]
async fn an_address_without_a_database_is_refused() {
    for url in ["mysql://qgx@127.0.0.1:1", "mysql://qgx@127.0.0.1:1/", "oracle://qgx@127.0.0.1:1/qgx"] {
        let Err(SqlError::Failed(reason)) = SqlDatabase::connect(url).await else {
            panic!("{url} is refused")
        };
        assert!(reason.starts_with("the database URL must"), "{reason}");
    }
}
