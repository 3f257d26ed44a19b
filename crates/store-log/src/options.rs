//! The settings of the log.

use std::time::Duration;
use store::broker::Topic;

const MIB: u64 = 1024 * 1024;

/// The settings of an embedded log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Partitions of each topic. Fixed when the log is made; a log opened with another number keeps its own.
    pub partitions: u32,
    /// The shortest time between two commits. The first record after a pause is committed at once; what follows is
    /// gathered until the linger is over or `max_batch_bytes` have come.
    pub linger: Duration,
    /// So many waiting bytes are committed without further lingering.
    pub max_batch_bytes: usize,
    /// Events older than this go, once every group has them; where no group is known, none has.
    pub retention_age: Duration,
    /// Dead letters older than this go, read or not: mostly nobody but a person reads them.
    pub dead_letter_age: Duration,
    /// At more bytes than this per topic, the oldest go, once every group has them; while none can go, appends
    /// answer busy. Dead letters that no group reads go without being read.
    pub retention_bytes: u64,
    /// Bytes that may wait for their commit, over all topics; beyond it, appends answer busy.
    pub pending_bytes: usize,
    /// Bytes of a segment file: the unit in which retention removes. At most an eighth of `retention_bytes` is used.
    pub segment_bytes: u64,
    /// Bytes of the newest packs of a topic kept in memory, so that a reader at the tail does not read files.
    pub tail_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            partitions: 4,
            linger: Duration::from_millis(3),
            max_batch_bytes: MIB as usize,
            retention_age: Duration::from_secs(7 * 24 * 3600),
            dead_letter_age: Duration::from_secs(30 * 24 * 3600),
            retention_bytes: 10 * 1024 * MIB,
            pending_bytes: 64 * MIB as usize,
            segment_bytes: 128 * MIB,
            tail_bytes: 16 * MIB as usize,
        }
    }
}

impl LogOptions {
    /// How long records of a topic are kept.
    pub(crate) fn age(&self, topic: Topic) -> Duration {
        match topic {
            Topic::Events => self.retention_age,
            Topic::DeadLetters => self.dead_letter_age,
        }
    }

    /// What a segment holds, fitted to the retention.
    pub(crate) fn segment_limit(&self) -> u64 {
        self.segment_bytes.min(self.retention_bytes / 8)
    }
}
