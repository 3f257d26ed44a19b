//! The segments of a read, gone through on several threads.

use crate::error::failed;
use crate::scan::Scan;
use std::cmp::Reverse;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::index::IndexError;
use tantivy::SegmentReader;

/// For fewer documents a thread costs more than it saves.
const DOCS_A_THREAD: u64 = 200_000;
/// How many threads one read may use: other reads go on beside it.
const MAX_THREADS: usize = 4;

/// Adds what `add` finds in each segment to a sum; each thread has one of its own, begun by `begin`.
///
/// # Errors
/// The first that `add` meets; the other threads then end after their segment.
pub(crate) fn sums<T: Send>(
    scans: &[Scan<'_>],
    begin: impl Fn() -> T + Sync,
    add: impl Fn(&mut T, &Scan<'_>, &SegmentReader) -> Result<(), IndexError> + Sync,
) -> Result<Vec<T>, IndexError> {
    let mut segments = Vec::new();
    for scan in scans {
        segments.extend(scan.segments().iter().map(|segment| (scan, segment)));
    }
    // The largest first: while one thread has it, the others go through the small ones.
    segments.sort_by_key(|(_, segment)| Reverse(segment.max_doc()));
    let docs = segments.iter().map(|(_, segment)| u64::from(segment.max_doc())).sum::<u64>();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores
        .min(MAX_THREADS)
        .min(segments.len())
        .min(usize::try_from(docs / DOCS_A_THREAD).unwrap_or(cores));

    let next = AtomicUsize::new(0);
    let go_through = || {
        let mut sum = begin();
        while let Some((scan, segment)) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = add(&mut sum, scan, segment) {
                next.store(segments.len(), Ordering::Relaxed);
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
