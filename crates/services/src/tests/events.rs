use super::fixture::{Fixture, Sample, key, wrong_fields};
use crate::*;
use domain::api::{Aggregate, EventFilter, MetricQuery, Order};
use domain::{Lang, Level, TimeRange, Timestamp};
use futures::{StreamExt, TryStreamExt};
use std::time::Duration;
use store::sql::{Flush, MetricPoint, Pipeline, Rollup};

fn ago(secs: i64) -> Timestamp {
    Timestamp::now().plus_nanos(-secs * 1_000_000_000)
}

fn filter(q: &str, from_ago: i64, to_ago: i64) -> EventFilter {
    EventFilter { q: q.to_owned(), range: TimeRange { from: ago(from_ago), to: ago(to_ago) } }
}

fn log(message: &str, ago_secs: i64, level: Level) -> Sample<'_> {
    Sample { message: Some(message), ts: ago(ago_secs), level: Some(level), ..Sample::default() }
}

/// Ten log lines of the last ten minutes, one a minute, every other one a warning.
async fn with_logs() -> Fixture {
    let fixture = Fixture::new().await;
    let lines: Vec<_> = (0..10)
        .map(|i| {
            log("베어링 과열 bearing hot", 600 - i * 60, if i % 2 == 0 { Level::Info } else { Level::Warn })
        })
        .collect();
    fixture.store(&fixture.tenant, &lines).await;
    fixture
}

#[tokio::test]
async fn pages_hold_together_and_belong_to_their_question() {
    let fixture = with_logs().await;
    let other = fixture.other_tenant().await;
    fixture.store(&other.key, &[log("bearing hot", 300, Level::Error)]).await;
    let ctx = fixture.local();
    let page = async |q: &str, cursor: Option<&str>| {
        fixture.services.search(&ctx, filter(q, 3_600, 0), Order::Desc, 4, cursor).await
    };
    let (mut cursor, mut found) = (None::<String>, Vec::new());
    loop {
        // The window moves on with the clock, as a relative one does.
        let result = page("과열", cursor.as_deref()).await.unwrap();
        assert_eq!(result.page.total, 10);
        found.extend(result.page.items);
        cursor = result.page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 10);
    assert!(found.is_sorted_by(|a, b| a.ts > b.ts));
    let first = page("bearing", None).await.unwrap().page.next_cursor;
    assert_eq!(wrong_fields(page("hot", first.as_deref()).await), ["cursor"]);
    assert_eq!(page("level:error", None).await.unwrap().page.total, 0);
    assert_eq!(
        wrong_fields(fixture.services.search(&ctx, filter("", 0, 60), Order::Asc, 0, None).await),
        ["limit", "from"]
    );
    let error = page("hot AND", None).await.expect_err("the query is wrong");
    let problem = error.problem(Lang::Ko, "r");
    assert_eq!((problem.errors[0].field.as_str(), problem.errors[0].span.is_some()), ("q", true));
}

#[tokio::test]
async fn arrivals_outside_the_window_are_told() {
    let fixture = Fixture::new().await;
    fixture.store(&fixture.tenant, &[log("old bearing", 86_400 * 30, Level::Info)]).await;
    let search = async |q: &str| {
        let found = fixture
            .services
            .search(&fixture.local(), filter(q, 900, 0), Order::Desc, 10, None)
            .await
            .unwrap();
        (found.page.total, found.outside)
    };
    let (total, outside) = search("bearing").await;
    let outside = outside.expect("one lies outside");
    assert_eq!((total, outside.count), (0, 1));
    assert!(outside.range.contains(ago(86_400 * 30 - 1)) || outside.range.nanos() >= 1);
    assert_eq!(search("nothing").await, (0, None));
    // Half a minute before the window it has only come late.
    fixture.store(&fixture.tenant, &[log("late bearing", 930, Level::Info)]).await;
    assert_eq!(search("late").await, (0, None));
}

