//! The processor's writes and what they merge into.

use super::{DAY_ONE, HOUR, MINUTE, Outcome, SECOND, Store, TOPIC, arrivals, flush, source, tenant};
use crate::sql::sources::RollupQuery;
use crate::sql::{Flush, MetricPoint, Rollup, SqlError, SqlResult, StreamPosition};
use domain::api::{Aggregate, LatestValue};
use domain::{TimeRange, Timestamp};

fn rollup(source_name: &str, metric: &str, minute: Timestamp, point: MetricPoint) -> Rollup {
    Rollup { tenant: tenant("acme"), source: source(source_name), metric: metric.to_owned(), minute, point }
}

fn values(values: &[(f64, i64)]) -> MetricPoint {
    let mut points = values.iter().map(|(value, at)| MetricPoint::of(*value, DAY_ONE.plus_nanos(*at)));
    let mut all = points.next().expect("at least one value");
    points.for_each(|point| all.merge(&point));
    all
}

fn question(aggregate: Aggregate) -> RollupQuery {
    RollupQuery {
        tenant: tenant("acme"),
        metric: "temp".to_owned(),
        sources: vec![],
        aggregate,
        range: TimeRange::new(DAY_ONE, DAY_ONE.plus_nanos(24 * HOUR)),
        step_secs: 60,
        offset_secs: 0,
    }
}

async fn points(store: &Store, query: RollupQuery) -> SqlResult<Vec<(String, i64, f64)>> {
    let points = store.rollup(&query).await?;
    let seconds = |at: Timestamp| (at.as_nanos() - DAY_ONE.as_nanos()) / SECOND;
    Ok(points.into_iter().map(|(source, at, value)| (source.to_string(), seconds(at), value)).collect())
}

fn stream(name: &str, sequence: u64) -> StreamPosition {
    StreamPosition { tenant: tenant("acme"), source: source("a"), stream: name.to_owned(), sequence }
}

/// Everything of one flush is there after it.
pub async fn a_flush_is_read_back(store: Store) -> Outcome {
    let (acme, a) = (tenant("acme"), source("a"));
    let batch = Flush {
        offsets: vec![(0, 10), (7, 3)],
        starts: vec![(0, 0), (7, 0)],
        rollups: vec![rollup("a", "temp", DAY_ONE, values(&[(1.5, 5)]))],
        latest: vec![(acme.clone(), a.clone(), "disk/free".to_owned(), -2.25, DAY_ONE)],
        sources: vec![arrivals("acme", "a", DAY_ONE, 2, 4)],
        streams: vec![stream("boot-7", 41)],
        given_ids: vec![(acme.clone(), a.clone(), "x".to_owned(), DAY_ONE)],
    };
    assert_eq!(store.offsets(TOPIC).await?, []);
    assert_eq!(store.flush(TOPIC, &batch).await?.new_sources, [(acme.clone(), a.clone())]);
    assert_eq!(store.offsets(TOPIC).await?, [(0, 10), (7, 3)]);
    assert_eq!(store.offsets("another").await?, []);
    assert_eq!(points(&store, question(Aggregate::Avg)).await?, [("a".to_owned(), 0, 1.5)]);
    let free = LatestValue { metric: "disk.free".to_owned(), value: -2.25, ts: DAY_ONE };
    assert_eq!(store.latest_values(&acme, &a).await?, [free]);
    assert_eq!(store.stream_position(&acme, &a, "boot-7").await?, 41);
    assert_eq!(store.stream_position(&acme, &a, "Boot-7").await?, 0);
    assert_eq!(store.stream_position(&acme, &source("b"), "boot-7").await?, 0);
    assert_eq!(store.stream_highest(&acme, "boot-7").await?, 41);
    assert_eq!(store.stream_highest(&acme, "Boot-7").await?, 0);
    // A second flush of a source that is known is no news.
    let mut more = flush(&[(0, 11)]);
    more.sources.push(arrivals("acme", "a", DAY_ONE.plus_nanos(-SECOND), 2, 1));
    assert_eq!(store.flush(TOPIC, &more).await?.new_sources, []);
    let row = store.source(&acme, &a).await?.ok_or(SqlError::NotFound)?;
    assert_eq!((row.events, row.bytes, row.first_seen), (5, 500, Some(DAY_ONE.plus_nanos(-SECOND))));
    assert_eq!(row.last_seen, Some(DAY_ONE));
    Ok(())
}

