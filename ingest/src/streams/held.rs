//! The streams of this process: one connection each, also where the other one is at another process, how far each was
//! handed to the broker, and how far it is durable.

use super::StreamKey;
use crate::record::arrival::received_now;
use domain::Timestamp;
use parking_lot::Mutex;
use services::StreamTaken;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Streams without a connection that are remembered. What is forgotten is found in SQL and in the log.
const REMEMBERED: usize = 100_000;

/// The registry; clones share it.
#[derive(Debug, Clone)]
pub struct Streams {
    known: Arc<Mutex<HashMap<StreamKey, Arc<Held>>>>,
    next: Arc<AtomicU64>,
    remembered: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

/// A stream, as long as anybody has to do with it.
#[derive(Debug, Default)]
struct Held {
    state: Mutex<State>,
    /// No append of it is under way any more.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    holder: Option<Holder>,
    /// Appends under way, of whichever connection.
    under_way: usize,
    /// The highest sequence that went to the broker, whatever became of it.
    given: u64,
    durable: u64,
}

/// A connection.
#[derive(Debug)]
struct Holder {
    number: u64,
    /// Since when.
    at: Timestamp,
    superseded: CancellationToken,
}

/// A connection's hold on a stream, until dropped.
#[derive(Debug)]
pub struct Hold {
    held: Arc<Held>,
    number: u64,
    /// Fires when another connection takes the stream.
    pub superseded: CancellationToken,
    /// For other processes.
    pub taken: StreamTaken,
}

/// Lines that went to the broker; dropped when it has said what became of them.
#[derive(Debug)]
pub struct Handed {
    held: Arc<Held>,
    sequence: u64,
}

impl Streams {
    /// One that remembers so many streams without a connection, about.
    pub fn remembering(streams: usize) -> Self {
        Self { known: Arc::default(), next: Arc::default(), remembered: streams }
    }

    /// Takes a stream; whoever held it is told so, and hands no more lines over.
    pub fn take(&self, key: StreamKey) -> Hold {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (at, superseded) = (received_now(), CancellationToken::new());
        let taken = key.taken(at);
        let held = self.held(key);
        let holder = Holder { number, at, superseded: superseded.clone() };
        if let Some(former) = held.state.lock().holder.replace(holder) {
            former.superseded.cancel();
        }
        Hold { held, number, superseded, taken }
    }

    fn held(&self, key: StreamKey) -> Arc<Held> {
        let mut known = self.known.lock();
        if known.len() >= self.remembered && !known.contains_key(&key) {
            // Nobody tells of an append that failed and was stored all the same but this registry.
            known.retain(|_, held| Arc::strong_count(held) > 1 || held.state.lock().is_uncertain());
            if known.len() >= 2 * self.remembered {
                known.retain(|_, held| Arc::strong_count(held) > 1);
            }
        }
        Arc::clone(known.entry(key).or_default())
    }

    /// A connection of another process took a stream: one here that took it earlier is told so.
    pub fn taken_elsewhere(&self, taken: &StreamTaken) {
        let Some(key) = StreamKey::of(taken) else { return };
        if let Some(held) = self.known.lock().get(&key)
            && let Some(holder) = &held.state.lock().holder
            && holder.at < taken.at
        {
            holder.superseded.cancel();
        }
    }
}

impl State {
    fn is_uncertain(&self) -> bool {
        self.given > self.durable
    }
}

impl Hold {
    /// Notes that the lines up to here go to the broker now. `None`: another connection has taken the stream, and they
    /// must not.
    pub fn hand_over(&self, sequence: u64) -> Option<Handed> {
        let mut state = self.held.state.lock();
        let mine = state.holder.as_ref().is_some_and(|holder| holder.number == self.number);
        if !mine || self.superseded.is_cancelled() {
            return None;
        }
        state.under_way += 1;
        state.given = state.given.max(sequence);
        Some(Handed { held: Arc::clone(&self.held), sequence })
    }

    /// Waits until the broker has said what became of all that former connections handed over.
    pub async fn settled(&self) {
        loop {
            let mut settled = std::pin::pin!(self.held.settled.notified());
            settled.as_mut().enable();
            if self.held.state.lock().under_way == 0 {
                return;
            }
            settled.await;
        }
    }

