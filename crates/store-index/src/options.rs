//! What an operator may tune.

/// Memory and file bounds of the index.
#[derive(Debug, Clone)]
pub struct IndexOptions {
    /// Bytes of postings and columns a writer gathers before it flushes a segment in the middle of a batch; at least
    /// 15 MB. Taken as needed, not at once.
    pub writer_bytes: usize,
    /// How many indexes may keep an open writer. Above it, those unused for a minute are closed: more indexes than
    /// this that all take events keep theirs, up to four times as many. A writer unused for ten minutes is closed
    /// anyway. An open one costs a few threads; its memory is taken as a batch fills it.
    pub max_writers: usize,
    /// How many indexes may have an open reader; the longest unused is closed first.
    pub max_readers: usize,
    /// Threads that merge segments in the background, per open writer.
    pub merge_threads: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { writer_bytes: 32_000_000, max_writers: 8, max_readers: 64, merge_threads: 1 }
    }
}