/// The highest over a stream's sources is of the tenant and the name alone.
pub async fn a_stream_may_have_several_sources(store: Store) -> Outcome {
    let of = |of_tenant: &str, of_source: &str, name: &str, sequence| StreamPosition {
        tenant: tenant(of_tenant),
        source: source(of_source),
        stream: name.to_owned(),
        sequence,
    };
    let mut batch = flush(&[(0, 1)]);
    batch.streams = vec![
        of("acme", "a", "mixed/1/s", 3),
        of("acme", "b", "mixed/1/s", 8),
        of("acme", "c", "mixed/1/s", 5),
        of("acme", "a", "mixed/1/t", 90),
        of("other", "a", "mixed/1/s", 70),
    ];
    store.flush(TOPIC, &batch).await?;
    for (of_tenant, name, expect) in [
        ("acme", "mixed/1/s", 8),
        ("acme", "mixed/1/t", 90),
        ("acme", "mixed/1/S", 0),
        ("other", "mixed/1/s", 70),
        ("other", "mixed/1/t", 0),
    ] {
        assert_eq!(store.stream_highest(&tenant(of_tenant), name).await?, expect, "{of_tenant} {name}");
    }
    Ok(())
}

/// Within one flush and over several: as if all values had been merged at once.
pub async fn rollups_merge(store: Store) -> Outcome {
    let parts: [&[(f64, i64)]; 4] =
        [&[(5.0, 10), (7.0, 20)], &[(5.0, 5), (7.0, 30)], &[(-1.0, 40)], &[(6.0, 35), (6.5, 35)]];
    let mut all = Vec::new();
    for (offset, part) in (1..).zip(parts) {
        let mut batch = flush(&[(0, offset)]);
        batch.rollups.push(rollup("a", "temp", DAY_ONE, values(part)));
        store.flush(TOPIC, &batch).await?;
        all.extend_from_slice(part);
    }
    // The same minute twice in one flush.
    let mut batch = flush(&[(0, 5)]);
    batch.rollups.push(rollup("a", "temp", DAY_ONE, values(&[(9.0, 50)])));
    batch.rollups.push(rollup("a", "temp", DAY_ONE, values(&[(9.0, 45)])));
    store.flush(TOPIC, &batch).await?;
    all.extend([(9.0, 50), (9.0, 45)]);
    let all = values(&all);
    let expect = [
        (Aggregate::Count, all.count as f64),
        (Aggregate::Sum, all.sum),
        (Aggregate::Avg, all.sum / all.count as f64),
        (Aggregate::Min, -1.0),
        (Aggregate::Max, 9.0),
        (Aggregate::Last, 9.0),
    ];
    for (aggregate, value) in expect {
        assert_eq!(points(&store, question(aggregate)).await?, [("a".to_owned(), 0, value)], "{aggregate:?}");
    }
    let extremes = store.rollup_extremes(&question(Aggregate::Avg)).await?;
    assert_eq!(
        extremes,
        Some((-1.0, DAY_ONE.plus_nanos(40), 9.0, DAY_ONE.plus_nanos(45))),
        "the earlier stands"
    );
    Ok(())
}

/// By `ts`, not by arrival; of equal times the later write.
pub async fn latest_values_keep_the_later(store: Store) -> Outcome {
    let (acme, a) = (tenant("acme"), source("a"));
    for (offset, (at, value, expect)) in
        (1..).zip([(10, 1.0, 1.0), (5, 2.0, 1.0), (10, 3.0, 3.0), (11, -4.5, -4.5)])
    {
        let mut batch = flush(&[(0, offset)]);
        batch.latest.push((acme.clone(), a.clone(), "temp".to_owned(), value, DAY_ONE.plus_nanos(at)));
        store.flush(TOPIC, &batch).await?;
        let latest = store.latest_values(&acme, &a).await?;
        assert_eq!(latest.iter().map(|it| it.value).collect::<Vec<_>>(), [expect]);
    }
    Ok(())
}

