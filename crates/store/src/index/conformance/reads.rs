//! Reads answer as the oracle does.

use super::corpus::{Corpus, START, TENANTS, entry, plain, tenant};
use super::oracle::{Oracle, key};
use super::{Fixture, fill, patient};
use crate::index::{EventIndex, IndexError, NumericAggregation, ReadLimit, Search, SortKey};
use bytes::Bytes;
use domain::api::{Aggregate, Order};
use domain::event::{OneOrMany, StoredEvent, Text};
use domain::query::Query;
use domain::{SourceKey, TenantId, TimeRange, Timestamp};
use futures::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const QUERIES: &[&str] = &[
    "",
    "error",
    "ERROR",
    "bearing",
    "온도",
    "GPU온도",
    "gpu온도",
    "gpu",
    "도",
    "3시간",
    "시간",
    "ㅋㅋ",
    "ㅋ",
    "ㅠㅠ",
    "부산",
    "부산*",
    "부",
    "가*",
    "東京",
    "東",
    "테스트",
    "テスト",
    "ﾃｽﾄ",
    "full",
    "café",
    "cafe",
    "web_01",
    "web",
    "we*",
    "b*",
    "10.0.0.1",
    "\"failed password\"",
    "\"failed password for ro\"*",
    "\"bearing hot\"",
    "sshd",
    "\"sshd 24200\"",
    "한글",
    "글english",
    "영어",
    "nothinglikeit",
    "error OR timeout",
    "error timeout",
    "-error",
    "NOT (error OR 온도)",
    "(error OR 온도) -disk",
    "level:error",
    "level>=warn",
    "level<info",
    "-level:*",
    "level:e*",
    "level:*",
    "kind:metric",
    "kind:m*",
    "-kind:log",
    "source:pump-1",
    "source:\"PUMP-1\"",
    "source:\"센서 3\"",
    "source:pump*",
    "source:web/01",
    "source:none",
    "site:부산",
    "site:seoul",
    "site:s*",
    "site:\"busan dock\"",
    "site:*",
    "-site:*",
    "-site:x",
    "mixed:1",
    "mixed:true",
    "mixed:TRUE",
    "mixed:two",
    "mixed:t*",
    "mixed:*",
    "-mixed:1",
    "mixed:0",
    "temperature:*",
    "temperature>=0",
    "temperature<-50.5",
    "temperature>149.9",
    "temperature:[0 TO 10]",
    "temperature:[-100 TO *]",
    "temperature>1e9",
    "deep.numbers:0",
    "deep.numbers:-1",
    "deep.numbers>1",
    "deep.words:온도",
    "deep.words:g*",
    "deep.words:ㅋㅋ",
    "rare:부산",
    "rare:SEOUL",
    "rare:b*",
    "rare:*",
    "-rare:*",
    "message:*",
    "-message:*",
    "message:error",
    "message:\"ㅋㅋ\"",
    "message:bear*",
    "message:온*",
    "message:\"GPU온도 \"*",
    "message:\"failed password\"",
    "message:\"failed password for ro\"*",
    "message:부산",
    "message:seoul",
    "message:x",
    "message:s*",
    "-message:온도",
    "message:(error OR 부산*) -message:disk",
    "raw:*",
    "unknown:x",
    "unknown>1",
    "fields.level:x",
    "id:nothing",
    "id:019*",
    "ts>=2026-11-21T00:00:00Z",
    "received_at<2026-11-21T00:00:00Z",
    "ts:2026-11-20T12:00:00Z",
    "온도 level>=warn temperature>0 -site:x",
    "(온도 OR 부산*) (source:pump-1 OR mixed:true)",
    "x",
    "100",
    "-x -100",
];

fn ranges() -> [TimeRange; 4] {
    let at = |hours: i64| Timestamp::from_nanos(START).plus_nanos(hours * 3_600_000_000_000);
    [
        TimeRange::ALL,
        TimeRange { from: at(0), to: at(6) },
        TimeRange { from: at(11), to: at(13) },
        TimeRange { from: at(-100 * 24), to: at(-80 * 24) },
    ]
}

fn edges() -> Vec<Timestamp> {
    (-2..40).map(|i| Timestamp::from_nanos(START).plus_nanos(i * 3_600_000_000_000)).collect()
}

/// Edges of unlike widths, as days are where clocks change.
fn uneven_edges() -> Vec<Timestamp> {
    [-90 * 86_400, -3_600, 0, 7, 3_600, 86_400, 90_000]
        .map(|s| Timestamp::from_nanos(START).plus_nanos(s * 1_000_000_000))
        .to_vec()
}

