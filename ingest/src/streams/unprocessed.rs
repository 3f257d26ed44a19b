//! How far streams have come in the part of the log that is not processed.
//!
//! Asked for by clients that open a stream without a memory of it. One pass reads what was appended since the last one, for
//! all of them; what the processor has passed is forgotten, since SQL tells it. What is remembered is bounded by a share of
//! the byte budget. Beyond it the streams of a tenant have one number, the highest of them: who has no memory of a stream may
//! go on at any number that is not below its own.

use super::StoredStream;
use crate::access::Unknown;
use crate::budget::{ByteBudget, Share};
use domain::TenantId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use store::broker::{Broker, BrokerError, Offset, Origin, Partition, Record, Topic};
use store::sql::SqlStore;
use tokio::sync::watch;

/// Bytes of the log read at a time.
const READ_BYTES: usize = 1 << 20;
/// What they take in memory, with what stands around records.
const READ_SHARE: usize = 2 * READ_BYTES;
/// Bytes of the budget that streams may take.
const MOST_BYTES: usize = 16 << 20;
/// They are taken so many at a time.
const STEP: usize = 256 << 10;
/// What a stream takes beside its names.
const ENTRY: usize = 192;
/// After so long without a question all is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// See the module; clones share it.
#[derive(Clone)]
pub struct Unprocessed(Arc<Shared>);

struct Shared {
    sql: Arc<dyn SqlStore>,
    broker: Arc<dyn Broker>,
    turn: Mutex<Turn>,
    /// The last pass that ended.
    ended: watch::Sender<Ended>,
    known: Mutex<Known>,
}

/// Whose turn it is: one pass at a time, for everybody who asked before it began.
#[derive(Debug, Default)]
struct Turn {
    begun: u64,
    wanted: u64,
    running: bool,
    sweeping: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ended {
    pass: u64,
    failed: bool,
}

impl Unprocessed {
    /// On these stores. Nothing is read yet.
    pub fn new(sql: Arc<dyn SqlStore>, broker: Arc<dyn Broker>) -> Self {
        Self(Arc::new(Shared {
            sql,
            broker,
            turn: Mutex::default(),
            ended: watch::Sender::default(),
            known: Mutex::default(),
        }))
    }

    /// The highest sequence of a stream that stands in the log now and is not processed; at least 0, and no higher than
    /// that of another stream of the tenant. What is processed meanwhile may be left out: SQL is to be asked after this.
    ///
    /// Takes as long as it takes; the pass goes on where nobody waits any more, so that who asks again finds it further.
    ///
    /// # Errors
    /// Where SQL or the log cannot be read.
    pub async fn highest(&self, stream: &StoredStream, budget: &ByteBudget) -> Result<u64, Unknown> {
        let mut ended = self.0.ended.subscribe();
        let wanted = self.want_pass(budget);
        let ended = ended.wait_for(|ended| ended.pass >= wanted).await.map_err(|_| Unknown)?;
        if ended.failed {
            return Err(Unknown);
        }
        drop(ended);
        Ok(self.0.known.lock().highest(stream))
    }

    /// The number of a pass that begins after this.
    fn want_pass(&self, budget: &ByteBudget) -> u64 {
        let mut turn = self.0.turn.lock();
        turn.wanted = turn.begun + 1;
        if !turn.running {
            turn.running = true;
            telemetry::spawn("stream-positions", Arc::clone(&self.0).run(budget.clone()));
        }
        turn.wanted
    }
}

impl Shared {
    /// Passes, as long as somebody wants one.
    async fn run(self: Arc<Self>, budget: ByteBudget) {
        while let Some(pass) = self.begin() {
            let outcome = self.pass(&budget).await;
            self.ended.send_replace(Ended { pass, failed: outcome.is_err() });
        }
    }

    fn begin(self: &Arc<Self>) -> Option<u64> {
        let mut turn = self.turn.lock();
        if turn.wanted > turn.begun {
            turn.begun += 1;
            return Some(turn.begun);
        }
        turn.running = false;
        if !std::mem::replace(&mut turn.sweeping, true) {
            telemetry::spawn("stream-positions-idle", forget_idle(Arc::downgrade(self)));
        }
        None
    }

