//! Recognises what was sent before, so that it reaches neither index nor SQL again.

use super::batch::Item;
use domain::{SourceKey, TenantId};
use futures::{StreamExt, TryStreamExt};
use lru::LruCache;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::broker::Origin;
use store::sql::{SqlResult, SqlStore};
use tokio::time::Instant;

/// A client's stream.
pub(crate) type StreamKey = (TenantId, SourceKey, Arc<str>);
/// An id that a client gave.
pub(crate) type GivenKey = (TenantId, SourceKey, Arc<str>);

/// Positions asked for at once.
const AT_ONCE: usize = 8;
/// A position unused for so long is asked for again. SQL forgets streams, days later, and a client that is told so begins at
/// 0: what it sends then is new.
const STALE: Duration = Duration::from_secs(3_600);

/// How far a stream has come, flushed or still on its way.
struct Position {
    sequence: u64,
    /// The last batch that moved it, and when.
    batch: u64,
    at: Instant,
}

/// The state of one pipeline.
pub(crate) struct Dedupe {
    sql: Arc<dyn SqlStore>,
    /// Streams by their last use. One that moved in a batch not yet flushed is never forgotten: SQL does not know it.
    positions: LruCache<StreamKey, Position, foldhash::fast::RandomState>,
    most_streams: usize,
    stale: Duration,
    /// Given ids of batches not yet flushed; the others SQL knows.
    given: HashSet<GivenKey, foldhash::fast::RandomState>,
    given_by_batch: VecDeque<(u64, Vec<GivenKey>)>,
    batch: u64,
    flushed: Arc<AtomicU64>,
}

struct Unknown {
    streams: HashSet<StreamKey, foldhash::fast::RandomState>,
    ids: HashSet<GivenKey, foldhash::fast::RandomState>,
}

/// What SQL knows of a batch's streams and ids that is not known here.
pub(crate) struct Known {
    positions: Vec<(StreamKey, u64)>,
    given: HashSet<GivenKey>,
}

impl Dedupe {
    /// `flushed` is the number of the last batch in SQL.
    pub fn new(sql: Arc<dyn SqlStore>, most_streams: usize, flushed: Arc<AtomicU64>) -> Self {
        Self {
            sql,
            positions: LruCache::unbounded_with_hasher(foldhash::fast::RandomState::default()),
            most_streams,
            stale: STALE,
            given: HashSet::default(),
            given_by_batch: VecDeque::new(),
            batch: flushed.load(Ordering::Acquire),
            flushed,
        }
    }

    /// What is not flushed, SQL does not know.
    fn remembers(&self, key: &StreamKey) -> bool {
        let flushed = self.flushed.load(Ordering::Acquire);
        let lately = |position: &Position| position.batch > flushed || position.at.elapsed() < self.stale;
        self.positions.peek(key).is_some_and(lately)
    }

    /// The streams and ids of a batch that are not known here.
    fn unknown(&self, items: &[Item]) -> Unknown {
        let mut streams = HashSet::<StreamKey, foldhash::fast::RandomState>::default();
        let mut ids = HashSet::<GivenKey, foldhash::fast::RandomState>::default();
        let mut last = None;
        for item in items {
            let record = &item.entry.record;
            match &record.origin {
                Origin::Unmarked => {}
                Origin::Stream { stream, .. } => {
                    // Lines of a connection stand together.
                    let place = (Arc::as_ptr(&record.route), Arc::as_ptr(stream));
                    if last != Some(place) {
                        last = Some(place);
                        let key = (record.route.tenant.clone(), record.route.source.clone(), stream.clone());
                        if !self.remembers(&key) {
                            streams.insert(key);
                        }
                    }
                }
                Origin::Given(id) => {
                    let key = (record.route.tenant.clone(), record.route.source.clone(), id.clone());
                    if !self.given.contains(&key) {
                        ids.insert(key);
                    }
                }
            }
        }
        Unknown { streams, ids }
    }

