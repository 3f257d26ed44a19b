//! Reads a batch's events and sums them up; on a thread for CPU work.

use super::batch::Item;
use super::summary::Summary;
use super::tail::{TailMatches, TailSet};
use crate::dead_letter::{Cause, DeadLetter, LogPlace};
use domain::event::StoredEvent;
use std::collections::{BTreeMap, HashSet};
use store::broker::{NewRecord, Offset, Partition, Record};
use store::index::{IndexEntry, Rejected};

/// A batch ready for the sinks.
#[derive(Default)]
pub(crate) struct Prepared {
    /// What the index gets, in order.
    pub entries: Vec<IndexEntry>,
    pub summary: Summary,
    pub tailed: TailMatches,
    /// For [`store::broker::Topic::DeadLetters`], with their codes.
    pub dead: Vec<(NewRecord, String)>,
    /// The next offset of each partition once all of this is done.
    pub next: BTreeMap<Partition, Offset>,
    /// The number of the batch that this is the last part of.
    pub finishes: Option<u64>,
}

/// Reads items in order until all are read or there are more than `most_series` different series. Answers what was
/// not read.
pub(crate) fn prepare(items: Vec<Item>, tails: &TailSet, most_series: usize) -> (Prepared, Vec<Item>) {
    let mut prepared = Prepared { entries: Vec::with_capacity(items.len()), ..Prepared::default() };
    let mut items = items.into_iter();
    for Item { entry, resent } in items.by_ref() {
        prepared.next.insert(entry.partition, entry.record.offset + 1);
        if resent {
            continue;
        }
        if prepared.read(&entry, tails) {
            prepared.entries.push(entry);
        }
        if prepared.summary.series >= most_series {
            break;
        }
    }
    (prepared, items.collect())
}

impl Prepared {
    /// Takes an entry's event in; where it cannot be read, it becomes a dead letter.
    fn read(&mut self, entry: &IndexEntry, tails: &TailSet) -> bool {
        match StoredEvent::parse(&entry.record.payload) {
            Ok(event) => {
                self.summary.add(&entry.record, &event);
                tails.matches(&entry.record.route.tenant, &event, &mut self.tailed);
                true
            }
            Err(error) => {
                let cause = Cause { code: "undecodable".to_owned(), reason: error.to_string() };
                self.bury(entry.partition, &entry.record, cause);
                false
            }
        }
    }

    fn bury(&mut self, partition: Partition, record: &Record, cause: Cause) {
        let place = LogPlace { partition, offset: record.offset };
        let code = cause.code.clone();
        let letter = DeadLetter::of_record(&record.route, place, cause, &record.payload);
        self.dead.push((letter.to_record(record.route.clone(), record.token), code));
    }

    /// The same without what the index refused for good, which becomes dead letters.
    pub fn without(self, rejected: Vec<Rejected>, tails: &TailSet) -> Self {
        let refused: HashSet<_> = rejected.iter().map(|it| (it.partition, it.offset)).collect();
        let causes = rejected.into_iter();
        let mut causes: BTreeMap<_, _> = causes
            .map(|it| ((it.partition, it.offset), Cause { code: it.code.to_owned(), reason: it.reason }))
            .collect();
        let mut kept = Self { dead: self.dead, next: self.next, finishes: self.finishes, ..Self::default() };
        for entry in self.entries {
            let place = (entry.partition, entry.record.offset);
            if !refused.contains(&place) {
                kept.read(&entry, tails);
                kept.entries.push(entry);
            } else if let Some(cause) = causes.remove(&place) {
                kept.bury(entry.partition, &entry.record, cause);
            }
        }
        kept
    }
}
