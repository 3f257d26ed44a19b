//! Several processors at once.

use super::{DAY_ONE, HOUR, MINUTE, Outcome, SECOND, Store, TOPIC, arrivals, flush, source, tenant};
use crate::broker::{Offset, Partition};
use crate::sql::sources::RollupQuery;
use crate::sql::{Flush, MetricPoint, Rollup, SqlError, SqlResult};
use domain::api::Aggregate;
use domain::{TimeRange, Timestamp};

fn from_to(partition: Partition, start: Offset, next: Offset) -> Flush {
    let mut batch = Flush { starts: vec![(partition, start)], ..flush(&[(partition, next)]) };
    batch.sources.push(arrivals("acme", "a", DAY_ONE, 9, next - start));
    batch
}

/// Who goes on from where it was, while another took its partition over and went further, writes nothing; who goes on
/// from what is stored does.
pub async fn a_writer_that_lost_its_partition_is_refused(store: Store) -> Outcome {
    let counted =
        async || SqlResult::Ok(store.source(&tenant("acme"), &source("a")).await?.map(|it| it.events));
    store.flush(TOPIC, &from_to(0, 0, 10)).await?;
    // The new owner goes on from 10. The old one is slow, and its batch reaches further.
    store.flush(TOPIC, &from_to(0, 10, 15)).await?;
    assert!(matches!(store.flush(TOPIC, &from_to(0, 10, 30)).await, Err(SqlError::Conflict("offset"))));
    assert_eq!((counted().await?, store.offsets(TOPIC).await?), (Some(15), vec![(0, 15)]));
    // What it wrote before it lost the partition may be asked for again.
    store.flush(TOPIC, &from_to(0, 0, 10)).await?;
    assert_eq!(counted().await?, Some(15), "applied before");
    // A gap would be a loss.
    assert!(matches!(store.flush(TOPIC, &from_to(0, 20, 30)).await, Err(SqlError::Conflict("offset"))));
    assert!(matches!(store.flush(TOPIC, &from_to(1, 20, 30)).await, Err(SqlError::Conflict("offset"))));
    // One of two partitions is lost: nothing of the batch is written.
    let mut both = from_to(1, 0, 5);
    both.offsets.push((0, 30));
    both.starts.push((0, 10));
    assert!(matches!(store.flush(TOPIC, &both).await, Err(SqlError::Conflict("offset"))));
    assert_eq!(store.offsets(TOPIC).await?, [(0, 15)]);
    store.flush(TOPIC, &from_to(0, 15, 30)).await?;
    assert_eq!((counted().await?, store.offsets(TOPIC).await?), (Some(30), vec![(0, 30)]));

    // Two at once: one of them.
    let (one, other) = (from_to(0, 30, 40), from_to(0, 30, 50));
    let (one, other) = futures::join!(store.flush(TOPIC, &one), store.flush(TOPIC, &other));
    let outcomes = [one.is_ok(), other.is_ok()];
    let stored = store.offsets(TOPIC).await?;
    // 40 first: 50 began elsewhere. 50 first: 40 is behind it, as if it had been applied before.
    assert!(
        (outcomes == [true, false] && stored == [(0, 40)])
            || (outcomes == [true, true] && stored == [(0, 50)]),
        "{outcomes:?} {stored:?}"
    );
    assert_eq!(counted().await?, Some(stored[0].1), "each event once");
    Ok(())
}

/// Processors with partitions of their own, on the same tenants, sources and minutes, each in an order of its own.
pub async fn writers_side_by_side_lose_nothing(store: Store) -> Outcome {
    const WRITERS: u32 = 4;
    const FLUSHES: u64 = 12;
    const SOURCES: u64 = 30;
    let write = async |writer: Partition| {
        for n in 0..FLUSHES {
            let mut batch = Flush { starts: vec![(writer, n)], ..flush(&[(writer, n + 1)]) };
            for at in 0..SOURCES {
                let at = if writer.is_multiple_of(2) { at } else { SOURCES - 1 - at };
                let name = format!("source-{at}");
                batch.sources.push(arrivals("acme", &name, DAY_ONE, 9, 1));
                batch.rollups.push(Rollup {
                    tenant: tenant("acme"),
                    source: source(&name),
                    metric: "temp".to_owned(),
                    minute: DAY_ONE,
                    point: MetricPoint::of(1.0, DAY_ONE),
                });
            }
            store.flush(TOPIC, &batch).await?;
        }
        SqlResult::Ok(())
    };
    futures::future::try_join_all((0..WRITERS).map(write)).await?;
    let each = u64::from(WRITERS) * FLUSHES;
    let minute = TimeRange::new(DAY_ONE, DAY_ONE.plus_nanos(MINUTE));
    assert_eq!(
        store.inflow(&tenant("acme"), minute).await?,
        [(DAY_ONE, 9, each * SOURCES, each * SOURCES * 100)]
    );
    let counts = store.arrivals(&tenant("acme"), &[], minute).await?;
    assert!(counts.len() as u64 == SOURCES && counts.iter().all(|it| it.2 == each), "{counts:?}");
    let points = store.rollup(&count(DAY_ONE, 60)).await?;
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let each = each as f64;
    assert!(points.len() as u64 == SOURCES && points.iter().all(|it| it.2 == each), "{points:?}");
    let offsets: Vec<_> = (0..WRITERS).map(|writer| (writer, FLUSHES)).collect();
    assert_eq!(store.offsets(TOPIC).await?, offsets);
    Ok(())
}

fn count(from: Timestamp, step_secs: u32) -> RollupQuery {
    RollupQuery {
        tenant: tenant("acme"),
        metric: "temp".to_owned(),
        sources: vec![],
        aggregate: Aggregate::Count,
        range: TimeRange::new(from, from.plus_nanos(HOUR)),
        step_secs,
        offset_secs: 0,
    }
}

/// Minutes that arrive while their hours are folded are in the hour or stay minutes: each value counts once.
pub async fn late_minutes_join_their_hours(store: Store) -> Outcome {
    const FLUSHES: u64 = 60;
    let never = Timestamp::from_nanos(0);
    let write = async {
        for n in 0..FLUSHES {
            let mut batch = flush(&[(0, n + 1)]);
            let minute = i64::try_from(n).unwrap_or(0) * 7 % 60;
            for name in ["a", "b", "c"] {
                let at = DAY_ONE.plus_nanos(minute * MINUTE + SECOND);
                batch.rollups.push(Rollup {
                    tenant: tenant("acme"),
                    source: source(name),
                    metric: "temp".to_owned(),
                    minute: at.plus_nanos(-SECOND),
                    point: MetricPoint::of(1.0, at),
                });
            }
            store.flush(TOPIC, &batch).await?;
        }
        SqlResult::Ok(())
    };
    let fold = async {
        while store.offsets(TOPIC).await? != [(0, FLUSHES)] {
            store.expire(DAY_ONE.plus_nanos(HOUR), never, never).await?;
            tokio::task::yield_now().await;
        }
        SqlResult::Ok(())
    };
    futures::try_join!(write, fold)?;
    store.expire(DAY_ONE.plus_nanos(HOUR), never, never).await?;
    let points = store.rollup(&count(DAY_ONE, 60)).await?;
    let points: Vec<_> = points.iter().map(|it| (it.0.as_str(), it.1, it.2)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let all = FLUSHES as f64;
    assert_eq!(points, ["a", "b", "c"].map(|name| (name, DAY_ONE, all)), "one hour each, no minutes left");
    Ok(())
}
