//! Reads that are under way end soon after their time is up or nobody waits for them. Alone in its process: it looks
//! at which tasks run.

use domain::TimeRange;
use domain::query::Query;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use store::index::conformance::corpus::{entry, plain, tenant};
use store::index::conformance::patient;
use store::index::{EventIndex, IndexError, ReadLimit};
use store_index::{IndexOptions, TantivyIndex};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_end_in_the_middle() {
    let dir = tempfile::tempdir().unwrap();
    let index = TantivyIndex::open(dir.path(), IndexOptions::default()).unwrap();
    let first = tenant(0);
    let mut offsets = HashMap::new();
    let message = "a message that no term tells from others ".repeat(10);
    let batch = (0..10_000).map(|i| {
        let message = format!("{message}n{i:05}");
        entry(&plain("t_first", "pump-1", i, &message), "30d", &mut offsets)
    });
    index.write(batch.collect()).await.unwrap();

    // None of them can be answered from terms, for the last word may be any of too many: every event is read.
    let none = "\"tells n\"*";
    for (text, expect) in
        [(none, 0), (format!("-{none}").as_str(), 10_000), ("message:\"others n\"*", 10_000)]
    {
        let query = Query::parse(text).unwrap();
        let count = |limit| index.count(&first, query.clone(), TimeRange::ALL, limit);
        let started = Instant::now();
        assert_eq!(count(patient()).await.unwrap(), expect, "{text}");
        let whole = started.elapsed();

        let stops_early = async |stop: &dyn Fn(Duration) -> ReadLimit| {
            // Other processes may hold a read up: one prompt end shows that it looks at its limit.
            for _ in 0..20 {
                let started = Instant::now();
                let ended = count(stop(whole / 10)).await;
                assert!(matches!(ended, Err(IndexError::Deadline)), "{text}: {ended:?}");
                if started.elapsed() < whole / 2 {
                    return true;
                }
            }
            false
        };
        assert!(stops_early(&|time| ReadLimit::within(time, CancellationToken::new())).await, "{text}");
        let cancelled_later = |time| {
            let limit = patient();
            let cancel = limit.cancel.clone();
            telemetry::spawn("cancel", async move {
                // Cancelled when this wait for something that never comes is over.
                let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
                cancel.cancel();
            });
            limit
        };
        assert!(stops_early(&cancelled_later).await, "{text}");

        // A caller who leaves: the work on the blocking thread ends, too.
        let mut ended_soon = false;
        for _ in 0..20 {
            assert!(tokio::time::timeout(whole / 10, count(patient())).await.is_err(), "{text} is under way");
            ended_soon = telemetry::shutdown(whole / 2).await.is_ok();
            telemetry::shutdown(Duration::from_secs(60)).await.unwrap();
            if ended_soon {
                break;
            }
        }
        assert!(ended_soon, "{text}");
    }
    index.close().await.unwrap();
}
