//! What is OpenSearch's own, on a real one: `QGX_TEST_OPENSEARCH` is its address.

use crate::server::{Prefix, at};
use domain::api::Order;
use domain::event::{OneOrMany, StoredEvent, Text};
use domain::query::Query;
use domain::{TenantId, TimeRange};
use opensearch::http::Method;
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use store::index::conformance::corpus::{entry, plain, tenant};
use store::index::conformance::patient;
use store::index::{EventIndex, IndexEntry, IndexError, Search};
use store_opensearch::{OpenSearchIndex, Refresh};

async fn count(index: &OpenSearchIndex, text: &str) -> u64 {
    let query = Query::parse(text).unwrap();
    index.count(&tenant(0), query, TimeRange::ALL, patient()).await.unwrap()
}

fn entries<'a>(events: impl IntoIterator<Item = StoredEvent<'a>>) -> Vec<IndexEntry> {
    let mut offsets = HashMap::new();
    events.into_iter().map(|event| entry(&event, "30d", &mut offsets)).collect()
}

fn with_string(mut event: StoredEvent<'static>, name: &'static str, value: String) -> StoredEvent<'static> {
    event.s.0.push((Text(name.into()), OneOrMany::One(Text(value.into()))));
    event
}

/// Names that cannot be mapped and values that are too long cost an event its charts, never its place.
#[tokio::test]
async fn events_degrade_and_do_not_fail() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    let index = prefix.open();
    index.ensure().await.unwrap();
    let mut nameless = with_string(plain("t_first", "pump-1", 1, "nameless"), " ", "온도 hot".to_owned());
    nameless.n.0.push((Text("".into()), OneOrMany::One(81.5)));
    nameless.n.0.push((Text("known".into()), OneOrMany::One(5.0)));
    let long = with_string(plain("t_first", "pump-1", 2, "long"), "note", "긴글 ".repeat(20_000) + "tail");
    let batch = entries([plain("t_first", "pump-1", 0, "fine"), nameless, long]);
    let written = index.write(batch.clone()).await.unwrap();
    assert_eq!((written.indexed, written.rejected.len()), (3, 0), "{:?}", written.rejected);
    for (text, expect) in [
        ("", 3),
        ("nameless", 1),
        ("\"온도 hot\"", 1),
        ("known:5", 1),
        ("known:*", 1),
        ("tail", 1),
        ("긴글", 1),
        ("note:*", 1),
        ("-note:*", 2),
        ("note:tail", 0),
    ] {
        assert_eq!(count(&index, text).await, expect, "{text}");
    }
    for entry in &batch {
        let id = StoredEvent::parse(&entry.record.payload).unwrap().id;
        let got = index.get(&tenant(0), id, patient()).await.unwrap();
        assert!(got.as_ref() == Some(&entry.record.payload), "the event is as it was received");
    }
    let again = index.write(batch).await.unwrap();
    assert_eq!((again.indexed, again.skipped), (0, 3));
    prefix.remove().await;
}

#[tokio::test]
async fn more_names_than_an_index_may_have() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    let index = prefix.open();
    index.ensure().await.unwrap();
    index.write(entries([plain("t_first", "pump-1", 0, "first")])).await.unwrap();
    let name = format!("{}qgx-events-30d-g1-2026.11.20", prefix.options().prefix);
    let limit = json!({ "index.mapping.total_fields.limit": 40 }).to_string();
    crate::server::ask(&url, Method::Put, &format!("{name}/_settings"), &limit).await;
    let names: Vec<&'static str> = (0..60).map(|i| &*format!("name{i}").leak()).collect();
    let events = names
        .iter()
        .zip(1..)
        .map(|(name, i)| with_string(plain("t_first", "pump-1", i, "named"), name, format!("value{i}")));
    let mut offsets = HashMap::new();
    let batch: Vec<_> = events.map(|event| entry(&event, "30d", &mut offsets)).collect();
    let written = index.write(batch).await.unwrap();
    assert_eq!((written.indexed, written.rejected.len()), (60, 0), "{:?}", written.rejected);
    assert_eq!(count(&index, "named").await, 60);
    assert_eq!(count(&index, "value60").await, 1);
    assert_eq!(count(&index, "name0:value1 OR name59:VALUE60").await, 2);
    prefix.remove().await;
}

