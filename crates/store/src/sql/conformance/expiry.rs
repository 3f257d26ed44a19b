//! What is no longer kept.

use super::{DAY_ONE, HOUR, MINUTE, Outcome, Store, TOPIC, arrivals, flush, source, tenant, tenant_row};
use crate::sql::sources::RollupQuery;
use crate::sql::{MetricPoint, Rollup, StreamPosition, TenantRow};
use domain::api::Aggregate;
use domain::{TimeRange, Timestamp};

/// Before the instant minutes are folded into hours, with their extremes; late ones join the same hour.
pub async fn minutes_become_hours(store: Store) -> Outcome {
    let at = |minute: i64| DAY_ONE.plus_nanos(minute * MINUTE);
    let write = async |offset: u64, minutes: &[(i64, f64)]| {
        let mut batch = flush(&[(0, offset)]);
        batch.rollups.extend(minutes.iter().map(|(minute, value)| Rollup {
            tenant: tenant("acme"),
            source: source("a"),
            metric: "temp".to_owned(),
            minute: at(*minute),
            point: MetricPoint::of(*value, at(*minute)),
        }));
        store.flush(TOPIC, &batch).await
    };
    let answer = async |aggregate: Aggregate, step_secs: u32| {
        let range = TimeRange::new(DAY_ONE, at(180));
        let metric = "temp".to_owned();
        let query = RollupQuery {
            tenant: tenant("acme"),
            metric,
            sources: vec![],
            aggregate,
            range,
            step_secs,
            offset_secs: 0,
        };
        let points = store.rollup(&query).await?;
        let points: Vec<_> = points
            .iter()
            .map(|(_, start, value)| ((start.as_nanos() - DAY_ONE.as_nanos()) / MINUTE, *value))
            .collect();
        Ok::<_, crate::sql::SqlError>((points, store.rollup_extremes(&query).await?))
    };
    write(1, &[(1, 5.0), (30, 2.08), (59, 8.0), (61, 100.0), (130, 1.0)]).await?;
    let extremes = Some((1.0, at(130), 100.0, at(61)));
    let hours = vec![(0, 15.08), (60, 100.0), (120, 1.0)];
    assert_eq!(answer(Aggregate::Sum, 3_600).await?, (hours.clone(), extremes));

    let never = Timestamp::from_nanos(0);
    // Inside the third hour: that one stays in minutes.
    assert_eq!(store.expire(at(125), never, never).await?, 4);
    assert_eq!(answer(Aggregate::Sum, 3_600).await?, (hours, extremes), "the same answer in hours");
    let (minutes, _) = answer(Aggregate::Last, 60).await?;
    assert_eq!(minutes, [(0, 8.0), (60, 100.0), (130, 1.0)], "what was folded stands at its hour");
    assert_eq!(store.expire(at(125), never, never).await?, 0);

    write(2, &[(2, 1.0), (58, 0.5)]).await?;
    assert_eq!(store.expire(at(125), never, never).await?, 2);
    assert_eq!(answer(Aggregate::Count, 3_600).await?.0, [(0, 5.0), (60, 1.0), (120, 1.0)]);
    assert_eq!(answer(Aggregate::Last, 3_600).await?.0[0], (0, 8.0), "the latest by ts, not by arrival");
    assert_eq!(answer(Aggregate::Min, 3_600).await?.1.map(|it| (it.0, it.1)), Some((0.5, at(58))));
    Ok(())
}