/// Stream positions stay at their highest.
pub async fn positions_never_go_back(store: Store) -> Outcome {
    let (acme, a) = (tenant("acme"), source("a"));
    for (offset, (sequence, expect)) in (1..).zip([(5, 5), (3, 5), (9, 9), (9, 9)]) {
        let mut batch = flush(&[(0, offset)]);
        batch.streams.push(stream("boot-7", sequence));
        store.flush(TOPIC, &batch).await?;
        assert_eq!(store.stream_position(&acme, &a, "boot-7").await?, expect);
    }
    Ok(())
}

/// A flush whose answer was lost is sent again: its offsets say that it was applied.
pub async fn a_flush_again_changes_nothing(store: Store) -> Outcome {
    let acme = tenant("acme");
    let mut batch = flush(&[(0, 10), (1, 20)]);
    batch.rollups.push(rollup("a", "temp", DAY_ONE, values(&[(2.0, 0)])));
    batch.sources.push(arrivals("acme", "a", DAY_ONE, 9, 4));
    store.flush(TOPIC, &batch).await?;
    store.flush(TOPIC, &batch).await?;
    batch.offsets = vec![(0, 9)];
    store.flush(TOPIC, &batch).await?;
    assert_eq!(store.offsets(TOPIC).await?, [(0, 10), (1, 20)], "offsets never go back");
    assert_eq!(points(&store, question(Aggregate::Count)).await?, [("a".to_owned(), 0, 1.0)]);
    assert_eq!(store.source(&acme, &source("a")).await?.map(|it| it.events), Some(4));
    Ok(())
}

/// One partition behind and one ahead: somebody else is writing. Nothing of it is applied.
pub async fn a_flush_half_behind_is_refused(store: Store) -> Outcome {
    store.flush(TOPIC, &flush(&[(0, 10)])).await?;
    let mut batch = flush(&[(0, 10), (1, 5)]);
    batch.sources.push(arrivals("acme", "a", DAY_ONE, 9, 4));
    assert!(matches!(store.flush(TOPIC, &batch).await, Err(SqlError::Conflict("offset"))));
    assert_eq!(store.offsets(TOPIC).await?, [(0, 10)]);
    assert_eq!(store.source(&tenant("acme"), &source("a")).await?, None);
    Ok(())
}

/// Asked for in bulk, over sources, known exactly.
pub async fn given_ids_are_known(store: Store) -> Outcome {
    let id = |key: &str, id: &str| (tenant("acme"), source(key), id.to_owned());
    let mut batch = flush(&[(0, 1)]);
    for (key, text) in [("a", "1"), ("a", "2"), ("b", "1"), ("a", "ä😀")] {
        let (tenant, source, text) = id(key, text);
        batch.given_ids.push((tenant, source, text, DAY_ONE));
    }
    store.flush(TOPIC, &batch).await?;
    let mut asked = vec![id("a", "1"), id("b", "2"), id("c", "1"), id("a", "ä😀"), id("a", "Ä😀")];
    asked.extend((0..2_000).map(|n| id("a", &format!("never-{n}"))));
    let mut known = store.known_ids(&asked).await?;
    known.sort();
    assert_eq!(known, [id("a", "1"), id("a", "ä😀")]);
    assert_eq!(store.known_ids(&[]).await?, []);
    Ok(())
}