/// Searchable soon after the write, with the refresh interval alone.
#[tokio::test]
async fn writes_become_visible_by_themselves() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    let mut options = prefix.options();
    options.refresh = Refresh::Interval;
    let index = OpenSearchIndex::connect(options).unwrap();
    index.ensure().await.unwrap();
    index.write(entries([plain("t_first", "pump-1", 0, "soon")])).await.unwrap();
    let started = Instant::now();
    while count(&index, "soon").await == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "it never came");
    }
    prefix.remove().await;
}

#[tokio::test]
async fn tenants_that_are_gone() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    let index = prefix.open();
    index.ensure().await.unwrap();
    let own = |tenant, number| plain(tenant, "pump-1", number, "kept");
    index.write(entries([own("t_first", 0), own("t_first", 1), own("t_second", 2)])).await.unwrap();
    let gone: TenantId = tenant(0);
    index.bury([gone.clone()].into());
    assert_eq!(count(&index, "kept").await, 0, "at once");
    assert_eq!(index.purge(&gone).await.unwrap(), 2);
    assert_eq!(index.purge(&gone).await.unwrap(), 0);
    index.bury([].into());
    assert_eq!(count(&index, "kept").await, 0);
    assert_eq!(index.stats().await.unwrap().events, 1, "the other's is there");
    prefix.remove().await;
}

/// Large events come in pages of bounded size, and all of them.
#[tokio::test]
async fn pages_of_large_events() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    let index = prefix.open();
    index.ensure().await.unwrap();
    let large = |number| {
        let mut event = plain("t_first", "pump-1", number, "large");
        event.raw = Some("A".repeat(1 << 20).into());
        event
    };
    assert_eq!(index.write(entries((0..20).map(large))).await.unwrap().indexed, 20);
    let (mut after, mut pages) = (None, Vec::new());
    loop {
        let (query, order) = (Query::all(), Order::Asc);
        let search = Search { query, range: TimeRange::ALL, order, limit: 1_000, after };
        let found = index.search(&tenant(0), search, patient()).await.unwrap();
        assert_eq!(found.total, 20);
        pages.push(found.events.len());
        match found.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(pages, [15, 5]);
    assert_eq!(count(&index, "raw:*").await, 20);
    prefix.remove().await;
}

/// A full disk: one clear line, and nothing is taken for a dead letter.
#[tokio::test]
async fn read_only_indexes() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    let index = prefix.open();
    index.ensure().await.unwrap();
    index.write(entries([plain("t_first", "pump-1", 0, "before")])).await.unwrap();
    let name = format!("{}qgx-events-30d-g1-2026.11.20", prefix.options().prefix);
    let block = |on| json!({ "index.blocks.read_only_allow_delete": on }).to_string();
    crate::server::ask(&url, Method::Put, &format!("{name}/_settings"), &block(json!(true))).await;
    let error = index.write(entries([plain("t_first", "pump-1", 1, "after")])).await.unwrap_err();
    assert!(error.to_string().contains("flood-stage watermark: make room"), "{error}");
    assert_eq!(index.health().await.unwrap().read_only, std::slice::from_ref(&name));
    crate::server::ask(&url, Method::Put, &format!("{name}/_settings"), &block(json!(null))).await;
    assert_eq!(index.write(entries([plain("t_first", "pump-1", 1, "after")])).await.unwrap().indexed, 1);
    let health = index.health().await.unwrap();
    assert!(health.read_only.is_empty());
    assert!(0 < health.shards && health.shards < health.shards_allowed, "{health:?}");
    prefix.remove().await;
}

#[tokio::test]
async fn nothing_is_written_without_the_template() {
    let Some(url) = at() else { return };
    let index = Prefix::new(&url).open();
    let error = index.write(entries([plain("t_first", "pump-1", 0, "x")])).await.unwrap_err();
    assert!(matches!(&error, IndexError::Failed(why) if why.contains("qgx migrate")), "{error}");
    assert_eq!(index.stats().await.unwrap().indexes, 0);
}

#[tokio::test]
async fn phrases_that_go_on_in_many_words() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    let index = prefix.open();
    index.ensure().await.unwrap();
    let messages: Vec<String> = (0..1_500).map(|i| format!("unit n{i} of a plant")).collect();
    let events = messages.iter().zip(0..).map(|(message, i)| plain("t_first", "pump-1", i, message));
    index.write(entries(events)).await.unwrap();
    for (text, expect) in [("\"unit n\"*", 1_500), ("\"unit n14\"*", 111), ("n14*", 111), ("\"unit m\"*", 0)]
    {
        assert_eq!(count(&index, text).await, expect, "{text}");
    }
    prefix.remove().await;
}
