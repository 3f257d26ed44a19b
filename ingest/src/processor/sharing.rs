//! Which partitions are this process's, and until when.

use std::sync::Arc;
use store::broker::{Membership, Partition, Share};
use tokio::sync::watch;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// A place in the group.
pub(crate) struct Sharing {
    membership: Membership,
    shares: watch::Receiver<Share>,
}

/// One share of the partitions, from when it is given until it is taken back.
pub(crate) struct Turn {
    generation: u64,
    pub partitions: Arc<[Partition]>,
    /// No further reads.
    pub stop: CancellationToken,
    /// Others may have the partitions: what is in hand is left to them.
    pub abandon: CancellationToken,
}

impl Sharing {
    /// By this membership.
    pub fn of(membership: Membership) -> Self {
        let shares = membership.shares();
        Self { membership, shares }
    }

    /// Waits for a share; `None` where told to stop, or where the broker was closed. Nothing of an earlier share is in
    /// hand when this is called, and the group is told so.
    pub async fn next(&mut self, stop: &CancellationToken, abandon: &CancellationToken) -> Option<Turn> {
        loop {
            let share = self.shares.borrow_and_update().clone();
            match share {
                Share::Consuming { generation, partitions } => {
                    // The last share still stands there after a close, and nobody would take it back.
                    self.shares.has_changed().ok()?;
                    return Some(Turn {
                        generation,
                        partitions,
                        stop: stop.child_token(),
                        abandon: abandon.child_token(),
                    });
                }
                Share::Draining { generation, .. } => self.membership.complete(generation),
                Share::Waiting => {}
            }
            tokio::select! {
                changed = self.shares.changed() => changed.ok()?,
                () = stop.cancelled() => return None,
            }
        }
    }

    /// Ends the reads of a turn when its share is taken back, and its attempts when the time to finish is over. Never
    /// returns.
    pub async fn watch(&self, turn: &Turn) -> std::convert::Infallible {
        let mut shares = self.shares.clone();
        let still = |share: &Share| matches!(share, Share::Consuming { generation, .. } if *generation == turn.generation);
        let until = match shares.wait_for(|share| !still(share)).await.as_deref() {
            Ok(Share::Draining { until, .. }) => Some(*until),
            // Given to others already, or the broker was closed.
            Ok(_) | Err(_) => None,
        };
        turn.stop.cancel();
        if let Some(until) = until {
            sleep_until(until.into()).await;
        }
        turn.abandon.cancel();
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::{Duration, Instant};

    struct Group {
        shares: watch::Sender<Share>,
        completed: Receiver<u64>,
        left: CancellationToken,
    }

    fn group() -> (Group, Sharing) {
        let (shares, told) = watch::channel(Share::Waiting);
        let (complete, completed) = channel();
        let left = CancellationToken::new();
        let sharing = Sharing::of(Membership::shared(told, complete, left.clone()));
        (Group { shares, completed, left }, sharing)
    }

    fn consuming(generation: u64, partitions: &[Partition]) -> Share {
        Share::Consuming { generation, partitions: partitions.into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_lasts_until_its_share_is_taken_and_ends_in_time() {
        let (group, mut sharing) = group();
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        assert!(sharing.next(&stop, &abandon).now_or_never().is_none(), "there is no share yet");
        group.shares.send_replace(consuming(1, &[0, 2]));
        let turn = sharing.next(&stop, &abandon).await.expect("a share");
        assert_eq!(*turn.partitions, [0, 2]);
        assert!(sharing.watch(&turn).now_or_never().is_none());
        assert!(!turn.stop.is_cancelled());

        let until = Instant::now() + Duration::from_secs(5);
        group.shares.send_replace(Share::Draining { generation: 1, until });
        let soon = tokio::time::timeout(Duration::from_secs(1), sharing.watch(&turn)).await;
        assert!(soon.is_err() && turn.stop.is_cancelled() && !turn.abandon.is_cancelled());
        let late = tokio::time::timeout(Duration::from_secs(10), sharing.watch(&turn)).await;
        assert!(late.is_err() && turn.abandon.is_cancelled(), "its time is over");
        assert!(!stop.is_cancelled() && !abandon.is_cancelled(), "the process goes on");

        assert!(group.completed.try_recv().is_err(), "not done while the turn may have something in hand");
        assert!(sharing.next(&stop, &abandon).now_or_never().is_none());
        assert_eq!(group.completed.try_recv(), Ok(1));
        group.shares.send_replace(consuming(2, &[1]));
        assert_eq!(*sharing.next(&stop, &abandon).await.expect("a share").partitions, [1]);
    }

    #[tokio::test]
    async fn nothing_more_is_shared_after_a_stop_or_a_close() {
        let (group, mut sharing) = group();
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        drop(group.shares);
        assert!(sharing.next(&stop, &abandon).await.is_none(), "the broker was closed");
        let (group, mut sharing) = self::group();
        group.shares.send_replace(consuming(1, &[0]));
        let turn = sharing.next(&stop, &abandon).await.expect("a share");
        drop(group.shares);
        assert!(sharing.watch(&turn).now_or_never().is_none());
        assert!(turn.stop.is_cancelled() && turn.abandon.is_cancelled(), "nobody keeps its share");
        assert!(sharing.next(&stop, &abandon).await.is_none(), "the broker was closed during a turn");
        let (group, mut sharing) = self::group();
        stop.cancel();
        assert!(sharing.next(&stop, &abandon).await.is_none(), "told to stop");
        drop(sharing);
        assert!(group.left.is_cancelled(), "whoever goes leaves the group");
    }
}