#[tokio::test]
async fn a_histogram_counts_what_a_search_finds() {
    let fixture = with_logs().await;
    let ctx = fixture.local();
    let count = async |from, to| {
        let window = filter("", from, to);
        let histogram = fixture.services.histogram(&ctx, window.clone(), 5, None).await.unwrap();
        let found = fixture.services.search(&ctx, window, Order::Desc, 1, None).await.unwrap();
        assert_eq!(histogram.total, found.page.total, "{from} {to}");
        assert!(histogram.edges.len() <= 7, "{}", histogram.edges.len());
        for series in &histogram.series {
            assert_eq!(series.counts.len() + 1, histogram.edges.len());
        }
        histogram.total
    };
    assert_eq!(count(3_600, 0).await, 10);
    assert_eq!(count(330, 90).await, 4);
    let everything = EventFilter { q: "level>=warn".to_owned(), range: TimeRange::ALL };
    let histogram = fixture.services.histogram(&ctx, everything, 60, None).await.unwrap();
    assert_eq!((histogram.total, histogram.series.len()), (5, 1));
    assert_eq!(histogram.series[0].level, Some(Level::Warn));
    let fine = fixture.services.histogram(&ctx, filter("", 86_400, 0), 60, Some(1)).await;
    assert_eq!(wrong_fields(fine), ["step"]);
}

#[tokio::test]
async fn facets_fields_and_completion() {
    let fixture = with_logs().await;
    let sample = Sample { source: "PUMP-1", number: Some(("temperature", 81.5)), ..Sample::default() };
    fixture.store(&fixture.tenant, &[sample]).await;
    let ctx = fixture.local();
    let window = filter("", 3_600, -60);
    let facets = fixture
        .services
        .facets(&ctx, window.clone(), vec!["source".to_owned(), "level".to_owned()], 10)
        .await
        .unwrap();
    let sources: Vec<_> = facets[0].values.iter().map(|v| (v.value.as_str(), v.count)).collect();
    assert_eq!(sources, [("pump-1", 10), ("PUMP-1", 1)]);
    let fields = fixture.services.fields(&ctx, window.range).await.unwrap();
    assert!(fields.iter().any(|field| field.name == "temperature" && field.numeric));
    let complete = async |field: &str, prefix: &str| {
        fixture.services.complete_values(&ctx, field, prefix, window.range).await.unwrap()
    };
    assert_eq!(complete("level", "w").await, ["warn"]);
    let mut found = complete("source", "Pum").await;
    found.sort();
    assert_eq!(found, ["PUMP-1", "pump-1"]);
    assert!(complete("source", "x").await.is_empty());
    assert!(complete("message", "b").await.is_empty());
    let none = fixture.services.facets(&ctx, window, vec![], 0).await;
    assert_eq!(wrong_fields(none), ["size", "fields"]);
}

#[tokio::test]
async fn an_event_and_what_its_own_source_sent_around_it() {
    let fixture = Fixture::new().await;
    let at = |ago_secs, source| Sample { source, ..log("x", ago_secs, Level::Info) };
    let ids = fixture
        .store(
            &fixture.tenant,
            &[at(90, "a"), at(80, "A"), at(70, "a"), at(60, "a"), at(50, "a"), at(5_000, "a")],
        )
        .await;
    let ctx = fixture.local();
    assert_eq!(fixture.services.event(&ctx, ids[2]).await.unwrap().id, ids[2]);
    let found = fixture.services.surroundings(&ctx, ids[2], Duration::from_secs(300), 10).await.unwrap();
    let around = |list: &[domain::Event]| list.iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!((around(&found.before), around(&found.after)), (vec![ids[0]], vec![ids[3], ids[4]]));
    let few = fixture.services.surroundings(&ctx, ids[4], Duration::from_secs(300), 1).await.unwrap();
    assert_eq!((around(&few.before), few.after.len()), (vec![ids[3]], 0));
    let other = fixture.other_tenant().await;
    let stranger = Ctx::local_in(Lang::En, other.key);
    let refused = fixture.services.event(&stranger, ids[2]).await;
    assert!(matches!(refused, Err(ServiceError::NotFound { what: "event" })));
}

