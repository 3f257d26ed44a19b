//! Removing what is old or too much: whole segments, oldest first, never one that a group still needs.

use crate::disk::Disk;
use crate::segment::Segment;
use crate::topic::TopicLog;
use domain::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::broker::{BrokerError, Offset};

impl TopicLog {
    /// Removes what is beyond age and size and consumed, and returns how many records went.
    pub async fn enforce_retention(self: &Arc<Self>, now: Timestamp) -> Result<u64, BrokerError> {
        self.open_still()?;
        if self.last_is_over(now) && self.queue.roll().await.is_err() {
            return Err(BrokerError::Closed);
        }
        let log = Arc::clone(self);
        let trimmed = telemetry::spawn_blocking_named("log-retention", move || log.trim(now)).await;
        trimmed.map_err(|error| BrokerError::Failed(error.to_string()))
    }

    /// Whether the segment that is written to could go as a whole.
    fn last_is_over(&self, now: Timestamp) -> bool {
        let needed = self.groups.needed(self.topic, self.partitions());
        let shelf = self.shelf.lock();
        let consumed =
            needed.is_none_or(|it| it.iter().zip(&shelf.end).all(|(next, end)| *next >= end.offset));
        let old = |it: &Segment| !it.is_empty() && it.last_at < self.kept_since(now);
        consumed && shelf.segments.back().is_some_and(old)
    }

    fn kept_since(&self, now: Timestamp) -> i64 {
        let age = i64::try_from(self.options.age(self.topic).as_nanos()).unwrap_or(i64::MAX);
        now.plus_nanos(age.saturating_neg()).as_nanos()
    }

    /// Removes whole segments that are consumed and beyond age or size, oldest first. Blocks.
    pub(crate) fn trim(&self, now: Timestamp) -> u64 {
        let needed = self.groups.needed(self.topic, self.partitions());
        let kept_since = self.kept_since(now);
        let mut removed = 0;
        let beyond = |oldest: &Segment| oldest.last_at < kept_since || self.stored() > self.size_kept();
        while let Some((gone, records)) = self.take_oldest(needed.as_deref(), beyond) {
            removed += records;
            let disk = Arc::clone(&self.disk);
            self.chores.push(move || remove(&*disk, &gone));
        }
        removed
    }

    /// For a disk that is full: removes every segment that all groups have, whatever its age, and returns whether
    /// there was one. Dead letters that no group reads stay for a person. Blocks.
    pub(crate) fn make_room(&self) -> bool {
        // Only what is known for good to be consumed may go.
        if let Err(error) = self.groups.flush() {
            tracing::error!(%error, "the offsets of consumer groups could not be written");
        }
        let Some(needed) = self.groups.needed(self.topic, self.partitions()) else { return false };
        let mut bytes = 0;
        while let Some((gone, _)) = self.take_oldest(Some(&needed), |_| true) {
            bytes += gone.len;
            // At once, and here: whoever asked tries again next.
            remove(&*self.disk, &gone);
        }
        if bytes > 0 {
            tracing::warn!(bytes, "removed processed records before their time: the disk of the log is full");
        }
        bytes > 0
    }

    /// Takes the oldest segment off the shelf where it is wanted, consumed and not the last; with how many records it
    /// holds.
    fn take_oldest(
        &self,
        needed: Option<&[Offset]>,
        wanted: impl Fn(&Segment) -> bool,
    ) -> Option<(Segment, u64)> {
        let mut shelf = self.shelf.lock();
        // A backup is being taken: what was asked for before it began must still be there.
        if self.held.load(Ordering::Acquire) > 0 {
            return None;
        }
        let (oldest, next) = (shelf.segments.front()?, shelf.segments.get(1)?);
        let consumed =
            |needed: &[Offset]| needed.iter().zip(&next.begin).all(|(needed, begin)| *needed >= begin.offset);
        if !wanted(oldest) || !needed.is_none_or(consumed) {
            return None;
        }
        let records = oldest.begin.iter().zip(&next.begin).map(|(from, to)| to.offset - from.offset).sum();
        let gone = shelf.segments.pop_front()?;
        self.shrank(gone.len);
        Some((gone, records))
    }

    /// Consumed segments go before the limit is reached, so that appenders meet it only when consumers are behind.
    fn size_kept(&self) -> u64 {
        self.options.retention_bytes.saturating_sub(2 * self.options.segment_limit())
    }
}

fn remove(disk: &dyn Disk, gone: &Segment) {
    if let Err(error) = disk.remove(&gone.path) {
        // It comes back at the next start, as the oldest, and is removed then.
        tracing::error!(%error, segment = gone.id, "a segment of the log could not be removed");
    }
}
