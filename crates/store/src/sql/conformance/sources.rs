//! The registry of sources.

use super::{DAY_ONE, Outcome, SECOND, Store, TOPIC, arrivals, flush, source, tenant};
use crate::sql::sources::{RollupQuery, SourceFilter};
use crate::sql::{MetricPoint, Rollup, SourceRow, SqlError};
use domain::api::Aggregate;
use domain::{TimeRange, Timestamp};
use std::collections::BTreeMap;

fn row(key: &str) -> SourceRow {
    SourceRow {
        tenant: tenant("acme"),
        key: source(key),
        name: "주 펌프".to_owned(),
        kind: "설비".to_owned(),
        attributes: BTreeMap::from([("site".to_owned(), "부산".to_owned())]),
        offline_after_secs: 60,
        created_at: DAY_ONE,
        first_seen: None,
        last_seen: None,
        protocol: None,
        events: 0,
        bytes: 0,
        ts_min: None,
        ts_max: None,
    }
}

/// Made by people, filled by the processor, changed by people.
pub async fn sources_are_registered(store: Store) -> Outcome {
    let mut pump = row("pump-1");
    store.create_source(&pump).await?;
    assert!(matches!(store.create_source(&pump).await, Err(SqlError::Conflict("key"))));
    assert_eq!(store.source(&pump.tenant, &pump.key).await?, Some(pump.clone()));

    let at = DAY_ONE.plus_nanos(90 * SECOND);
    let mut batch = flush(&[(0, 1)]);
    batch.sources.push(arrivals("acme", "pump-1", at, 9, 3));
    let flushed = store.flush(TOPIC, &batch).await?;
    assert_eq!(
        flushed.new_sources,
        [(pump.tenant.clone(), pump.key.clone())],
        "registered, but never heard from"
    );
    pump.first_seen = Some(at);
    pump.last_seen = Some(at);
    pump.protocol = Some("qgx".to_owned());
    (pump.events, pump.bytes) = (3, 300);
    (pump.ts_min, pump.ts_max) = (Some(at), Some(at));
    assert_eq!(store.source(&pump.tenant, &pump.key).await?, Some(pump.clone()));

    pump.name = "Main Pump".to_owned();
    pump.kind = String::new();
    pump.attributes.clear();
    pump.offline_after_secs = 10;
    store.update_source(&SourceRow { events: 77, first_seen: None, ..pump.clone() }).await?;
    assert_eq!(store.source(&pump.tenant, &pump.key).await?, Some(pump), "only what people set is changed");
    assert!(matches!(store.update_source(&row("none")).await, Err(SqlError::NotFound)));
    Ok(())
}

async fn found(store: &Store, filter: SourceFilter) -> crate::sql::SqlResult<(Vec<String>, u64)> {
    let (rows, total) = store.sources(&tenant("acme"), &filter).await?;
    Ok((rows.into_iter().map(|it| it.key.to_string()).collect(), total))
}