#[tokio::test]
async fn surroundings_go_on_where_a_page_of_the_index_ends_early() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    let around = async |id, limit| {
        let found = fixture.services.surroundings(&ctx, id, Duration::from_secs(300), limit).await.unwrap();
        let ids = |list: &[domain::Event]| list.iter().map(|event| event.id).collect::<Vec<_>>();
        (ids(&found.before), ids(&found.after))
    };
    // Another source whose name differs by case alone stands between.
    let named = |source, ago_secs| Sample { source, ..log("a", ago_secs, Level::Info) };
    let other = (1..=4).map(|i| named("PUMP-9", 250 - i));
    let lines: Vec<_> =
        [named("pump-9", 250)].into_iter().chain(other).chain([named("pump-9", 240)]).collect();
    let ids = fixture.store(&fixture.tenant, &lines).await;
    assert_eq!(around(ids[0], 2).await, (vec![], vec![ids[5]]));
    assert_eq!(around(ids[5], 2).await, (vec![ids[0]], vec![]));

    // More bytes than a page of the index holds.
    let long = "x ".repeat(1 << 19);
    assert!(long.len() * 20 > store::index::PAGE_BYTES);
    let lines: Vec<_> =
        (0..21).map(|i| Sample { source: "large", ..log(&long, 200 - i, Level::Info) }).collect();
    let ids = fixture.store(&fixture.tenant, &lines).await;
    assert_eq!(around(ids[0], 20).await, (vec![], ids[1..].to_vec()));
    assert_eq!(around(ids[20], 20).await, (ids[..20].to_vec(), vec![]));
}

#[tokio::test]
async fn reads_of_the_database_end_at_the_deadline() {
    let fixture = Fixture::new().await;
    let late = || Ctx { deadline: tokio::time::Instant::now() - Duration::from_secs(1), ..fixture.local() };
    let services = &fixture.services;
    let ended = |outcome: Result<(), ServiceError>| assert!(matches!(outcome, Err(ServiceError::Deadline)));
    ended(services.overview(&late()).await.map(|_| ()));
    ended(services.sources(&late(), Default::default()).await.map(|_| ()));
    ended(services.source(&late(), &key("pump-1")).await.map(|_| ()));
    ended(services.latest_values(&late(), &key("pump-1")).await.map(|_| ()));
}

#[tokio::test]
async fn an_export_gives_everything_in_order_and_stops_when_left() {
    let fixture = with_logs().await;
    let ctx = fixture.local();
    let all: Vec<_> =
        fixture.services.export(&ctx, filter("", 3_600, 0), Order::Asc).try_collect().await.unwrap();
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by_key(|event| event.ts));
    let mut wrong = fixture.services.export(&ctx, filter("(", 3_600, 0), Order::Asc);
    assert_eq!(wrong_fields(wrong.next().await.expect("an error")), ["q"]);
    assert!(wrong.next().await.is_none());
    let mut left = fixture.services.export(&ctx, filter("", 3_600, 0), Order::Asc);
    assert!(left.next().await.expect("an event").is_ok());
    ctx.cancel.cancel();
    assert!(matches!(left.next().await, Some(Err(ServiceError::Deadline))));
}

#[tokio::test]
async fn numbers_come_from_events_and_from_rollups() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    // Whole minutes, so that both ways have the same buckets.
    let start = super::fixture::minute(ago(600));
    let at = |secs: i64| start.plus_nanos(secs * 1_000_000_000);
    let values = [(0, 1.0), (30, 3.0), (60, 10.0), (185, -4.0)];
    let samples: Vec<_> = values
        .iter()
        .map(|(secs, value)| Sample { ts: at(*secs), number: Some(("a.b", *value)), ..Sample::default() })
        .collect();
    fixture.store(&fixture.tenant, &samples).await;
    let query = |aggregate, from, to, sources| MetricQuery {
        metric: "a.b".to_owned(),
        sources,
        aggregate,
        range: TimeRange { from, to },
        step_secs: Some(60),
    };
    let expect_avg = vec![Some(2.0), Some(10.0), None, Some(-4.0)];
    let check = async |from: &str| {
        let found =
            fixture.services.metrics(&ctx, query(Aggregate::Avg, at(0), at(240), vec![])).await.unwrap();
        assert_eq!(found.times, [at(0), at(60), at(120), at(180)], "{from}");
        assert_eq!(found.series.len(), 1, "{from}");
        assert_eq!(found.series[0].values, expect_avg, "{from}");
        let extremes = found.extremes.expect("there are values");
        assert_eq!((extremes.min, extremes.min_at, extremes.max), (-4.0, at(185), 10.0), "{from}");
    };
    check("events").await;
    let rollups = [(0, vec![(0, 1.0), (30, 3.0)]), (60, vec![(60, 10.0)]), (180, vec![(185, -4.0)])];
    let rollups = rollups.into_iter().map(|(minute, values)| {
        let mut points = values.into_iter().map(|(secs, value)| MetricPoint::of(value, at(secs)));
        let mut point = points.next().expect("a value");
        points.for_each(|more| point.merge(&more));
        let (tenant, source) = (fixture.tenant.clone(), key("pump-1"));
        Rollup { tenant, source, metric: "a/b".to_owned(), minute: at(minute), point }
    });
    let flush = Flush { rollups: rollups.collect(), ..Flush::default() };
    fixture.sql.flush("qgx.events.v1", &flush).await.unwrap();
    check("rollups").await;

    // The minute of the least value reaches beyond this window: its extremes are looked up in the events.
    let cut = fixture.services.metrics(&ctx, query(Aggregate::Max, at(0), at(184), vec![])).await.unwrap();
    assert_eq!(cut.extremes.map(|e| (e.min, e.max)), Some((1.0, 10.0)));
    // A source that has no rollups is looked for in the events.
    fixture
        .store(
            &fixture.tenant,
            &[Sample { source: "b", ts: at(10), number: Some(("a.b", 7.0)), ..Sample::default() }],
        )
        .await;
    let both = vec![key("pump-1"), key("b")];
    let found = fixture.services.metrics(&ctx, query(Aggregate::Sum, at(0), at(240), both)).await.unwrap();
    assert_eq!(found.series.len(), 2);
    let many = (0..21).map(|i| key(&format!("s{i}"))).collect();
    let wrong = fixture.services.metrics(&ctx, query(Aggregate::Avg, at(0), at(240), many)).await;
    assert_eq!(wrong_fields(wrong), ["sources"]);
}

