//! Reading: one consumer and one thread for all partitions, assigned by hand.
//!
//! A fetch takes from its partition's [`Shelf`]; the thread fills the shelves. While they hold enough, it does not poll,
//! unless a fetch has nothing to take: then partitions that have more than their share are paused.

use parking_lot::{Condvar, Mutex};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset as At, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use store::broker::{BrokerError, Fetched, Offset, Partition, Record, Topic};

use crate::options::KafkaOptions;
use crate::shelf::Shelf;
use crate::sizes::Sizes;
use crate::voice::Voice;
use crate::wire::{Decoder, OVERHEAD_BYTES};

/// How long a poll waits; a fetch at a new place waits as long at most before it is heard.
const POLL: Duration = Duration::from_millis(20);
/// Messages of one turn; then the fetches are woken.
const TURN: usize = 1000;
/// An end heard of so lately is told without asking.
const FRESH: Duration = Duration::from_millis(500);
/// A partition that has records and delivers none for so long is assigned anew.
const STALL: Duration = Duration::from_secs(5);

/// A partition of a topic.
type Place = (Topic, Partition);

/// The one reader of a broker.
pub struct Reader {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    options: KafkaOptions,
    voice: Voice,
    sizes: Arc<Sizes>,
    consumer: BaseConsumer<Voice>,
    /// Answers questions. Not the client that reads: a server answers a connection's requests in turn, and a fetch
    /// that waits for records would hold them up.
    asker: Arc<BaseConsumer<Voice>>,
    shelves: Mutex<HashMap<Place, Shelf>>,
    /// Told of new places and of room.
    changed: Condvar,
    closed: AtomicBool,
}

/// Counts a waiting fetch for as long as it lives.
struct Waiting<'a>(&'a Shared, Place);