/// By words, state, order and page.
pub async fn sources_are_filtered(store: Store) -> Outcome {
    let at = |secs: i64| DAY_ONE.plus_nanos(secs * SECOND);
    for (key, name, kind) in
        [("a", "Ärger 100%", ""), ("b", "", "Server_1"), ("c", "", ""), ("d", "펌프", "")]
    {
        let row = SourceRow { name: name.to_owned(), kind: kind.to_owned(), ..row(key) };
        store.create_source(&row).await?;
    }
    let mut batch = flush(&[(0, 1)]);
    for (key, secs) in [("a", 10), ("b", 30), ("c", 20)] {
        batch.sources.push(arrivals("acme", key, at(secs), 9, 1));
    }
    store.flush(TOPIC, &batch).await?;
    let all = SourceFilter { limit: 10, ..SourceFilter::default() };
    let check = async |filter: SourceFilter, keys: &[&str], total: u64| {
        let (got, of) = found(&store, filter.clone()).await?;
        assert_eq!((got, of), (keys.iter().map(|it| (*it).to_owned()).collect(), total), "{filter:?}");
        Ok::<_, SqlError>(())
    };
    check(all.clone(), &["a", "b", "c", "d"], 4).await?;
    check(SourceFilter { skip: 1, limit: 2, ..all.clone() }, &["b", "c"], 4).await?;
    check(SourceFilter { by_last_seen: true, ..all.clone() }, &["b", "c", "a", "d"], 4).await?;
    check(SourceFilter { by_last_seen: true, uncounted: true, limit: 3, ..all.clone() }, &["b", "c", "a"], 3)
        .await?;
    let keys = store.source_keys(&tenant("acme"), None, 3).await?;
    assert_eq!(keys, [source("a"), source("b"), source("c")]);
    assert_eq!(store.source_keys(&tenant("acme"), keys.last(), 3).await?, [source("d")]);
    assert_eq!(store.source_keys(&tenant("other"), None, 3).await?, []);
    for (search, keys) in
        [("ÄRGER", &["a"][..]), ("0%", &["a"]), ("server_", &["b"]), ("프", &["d"]), ("%", &["a"])]
    {
        let filter = SourceFilter { search: search.to_owned(), ..all.clone() };
        check(filter, keys, keys.len() as u64).await?;
    }
    check(SourceFilter { seen_since: Some(at(20)), ..all.clone() }, &["b", "c"], 2).await?;
    check(SourceFilter { silent_since: Some(at(20)), ..all.clone() }, &["a"], 1).await?;
    check(SourceFilter { unseen_only: true, ..all }, &["d"], 1).await?;
    Ok(())
}

/// Online, offline, unseen.
pub async fn sources_count_by_their_own_interval(store: Store) -> Outcome {
    assert_eq!(store.source_counts(&tenant("acme"), DAY_ONE).await?, (0, 0, 0));
    for (key, interval) in [("a", 60), ("b", 10), ("c", 60)] {
        store.create_source(&SourceRow { offline_after_secs: interval, ..row(key) }).await?;
    }
    let mut batch = flush(&[(0, 1)]);
    batch.sources.push(arrivals("acme", "a", DAY_ONE, 9, 1));
    batch.sources.push(arrivals("acme", "b", DAY_ONE, 9, 1));
    store.flush(TOPIC, &batch).await?;
    let at = |secs: i64| DAY_ONE.plus_nanos(secs * SECOND);
    assert_eq!(store.source_counts(&tenant("acme"), at(10)).await?, (2, 0, 1));
    assert_eq!(store.source_counts(&tenant("acme"), at(30)).await?, (1, 1, 1));
    assert_eq!(store.source_counts(&tenant("acme"), at(61)).await?, (0, 2, 1));
    Ok(())
}

/// Gone with its latest values; with its next event it is there again, and new.
pub async fn deleted_sources_come_back(store: Store) -> Outcome {
    let (acme, pump) = (tenant("acme"), source("pump-1"));
    let mut batch = flush(&[(0, 1)]);
    batch.sources.push(arrivals("acme", "pump-1", DAY_ONE, 9, 5));
    batch.latest.push((acme.clone(), pump.clone(), "temp".to_owned(), 1.0, DAY_ONE));
    store.flush(TOPIC, &batch).await?;
    store.delete_source(&acme, &pump).await?;
    assert!(matches!(store.delete_source(&acme, &pump).await, Err(SqlError::NotFound)));
    assert_eq!(store.source(&acme, &pump).await?, None);
    assert_eq!(store.latest_values(&acme, &pump).await?, []);
    let mut batch = flush(&[(0, 2)]);
    batch.sources.push(arrivals("acme", "pump-1", DAY_ONE, 9, 1));
    assert_eq!(store.flush(TOPIC, &batch).await?.new_sources, [(acme.clone(), pump.clone())]);
    assert_eq!(store.source(&acme, &pump).await?.map(|it| it.events), Some(1));
    Ok(())
}