/// Steps of a minute, an hour and a day, aligned to a zone, of some sources or of all.
pub async fn rollups_answer_steps(store: Store) -> Outcome {
    let mut batch = flush(&[(0, 1)]);
    for (key, minute, value) in
        [("a", 0, 1.0), ("a", 1, 3.0), ("a", 60, 10.0), ("a", 16 * 60, 5.0), ("b", 1, 4.0)]
    {
        let at = DAY_ONE.plus_nanos(minute * MINUTE);
        batch.rollups.push(rollup(key, "temp", at, MetricPoint::of(value, at)));
    }
    batch.rollups.push(rollup("a", "other", DAY_ONE, MetricPoint::of(99.0, DAY_ONE)));
    store.flush(TOPIC, &batch).await?;
    let check = async |query: RollupQuery, expect: &[(&str, i64, f64)]| {
        let got = points(&store, query.clone()).await?;
        let got: Vec<_> = got.iter().map(|(source, at, value)| (source.as_str(), *at, *value)).collect();
        assert_eq!(got, expect, "{query:?}");
        Ok::<_, SqlError>(())
    };
    let minutes = question(Aggregate::Avg);
    let all = [("a", 0, 1.0), ("a", 60, 3.0), ("a", 3_600, 10.0), ("a", 57_600, 5.0), ("b", 60, 4.0)];
    check(minutes.clone(), &all).await?;
    check(RollupQuery { sources: vec![source("b"), source("none")], ..minutes.clone() }, &all[4..]).await?;
    let first_two = TimeRange::new(DAY_ONE, DAY_ONE.plus_nanos(2 * MINUTE));
    check(RollupQuery { range: first_two, ..minutes.clone() }, &[all[0], all[1], all[4]]).await?;
    let hours = RollupQuery { step_secs: 3_600, ..minutes };
    check(hours.clone(), &[("a", 0, 2.0), ("a", 3_600, 10.0), ("a", 57_600, 5.0), ("b", 0, 4.0)]).await?;
    // A day in Seoul starts at 15:00 UTC.
    let days = RollupQuery { step_secs: 86_400, offset_secs: 9 * 3_600, aggregate: Aggregate::Max, ..hours };
    let start = -9 * 3_600;
    check(days.clone(), &[("a", start, 10.0), ("a", start + 86_400, 5.0), ("b", start, 4.0)]).await?;
    let last = RollupQuery { aggregate: Aggregate::Last, ..days };
    check(last.clone(), &[("a", start, 10.0), ("a", start + 86_400, 5.0), ("b", start, 4.0)]).await?;
    let west = RollupQuery { offset_secs: -8 * 3_600, aggregate: Aggregate::Sum, ..last };
    let start = 8 * 3_600;
    check(west, &[("a", start - 86_400, 14.0), ("a", start, 5.0), ("b", start - 86_400, 4.0)]).await
}

/// Over sources and minutes, the first time each was reached.
pub async fn extremes_are_exact(store: Store) -> Outcome {
    let at = |minute: i64, nanos: i64| DAY_ONE.plus_nanos(minute * MINUTE + nanos);
    let mut batch = flush(&[(0, 1)]);
    for (key, minute, value) in [("a", 0, 2.0), ("b", 1, 2.08), ("b", 2, 2.0), ("a", 3, 7.0), ("b", 4, 7.0)] {
        batch.rollups.push(rollup(key, "temp", at(minute, 0), MetricPoint::of(value, at(minute, 17))));
    }
    store.flush(TOPIC, &batch).await?;
    let extremes = store.rollup_extremes(&question(Aggregate::Avg)).await?;
    assert_eq!(extremes, Some((2.0, at(0, 17), 7.0, at(3, 17))));
    let later = RollupQuery { range: TimeRange::new(at(1, 0), at(3, 0)), ..question(Aggregate::Avg) };
    assert_eq!(store.rollup_extremes(&later).await?, Some((2.0, at(2, 17), 2.08, at(1, 17))));
    let only = RollupQuery { sources: vec![source("none")], ..question(Aggregate::Avg) };
    assert_eq!(store.rollup_extremes(&only).await?, None);
    Ok(())
}

