//! From the broker's records to committed segments.

use crate::catalog::{Catalog, Entry, sync};
use crate::document::EventDoc;
use crate::error::failed;
use crate::mark::Mark;
use crate::options::IndexOptions;
use crate::schema::layout;
use bytes::Bytes;
use domain::event::StoredEvent;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::Record;
use store::index::layout::Class;
use store::index::{IndexEntry, IndexError, IndexName, Rejected, Written};
use tantivy::IndexWriter;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};

/// The open writers. One batch at a time is written: offsets of a partition must not overtake each other.
pub(crate) struct Writers {
    catalog: Arc<Catalog>,
    options: IndexOptions,
    open: BTreeMap<IndexName, OpenWriter>,
    closed: bool,
}

struct OpenWriter {
    entry: Arc<Entry>,
    writer: IndexWriter<EventDoc>,
    /// As of the events added so far; durable with the next commit.
    mark: Mark,
    /// Not yet handed to the writer's thread.
    pending: Vec<UserOperation<EventDoc>>,
    /// There is something to commit.
    touched: bool,
    used: Instant,
}

impl Writers {
    /// None is open yet.
    pub fn new(catalog: Arc<Catalog>, options: IndexOptions) -> Self {
        Self { catalog, options, open: BTreeMap::new(), closed: false }
    }

    /// Indexes a batch; durable and visible when it returns. After an error the batch may be given again.
    pub fn write(&mut self, batch: Vec<IndexEntry>) -> Result<Written, IndexError> {
        if self.closed {
            return Err(IndexError::Failed("the event index is closed".to_owned()));
        }
        let written = self.add_all(batch).and_then(|written| {
            self.commit_touched()?;
            Ok(written)
        });
        if written.is_err() {
            // What was added but not committed must not slip into the next commit beside a re-read of itself.
            self.open.retain(|_, open| !open.touched);
        }
        self.close_unused();
        written
    }

    fn add_all(&mut self, batch: Vec<IndexEntry>) -> Result<Written, IndexError> {
        let mut written = Written::default();
        for IndexEntry { partition, record } in batch {
            let (class, event) = match checked(&record) {
                Ok(checked) => checked,
                Err((code, reason)) => {
                    written.rejected.push(Rejected { partition, offset: record.offset, code, reason });
                    continue;
                }
            };
            let open = self.writer(IndexName::of(class, record.route.group, event.received_at))?;
            if open.mark.has(partition, record.offset) {
                written.skipped += 1;
                continue;
            }
            open.mark.note(partition, record.offset, event.ts, event.received_at);
            open.touched = true;
            let doc = EventDoc::new(layout(), &event, record.payload.clone());
            open.add(doc)?;
            written.indexed += 1;
        }
        metrics::counter!("qgx_index_events_total").increment(written.indexed);
        Ok(written)
    }

    /// Adds events that come from a copy and not from the log, so that no offset stands for them; durable and visible
    /// when it returns. After an error an unknown part of them is in, or none.
    pub fn load(&mut self, name: IndexName, events: &[Bytes]) -> Result<u64, IndexError> {
        if self.closed {
            return Err(IndexError::Failed("the event index is closed".to_owned()));
        }
        let open = self.writer(name)?;
        for json in events {
            let event = parse(json).map_err(failed)?;
            open.mark.note_loaded(event.ts, event.received_at);
            open.touched = true;
            let doc = EventDoc::new(layout(), &event, json.clone());
            open.add(doc)?;
        }
        let committed = self.commit_touched();
        if committed.is_err() {
            self.open.retain(|_, open| !open.touched);
        }
        self.close_unused();
        committed.map(|()| events.len() as u64)
    }

    fn writer(&mut self, name: IndexName) -> Result<&mut OpenWriter, IndexError> {
        use std::collections::btree_map::Entry::{Occupied, Vacant};
        Ok(match self.open.entry(name) {
            Occupied(open) => open.into_mut(),
            Vacant(slot) => slot.insert(OpenWriter::open(&self.catalog, &self.options, name)?),
        })
    }

    fn commit_touched(&mut self) -> Result<(), IndexError> {
        let catalog = &*self.catalog;
        let mut touched = self.open.values_mut().filter(|open| open.touched).collect::<Vec<_>>();
        let Some(last) = touched.pop() else { return Ok(()) };
        // Around midnight, and with several classes, a batch touches more than one index; each waits for its disk.
        std::thread::scope(|scope| {
            let others =
                touched.into_iter().map(|open| scope.spawn(|| open.commit(catalog))).collect::<Vec<_>>();
            let mut result = last.commit(catalog);
            for other in others {
                let other = other.join().unwrap_or_else(|_| Err(failed("a commit panicked")));
                result = result.and(other);
            }
            result
        })
    }

    /// Closes the writers that nothing is written with any more, such as yesterday's.
    pub fn close_unused(&mut self) {
        let unused = self.open.iter().map(|(name, open)| (open.used.elapsed(), *name)).collect();
        for name in to_close(unused, self.options.max_writers.max(1)) {
            if let Some(open) = self.open.remove(&name) {
                open.finish();
            }
        }
    }

    /// Closes the writer of an index that is about to go.
    pub fn forget(&mut self, name: IndexName) {
        self.open.remove(&name);
    }

    /// Closes all; every write was committed by itself.
    pub fn close(&mut self) {
        self.closed = true;
        // Merges under way are left undone: they are not worth a slow stop, and start again.
        self.open.clear();
    }
}