    /// Asks SQL for what [`Self::mark`] will need.
    pub async fn ask(&self, items: &[Item]) -> SqlResult<Known> {
        let Unknown { streams, ids } = self.unknown(items);
        let positions = futures::stream::iter(streams)
            .map(|key| async {
                let sequence = self.sql.stream_position(&key.0, &key.1, &key.2).await?;
                SqlResult::Ok((key, sequence))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let given = if ids.is_empty() {
            HashSet::new()
        } else {
            let asked: Vec<_> = ids.into_iter().map(|(t, s, id)| (t, s, id.as_ref().to_owned())).collect();
            let known = self.sql.known_ids(&asked).await?;
            known.into_iter().map(|(tenant, source, id)| (tenant, source, id.into())).collect()
        };
        Ok(Known { positions, given })
    }

    /// Marks what was sent before. Answers the batch's number, for `flushed`.
    pub fn mark(&mut self, items: &mut [Item], known: Known) -> u64 {
        self.batch += 1;
        let now = Instant::now();
        for (key, sequence) in known.positions {
            self.positions.put(key, Position { sequence, batch: 0, at: now });
        }
        let mut given = Vec::new();
        let (mut streams_resent, mut ids_resent) = (0_u64, 0_u64);
        let mut items = items.iter_mut().peekable();
        while let Some(item) = items.next() {
            let record = &item.entry.record;
            match &record.origin {
                Origin::Unmarked => {}
                Origin::Stream { stream, .. } => {
                    let (route, stream) = (record.route.clone(), stream.clone());
                    let key = (route.tenant.clone(), route.source.clone(), stream.clone());
                    let batch = self.batch;
                    let position =
                        self.positions.get_or_insert_mut(key, || Position { sequence: 0, batch, at: now });
                    (position.batch, position.at) = (batch, now);
                    let mut item = item;
                    loop {
                        if let Origin::Stream { sequence, .. } = item.entry.record.origin {
                            item.resent = sequence <= position.sequence;
                            streams_resent += u64::from(item.resent);
                            position.sequence = position.sequence.max(sequence);
                        }
                        // Lines of a connection stand together: the stream is looked up once for all of them.
                        let same = |next: &&mut Item| match &next.entry.record.origin {
                            Origin::Stream { stream: other, .. } => {
                                Arc::ptr_eq(&next.entry.record.route, &route) && Arc::ptr_eq(other, &stream)
                            }
                            _ => false,
                        };
                        match items.next_if(same) {
                            Some(next) => item = next,
                            None => break,
                        }
                    }
                }
                Origin::Given(id) => {
                    let key = (record.route.tenant.clone(), record.route.source.clone(), id.clone());
                    item.resent = known.given.contains(&key) || !self.given.insert(key.clone());
                    if item.resent {
                        ids_resent += 1;
                    } else {
                        given.push(key);
                    }
                }
            }
        }
        for (reason, count) in [("resent_stream", streams_resent), ("resent_id", ids_resent)] {
            if count > 0 {
                metrics::counter!("qgx_processor_dropped_records_total", "reason" => reason).increment(count);
            }
        }
        if !given.is_empty() {
            self.given_by_batch.push_back((self.batch, given));
        }
        // Not before: what `ask` found here must still be here.
        self.forget_flushed();
        self.batch
    }

    fn forget_flushed(&mut self) {
        let flushed = self.flushed.load(Ordering::Acquire);
        while let Some((_, ids)) = self.given_by_batch.pop_front_if(|(batch, _)| *batch <= flushed) {
            for id in ids {
                self.given.remove(&id);
            }
        }
        while self.positions.len() > self.most_streams {
            // The longest unused moved last in the earliest batch: if that is not flushed, none of the others is.
            if self.positions.peek_lru().is_none_or(|(_, position)| position.batch > flushed) {
                break;
            }
            self.positions.pop_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::tests::fixture;
    use store::index::IndexEntry;
    use store::sql::{Flush, StreamPosition};

    enum From {
        Stream(&'static str, u64),
        Given(&'static str),
        Nowhere,
    }

    fn items(origins: &[From]) -> Vec<Item> {
        let item = |(offset, origin): (u64, &From)| {
            let mut new = fixture::new_record("a", "x");
            new.origin = match origin {
                From::Stream(stream, sequence) => {
                    Origin::Stream { stream: Arc::from(*stream), sequence: *sequence }
                }
                From::Given(id) => Origin::Given(Arc::from(*id)),
                From::Nowhere => Origin::Unmarked,
            };
            Item {
                entry: IndexEntry { partition: 0, record: fixture::read_back(offset, new) },
                resent: false,
            }
        };
        (0..).zip(origins).map(item).collect()
    }

    async fn check(dedupe: &mut Dedupe, origins: &[From], resent: &[bool]) -> u64 {
        let mut items = items(origins);
        let known = dedupe.ask(&items).await.unwrap();
        let batch = dedupe.mark(&mut items, known);
        assert_eq!(items.iter().map(|it| it.resent).collect::<Vec<_>>(), resent);
        batch
    }

    #[tokio::test]
    async fn what_was_sent_before_is_marked() {
        use From::{Given, Nowhere, Stream};
        let sql = fixture::sql().await;
        let (tenant, source) = (fixture::tenant(), fixture::source("a"));
        let flush = Flush {
            offsets: vec![(0, 1)],
            streams: vec![StreamPosition {
                tenant: tenant.clone(),
                source: source.clone(),
                stream: "boot".to_owned(),
                sequence: 5,
            }],
            given_ids: vec![(tenant, source, "known".to_owned(), domain::Timestamp::now())],
            ..Flush::default()
        };
        sql.flush("qgx.events.v1", &flush).await.unwrap();
        let flushed = Arc::new(AtomicU64::new(0));
        let mut dedupe = Dedupe::new(sql, 1, flushed.clone());
        let sent =
            [Stream("boot", 5), Stream("boot", 6), Stream("boot", 6), Stream("new", 1), Nowhere, Nowhere];
        check(&mut dedupe, &sent, &[true, false, true, false, false, false]).await;
        // Neither is in SQL yet, and there is room for one stream only: both must still be known.
        let sent =
            [Stream("new", 1), Stream("new", 2), Stream("boot", 6), Stream("boot", 9), Stream("boot", 7)];
        check(&mut dedupe, &sent, &[true, false, true, false, true]).await;
        let sent = [Given("known"), Given("fresh"), Given("fresh"), Given("Known")];
        let batch = check(&mut dedupe, &sent, &[true, false, true, false]).await;
        check(&mut dedupe, &[Given("fresh"), Given("other")], &[true, false]).await;
        // Once flushed, SQL is asked; here it was never told.
        flushed.store(batch, Ordering::Release);
        check(&mut dedupe, &[Nowhere], &[false]).await;
        assert_eq!(dedupe.positions.len(), 1);
        assert_eq!(dedupe.given.len(), 1);
        check(&mut dedupe, &[Given("fresh"), Given("other"), Stream("boot", 9)], &[false, true, true]).await;
    }

    #[tokio::test]
    async fn what_sql_has_forgotten_is_new_again() {
        use From::Stream;
        let flushed = Arc::new(AtomicU64::new(0));
        let mut dedupe = Dedupe::new(fixture::sql().await, 100, flushed.clone());
        let batch = check(&mut dedupe, &[Stream("boot", 5)], &[false]).await;
        dedupe.stale = Duration::ZERO;
        check(&mut dedupe, &[Stream("boot", 4)], &[true]).await;
        // As after days, when SQL has it no more: here it was never told.
        flushed.store(batch + 1, Ordering::Release);
        check(&mut dedupe, &[Stream("boot", 1), Stream("boot", 1)], &[false, true]).await;
        dedupe.stale = STALE;
        flushed.store(batch + 2, Ordering::Release);
        check(&mut dedupe, &[Stream("boot", 1), Stream("boot", 2)], &[true, false]).await;
    }
}