pub(super) async fn answers_as_the_oracle(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let corpus = Corpus::new(7, 3_000);
    fill(&*index, &corpus, 170).await;
    for number in 0..TENANTS.len() {
        let tenant = tenant(number);
        let events = corpus.of(&tenant);
        let oracle = Oracle::new(&events);
        let mut matched = 0;
        for (i, text) in QUERIES.iter().enumerate() {
            let query = Query::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            for range in ranges() {
                check_found(&*index, &tenant, &oracle, &query, range).await;
            }
            matched += usize::from(!oracle.find(&query, TimeRange::ALL, Order::Asc).is_empty());
            // Every query is counted; one in three is charted, each tenant others.
            if i % 3 == number {
                check_charts(&*index, &tenant, &oracle, &query).await;
                check_facets(&*index, &tenant, &oracle, &query).await;
            }
        }
        assert!(matched * 4 > QUERIES.len() * 3, "most queries find something: {matched}");
        check_events(&*index, &tenant, &events).await;
        check_fields(&*index, &tenant, &oracle).await;
    }
    index.close().await.expect("closes");
}

async fn check_found(
    index: &dyn EventIndex,
    tenant: &TenantId,
    oracle: &Oracle<'_>,
    query: &Query,
    range: TimeRange,
) {
    let text = &query.text;
    for order in [Order::Desc, Order::Asc] {
        let expect = oracle.find(query, range, order);
        let search = Search { query: query.clone(), range, order, limit: 50, after: None };
        let found = index.search(tenant, search, patient()).await.expect("searches");
        assert_eq!(found.total, expect.len() as u64, "total of {text:?} in {range:?} for {tenant}");
        let page = expect.iter().take(50).copied().collect::<Vec<_>>();
        assert_eq!(found.events.iter().collect::<Vec<_>>(), page, "page of {text:?} in {range:?}");
        assert_eq!(found.next.is_some(), expect.len() > 50, "next of {text:?}");
    }
    let count = index.count(tenant, query.clone(), range, patient()).await.expect("counts");
    assert_eq!(count, oracle.find(query, range, Order::Asc).len() as u64, "count of {text:?}");
    let since = Timestamp::from_nanos(START).plus_nanos(3_600_000_000_000);
    let outside = index.outside(tenant, query.clone(), range, since, patient()).await.expect("looks outside");
    assert_eq!(outside, oracle.outside(query, range, since), "outside of {text:?} in {range:?}");
}

async fn check_charts(index: &dyn EventIndex, tenant: &TenantId, oracle: &Oracle<'_>, query: &Query) {
    let text = &query.text;
    for edges in [edges(), uneven_edges()] {
        let counts = index.histogram(tenant, query.clone(), edges.clone(), patient()).await.expect("counts");
        assert_eq!(counts, oracle.histogram(query, &edges), "histogram of {text:?}");
        let range = TimeRange { from: edges[0], to: edges[edges.len() - 1] };
        for (metric, name) in [("temperature", "temperature"), ("deep.numbers", "deep/numbers")] {
            for aggregate in [
                Aggregate::Avg,
                Aggregate::Min,
                Aggregate::Max,
                Aggregate::Sum,
                Aggregate::Count,
                Aggregate::Last,
            ] {
                let request = NumericAggregation {
                    query: query.clone(),
                    metric: metric.to_owned(),
                    sources: Vec::new(),
                    aggregate,
                    edges: edges.clone(),
                    max_series: 3,
                };
                let result = index.aggregate(tenant, request, patient()).await.expect("aggregates");
                let mut expect = oracle.aggregate(query, name, aggregate, &edges);
                expect.truncate(3);
                assert_eq!(result.extremes, oracle.extremes(query, name, range), "extremes of {text:?}");
                assert_eq!(result.series.len(), expect.len(), "series of {text:?}");
                for (series, (source, values)) in result.series.iter().zip(&expect) {
                    assert_eq!(series.source.as_str(), source, "{aggregate:?} of {text:?}");
                    let same = series.values.iter().zip(values).all(|(a, b)| match aggregate {
                        Aggregate::Avg | Aggregate::Sum => nearly(*a, *b),
                        _ => a == b,
                    });
                    assert!(
                        same,
                        "{aggregate:?} of {metric} of {text:?}: {:?} for {values:?}",
                        series.values
                    );
                }
            }
        }
    }
    check_one_source(index, tenant, oracle).await;
}

