//! The live bus on a topic of short retention: every process reads all of it, from the end, in no group.
//!
//! It has clients of its own, with small queues: what is live must neither wait behind events nor hold them up.

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use store::broker::BrokerError;
use store::live_bus::{BACKLOG, LiveBus, MESSAGE_MAX};
use tokio::sync::broadcast;

use crate::options::KafkaOptions;
use crate::topics;
use crate::voice::Voice;

/// How long the thread waits for a message before it looks after what was published.
const POLL: Duration = Duration::from_millis(20);
/// How long what was published last may take when the process ends.
const FLUSH: Duration = Duration::from_secs(1);

/// The live bus on Kafka. Dropping it ends its thread.
pub struct KafkaLive {
    topic: String,
    /// All messages of a process go to one, and keep their order.
    partition: i32,
    producer: Arc<BaseProducer<Voice>>,
    heard: broadcast::Sender<Bytes>,
    closed: Arc<AtomicBool>,
}

impl KafkaLive {
    /// Connects, and reads from the end on.
    ///
    /// # Errors
    /// [`BrokerError::Failed`] with one sentence: no server answers, refused credentials, a missing topic.
    pub async fn connect(options: KafkaOptions) -> Result<Arc<Self>, BrokerError> {
        let opened =
            telemetry::spawn_blocking_named("kafka-live-connect", move || Self::open(&options)).await;
        opened.unwrap_or_else(|error| Err(BrokerError::Failed(error.to_string()))).map(Arc::new)
    }

    /// Blocks.
    fn open(options: &KafkaOptions) -> Result<Self, BrokerError> {
        let (voice, topic) = (Voice::default(), options.live_topic());
        let failed = |what: &str, error| voice.failed(what, &error);
        let consumer: BaseConsumer<Voice> = options
            .live_consumer()
            .create_with_context(voice.clone())
            .map_err(|error| failed("the Kafka consumer cannot be set up", error))?;
        let count = topics::count_named(&consumer, &voice, options, &topic)?;
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let mut all = TopicPartitionList::new();
        for partition in 0..count {
            all.add_partition_offset(&topic, partition, Offset::End)
                .map_err(|error| failed("the live topic cannot be read", error))?;
        }
        consumer.assign(&all).map_err(|error| failed("the live topic cannot be read", error))?;
        let producer: BaseProducer<Voice> = options
            .live_producer()
            .create_with_context(voice.clone())
            .map_err(|error| failed("the Kafka producer cannot be set up", error))?;
        let producer = Arc::new(producer);
        let (heard, closed) = (broadcast::channel(BACKLOG).0, Arc::new(AtomicBool::new(false)));
        let reading =
            Reading { consumer, producer: producer.clone(), heard: heard.clone(), closed: closed.clone() };
        thread::Builder::new()
            .name("kafka-live".to_owned())
            .spawn(move || reading.run())
            .map_err(|error| BrokerError::Failed(format!("a thread cannot be started: {error}")))?;
        // Any one, not the same for all processes.
        let partition =
            i32::try_from(RandomState::new().hash_one(&topic) % u64::from(count.max(1).unsigned_abs()));
        Ok(Self { topic, partition: partition.unwrap_or(0), producer, heard, closed })
    }
}

impl LiveBus for KafkaLive {
    fn publish(&self, message: Bytes) {
        let record = BaseRecord::<(), [u8]>::to(&self.topic).partition(self.partition).payload(&message);
        let fits = message.len() <= MESSAGE_MAX;
        if !fits || self.producer.send(record).is_err() {
            // Its queue is full: Kafka is slow or away.
            metrics::counter!("qgx_live_dropped_total").increment(1);
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Bytes> {
        self.heard.subscribe()
    }
}

impl Drop for KafkaLive {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
    }
}

struct Reading {
    consumer: BaseConsumer<Voice>,
    producer: Arc<BaseProducer<Voice>>,
    heard: broadcast::Sender<Bytes>,
    closed: Arc<AtomicBool>,
}

impl Reading {
    fn run(self) {
        while !self.closed.load(Ordering::Acquire) {
            self.producer.poll(Duration::ZERO);
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    if let Some(payload) = message.payload() {
                        // Nobody listening is no fault.
                        drop(self.heard.send(Bytes::copy_from_slice(payload)));
                    }
                }
                // Tried again by librdkafka; it said so to the voice.
                Some(Err(error)) => tracing::debug!(%error, "the live topic is not read just now"),
            }
        }
        // What is not delivered by then is of no use to anybody.
        let _ = self.producer.flush(FLUSH);
    }
}
