//! Strings of a field, counted by their ordinals in each segment's dictionary, and put together at the end: no more
//! than the answer is held as text.

use crate::error::failed;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use store::index::{IndexError, ReadLimit};
use tantivy::columnar::{StrColumn, Streamer};

/// How many counts of strings one answer may hold, over all fields and segments: 128 MiB of them.
const MAX_CELLS: usize = 32 << 20;

/// A segment's strings of a field, counted by ordinal.
pub(crate) struct StringCounts {
    pub column: StrColumn,
    pub counts: Counts,
}

/// Counts by ordinal.
pub(crate) enum Counts {
    /// Of every value in the dictionary.
    All(Vec<u32>),
    /// Of those that occurred so far: for a tenant with few of the segment's events, and so few of the values.
    Few(HashMap<u64, u32, foldhash::fast::RandomState>),
    /// Of those that occur, in order.
    Packed(Vec<(u64, u32)>),
}

/// A value is looked up in about the time that so many are passed by in walking through the dictionary.
const VALUES_A_LOOKUP: usize = 64;

impl StringCounts {
    /// Nothing is counted yet; at most so many events will be.
    pub fn new(column: StrColumn, docs: usize) -> Self {
        let counts = Counts::new(&column, docs);
        Self { column, counts }
    }
}

impl Counts {
    /// For at most so many events.
    fn new(column: &StrColumn, docs: usize) -> Self {
        let values = column.dictionary().num_terms();
        if docs.saturating_mul(VALUES_A_LOOKUP) < values {
            Self::Few(HashMap::default())
        } else {
            Self::All(vec![0; values])
        }
    }

    pub fn count(&mut self, ord: u64) {
        match self {
            Self::All(counts) => counts[ord as usize] += 1,
            Self::Few(counts) => *counts.entry(ord).or_default() += 1,
            Self::Packed(_) => {}
        }
    }

    /// What is kept until all segments are read.
    pub fn packed(self) -> Self {
        match self {
            Self::All(counts) => {
                let occurring = counts.iter().filter(|count| **count > 0).count();
                if occurring.saturating_mul(VALUES_A_LOOKUP) >= counts.len().max(1) {
                    return Self::All(counts);
                }
                let packed = (0..).zip(counts).filter(|(_, count)| *count > 0);
                Self::Packed(packed.collect())
            }
            Self::Few(counts) => {
                let mut packed = counts.into_iter().collect::<Vec<_>>();
                packed.sort_unstable();
                Self::Packed(packed)
            }
            Self::Packed(_) => self,
        }
    }

    /// Its size, in counts of four bytes.
    pub fn cells(&self) -> usize {
        match self {
            Self::All(counts) => counts.len(),
            // With their ordinals, and room to grow.
            Self::Few(counts) => counts.capacity() * 8,
            Self::Packed(counts) => counts.len() * 4,
        }
    }
}

/// What is left of the memory that one answer may take, in counts of four bytes.
pub(crate) struct Cells {
    left: AtomicUsize,
}

impl Cells {
    /// All that one answer may take.
    pub fn of_an_answer() -> Self {
        Self { left: AtomicUsize::new(MAX_CELLS) }
    }

    /// Sets memory aside.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`] where there is not so much left.
    pub fn take(&self, cells: usize) -> Result<(), IndexError> {
        let take = |left: usize| left.checked_sub(cells);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map(|_| ()).map_err(|_| {
            IndexError::TooLarge("the fields have too many different values to be counted at once".to_owned())
        })
    }

    /// Gives back what was taken.
    pub fn give_back(&self, cells: usize) {
        self.left.fetch_add(cells, Ordering::Relaxed);
    }
}

/// A dictionary being walked through, standing at a value that occurs.
struct Walk<'a> {
    steps: Steps<'a>,
    value: Vec<u8>,
    count: u64,
}

enum Steps<'a> {
    Through(Box<Streamer<'a>>, std::slice::Iter<'a, u32>),
    From(&'a StrColumn, std::slice::Iter<'a, (u64, u32)>),
}

impl<'a> Walk<'a> {
    fn new(StringCounts { column, counts }: &'a StringCounts) -> Result<Self, IndexError> {
        let steps = match counts {
            Counts::All(counts) => {
                Steps::Through(Box::new(column.dictionary().stream().map_err(failed)?), counts.iter())
            }
            Counts::Packed(counts) => Steps::From(column, counts.iter()),
            Counts::Few(_) => return Err(failed("counts were not packed")),
        };
        Ok(Self { steps, value: Vec::new(), count: 0 })
    }

    fn advance(&mut self) -> Result<bool, IndexError> {
        match &mut self.steps {
            Steps::Through(terms, counts) => {
                for count in counts {
                    if !terms.advance() {
                        return Ok(false);
                    }
                    if *count > 0 {
                        self.count = u64::from(*count);
                        self.value.clear();
                        self.value.extend_from_slice(terms.key());
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Steps::From(column, counts) => {
                let Some((ord, count)) = counts.next() else { return Ok(false) };
                self.count = u64::from(*count);
                self.value.clear();
                column.dictionary().ord_to_term(*ord, &mut self.value).map_err(failed)
            }
        }
    }
}

/// Walks through all dictionaries side by side and gives each value once, with its whole count, in order.
pub(crate) fn merge(
    strings: &[StringCounts],
    texts: BTreeMap<Vec<u8>, u64>,
    limit: &ReadLimit,
    mut give: impl FnMut(&[u8], u64),
) -> Result<(), IndexError> {
    let mut texts = texts.into_iter().peekable();
    let mut walks = Vec::with_capacity(strings.len());
    let mut next = BinaryHeap::new();
    for counts in strings {
        let mut walk = Walk::new(counts)?;
        if walk.advance()? {
            next.push(Reverse((walk.value.clone(), walks.len())));
            walks.push(walk);
        }
    }
    let mut given = 0_u32;
    loop {
        let from_strings = next.peek().map(|Reverse((value, _))| value);
        let value = match (from_strings, texts.peek()) {
            (None, None) => return Ok(()),
            (Some(string), Some((text, _))) if text < string => text.clone(),
            (None, Some((text, _))) => text.clone(),
            (Some(string), _) => string.clone(),
        };
        let mut count = texts.next_if(|(text, _)| *text == value).map_or(0, |(_, count)| count);
        while let Some(mut top) = next.peek_mut().filter(|top| top.0.0 == value) {
            let walk = &mut walks[top.0.1];
            count += walk.count;
            if walk.advance()? {
                top.0.0.clone_from(&walk.value);
            } else {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        give(&value, count);
        given = given.wrapping_add(1);
        if given.is_multiple_of(16_384) && limit.ended() {
            return Err(IndexError::Deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let cells = Cells { left: AtomicUsize::new(10) };
        cells.take(10).unwrap();
        assert!(matches!(cells.take(1), Err(IndexError::TooLarge(_))));
        cells.give_back(1);
        cells.take(1).unwrap();
    }

    #[test]
    fn what_is_kept_is_small() {
        let check = |counts: Counts, expect: usize| assert_eq!(counts.packed().cells(), expect);
        let mut sparse = vec![0; 100_000];
        check(Counts::All(sparse.clone()), 0);
        (sparse[7], sparse[99_999]) = (1, 2);
        check(Counts::All(sparse), 8);
        check(Counts::All(vec![1; 50]), 50);
        check(Counts::All(Vec::new()), 0);
        check(Counts::Few(HashMap::from_iter([(9, 1), (3, 4)])), 8);
    }
}
