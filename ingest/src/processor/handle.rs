//! How a processor is stopped.

use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A running processor. Dropping it leaves it running.
#[derive(Debug)]
pub struct ProcessorHandle {
    pub(super) stop: CancellationToken,
    pub(super) abandon: CancellationToken,
    pub(super) upkeep: CancellationToken,
    pub(super) drain: Duration,
    pub(super) batches: JoinHandle<()>,
    pub(super) beside: Vec<JoinHandle<()>>,
}

/// Of the time of a shutdown, so much is for ending what a sink holds up.
const LAST_PART: f64 = 0.2;

impl ProcessorHandle {
    /// [`Self::shutdown_within`] the drain time of the settings.
    pub async fn shutdown(self) {
        let time = self.drain;
        self.shutdown_within(time).await;
    }

    /// Reads no more, finishes the batches on their way, and ends, all within this time whatever a sink does. What a sink
    /// does not take until then is not committed, and read again at the next start.
    pub async fn shutdown_within(mut self, time: Duration) {
        let end = Instant::now() + time;
        self.stop.cancel();
        if timeout_at(end - time.mul_f64(LAST_PART), &mut self.batches).await.is_err() {
            tracing::warn!(
                "batches on their way were not finished in time; they are read again at the next start"
            );
            self.abandon.cancel();
            if timeout_at(end, &mut self.batches).await.is_err() {
                self.batches.abort();
            }
        }
        self.upkeep.cancel();
        // What goes on beside may hang at a store as well.
        let mut beside = futures::future::join_all(self.beside.iter_mut());
        let ended = timeout_at(end, &mut beside).await.is_ok();
        drop(beside);
        if !ended {
            self.beside.iter().for_each(JoinHandle::abort);
        }
    }
}