/// Hours as long as the tenant's retention class says; those of a tenant that is not known stay.
pub async fn hours_go_by_class(store: Store) -> Outcome {
    let now = Timestamp::now();
    let ago = |days: i64| now.plus_nanos(-days * 24 * HOUR);
    let mut batch = flush(&[(0, 1)]);
    for (name, class) in [("week", "7d"), ("month", "30d"), ("quarter", "90d"), ("year", "1y"), ("none", "")]
    {
        if !class.is_empty() {
            store.create_tenant(&TenantRow { class: class.to_owned(), ..tenant_row(name) }).await?;
        }
        batch.rollups.extend([40, 100, 400].map(|days| Rollup {
            tenant: tenant(name),
            source: source("a"),
            metric: "temp".to_owned(),
            minute: ago(days),
            point: MetricPoint::of(1.0, ago(days)),
        }));
    }
    store.flush(TOPIC, &batch).await?;
    let kept = async |name: &str| {
        let query = RollupQuery {
            tenant: tenant(name),
            metric: "temp".to_owned(),
            sources: vec![],
            aggregate: Aggregate::Count,
            range: TimeRange::new(ago(500), now),
            step_secs: 3_600,
            offset_secs: 0,
        };
        Ok::<_, crate::sql::SqlError>(store.rollup(&query).await?.len())
    };
    let never = Timestamp::from_nanos(0);
    store.expire(never, never, never).await?;
    assert_eq!(kept("week").await?, 3, "minutes have an age of their own");
    store.expire(ago(30), never, never).await?;
    for (name, expect) in [("week", 0), ("month", 0), ("quarter", 1), ("year", 2), ("none", 3)] {
        assert_eq!(kept(name).await?, expect, "{name}");
    }
    Ok(())
}

/// Arrivals by their minute; ids and streams by their last use. However many there are.
pub async fn the_rest_expires(store: Store) -> Outcome {
    /// More than any store removes at once.
    const MANY: i64 = 45_000;
    let (acme, a) = (tenant("acme"), source("a"));
    let (old, new) = (DAY_ONE, DAY_ONE.plus_nanos(HOUR));
    let mut batch = flush(&[(0, 1)]);
    batch.sources.push(arrivals("acme", "a", old, 9, 1));
    batch.sources.push(arrivals("acme", "a", new, 9, 2));
    let old_id = |n: i64| (acme.clone(), a.clone(), format!("old-{n}"), old.plus_nanos(-n));
    batch.given_ids.extend((0..MANY).map(old_id));
    let old_minute = |n: i64| (old.plus_nanos(-n / 10 * MINUTE), (n % 10) as u8, 1, 100);
    batch.sources[0].arrivals.extend((10..MANY / 2).map(old_minute));
    batch.given_ids.push((acme.clone(), a.clone(), "new".to_owned(), new));
    let stream = "boot-7".to_owned();
    batch.streams.push(StreamPosition { tenant: acme.clone(), source: a.clone(), stream, sequence: 5 });
    store.flush(TOPIC, &batch).await?;

    let never = Timestamp::from_nanos(0);
    let day = TimeRange::new(DAY_ONE, DAY_ONE.plus_nanos(24 * HOUR));
    let by_minute = MANY / 2 - 10;
    let least = u64::try_from(MANY + 2 * by_minute).expect("not below 0");
    assert!(store.expire(never, new, new).await? >= least);
    assert_eq!(store.arrivals(&acme, &[], day).await?, [(a.clone(), new, 2)]);
    assert_eq!(store.inflow(&acme, day).await?, [(new, 9, 2, 200)]);
    let id = |text: &str| (acme.clone(), a.clone(), text.to_owned());
    let asked = [id("old-0"), id("old-20000"), id(&format!("old-{}", MANY - 1)), id("new")];
    assert_eq!(store.known_ids(&asked).await?, [id("new")]);
    let long = TimeRange::new(DAY_ONE.plus_nanos(-24 * 3 * HOUR), DAY_ONE);
    assert_eq!((store.arrivals(&acme, &[], long).await?, store.inflow(&acme, long).await?), (vec![], vec![]));
    assert_eq!(store.stream_position(&acme, &a, "boot-7").await?, 5, "used a moment ago");
    let events = u64::try_from(by_minute + 3).ok();
    assert_eq!(store.source(&acme, &a).await?.map(|it| it.events), events, "the registry stays");

    store.expire(never, never, Timestamp::now().plus_nanos(24 * HOUR)).await?;
    assert_eq!(store.stream_position(&acme, &a, "boot-7").await?, 0);
    assert_eq!(store.known_ids(&[id("new")]).await?, []);
    assert_eq!(store.offsets(TOPIC).await?, [(0, 1)], "offsets never expire");
    Ok(())
}