    async fn pass(&self, budget: &ByteBudget) -> Result<(), Unknown> {
        // In this order: what is processed in between is seen twice, not never.
        let processed = self.sql.offsets(Topic::Events.name()).await.map_err(|error| {
            tracing::warn!(%error, "the processor's offsets cannot be read");
            Unknown
        })?;
        let processed: HashMap<Partition, Offset> = processed.into_iter().collect();
        let ends = self.broker.ends(Topic::Events).await.map_err(unreadable)?;
        for (partition, end) in (0..).zip(ends) {
            let from = processed.get(&partition).copied().unwrap_or(0);
            let mut next = self.known.lock().forget(partition, from);
            while next < end {
                let share = budget.take(READ_SHARE).await;
                let read = self.broker.scan(Topic::Events, partition, next, READ_BYTES).await;
                let records = match read {
                    Ok(read) => read.records,
                    Err(BrokerError::OutOfRange { earliest, .. }) if earliest > next => {
                        next = earliest;
                        continue;
                    }
                    Err(error) => return Err(unreadable(error)),
                };
                next = records.last().map_or(end, |last| last.offset + 1);
                self.known.lock().note(partition, &records, next, budget);
                drop(share);
            }
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the last use of an error")]
fn unreadable(error: BrokerError) -> Unknown {
    tracing::warn!(%error, "the log cannot be read for the positions of streams");
    Unknown
}

/// Gives the memory back once nobody asks any more.
async fn forget_idle(shared: Weak<Shared>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut turn = shared.turn.lock();
        if seen == Some(turn.begun) && !turn.running {
            *shared.known.lock() = Known::default();
            turn.sweeping = false;
            return;
        }
        seen = Some(turn.begun);
    }
}

/// Streams that stand in the log.
#[derive(Debug, Default)]
struct Known {
    partitions: HashMap<Partition, Part>,
    /// What the streams take, and what covers it.
    bytes: usize,
    share: Option<Share>,
}

/// Those of a partition.
#[derive(Debug, Default)]
struct Part {
    /// Read from here to `next`.
    from: Offset,
    next: Offset,
    streams: HashMap<StoredStream, Seen>,
    /// Streams that there was no room for.
    others: HashMap<TenantId, Seen>,
}

/// How far something has come, and where it did last.
#[derive(Debug, Clone, Copy)]
struct Seen {
    highest: u64,
    last: Offset,
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.highest = self.highest.max(other.highest);
        self.last = self.last.max(other.last);
    }
}

fn weight(stream: &StoredStream) -> usize {
    ENTRY + stream.name.len() + stream.source.as_ref().map_or(0, |source| source.as_str().len())
}

impl Known {
    fn highest(&self, stream: &StoredStream) -> u64 {
        let of_part = |part: &Part| {
            let seen = [part.streams.get(stream), part.others.get(&stream.tenant)];
            seen.into_iter().flatten().map(|seen| seen.highest).max()
        };
        self.partitions.values().filter_map(of_part).max().unwrap_or(0)
    }

    /// Forgets what stands before an offset; answers where to read on.
    fn forget(&mut self, partition: Partition, processed: Offset) -> Offset {
        let part = self.partitions.entry(partition).or_default();
        let mut bytes = self.bytes;
        // The offsets went back, or the processor has passed all of it.
        if processed < part.from || processed >= part.next {
            bytes -= part.streams.keys().map(weight).sum::<usize>();
            *part = Part { next: processed, ..Part::default() };
        } else {
            part.streams.retain(|stream, seen| {
                let stays = seen.last >= processed;
                bytes -= if stays { 0 } else { weight(stream) };
                stays
            });
            part.others.retain(|_, seen| seen.last >= processed);
        }
        part.from = processed;
        self.bytes = bytes;
        if self.share.as_ref().is_some_and(|share| share.bytes() > bytes + 2 * STEP) {
            self.share = self.share.take().map(|share| share.shrunk(bytes + STEP));
        }
        self.partitions[&partition].next
    }

    /// Takes records in that were read up to `next`.
    fn note(&mut self, partition: Partition, records: &[Record], next: Offset, budget: &ByteBudget) {
        let mut run: Option<(&Record, &Arc<str>, Seen)> = None;
        for record in records {
            let Origin::Stream { stream, sequence } = &record.origin else { continue };
            let seen = Seen { highest: *sequence, last: record.offset };
            match &mut run {
                // Lines of a connection stand together.
                Some((first, name, so_far)) if first.route == record.route && *name == stream => {
                    so_far.merge(seen);
                }
                _ => {
                    self.note_run(partition, run.replace((record, stream, seen)), budget);
                }
            }
        }
        self.note_run(partition, run, budget);
        self.partitions.entry(partition).or_default().next = next;
    }

    fn note_run(
        &mut self,
        partition: Partition,
        run: Option<(&Record, &Arc<str>, Seen)>,
        budget: &ByteBudget,
    ) {
        let Some((record, name, seen)) = run else { return };
        let Some(stream) = StoredStream::of(&record.route, name) else { return };
        let part = self.partitions.entry(partition).or_default();
        if let Some(so_far) = part.streams.get_mut(&stream) {
            return so_far.merge(seen);
        }
        let weight = weight(&stream);
        let covered = self.share.as_ref().map_or(0, Share::bytes);
        if self.bytes + weight > covered {
            let more = (covered < MOST_BYTES).then(|| budget.try_take(STEP)).flatten();
            let Some(more) = more else {
                part.others.entry(stream.tenant).and_modify(|so_far| so_far.merge(seen)).or_insert(seen);
                return;
            };
            match &mut self.share {
                Some(share) => share.merge(more),
                none => *none = Some(more),
            }
        }
        self.bytes += weight;
        part.streams.insert(stream, seen);
    }
}

#[cfg(test)]
mod tests;