    /// How far the stream is durable, as far as this process knows. Everything before is, or was answered by `NACK`.
    pub fn durable(&self) -> u64 {
        self.held.state.lock().durable
    }

    /// How far the stream went to the broker in this process, whatever became of it: an append that failed may have been
    /// stored, or may be yet.
    pub fn given(&self) -> u64 {
        self.held.state.lock().given
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.held.state.lock();
        if state.holder.as_ref().is_some_and(|holder| holder.number == self.number) {
            state.holder = None;
        }
    }
}

impl Handed {
    /// They are durable.
    pub fn durable(&self) {
        let mut state = self.held.state.lock();
        state.durable = state.durable.max(self.sequence);
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        let mut state = self.held.state.lock();
        state.under_way -= 1;
        if state.under_way == 0 {
            self.held.settled.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Owner;
    use domain::{SourceKey, TenantId};
    use futures::FutureExt;

    fn key(stream: &str) -> StreamKey {
        StreamKey {
            tenant: TenantId::new("t_a").unwrap(),
            owner: Owner::Named { source: SourceKey::new("pump-1").unwrap(), token: 1 },
            stream: stream.into(),
        }
    }

    /// Hands lines over that become durable.
    fn store(hold: &Hold, sequence: u64) {
        hold.hand_over(sequence).expect("it holds the stream").durable();
    }

    #[test]
    fn the_latest_connection_holds_a_stream() {
        let streams = Streams::default();
        let first = streams.take(key("a"));
        store(&first, 7);
        store(&first, 3);
        let other = streams.take(key("b"));
        let second = streams.take(key("a"));
        assert!(first.superseded.is_cancelled());
        assert!(!second.superseded.is_cancelled() && !other.superseded.is_cancelled());
        assert_eq!((second.durable(), other.durable()), (7, 0));
        assert!(first.hand_over(8).is_none(), "what it still had is another's now");
        drop(first);
        let elsewhere = |from: &Hold, stream: &str, later: i64| {
            let at = from.taken.at.plus_nanos(later);
            let there = Streams::default().take(key(stream)).taken.clone();
            streams.taken_elsewhere(&StreamTaken { at, ..there });
        };
        elsewhere(&second, "a", -1);
        elsewhere(&other, "b", 1);
        assert!(!second.superseded.is_cancelled(), "it took the stream later than the one elsewhere");
        assert!(other.superseded.is_cancelled() && other.hand_over(1).is_none());
        let third = streams.take(key("a"));
        assert!(second.superseded.is_cancelled());
        assert_eq!(third.durable(), 7);
    }

    #[test]
    fn what_is_under_way_is_waited_for_and_counts() {
        let streams = Streams::default();
        let first = streams.take(key("a"));
        let handed = first.hand_over(5).unwrap();
        // However the connection ends, its append does not.
        drop(first);
        let second = streams.take(key("a"));
        assert_eq!((second.durable(), second.given()), (0, 5));
        {
            let mut settled = std::pin::pin!(second.settled());
            assert!(settled.as_mut().now_or_never().is_none());
            handed.durable();
            drop(handed);
            assert!(settled.now_or_never().is_some());
        }
        assert_eq!(second.durable(), 5);
        drop(second.hand_over(9));
        drop(second);
        let third = streams.take(key("a"));
        assert!(third.settled().now_or_never().is_some(), "a failure settles it too");
        assert_eq!((third.durable(), third.given()), (5, 9));
    }

    #[test]
    fn many_streams_are_forgotten_but_those_nobody_else_knows() {
        let streams = Streams::remembering(4);
        let held = streams.take(key("held"));
        store(&held, 1);
        let failed = streams.take(key("failed"));
        drop(failed.hand_over(2));
        drop(failed);
        let under_way = streams.take(key("under way")).hand_over(3).unwrap();
        store(&streams.take(key("done")), 4);
        let check = |stream: &str, given| assert_eq!(streams.take(key(stream)).given(), given, "{stream}");
        check("new", 0);
        check("done", 0);
        check("failed", 2);
        check("under way", 3);
        check("held", 1);
        under_way.durable();
        check("under way", 3);
    }
}