#[tokio::test]
async fn the_first_screen() {
    let fixture = with_logs().await;
    fixture.store(&fixture.tenant, &[Sample { source: "quiet", ..Sample::default() }]).await;
    let ctx = fixture.local();
    let overview = fixture.services.overview(&ctx).await.unwrap();
    assert_eq!((overview.events_today, overview.sources.online), (11, 2));
    assert_eq!(overview.inflow.total, 11);
    assert_eq!(overview.top_sources[0].key, key("pump-1"));
    assert_eq!(overview.notable.len(), 5);
    assert!(overview.notable.iter().all(|event| event.level == Some(Level::Warn)));
    assert_eq!((overview.rate_history.len(), overview.rate), (60, 0.0));
    assert!(overview.last_event.is_some() && overview.bytes_today > 0);
    assert_eq!(overview.freshness_p99_ms, None);
    fixture.services.status().record_freshness(&fixture.tenant, 5, Duration::from_millis(80));
    let overview = fixture.services.overview(&ctx).await.unwrap();
    assert!(overview.freshness_p99_ms.is_some_and(|ms| (80.0..100.0).contains(&ms)));
}

#[tokio::test]
async fn the_nearest_day_with_a_match_is_found() {
    let fixture = Fixture::new().await;
    let old = Timestamp::parse("2013-12-16T08:25:00Z").unwrap();
    let lines = [
        Sample { message: Some("bearing cold"), ts: old, ..Sample::default() },
        log("bearing hot", 86_400 * 40, Level::Info),
        log("bearing hot", 86_400 * 400, Level::Info),
    ];
    fixture.store(&fixture.tenant, &lines).await;
    let ctx = fixture.local();
    let check = async |q: &str, from_ago: i64, to_ago: i64, expect: Option<Timestamp>| {
        let found = fixture.services.nearest(&ctx, filter(q, from_ago, to_ago)).await.unwrap();
        assert_eq!(found.is_some(), expect.is_some(), "{q}");
        if let (Some(day), Some(at)) = (found, expect) {
            assert!(day.contains(at) && day.nanos() == 86_400_000_000_000, "{q}: {day:?} has {at}");
        }
    };
    let day = 86_400;
    check("bearing", 3_600, 0, Some(ago(40 * day))).await;
    check("bearing", 100 * day, 90 * day, Some(ago(40 * day))).await;
    check("bearing", 395 * day, 390 * day, Some(ago(400 * day))).await;
    check("cold", 3_600, 0, Some(old)).await;
    check("nothing", 3_600, 0, None).await;
    // The tenant's day: 17:25 in Seoul.
    let found = fixture.services.nearest(&ctx, filter("cold", 3_600, 0)).await.unwrap().unwrap();
    assert_eq!(found.from, Timestamp::parse("2013-12-16T00:00:00+09:00").unwrap());
}
