//! How long a client may keep us waiting, and how that is measured.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// So many bytes must move in every so much time that the other side is waited for. Time in which nobody waits for it,
/// as when the server itself is slow, does not count.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time.
    pub window: Duration,
    /// The bytes.
    pub least: usize,
}

/// The limits of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For TLS.
    pub handshake: Duration,
    /// From the connection's begin, or from the end of the request before, to the end of a request's head.
    pub head: Duration,
    /// For a request's body.
    pub body: Pace,
    /// For what is written and not taken.
    pub answer: Pace,
    /// An HTTP/2 connection without a request.
    pub idle: Duration,
    /// An HTTP/2 connection all of whose requests wait for the client.
    pub stall: Duration,
    /// A connection that is to be closed, but that the client still sends on: otherwise the system would reset it and
    /// the client might never read the answer.
    pub linger: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            body: Pace { window: Duration::from_secs(30), least: 1_024 },
            answer: Pace { window: Duration::from_secs(60), least: 4_096 },
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(120),
            linger: Duration::from_secs(1),
        }
    }
}

/// Measures one direction of a connection against a [`Pace`].
pub struct Meter {
    pace: Pace,
    moved: usize,
    waited: Duration,
    waiting_since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Meter {
    /// Nothing waited for yet.
    pub fn new(pace: Pace) -> Self {
        Self { pace, moved: 0, waited: Duration::ZERO, waiting_since: None, alarm: None }
    }

    /// So many bytes have moved.
    pub fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        self.moved += bytes;
    }

    /// There is nothing left to wait for.
    pub fn done(&mut self) {
        *self = Self::new(self.pace);
    }

    /// The other side is waited for: ready where it was too slow. Wakes the task when it becomes so.
    pub fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            let since = *self.waiting_since.get_or_insert(now);
            let waited = self.waited + now.saturating_duration_since(since);
            if waited >= self.pace.window {
                if self.moved < self.pace.least {
                    return Poll::Ready(());
                }
                (self.moved, self.waited, self.waiting_since, self.alarm) =
                    (0, Duration::ZERO, Some(now), None);
                continue;
            }
            let at = now + (self.pace.window - waited);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if alarm.deadline() != at {
                alarm.as_mut().reset(at);
            }
            match alarm.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                // The clock of alarms is coarser than ours: look again.
                Poll::Ready(()) => self.alarm = None,
            }
        }
    }
}

/// The client was too slow.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the client was too slow")]
pub struct TooSlow;

impl TooSlow {
    /// Whether an error comes of it.
    pub fn caused(error: &(dyn std::error::Error + 'static)) -> bool {
        std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts_and_progress_renews() {
        let mut meter = Meter::new(Pace { window: Duration::from_secs(10), least: 100 });
        let start = Instant::now();
        let at = async |meter: &mut Meter| {
            poll_fn(|cx| meter.poll_too_slow(cx)).await;
            start.elapsed().as_secs()
        };
        meter.moved(100);
        assert_eq!(at(&mut meter).await, 20, "enough moved in the first ten seconds, nothing in the second");
        meter.done();
        meter.moved(50);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(at(&mut meter).await, 130, "a hundred seconds of our own do not count");
    }
}