impl<'a> Waiting<'a> {
    fn at(shared: &'a Shared, place: Place) -> Self {
        shared.shelves.lock().entry(place).or_default().waiting += 1;
        shared.changed.notify_one();
        Self(shared, place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(shelf) = self.0.shelves.lock().get_mut(&self.1) {
            shelf.waiting -= 1;
        }
    }
}

impl Reader {
    /// Starts the client and its thread.
    pub fn start(
        options: KafkaOptions,
        group: &str,
        asker: Arc<BaseConsumer<Voice>>,
        voice: Voice,
        sizes: Arc<Sizes>,
    ) -> Result<Self, BrokerError> {
        let consumer = options
            .consumer(group)
            .create_with_context(voice.clone())
            .map_err(|error| voice.failed("the Kafka consumer cannot be set up", &error))?;
        let shared = Arc::new(Shared {
            options,
            voice,
            sizes,
            consumer,
            asker,
            shelves: Mutex::default(),
            changed: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let reading = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || reading.run())
            .map_err(|error| BrokerError::Failed(format!("a thread cannot be started: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// As [`store::broker::Broker::fetch`].
    pub async fn fetch(
        &self,
        place: Place,
        from: Offset,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Fetched, BrokerError> {
        let started = Instant::now();
        let shared = &self.shared;
        let arrived = Arc::clone(&shared.shelves.lock().entry(place).or_default().arrived);
        let mut limit = started + max_wait;
        // Nobody knows yet whether there is anything; asked once a fetch that finds nothing to go on with.
        let mut asked = false;
        // Since when there is known to be a record that has not come.
        let mut owed: Option<Instant> = None;
        let _waiting = Waiting::at(shared, place);
        loop {
            let mut woken = std::pin::pin!(arrived.notified());
            woken.as_mut().enable();
            if shared.closed.load(Ordering::Acquire) {
                return Err(BrokerError::Closed);
            }
            let records = shared.take(place, from, max_bytes);
            if !records.is_empty() {
                return self.fetched(place, records).await;
            }
            if !asked && !shared.goes_on(place) {
                asked = true;
                if self.bounds(place).await?.holds(from)? {
                    // There is a record, and it is to be given, whatever the wait.
                    let now = *owed.get_or_insert_with(Instant::now);
                    limit = limit.max(now + STALL);
                }
                continue;
            }
            if tokio::time::timeout_at(limit.into(), woken).await.is_ok() {
                continue;
            }
            let bounds = self.bounds(place).await?;
            if !bounds.holds(from)? {
                return Ok(Fetched { records: Vec::new(), end: bounds.end });
            }
            let owed_for = owed.get_or_insert_with(Instant::now).elapsed();
            if owed_for >= 2 * STALL {
                let (topic, partition) = (shared.options.topic(place.0), place.1);
                let why = format!("partition {partition} of {topic} has records and delivers none");
                return Err(BrokerError::Failed(why));
            }
            if owed_for >= STALL {
                metrics::counter!("qgx_broker_stalls_total").increment(1);
                tracing::warn!(
                    topic = place.0.name(),
                    partition = place.1,
                    from,
                    "a partition stalls; assigned anew"
                );
                shared.send_to(place, from);
            }
            limit = Instant::now() + STALL;
        }
    }

    async fn fetched(&self, place: Place, records: Vec<Record>) -> Result<Fetched, BrokerError> {
        let since = Instant::now().checked_sub(FRESH).unwrap_or_else(Instant::now);
        let last = records.last().map_or(0, |last| last.offset + 1);
        let known = self.shared.shelves.lock().get(&place).and_then(|shelf| shelf.end_asked_since(since));
        let end = match known {
            Some(end) => end,
            None => self.bounds(place).await?.end,
        };
        Ok(Fetched { records, end: end.max(last) })
    }

    /// The first offset that is kept and the one that the next append gets.
    async fn bounds(&self, place: Place) -> Result<Bounds, BrokerError> {
        let shared = Arc::clone(&self.shared);
        let ask = move || shared.ask_bounds(place);
        let asked = telemetry::spawn_blocking_named("kafka-bounds", ask).await;
        asked.unwrap_or_else(|error| Err(BrokerError::Failed(error.to_string())))
    }

    /// Ends waiting fetches, and the thread. Blocks.
    pub fn close(&self) {
        self.shared.close();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    /// Ends waiting fetches; the thread ends soon.
    pub fn abandon(&self) {
        self.shared.close();
    }
}

/// What a partition holds.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    earliest: Offset,
    end: Offset,
}

impl Bounds {
    /// Whether there is a record at or after `from`.
    fn holds(self, from: Offset) -> Result<bool, BrokerError> {
        if from < self.earliest {
            return Err(BrokerError::OutOfRange { asked: from, earliest: self.earliest });
        }
        Ok(from < self.end)
    }
}

impl Shared {
    fn take(&self, place: Place, from: Offset, max_bytes: usize) -> Vec<Record> {
        let mut shelves = self.shelves.lock();
        let records = shelves.entry(place).or_default().take(from, max_bytes);
        self.changed.notify_one();
        records
    }

    /// Whether the reader is where the last fetch left off and brings what comes.
    fn goes_on(&self, place: Place) -> bool {
        self.shelves.lock().get(&place).is_some_and(Shelf::goes_on)
    }

    fn send_to(&self, place: Place, from: Offset) {
        self.shelves.lock().entry(place).or_default().send_to(from);
        self.changed.notify_one();
    }

    fn ask_bounds(&self, place: Place) -> Result<Bounds, BrokerError> {
        let (topic, partition) = (self.options.topic(place.0), i32::try_from(place.1).unwrap_or(i32::MAX));
        let (low, high) = self
            .asker
            .fetch_watermarks(&topic, partition, self.options.request_timeout)
            .map_err(|error| {
                self.voice.failed(&format!("the ends of partition {partition} cannot be read"), &error)
            })?;
        let bounds = Bounds {
            earliest: u64::try_from(low).unwrap_or_default(),
            end: u64::try_from(high).unwrap_or_default(),
        };
        self.shelves.lock().entry(place).or_default().saw_end(bounds.end);
        Ok(bounds)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_one();
        for shelf in self.shelves.lock().values() {
            shelf.arrived.notify_waiters();
        }
    }

    fn run(&self) {
        let mut decoder = Decoder::default();
        let names: HashMap<String, Topic> =
            Topic::ALL.iter().map(|topic| (self.options.topic(*topic), *topic)).collect();
        while !self.closed.load(Ordering::Acquire) {
            if !self.prepare() {
                continue;
            }
            let mut touched: Vec<Place> = Vec::new();
            let mut wait = POLL;
            for _ in 0..TURN {
                match self.consumer.poll(wait) {
                    None => break,
                    Some(Ok(message)) => {
                        let Some(topic) = names.get(message.topic()) else { continue };
                        let place = (*topic, u32::try_from(message.partition()).unwrap_or_default());
                        self.put(place, &message, &mut decoder);
                        if touched.last() != Some(&place) {
                            touched.push(place);
                        }
                    }
                    Some(Err(error)) => self.trouble(&error),
                }
                wait = Duration::ZERO;
            }
            let shelves = self.shelves.lock();
            for shelf in touched.iter().filter_map(|place| shelves.get(place)) {
                shelf.arrived.notify_waiters();
            }
        }
    }

    fn put(&self, place: Place, message: &impl Message, decoder: &mut Decoder) {
        match decoder.record(message) {
            Ok(record) => {
                self.sizes.seen(place.0, record.payload.len() + OVERHEAD_BYTES);
                self.shelves.lock().entry(place).or_default().put(record);
            }
            Err(error) => {
                let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                metrics::counter!("qgx_broker_foreign_messages_total").increment(1);
                tracing::error!(topic, partition, offset, %error, "passed over a message that QGX did not write");
            }
        }
    }

    /// An offset that is gone stops its partition without saying which: the fetches that wait look for themselves.
    fn trouble(&self, error: &KafkaError) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
            for shelf in self.shelves.lock().values_mut().filter(|shelf| shelf.waiting > 0) {
                shelf.doubt();
                shelf.arrived.notify_waiters();
            }
        }
    }

    /// Does what the shelves want; false where there is nothing to poll for.
    fn prepare(&self) -> bool {
        let mut shelves = self.shelves.lock();
        let mut moves = Vec::new();
        for (place, shelf) in shelves.iter_mut() {
            let (assigned, paused) = (shelf.assigned, shelf.paused);
            if let Some(to) = shelf.move_wanted() {
                moves.push(Move { place: *place, assigned, paused, to });
                shelf.paused = false;
            }
        }
        let held: usize = shelves.values().map(Shelf::bytes).sum();
        let share = self.options.ahead_bytes / shelves.len().max(1);
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        let full = held >= self.options.ahead_bytes;
        let starving = shelves.values().any(Shelf::starves);
        for ((topic, partition), shelf) in shelves.iter_mut().filter(|(_, shelf)| shelf.assigned) {
            let list = if shelf.paused && shelf.bytes() <= share / 2 {
                &mut resume
            } else if full && starving && !shelf.paused && shelf.bytes() > share {
                &mut pause
            } else {
                continue;
            };
            shelf.paused = !shelf.paused;
            list.add_partition(&self.options.topic(*topic), i32::try_from(*partition).unwrap_or(i32::MAX));
        }
        if moves.is_empty() && ((full && !starving) || !shelves.values().any(|shelf| shelf.assigned)) {
            self.changed.wait_for(&mut shelves, Duration::from_millis(200));
            return false;
        }
        drop(shelves);
        for to in moves {
            self.assign(&to);
        }
        for (list, change) in [(&pause, true), (&resume, false)] {
            if list.count() == 0 {
                continue;
            }
            let changed = if change { self.consumer.pause(list) } else { self.consumer.resume(list) };
            if let Err(error) = changed {
                tracing::warn!(%error, "a partition could not be paused or resumed");
            }
        }
        true
    }

    /// Begins a partition at an offset. To take it away first drops what librdkafka has fetched of it.
    fn assign(&self, Move { place, assigned, paused, to }: &Move) {
        let (topic, partition) = (self.options.topic(place.0), i32::try_from(place.1).unwrap_or(i32::MAX));
        let mut list = TopicPartitionList::new();
        let at = At::Offset(i64::try_from(*to).unwrap_or(i64::MAX));
        let mut outcome = list.add_partition_offset(&topic, partition, at);
        if *assigned && let Err(error) = self.consumer.incremental_unassign(&list) {
            // It was lost already: that may be why it is assigned anew.
            tracing::debug!(topic, partition, %error, "a partition could not be taken away");
        }
        outcome = outcome.and_then(|()| self.consumer.incremental_assign(&list));
        if *paused {
            outcome = outcome.and_then(|()| self.consumer.resume(&list));
        }
        if let Err(error) = outcome {
            // The fetch that waits finds it stalled and asks again.
            tracing::warn!(topic, partition, %error, "a partition could not be assigned");
        }
    }
}

/// Where a partition is to begin.
struct Move {
    place: Place,
    assigned: bool,
    paused: bool,
    to: Offset,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::Producer;
    use rdkafka::mocking::MockCluster;
    use store::broker::conformance::numbered;

    const MIB: usize = 1024 * 1024;
    const PLACE: Place = (Topic::Events, 0);

    #[tokio::test(flavor = "multi_thread")]
    async fn a_partition_that_stalls_is_assigned_anew() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(Topic::Events.name(), 1, 1).unwrap();
        let options = KafkaOptions::new(cluster.bootstrap_servers());
        let (voice, sizes) = (Voice::default(), Arc::new(Sizes::default()));
        let asker = options.consumer("asker").create_with_context(voice.clone()).unwrap();
        let reader =
            Reader::start(options.clone(), "reader", Arc::new(asker), voice.clone(), sizes.clone()).unwrap();
        let producer = Producer::start(options, voice, sizes).unwrap();
        let append = async |numbers| {
            producer.append(Topic::Events, 1, numbered("pump-1", numbers)).await.unwrap();
        };
        let fetch = async |from| reader.fetch(PLACE, from, MIB, Duration::from_secs(1)).await.unwrap();

        append(0..2).await;
        let mut next = 0;
        while next < 2 {
            next += fetch(next).await.records.len() as u64;
        }
        // Whatever the reason: the consumer has lost the partition, and nobody told the reader.
        let mut list = TopicPartitionList::new();
        list.add_partition(Topic::Events.name(), 0);
        reader.shared.consumer.incremental_unassign(&list).unwrap();
        append(2..5).await;
        assert_eq!(fetch(2).await.records.first().map(|it| it.offset), Some(2));
        reader.close();
        producer.close().unwrap();
    }
}
