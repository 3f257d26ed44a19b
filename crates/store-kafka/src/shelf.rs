//! What was read ahead of a partition, and where its reader stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use store::broker::{Offset, Record};
use tokio::sync::Notify;

/// One partition's records, between the reader thread and the fetches.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The offset that goes on from what was taken last.
    cursor: Offset,
    records: VecDeque<Record>,
    bytes: usize,
    /// Where the reader is to begin, until it has.
    wanted: Option<Offset>,
    /// The reader has it assigned.
    pub assigned: bool,
    /// The reader was told to bring no more for now.
    pub paused: bool,
    /// Fetches that wait for a first record.
    pub waiting: usize,
    /// The farthest end heard of, and when the cluster was asked for it.
    end: Offset,
    asked: Option<Instant>,
    /// Wakes those fetches.
    pub arrived: Arc<Notify>,
}

impl Shelf {
    /// Takes records from an offset on: in order, at least one where there is one, about `max_bytes`. Where the offset is
    /// not the one that goes on, what was read ahead is dropped and the reader sent there.
    pub fn take(&mut self, from: Offset, max_bytes: usize) -> Vec<Record> {
        if from != self.cursor || (!self.assigned && self.wanted.is_none()) {
            self.send_to(from);
            return Vec::new();
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(record) = self.records.front() {
            bytes += record.payload.len();
            if bytes > max_bytes && !taken.is_empty() {
                break;
            }
            self.bytes -= record.payload.len();
            self.cursor = record.offset + 1;
            taken.extend(self.records.pop_front());
        }
        taken
    }

    /// Drops what was read ahead and lets the reader begin anew.
    pub fn send_to(&mut self, from: Offset) {
        self.records.clear();
        self.bytes = 0;
        self.cursor = from;
        self.wanted = Some(from);
    }

    /// Where the reader is to begin, asked once.
    pub fn move_wanted(&mut self) -> Option<Offset> {
        let wanted = self.wanted.take();
        self.assigned |= wanted.is_some();
        wanted
    }

    /// Puts a record at the end; false where it is not one that follows.
    pub fn put(&mut self, record: Record) -> bool {
        let next = self.records.back().map_or(self.cursor, |last| last.offset + 1);
        if self.wanted.is_some() || record.offset < next {
            return false;
        }
        self.bytes += record.payload.len();
        self.end = self.end.max(record.offset + 1);
        self.records.push_back(record);
        true
    }

    /// The cluster said where the log ends.
    pub fn saw_end(&mut self, end: Offset) {
        (self.end, self.asked) = (end, Some(Instant::now()));
    }

    /// The end, where the cluster was asked at or after `since`; at least what was read.
    pub fn end_asked_since(&self, since: Instant) -> Option<Offset> {
        self.asked.filter(|at| *at >= since).map(|_| self.end)
    }

    /// The reader is at the cursor and brings what comes.
    pub fn goes_on(&self) -> bool {
        self.assigned && self.wanted.is_none() && self.asked.is_some()
    }

    /// Something is wrong with a partition, maybe this one: the next look asks the cluster.
    pub fn doubt(&mut self) {
        self.asked = None;
    }

    /// Bytes read ahead.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A fetch waits and there is nothing for it.
    pub fn starves(&self) -> bool {
        self.waiting > 0 && self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::broker::Origin;
    use store::broker::conformance::route;

    fn record(offset: Offset) -> Record {
        Record {
            offset,
            route: route("pump-1"),
            origin: Origin::Unmarked,
            token: 0,
            payload: vec![b'x'; 10].into(),
        }
    }

    fn offsets(records: &[Record]) -> Vec<Offset> {
        records.iter().map(|it| it.offset).collect()
    }

    /// A shelf whose reader began at `from` and brought `offsets`.
    fn shelf(from: Offset, offsets: impl IntoIterator<Item = Offset>) -> Shelf {
        let mut shelf = Shelf::default();
        assert!(shelf.take(from, 1).is_empty());
        assert_eq!(shelf.move_wanted(), Some(from));
        for offset in offsets {
            shelf.put(record(offset));
        }
        shelf
    }

    #[test]
    fn gives_what_goes_on_by_bytes_and_at_least_one() {
        let mut shelf = shelf(5, 5..10);
        assert_eq!(shelf.bytes(), 50);
        assert_eq!(offsets(&shelf.take(5, 0)), [5]);
        assert_eq!(offsets(&shelf.take(6, 25)), [6, 7]);
        assert_eq!(offsets(&shelf.take(8, 1000)), [8, 9]);
        assert!(shelf.take(10, 1000).is_empty());
        assert_eq!((shelf.bytes(), shelf.move_wanted()), (0, None), "nothing to begin anew for");
    }

    #[test]
    fn another_offset_sends_the_reader_there() {
        let mut shelf = shelf(5, 5..10);
        assert!(shelf.take(7, 1000).is_empty());
        assert!(!shelf.put(record(10)), "what comes before the reader has moved is of the old place");
        assert_eq!((shelf.bytes(), shelf.move_wanted()), (0, Some(7)));
        assert!(shelf.put(record(7)));
        assert_eq!(offsets(&shelf.take(7, 1000)), [7]);
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        let mut shelf = shelf(5, [5, 6]);
        assert!(!shelf.put(record(6)), "twice");
        assert!(!shelf.put(record(4)), "before");
        assert!(shelf.put(record(9)), "others' messages between ours are passed over");
        assert_eq!(offsets(&shelf.take(5, 1000)), [5, 6, 9]);
    }

    #[test]
    fn the_end_is_what_was_asked_for_and_what_was_read() {
        let mut shelf = shelf(5, [5, 6]);
        let before = Instant::now();
        assert_eq!(shelf.end_asked_since(before), None, "nobody asked");
        assert!(!shelf.goes_on());
        shelf.saw_end(9);
        assert_eq!(shelf.end_asked_since(before), Some(9));
        assert!(shelf.goes_on());
        for offset in 7..11 {
            shelf.put(record(offset));
        }
        assert_eq!(shelf.end_asked_since(before), Some(11));
        assert_eq!(shelf.end_asked_since(Instant::now() + std::time::Duration::from_secs(1)), None);
        shelf.doubt();
        assert!(!shelf.goes_on(), "asked again");
    }
}
