//! Writes are durable, visible, and done once.

use super::corpus::{Corpus, START, entry, plain, tenant};
use super::{Fixture, fill, patient, write};
use crate::index::{EventIndex, IndexEntry};
use domain::query::Query;
use domain::{TimeRange, Timestamp};
use std::collections::HashMap;

const DAY: i64 = 86_400_000_000_000;

async fn count(index: &dyn EventIndex, number: usize, text: &str) -> u64 {
    let query = Query::parse(text).expect("a query");
    index.count(&tenant(number), query, TimeRange::ALL, patient()).await.expect("counts")
}

pub(super) async fn a_write_is_visible_at_once(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let mut offsets = HashMap::new();
    for number in 0..20 {
        let message = format!("event number {number}");
        let event = plain("t_first", "pump-1", number, &message);
        write(&*index, vec![entry(&event, "30d", &mut offsets)]).await;
        assert_eq!(count(&*index, 0, &format!("\"number {number}\"")).await, 1);
        assert_eq!(count(&*index, 0, "").await, number + 1);
    }
    assert_eq!(index.write(Vec::new()).await.expect("an empty batch is written").indexed, 0);
    index.close().await.expect("closes");
}

pub(super) async fn rereads_change_nothing(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let corpus = Corpus::new(13, 600);
    fill(&*index, &corpus, 100).await;
    let before = count(&*index, 0, "").await;
    // From the middle, in other batches than before, as after a crash.
    let again = write(&*index, corpus.entries[250..].to_vec()).await;
    assert_eq!((again.indexed, again.skipped), (0, 350));
    let mut offsets = HashMap::new();
    for e in &corpus.entries {
        offsets.insert(e.partition, e.record.offset + 1);
    }
    let new = entry(&plain("t_first", "pump-1", 99_999, "one more"), "30d", &mut offsets);
    let mixed = [corpus.entries[500..].to_vec(), vec![new]].concat();
    let written = write(&*index, mixed).await;
    assert_eq!((written.indexed, written.skipped), (1, 100));
    assert_eq!(count(&*index, 0, "").await, before + 1);
    index.close().await.expect("closes");
}

pub(super) async fn bad_records_are_rejected(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let mut offsets = HashMap::new();
    let mut batch: Vec<IndexEntry> = (0..4)
        .map(|number| entry(&plain("t_first", "pump-1", number, "fine"), "30d", &mut offsets))
        .collect();
    batch[1].record.payload = "{\"id\":".into();
    batch[2].record.payload = vec![0xff, 0xfe].into();
    let written = index.write(batch.clone()).await.expect("the rest is written");
    assert_eq!(written.indexed, 2);
    let rejected = written.rejected.iter().map(|r| (r.partition, r.offset, r.code)).collect::<Vec<_>>();
    let expect = |i: usize| (batch[i].partition, batch[i].record.offset, "undecodable");
    assert_eq!(rejected, [expect(1), expect(2)]);
    assert_eq!(count(&*index, 0, "fine").await, 2);
    index.close().await.expect("closes");
}

pub(super) async fn a_batch_may_span_indexes(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let mut offsets = HashMap::new();
    // Around midnight, the two days mixed: each index knows its own offsets.
    let midnight = START.div_euclid(DAY) * DAY + DAY;
    let batch = (0..40_u64)
        .map(|number| {
            let mut event = plain("t_first", "pump-1", number, "midnight");
            event.received_at =
                Timestamp::from_nanos(midnight + if number % 3 == 0 { -1 } else { 1 } * 5_000);
            entry(&event, ["30d", "1y", "90d", "7d"][number as usize % 4], &mut offsets)
        })
        .collect::<Vec<_>>();
    assert_eq!(write(&*index, batch[..23].to_vec()).await.indexed, 23);
    let again = write(&*index, batch.clone()).await;
    assert_eq!((again.indexed, again.skipped), (17, 23));
    assert_eq!(count(&*index, 0, "midnight").await, 40);
    assert_eq!(index.stats().await.expect("counts").indexes, 6, "1y and 90d do not change at this midnight");
    index.close().await.expect("closes");
}

pub(super) async fn everything_survives_reopening(fixture: &dyn Fixture) {
    let corpus = Corpus::new(17, 900);
    let index = fixture.open().await;
    fill(&*index, &corpus, 90).await;
    let queries = ["", "온도", "level>=warn", "site:부산", "temperature>0"];
    let mut before = Vec::new();
    for text in queries {
        before.push(count(&*index, 0, text).await);
    }
    index.close().await.expect("closes");
    drop(index);
    let index = fixture.open().await;
    for (text, before) in queries.iter().zip(&before) {
        assert_eq!(count(&*index, 0, text).await, *before, "{text}");
    }
    let again = write(&*index, corpus.entries.clone()).await;
    assert_eq!((again.indexed, again.skipped), (0, 900));
    assert_eq!(index.stats().await.expect("counts").events, 900);
    index.close().await.expect("closes");
}

pub(super) async fn expired_indexes_are_dropped(fixture: &dyn Fixture) {
    let index = fixture.open().await;
    let mut offsets = HashMap::new();
    let midnight = Timestamp::from_nanos(START.div_euclid(DAY) * DAY);
    let batch = [("7d", 0), ("30d", 0), ("7d", DAY)]
        .into_iter()
        .zip(0..)
        .map(|((class, later), number)| {
            let mut event = plain("t_first", "pump-1", number, "kept a while");
            event.received_at = midnight.plus_nanos(later);
            entry(&event, class, &mut offsets)
        })
        .collect();
    write(&*index, batch).await;
    // The first day's week is over when eight days have passed since it began.
    let expect = [(8 * DAY, vec![], 3), (8 * DAY + 1, vec!["qgx-events-7d-g1-2026.11.20"], 2)];
    for (later, dropped, left) in expect {
        assert_eq!(index.drop_expired(midnight.plus_nanos(later)).await.expect("drops"), dropped);
        assert_eq!(count(&*index, 0, "kept").await, left);
    }
    index.close().await.expect("closes");
}
