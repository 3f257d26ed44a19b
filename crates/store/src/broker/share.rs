//! How processes of one group share the partitions of a topic.
//!
//! ```text
//! Waiting ─▶ Consuming ─▶ Draining ─▶ Waiting ─▶ …
//!             read them    read no more, finish what is in hand, commit, say `complete`
//! ```

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Partition;

/// What a member has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// Nothing: the group divides the partitions.
    Waiting,
    /// These partitions, until told otherwise.
    Consuming {
        /// Grows with every share.
        generation: u64,
        /// Which; maybe none.
        partitions: Arc<[Partition]>,
    },
    /// The share is taken back: read no more, finish what is in hand, then call [`Membership::complete`].
    Draining {
        /// Of the share.
        generation: u64,
        /// After this, others may have the partitions; what is written then is refused by SQL's offsets.
        until: Instant,
    },
}

/// A place in a group; dropping it leaves the group.
#[derive(Debug)]
pub struct Membership {
    shares: watch::Receiver<Share>,
    completed: Option<Sender<u64>>,
    /// Of a share that nobody changes.
    _kept: Option<watch::Sender<Share>>,
    _left: Option<DropGuard>,
}

impl Membership {
    /// All partitions, for as long as the process lives: where only one process reads.
    pub fn whole(partitions: u32) -> Self {
        let (kept, shares) =
            watch::channel(Share::Consuming { generation: 1, partitions: (0..partitions).collect() });
        Self { shares, completed: None, _kept: Some(kept), _left: None }
    }

    /// For implementations: `shares` tells what the member has, `completed` hears of drained generations, `left` is
    /// cancelled when the membership is dropped.
    pub fn shared(shares: watch::Receiver<Share>, completed: Sender<u64>, left: CancellationToken) -> Self {
        Self { shares, completed: Some(completed), _kept: None, _left: Some(left.drop_guard()) }
    }

    /// What it has, and each change of it.
    pub fn shares(&self) -> watch::Receiver<Share> {
        self.shares.clone()
    }

    /// Nothing of this share is in hand any more.
    pub fn complete(&self, generation: u64) {
        if let Some(completed) = &self.completed {
            // Where the group's thread has ended, nobody waits.
            let _ = completed.send(generation);
        }
    }
}