async fn check_one_source(index: &dyn EventIndex, tenant: &TenantId, oracle: &Oracle<'_>) {
    let request = NumericAggregation {
        query: Query::all(),
        metric: "temperature".to_owned(),
        sources: vec![SourceKey::new("pump-1").expect("a source")],
        aggregate: Aggregate::Last,
        edges: edges(),
        max_series: 10,
    };
    let result = index.aggregate(tenant, request, patient()).await.expect("aggregates");
    let names = result.series.iter().map(|series| series.source.as_str()).collect::<Vec<_>>();
    let has = oracle
        .aggregate(&Query::all(), "temperature", Aggregate::Count, &edges())
        .iter()
        .any(|(source, _)| source == "pump-1");
    assert_eq!(names, if has { vec!["pump-1"] } else { vec![] });
}

/// Sums of floating-point numbers depend a little on the order of adding.
fn nearly(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        (a, b) => a == b,
    }
}

async fn check_facets(index: &dyn EventIndex, tenant: &TenantId, oracle: &Oracle<'_>, query: &Query) {
    let names = ["level", "source", "kind", "site", "deep.words", "deep.numbers", "temperature", "unknown"];
    let fields = names.map(str::to_owned).to_vec();
    for range in ranges() {
        let facets =
            index.facets(tenant, query.clone(), range, fields.clone(), 4, patient()).await.expect("counts");
        let expect = names.map(|name| oracle.facet(query, range, name, 4));
        assert_eq!(facets, expect, "facets of {:?}", query.text);
    }
    let mixed = index
        .facets(tenant, query.clone(), TimeRange::ALL, vec!["mixed".to_owned()], 100, patient())
        .await
        .expect("counts");
    assert_eq!(mixed, [oracle.facet(query, TimeRange::ALL, "mixed", 100)], "mixed of {:?}", query.text);
}

async fn check_events(index: &dyn EventIndex, tenant: &TenantId, events: &[Bytes]) {
    for json in events.iter().step_by(37) {
        let id = StoredEvent::parse(json).expect("an event").id;
        let got = index.get(tenant, id, patient()).await.expect("gets");
        assert_eq!(got.as_ref(), Some(json), "the event is as it was received");
    }
}

async fn check_fields(index: &dyn EventIndex, tenant: &TenantId, oracle: &Oracle<'_>) {
    for range in ranges() {
        let mut fields = index.fields(tenant, range, patient()).await.expect("lists");
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(fields, oracle.fields(range), "fields in {range:?}");
    }
}

/// `message:` finds words, phrases and starts of words in the message, and not what stands in other strings.
pub(super) async fn messages_are_searched_by_themselves(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let mut offsets = HashMap::new();
    let with_note = |mut event: StoredEvent<'static>, notes: Vec<&'static str>| {
        let notes = notes.into_iter().map(|note| Text(note.into())).collect();
        event.s.0.push((Text("note".into()), OneOrMany::Many(notes)));
        event
    };
    let mut no_message = with_note(plain("t_first", "pump-1", 4, ""), vec!["bearing hot", "온도"]);
    no_message.message = None;
    let events = [
        plain("t_first", "pump-1", 0, "bearing hot"),
        with_note(plain("t_first", "pump-1", 1, "bearing hot"), vec!["cold"]),
        with_note(plain("t_first", "pump-1", 2, "the cold"), vec!["bearing hot", "GPU온도"]),
        with_note(plain("t_first", "pump-1", 3, "hot 온도, bearing bearing hot"), vec!["bearing", "hot"]),
        no_message,
        with_note(plain("t_first", "pump-1", 5, "..."), vec!["bearing hot"]),
        with_note(plain("t_first", "pump-1", 6, "of a bearing"), vec!["hot"]),
    ];
    super::write(&*index, events.iter().map(|event| entry(event, "30d", &mut offsets)).collect()).await;
    let cases: [(&str, &[u64]); 17] = [
        ("bearing", &[0, 1, 2, 3, 4, 5, 6]),
        ("message:bearing", &[0, 1, 3, 6]),
        ("message:BEAR*", &[0, 1, 3, 6]),
        ("message:\"bearing hot\"", &[0, 1, 3]),
        ("message:\"bearing h\"*", &[0, 1, 3]),
        ("message:\"hot bearing\"", &[]),
        ("message:\"hot 온도 bea\"*", &[3]),
        ("\"hot 온도 bea\"*", &[3]),
        ("message:온도", &[3]),
        ("message:온*", &[3]),
        ("message:cold", &[2]),
        ("message:c*", &[2]),
        ("-message:bearing", &[2, 4, 5]),
        ("bearing -message:bearing", &[2, 4, 5]),
        ("message:(cold OR 온도)", &[2, 3]),
        ("message:bear", &[]),
        ("message:*", &[0, 1, 2, 3, 5, 6]),
    ];
    for (text, expect) in cases {
        let query = Query::parse(text).expect("a query");
        let search = Search { query, range: TimeRange::ALL, order: Order::Asc, limit: 100, after: None };
        let found = index.search(&tenant(0), search, patient()).await.expect("searches").events;
        let ids: Vec<_> = found.iter().map(|json| StoredEvent::parse(json).expect("an event").id).collect();
        let expect: Vec<_> = expect.iter().map(|number| events[*number as usize].id).collect();
        assert_eq!(ids, expect, "{text}");
    }
    index.close().await.expect("closes");
}

