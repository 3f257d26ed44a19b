//! Large events, rare tenants, indexes of another version, records that are somebody else's.

use bytes::Bytes;
use domain::api::Order;
use domain::event::{OneOrMany, StoredEvent, Text};
use domain::query::Query;
use domain::{EventId, TimeRange, Timestamp};
use futures::StreamExt;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use store::index::conformance::corpus::{START, entry, plain, tenant};
use store::index::conformance::oracle::{Oracle, key};
use store::index::conformance::patient;
use store::index::{EventIndex, IndexError, PAGE_BYTES, Search};
use store_index::{IndexOptions, TantivyIndex};

const DAY: i64 = 86_400_000_000_000;

fn open(dir: &Path) -> Arc<TantivyIndex> {
    TantivyIndex::open(dir, IndexOptions::default()).expect("the index opens")
}

fn size(events: &[Bytes]) -> usize {
    events.iter().map(Bytes::len).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_large_events_are_short() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    // One that is larger than a page may be stands among those of a megabyte.
    let message = |i: u64| "0123456 ".repeat(if i == 20 { PAGE_BYTES / 8 } else { 1 << 17 });
    let mut offsets = HashMap::new();
    let batch = (0..40_u64).map(|i| entry(&plain("t_first", "pump-1", i, &message(i)), "30d", &mut offsets));
    let batch = batch.collect::<Vec<_>>();
    let expect = batch.iter().map(|e| e.record.payload.clone()).collect::<Vec<_>>();
    assert_eq!(index.write(batch).await.unwrap().indexed, 40);

    let (mut walked, mut pages, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let search =
            Search { query: Query::all(), range: TimeRange::ALL, order: Order::Asc, limit: 1_000, after };
        let found = index.search(&tenant(0), search, patient()).await.unwrap();
        assert_eq!(found.total, 40);
        assert!(size(&found.events) <= PAGE_BYTES || found.events.len() == 1, "{}", found.events.len());
        pages.push(found.events.len());
        walked.extend(found.events);
        let Some(next) = found.next else { break };
        assert_eq!(next, key(&StoredEvent::parse(walked.last().unwrap()).unwrap()));
        after = Some(next);
    }
    assert!(walked == expect, "every event once, in order");
    assert_eq!(pages, [15, 5, 1, 15, 4]);

    let exported = index.export(&tenant(0), Query::all(), TimeRange::ALL, Order::Asc, patient());
    let exported = exported.map(|event| event.unwrap()).collect::<Vec<_>>().await;
    assert!(exported == expect, "the export has all of them");
    index.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facets_of_a_tenant_with_few_of_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut offsets = HashMap::new();
    for first in [0_u64, 4_000] {
        let batch = (first..first + 4_000).map(|i| {
            let (of, user) = if i % 400 == 7 { ("t_first", i % 3_000) } else { ("t_second", i) };
            let mut event = plain(of, "pump-1", i, "login");
            let users = [format!("u{user}"), format!("u{}", user / 2)].map(|user| Text(user.into())).to_vec();
            event.s.0.push((Text("user".into()), OneOrMany::Many(users)));
            entry(&event, "30d", &mut offsets)
        });
        let batch = batch.collect::<Vec<_>>();
        index.write(batch).await.unwrap();
    }
    for number in [0, 1] {
        let export = index.export(&tenant(number), Query::all(), TimeRange::ALL, Order::Asc, patient());
        let events = export.map(|event| event.unwrap()).collect::<Vec<_>>().await;
        assert_eq!(events.len(), [20, 7_980][number]);
        let oracle = Oracle::new(&events);
        let at = |i: i64| Timestamp::from_nanos(START).plus_nanos(i * 1_000_000_000);
        // The last is a window in which the second tenant, too, has few of the values.
        for range in [TimeRange::ALL, TimeRange { from: at(300), to: at(440) }] {
            let fields = vec!["user".to_owned()];
            let facets = index.facets(&tenant(number), Query::all(), range, fields, 7, patient()).await;
            assert_eq!(facets.unwrap(), [oracle.facet(&Query::all(), range, "user", 7)]);
        }
    }
    index.close().await.unwrap();
}