/// Values at the edge of a double are stored, and nothing after them stops the pipeline.
pub async fn sums_beyond_doubles_leave_a_gap(store: Store) -> Outcome {
    for (offset, value) in (1..).zip([f64::MAX, f64::MAX, f64::MIN, f64::MIN, 1.0]) {
        let mut batch = flush(&[(0, offset)]);
        batch.rollups.push(rollup("a", "temp", DAY_ONE, MetricPoint::of(value, DAY_ONE)));
        store.flush(TOPIC, &batch).await?;
    }
    for (aggregate, expect) in
        [(Aggregate::Max, f64::MAX), (Aggregate::Min, f64::MIN), (Aggregate::Count, 5.0)]
    {
        assert_eq!(points(&store, question(aggregate)).await?, [("a".to_owned(), 0, expect)]);
    }
    assert_eq!(points(&store, question(Aggregate::Sum)).await?, [], "nobody knows");
    // Each minute has a sum, and the hour of them has none.
    let mut batch = flush(&[(0, 6)]);
    for minute in [60, 61, 122] {
        let at = DAY_ONE.plus_nanos(minute * MINUTE);
        batch.rollups.push(rollup("a", "temp", at, MetricPoint::of(f64::MAX, at)));
    }
    store.flush(TOPIC, &batch).await?;
    let hours = RollupQuery { step_secs: 3_600, ..question(Aggregate::Sum) };
    assert_eq!(points(&store, hours.clone()).await?, [("a".to_owned(), 7_200, f64::MAX)]);
    let average = RollupQuery { aggregate: Aggregate::Avg, ..hours };
    assert_eq!(points(&store, average).await?, [("a".to_owned(), 7_200, f64::MAX)]);
    Ok(())
}

/// A reader beside a writer sees a flush whole or not at all: the offset and what was counted agree.
pub async fn readers_see_whole_flushes(store: Store) -> Outcome {
    const FLUSHES: u64 = 100;
    let write = async {
        for n in 1..=FLUSHES {
            let mut batch = flush(&[(0, n)]);
            batch.sources.push(arrivals("acme", "a", DAY_ONE, 9, 1));
            batch.sources.push(arrivals("acme", "b", DAY_ONE, 9, 1));
            store.flush(TOPIC, &batch).await?;
        }
        Ok::<_, SqlError>(())
    };
    let read = async {
        loop {
            let range = TimeRange::new(DAY_ONE, DAY_ONE.plus_nanos(MINUTE));
            let rows = store.arrivals(&tenant("acme"), &[], range).await?;
            let counts: Vec<u64> = rows.iter().map(|it| it.2).collect();
            assert!(counts.is_empty() || (counts.len() == 2 && counts[0] == counts[1]), "{counts:?}");
            if counts.first() == Some(&FLUSHES) {
                return Ok::<_, SqlError>(());
            }
            // An in-process store may answer without ever waiting.
            tokio::task::yield_now().await;
        }
    };
    futures::future::try_join3(write, read, async { Ok(()) }).await.map(|_| ())
}

/// More rows than any statement binds.
pub async fn large_flushes_are_written(store: Store) -> Outcome {
    let mut batch = flush(&[(0, 1)]);
    for n in 0..1_500_i64 {
        let name = format!("source-{}", n % 700);
        let at = DAY_ONE.plus_nanos(n / 700 * MINUTE);
        batch.rollups.push(rollup(&name, "temp", at, MetricPoint::of(1.0, at)));
        batch.rollups.push(rollup(&name, "load", at, MetricPoint::of(1.0, at)));
        let (acme, key) = (tenant("acme"), source(&name));
        batch.latest.push((acme.clone(), key.clone(), "temp".to_owned(), 1.0, at));
        batch.given_ids.push((acme, key, format!("id-{n}"), at));
        if n < 700 {
            batch.sources.push(arrivals("acme", &name, at, 9, 1));
        }
    }
    assert_eq!(store.flush(TOPIC, &batch).await?.new_sources.len(), 700);
    assert_eq!(points(&store, question(Aggregate::Count)).await?.len(), 1_500);
    let sources: Vec<_> = (0..700).map(|n| source(&format!("source-{n}"))).collect();
    assert_eq!(points(&store, RollupQuery { sources, ..question(Aggregate::Last) }).await?.len(), 1_500);
    let asked: Vec<_> = batch.given_ids.iter().map(|it| (it.0.clone(), it.1.clone(), it.2.clone())).collect();
    assert_eq!(store.known_ids(&asked).await?.len(), 1_500);
    Ok(())
}