pub(super) async fn pages_walk_everything_once(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let corpus = Corpus::new(11, 1_200);
    fill(&*index, &corpus, 300).await;
    let tenant = tenant(0);
    let events = corpus.of(&tenant);
    let oracle = Oracle::new(&events);
    for (text, order, limit) in
        [("", Order::Desc, 7), ("", Order::Asc, 64), ("온도", Order::Desc, 3), ("-x", Order::Asc, 1_000)]
    {
        let query = Query::parse(text).expect("a query");
        let expect = oracle.find(&query, TimeRange::ALL, order);
        assert_eq!(walk(&*index, &tenant, &query, order, limit).await, expect, "pages of {text:?}");
        let exported = index
            .export(&tenant, query, TimeRange::ALL, order, patient())
            .map(|event| event.expect("exports"))
            .collect::<Vec<_>>()
            .await;
        assert_eq!(exported.iter().collect::<Vec<_>>(), expect, "export of {text:?}");
    }
    index.close().await.expect("closes");
}

async fn walk(
    index: &dyn EventIndex,
    tenant: &TenantId,
    query: &Query,
    order: Order,
    limit: u32,
) -> Vec<Bytes> {
    let mut walked: Vec<Bytes> = Vec::new();
    let mut after: Option<SortKey> = None;
    loop {
        let search = Search { query: query.clone(), range: TimeRange::ALL, order, limit, after };
        let found = index.search(tenant, search, patient()).await.expect("searches");
        walked.extend(found.events);
        match found.next {
            Some(next) => {
                let last = walked.last().expect("a page that is not the last has events");
                assert_eq!(next, key(&StoredEvent::parse(last).expect("an event")));
                after = Some(next);
            }
            None => return walked,
        }
    }
}

pub(super) async fn tenants_are_apart(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let corpus = Corpus::new(3, 400);
    fill(&*index, &corpus, 400).await;
    let stranger = TenantId::new("t_stranger").expect("a valid key");
    let all = TimeRange::ALL;
    let query = Query::parse("-nothinglikeit").expect("a query");
    assert_eq!(index.count(&stranger, query.clone(), all, patient()).await.expect("counts"), 0);
    assert!(index.fields(&stranger, all, patient()).await.expect("lists").is_empty());
    let facets = index
        .facets(&stranger, query.clone(), all, vec!["source".to_owned()], 9, patient())
        .await
        .expect("counts");
    assert_eq!((facets[0].distinct, facets[0].values.len()), (0, 0));
    let (first, second) = (corpus.of(&tenant(0)), corpus.of(&tenant(1)));
    let id = StoredEvent::parse(&first[0]).expect("an event").id;
    assert_eq!(index.get(&tenant(1), id, patient()).await.expect("looks"), None);
    for (number, own) in [(0, first.len()), (1, second.len())] {
        let count = index.count(&tenant(number), query.clone(), all, patient()).await.expect("counts");
        assert_eq!(count, own as u64);
    }
    index.close().await.expect("closes");
}

pub(super) async fn ended_reads_stop(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    fill(&*index, &Corpus::new(5, 200), 200).await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    for limit in [
        ReadLimit::within(Duration::ZERO, CancellationToken::new()),
        ReadLimit::within(Duration::from_secs(60), cancelled.clone()),
    ] {
        let count = index.count(&tenant(0), Query::all(), TimeRange::ALL, limit).await;
        assert!(matches!(count, Err(IndexError::Deadline)), "{count:?}");
    }
    let limit = ReadLimit::within(Duration::ZERO, cancelled);
    let mut export = index.export(&tenant(0), Query::all(), TimeRange::ALL, Order::Asc, limit);
    assert!(matches!(export.next().await, Some(Err(IndexError::Deadline))));
    assert!(export.next().await.is_none(), "an error ends the stream");
    index.close().await.expect("closes");
}