/// An event of this many days after the corpus's first.
fn of_day(day: u64) -> (EventId, StoredEvent<'static>) {
    let mut event = plain("t_first", "pump-1", day, "one a day");
    event.received_at = Timestamp::from_nanos(START + day as i64 * DAY);
    event.id = EventId::at(event.received_at, [day as u8; 10]);
    (event.id, event)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_looked_for_in_the_index_of_its_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut offsets = HashMap::new();
    let batch = (0..3).map(|day| entry(&of_day(day).1, "30d", &mut offsets)).collect();
    index.write(batch).await.unwrap();
    index.close().await.unwrap();
    drop(index);
    // Opening either of the others would find it damaged.
    for day in ["2026.11.20", "2026.11.22"] {
        for file in std::fs::read_dir(dir.path().join(format!("qgx-events-30d-g1-{day}"))).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "fast") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    let index = open(dir.path());
    assert!(index.get(&tenant(0), of_day(1).0, patient()).await.unwrap().is_some());
    let aside = |dir: &Path| {
        let names = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("damaged-")).count()
    };
    assert_eq!(aside(dir.path()), 0, "no other index was opened");
    assert!(index.get(&tenant(0), of_day(9).0, patient()).await.unwrap().is_none());
    assert_eq!(aside(dir.path()), 2, "what is nowhere is looked for everywhere");
    index.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_another_version_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let event = entry(&plain("t_first", "pump-1", 0, "old"), "30d", &mut HashMap::new());
    index.write(vec![event.clone()]).await.unwrap();
    index.close().await.unwrap();
    drop(index);
    let meta = dir.path().join("qgx-events-30d-g1-2026.11.20/meta.json");
    let made_by_this = std::fs::read_to_string(&meta).unwrap();
    let by_another = made_by_this.replace("\"name\": \"kind\"", "\"name\": \"sort\"");
    assert_ne!(by_another, made_by_this);
    std::fs::write(&meta, by_another).unwrap();

    let index = open(dir.path());
    let counted = index.count(&tenant(0), Query::all(), TimeRange::ALL, patient()).await.map(|_| ());
    let written = index.write(vec![event]).await.map(|_| ());
    for answer in [counted, written] {
        let Err(IndexError::Failed(reason)) = answer else { panic!("{answer:?}") };
        assert!(reason.contains("qgx-events-30d-g1-2026.11.20 was made by another version"), "{reason}");
    }
    assert!(meta.exists(), "nothing is moved");
    std::fs::write(&meta, made_by_this).unwrap();
    let count = index.count(&tenant(0), Query::all(), TimeRange::ALL, patient()).await.unwrap();
    assert_eq!(count, 1, "its own version reads it");
    index.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_of_the_tenant_and_source_it_came_as() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut offsets = HashMap::new();
    let mut batch = ["mine", "of another tenant", "of another source"]
        .map(|message| entry(&plain("t_first", "pump-1", 0, message), "30d", &mut offsets));
    for (i, other) in [(1, plain("t_second", "pump-1", 1, "x")), (2, plain("t_first", "pump-2", 2, "x"))] {
        batch[i].record.payload = serde_json::to_vec(&other).unwrap().into();
    }
    let written = index.write(batch.to_vec()).await.unwrap();
    assert_eq!(written.indexed, 1);
    let rejected = written.rejected.iter().map(|r| (r.offset, r.code)).collect::<Vec<_>>();
    assert_eq!(rejected, [(1, "wrong_tenant"), (2, "wrong_tenant")]);
    for (number, expect) in [(0, 1), (1, 0)] {
        let count = index.count(&tenant(number), Query::all(), TimeRange::ALL, patient()).await.unwrap();
        assert_eq!(count, expect);
    }
    index.close().await.unwrap();
}
