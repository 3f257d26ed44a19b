//! A phrase's last word may stand for more words than are held in memory at once.

use domain::TimeRange;
use domain::query::Query;
use std::collections::HashMap;
use store::index::EventIndex;
use store::index::conformance::corpus::{entry, plain, tenant};
use store::index::conformance::patient;
use store_index::{IndexOptions, TantivyIndex};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phrases_that_go_on_in_many_words() {
    let dir = tempfile::tempdir().unwrap();
    let index = TantivyIndex::open(dir.path(), IndexOptions::default()).unwrap();
    let mut offsets = HashMap::new();
    let batch = (0..1_000_u64).map(|i| {
        // In the odd ones the word does not stand next to `unit`.
        let message = format!("unit {}n{i:03}", if i % 2 == 0 { "" } else { "of " });
        entry(&plain("t_first", "pump-1", i, &message), "30d", &mut offsets)
    });
    assert_eq!(index.write(batch.collect()).await.unwrap().indexed, 1_000);
    for (text, expect) in [
        ("\"unit n\"*", 500),
        ("\"unit n1\"*", 50),
        ("\"unit n11\"*", 5),
        ("n1*", 100),
        ("\"unit m\"*", 0),
        ("message:\"unit n\"*", 500),
        ("message:\"unit n11\"*", 5),
        ("message:n*", 1_000),
        ("message:n1*", 100),
    ] {
        let query = Query::parse(text).unwrap();
        let count = index.count(&tenant(0), query, TimeRange::ALL, patient()).await.unwrap();
        assert_eq!(count, expect, "{text}");
    }
    index.close().await.unwrap();
}