/// Sources and metrics of the same name in two tenants stay apart in every read.
pub async fn a_tenant_sees_its_own_only(store: Store) -> Outcome {
    let (acme, other, pump) = (tenant("acme"), tenant("other"), source("pump-1"));
    let mut batch = flush(&[(0, 1)]);
    batch.sources.push(arrivals("acme", "pump-1", DAY_ONE, 4, 5));
    batch.latest.push((acme.clone(), pump.clone(), "temp".to_owned(), 1.0, DAY_ONE));
    batch.rollups.push(Rollup {
        tenant: acme.clone(),
        source: pump.clone(),
        metric: "temp".to_owned(),
        minute: DAY_ONE,
        point: MetricPoint::of(1.0, DAY_ONE),
    });
    batch.given_ids.push((acme.clone(), pump.clone(), "id".to_owned(), DAY_ONE));
    store.flush(TOPIC, &batch).await?;
    let range = TimeRange::new(DAY_ONE, DAY_ONE.plus_nanos(60 * SECOND));
    let question = |tenant| RollupQuery {
        tenant,
        metric: "temp".to_owned(),
        sources: vec![],
        aggregate: Aggregate::Avg,
        range,
        step_secs: 60,
        offset_secs: 0,
    };
    assert_eq!(store.rollup(&question(acme.clone())).await?.len(), 1);
    assert_eq!(store.rollup(&question(other.clone())).await?, []);
    assert_eq!(store.rollup_extremes(&question(other.clone())).await?, None);
    assert_eq!(store.source(&other, &pump).await?, None);
    assert_eq!(
        store.sources(&other, &SourceFilter { limit: 10, ..SourceFilter::default() }).await?,
        (vec![], 0)
    );
    assert_eq!(store.arrivals(&other, &[], range).await?, []);
    assert_eq!(store.inflow(&other, range).await?, []);
    assert_eq!(store.latest_values(&other, &pump).await?, []);
    assert_eq!(store.known_ids(&[(other.clone(), pump.clone(), "id".to_owned())]).await?, []);
    assert!(matches!(store.delete_source(&other, &pump).await, Err(SqlError::NotFound)));

    // The same names in the other tenant are other series.
    let mut batch = flush(&[(0, 2)]);
    batch.latest.push((other.clone(), pump.clone(), "temp".to_owned(), 2.0, DAY_ONE));
    store.flush(TOPIC, &batch).await?;
    let value = async |tenant| -> crate::sql::SqlResult<_> {
        Ok(store.latest_values(tenant, &pump).await?.iter().map(|it| it.value).collect::<Vec<_>>())
    };
    assert_eq!((value(&acme).await?, value(&other).await?), (vec![1.0], vec![2.0]));
    Ok(())
}

/// Arrivals of a minute add up by source and by level.
pub async fn arrivals_are_added(store: Store) -> Outcome {
    let minute = |n: i64| DAY_ONE.plus_nanos(n * 60 * SECOND);
    for (offset, (key, at, level, count)) in [
        ("a", minute(0), 4, 2),
        ("a", minute(0).plus_nanos(59 * SECOND), 4, 3),
        ("a", minute(1), 9, 7),
        ("b", minute(0), 9, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let mut batch = flush(&[(0, offset as u64 + 1)]);
        batch.sources.push(arrivals("acme", key, at, level, count));
        store.flush(TOPIC, &batch).await?;
    }
    let acme = tenant("acme");
    let range = TimeRange::new(minute(0), minute(2));
    let (a, b) = (source("a"), source("b"));
    let of_a = [(a.clone(), minute(0), 5), (a.clone(), minute(1), 7)];
    assert_eq!(store.arrivals(&acme, std::slice::from_ref(&a), range).await?, of_a);
    let all = [of_a[0].clone(), of_a[1].clone(), (b, minute(0), 1)];
    assert_eq!(store.arrivals(&acme, &[], range).await?, all);
    let inflow: [(Timestamp, u8, u64, u64); 3] =
        [(minute(0), 4, 5, 500), (minute(0), 9, 1, 100), (minute(1), 9, 7, 700)];
    assert_eq!(store.inflow(&acme, range).await?, inflow);
    let second = TimeRange::new(minute(1), minute(2));
    assert_eq!(store.inflow(&acme, second).await?, inflow[2..]);
    assert_eq!(store.arrivals(&acme, &[a], second).await?, of_a[1..]);
    Ok(())
}
