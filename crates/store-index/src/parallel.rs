//! The segments of a read, gone through on several threads.

use crate::error::failed;
use crate::scan::Scan;
use std::cmp::Reverse;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::index::IndexError;
use tantivy::{DocId, SegmentReader};

/// For fewer documents a thread costs more than it saves.
const DOCS_A_THREAD: u64 = 200_000;
/// How many threads one read may use: other reads go on beside it.
const MAX_THREADS: usize = 4;

/// What one thread goes through at a time.
pub(crate) struct Piece<'a> {
    pub scan: &'a Scan<'a>,
    pub segment: &'a SegmentReader,
    /// Of the segment's documents, these.
    pub docs: Range<DocId>,
}

/// Whether a large segment may be cut, so that every thread has its part of it. What is kept by piece then takes more
/// memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Large,
    Never,
}

/// Adds what `add` finds in each piece to a sum; each thread has one of its own, begun by `begin`.
///
/// # Errors
/// The first that `add` meets; the other threads then end after their piece.
pub(crate) fn sums<T: Send>(
    scans: &[Scan<'_>],
    cut: Cut,
    begin: impl Fn() -> T + Sync,
    add: impl Fn(&mut T, &Piece<'_>) -> Result<(), IndexError> + Sync,
) -> Result<Vec<T>, IndexError> {
    let mut segments = Vec::new();
    for scan in scans {
        segments.extend(scan.segments().iter().map(|segment| (scan, segment)));
    }
    let sizes = segments.iter().map(|(_, segment)| segment.max_doc()).collect::<Vec<_>>();
    let (threads, fair) = shares(&sizes);
    let mut pieces = pieces(&sizes, if cut == Cut::Large { fair } else { u64::MAX })
        .into_iter()
        .map(|(number, docs)| Piece { scan: segments[number].0, segment: segments[number].1, docs })
        .collect::<Vec<_>>();
    // The largest first: while one thread has it, the others go through the small ones.
    pieces.sort_by_key(|piece| Reverse(piece.docs.len()));
    let threads = threads.min(pieces.len());

    let next = AtomicUsize::new(0);
    let go_through = || {
        let mut sum = begin();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = add(&mut sum, piece) {
                next.store(pieces.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(sum)
    };
    std::thread::scope(|scope| {
        let others = (1..threads).map(|_| scope.spawn(go_through)).collect::<Vec<_>>();
        let mut sums = vec![go_through()];
        for other in others {
            sums.push(other.join().unwrap_or_else(|_| Err(failed("a thread of a read panicked"))));
        }
        sums.into_iter().collect()
    })
}

/// Whether [`Cut::Large`] makes more pieces of these scans than there are segments.
pub(crate) fn cuts(scans: &[Scan<'_>]) -> bool {
    let sizes = scans.iter().flat_map(|scan| scan.segments().iter().map(SegmentReader::max_doc));
    let sizes = sizes.collect::<Vec<_>>();
    pieces(&sizes, shares(&sizes).1).len() > sizes.len()
}

/// How many threads go through segments of these sizes, and how many documents are a fair part for each.
fn shares(sizes: &[u32]) -> (usize, u64) {
    let docs = sizes.iter().map(|size| u64::from(*size)).sum::<u64>();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(MAX_THREADS).min(usize::try_from(docs / DOCS_A_THREAD).unwrap_or(cores)).max(1);
    (threads, (docs / threads as u64).max(DOCS_A_THREAD))
}

/// Segments by number, those well over what is fair cut into equal parts that are not.
fn pieces(sizes: &[u32], fair: u64) -> Vec<(usize, Range<DocId>)> {
    let mut pieces = Vec::with_capacity(sizes.len());
    for (number, size) in sizes.iter().enumerate() {
        let all = u64::from(*size);
        // A condition is prepared for each part: a little over is not worth it.
        let parts = if all > fair.saturating_add(fair / 4) { all.div_ceil(fair) } else { 1 };
        let border = |part: u64| u32::try_from(all * part / parts).unwrap_or(*size);
        pieces.extend((0..parts).map(|part| (number, border(part)..border(part + 1))));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_segments_are_cut_and_nothing_is_lost() {
        let check = |sizes: &[u32], fair: u64, expect: &[(usize, Range<u32>)]| {
            assert_eq!(pieces(sizes, fair), expect, "{sizes:?} {fair}");
        };
        check(&[10, 3], 5, &[(0, 0..5), (0, 5..10), (1, 0..3)]);
        check(&[7], 3, &[(0, 0..2), (0, 2..4), (0, 4..7)]);
        check(&[12, 0], 10, &[(0, 0..12), (1, 0..0)]);
        check(&[u32::MAX], u64::MAX, &[(0, 0..u32::MAX)]);
        check(&[], 1, &[]);
    }
}