/// How many events go to the writer's thread together: waking it for each would cost more than parsing it.
const EVENTS_A_HANDOVER: usize = 128;

/// Unused for so long, a writer is closed.
const IDLE: Duration = Duration::from_secs(600);
/// Used within this time, a writer is closed only where there are far too many: it would soon be opened again.
const BUSY: Duration = Duration::from_secs(60);

/// Which writers to close, given how long each has been unused.
fn to_close<T: Ord>(mut unused: Vec<(Duration, T)>, max: usize) -> Vec<T> {
    unused.sort_by(|a, b| b.cmp(a));
    let open = unused.len();
    let goes = |(closed, (unused, name)): (usize, (Duration, T))| {
        let left = open - closed;
        (unused > IDLE || (left > max && unused > BUSY) || left > 4 * max).then_some(name)
    };
    unused.into_iter().enumerate().map_while(goes).collect()
}

/// A record's class and event, or the code and the reason for which it is refused.
fn checked(record: &Record) -> Result<(Class, StoredEvent<'_>), (&'static str, String)> {
    let route = &record.route;
    let class = Class::parse(&route.class)
        .ok_or_else(|| ("bad_class", format!("no such retention class: {}", route.class)))?;
    let event = parse(&record.payload).map_err(|reason| ("undecodable", reason))?;
    // Rights, quotas and retention were those of the route: the event must not end up with somebody else.
    if event.tenant != route.tenant.as_str() || event.source != route.source.as_str() {
        let (tenant, source) = (&route.tenant, &route.source);
        let reason = format!("came as {tenant}/{source}, but says {}/{}", event.tenant, event.source);
        return Err(("wrong_tenant", reason));
    }
    Ok((class, event))
}

/// Checked once as a whole, text need not be checked again string by string.
fn parse(payload: &[u8]) -> Result<StoredEvent<'_>, String> {
    let text = std::str::from_utf8(payload).map_err(|e| e.to_string())?;
    serde_json::from_str(text).map_err(|e| e.to_string())
}

impl OpenWriter {
    fn open(catalog: &Catalog, options: &IndexOptions, name: IndexName) -> Result<Self, IndexError> {
        let (entry, index, mark) = catalog.open_for_writing(name)?;
        let writer = index
            .writer_with_options(
                IndexWriterOptions::builder()
                    .memory_budget_per_thread(options.writer_bytes)
                    .num_worker_threads(1)
                    .num_merge_threads(options.merge_threads)
                    .build(),
            )
            .map_err(failed)?;
        writer.set_merge_policy(Box::new(merge_policy()));
        Ok(Self { entry, writer, mark, pending: Vec::new(), touched: false, used: Instant::now() })
    }

    fn add(&mut self, doc: EventDoc) -> Result<(), IndexError> {
        self.pending.push(UserOperation::Add(doc));
        if self.pending.len() >= EVENTS_A_HANDOVER { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), IndexError> {
        let pending = std::mem::replace(&mut self.pending, Vec::with_capacity(EVENTS_A_HANDOVER));
        self.writer.run(pending).map(|_| ()).map_err(failed)
    }

    fn commit(&mut self, catalog: &Catalog) -> Result<(), IndexError> {
        let started = Instant::now();
        self.hand_over()?;
        let payload = serde_json::to_string(&self.mark).map_err(failed)?;
        let mut commit = self.writer.prepare_commit().map_err(failed)?;
        commit.set_payload(&payload);
        commit.commit().map_err(failed)?;
        // Tantivy syncs the directory before it renames the new `meta.json` into place, not after: without this, a
        // power cut could bring the one before it back, while SQL knows of the new one.
        sync(&self.entry.path).map_err(failed)?;
        self.touched = false;
        self.used = Instant::now();
        catalog.committed(&self.entry, self.mark.clone())?;
        metrics::histogram!("qgx_index_commit_seconds").record(started.elapsed());
        Ok(())
    }

    /// Lets running merges end: nothing will merge what this index holds later.
    fn finish(self) {
        let name = self.entry.name;
        if let Err(error) = self.writer.wait_merging_threads() {
            tracing::warn!(index = %name, %error, "the last merges of an event index failed; its events are all there");
        }
    }
}

/// Commits come every few hundred milliseconds, so small segments are merged early, and a segment is not rewritten
/// more often than about log₁₀ of its growth.
fn merge_policy() -> LogMergePolicy {
    let mut policy = LogMergePolicy::default();
    policy.set_min_num_segments(10);
    policy.set_min_layer_size(8_000);
    policy.set_level_log_size(1.5);
    policy.set_max_docs_before_merge(4_000_000);
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(max: usize, unused_seconds: &[u64], expect: &[u64]) {
        let unused = unused_seconds.iter().map(|s| (Duration::from_secs(*s), *s)).collect();
        assert_eq!(to_close(unused, max), expect, "{unused_seconds:?}");
    }

    #[test]
    fn only_unused_writers_close() {
        check(2, &[0, 1], &[]);
        check(2, &[0, 601], &[601]);
        check(2, &[0, 59, 1, 2], &[]);
        check(2, &[0, 120, 90, 100, 2], &[120, 100, 90]);
        check(2, &[0, 120, 90], &[120]);
        check(1, &[5, 1, 4, 2, 3], &[5]);
        check(2, &[700, 800, 0], &[800, 700]);
    }
}
