//! What was read and is not yet handed to the broker.

use crate::record::{Batch, RecordError};
use bytes::BytesMut;
use store::broker::NewRecord;

/// Records that wait to be appended, and what is owed to the sender for them.
#[derive(Debug, Default)]
pub struct Pending {
    /// Events.
    pub batch: Batch,
    /// Dead letters.
    pub letters: Vec<NewRecord>,
    pub(super) letter_bytes: usize,
    /// What is owed once all of it is durable: `NACK` lines, or the answers of a dialogue.
    pub answers: BytesMut,
    /// By HTTP: lines that were not taken, the first [`REPORTED`] of them.
    pub rejected: Vec<RejectedLine>,
    /// Lines that were not taken.
    pub bad: u64,
    /// The last sequence that was settled or stands in `batch`.
    pub last_seq: u64,
    /// Lines taken, bad ones too.
    pub lines: u64,
}

impl Pending {
    /// Nothing to append and nothing to answer.
    pub fn is_empty(&self) -> bool {
        self.lines == 0 && self.answers.is_empty()
    }

    /// Bytes of memory it takes.
    pub fn weight(&self) -> usize {
        self.batch.weight() + self.letter_bytes + self.answers.len()
    }
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLine {
    /// From 1.
    pub line: u64,
    /// Why, for programs and for people.
    pub error: RecordError,
}

/// Rejected lines that are named one by one.
pub const REPORTED: usize = 1_000;
