//! The load: several streams, each a thread, that send while faults happen, and stop so that what arrived can be counted.

use super::cluster::Cluster;
use super::feed::{Disturbance, Feed, Naming};
use super::plain::Plain;
use super::sender::Sender;
use super::waiting::until;
use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Sources of the stream whose records name their own.
const MIXED: usize = 7;
/// Of so many events of the acknowledged streams, one goes out plain.
const PLAIN_SHARE: u64 = 10;

/// Says when senders make events, and of which round.
#[derive(Default)]
pub struct Gate {
    open: AtomicBool,
    over: AtomicBool,
    round: AtomicU64,
}

impl Gate {
    /// The round, while events are to be made.
    pub fn round(&self) -> Option<u64> {
        self.open.load(Ordering::Acquire).then(|| self.round.load(Ordering::Acquire))
    }

    /// Whether senders are to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// The senders.
pub struct Load {
    /// The acknowledged streams.
    pub feeds: Vec<Arc<Feed>>,
    /// Events that went out plain.
    pub plain: Arc<AtomicU64>,
    /// The credential of all of them.
    pub token: String,
    gate: Arc<Gate>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts senders that wait for the first round: `streams` of one source each and one whose records name several,
    /// together so many events a second.
    ///
    /// # Errors
    /// Where no token can be made, or no thread.
    pub fn start(cluster: &Cluster, streams: usize, rate: u64) -> anyhow::Result<Self> {
        let token = cluster.token("ingest", "chaos-load")?;
        let gate = Arc::new(Gate::default());
        let doors = cluster.doors();
        let mut feeds: Vec<_> = (1..=streams)
            .map(|at| Feed::new(&format!("chaos-{at}"), Naming::Greeting(format!("chaos-{at}"))))
            .collect();
        let mixed = (0..MIXED).map(|at| format!("chaos-mixed-{at}")).collect();
        feeds.push(Feed::new("chaos-mixed", Naming::Records(mixed)));
        let feeds: Vec<_> = feeds.into_iter().map(Arc::new).collect();
        let rate = (rate / feeds.len().max(1) as u64).max(1);
        let mut threads = Vec::new();
        for (at, feed) in feeds.iter().enumerate() {
            let mut doors = doors.clone();
            let turn = at % doors.len().max(1);
            doors.rotate_left(turn);
            let sender =
                Sender { feed: Arc::clone(feed), doors, token: token.clone(), gate: Arc::clone(&gate), rate };
            threads.push(start(&feed.name, move || sender.run())?);
        }
        let plain = Arc::new(AtomicU64::new(0));
        let sender = Plain {
            doors,
            token: token.clone(),
            gate: Arc::clone(&gate),
            rate: (rate / PLAIN_SHARE).max(1),
            sent: Arc::clone(&plain),
        };
        threads.push(start("chaos-plain", move || sender.run())?);
        Ok(Self { feeds, plain, token, gate, threads })
    }

    /// Senders make events of this round.
    pub fn begin(&self, round: u64) {
        self.gate.round.store(round, Ordering::Release);
        self.gate.open.store(true, Ordering::Release);
    }

    /// Senders make no more; waits until everything made is acknowledged.
    ///
    /// # Errors
    /// Where that does not come in time: an acknowledgement is missing for good.
    pub fn settle(&self, limit: Duration) -> anyhow::Result<Duration> {
        self.gate.open.store(false, Ordering::Release);
        until("an acknowledgement of everything sent", limit, || {
            let open =
                self.feeds.iter().map(|feed| (feed, feed.book())).find(|(_, book)| book.acked < book.made);
            Ok(match open {
                None => Ok(()),
                Some((feed, book)) => Err(format!("{}: {} of {}", feed.name, book.acked, book.made)),
            })
        })
    }

    /// How far each stream is acknowledged.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.feeds.iter().map(|feed| feed.book().acked).collect()
    }

    /// How many events of a round are acknowledged.
    pub fn acknowledged_of(&self, round: u64) -> u64 {
        self.feeds.iter().map(|feed| feed.book().acked_of_round(round)).sum()
    }

    /// Waits until each stream got an acknowledgement beyond these.
    ///
    /// # Errors
    /// Where one of them does not in time.
    pub fn await_beyond(&self, before: &[u64], limit: Duration) -> anyhow::Result<Duration> {
        until("another acknowledgement of each stream", limit, || {
            let behind = self.feeds.iter().zip(before).find(|(feed, before)| feed.book().acked <= **before);
            Ok(match behind {
                None => Ok(()),
                Some((feed, before)) => Err(format!("{} stands at {before}", feed.name)),
            })
        })
    }

    /// Disturbs every sender.
    pub fn disturb(&self, how: Disturbance) {
        for feed in &self.feeds {
            feed.disturb(how);
        }
    }

    /// Everything that the server said against the protocol, once.
    pub fn lies(&self) -> Vec<String> {
        self.feeds.iter().flat_map(|feed| feed.book().lies).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.gate.over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run).context("a sender cannot be started")
}
