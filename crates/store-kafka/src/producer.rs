//! Writing: appends to librdkafka, delivery reports to the appends' futures.

use futures::FutureExt;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::{Mutex, RwLock};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use store::broker::{Append, BrokerError, NewRecord, Topic};
use tokio::sync::oneshot;

use crate::options::{KafkaOptions, MAX_RECORD_BYTES};
use crate::sizes::Sizes;
use crate::voice::Voice;
use crate::wire::{self, OVERHEAD_BYTES};

/// How long the thread waits for delivery reports before it looks whether it is to end.
const POLL: Duration = Duration::from_millis(100);
/// When to try again while the client is replaced.
const RENEWAL: Duration = Duration::from_secs(1);

/// The one producer of a broker.
pub struct Producer {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    options: KafkaOptions,
    voice: Voice,
    sizes: Arc<Sizes>,
    /// `None` while a client is replaced, and once it is closed.
    client: RwLock<Option<Arc<BaseProducer<Deliveries>>>>,
    pending: Arc<AtomicUsize>,
    pending_bytes: Gauge,
    closing: AtomicBool,
    /// Records that were given up when the close timeout was over.
    given_up: AtomicUsize,
    /// When closing must be done.
    deadline: Mutex<Option<Instant>>,
}

/// One append on its way.
struct Call {
    /// Records without their delivery report.
    remaining: AtomicUsize,
    failure: Mutex<Option<String>>,
    done: Mutex<Option<oneshot::Sender<Result<(), BrokerError>>>>,
    bytes: usize,
    pending: Arc<AtomicUsize>,
    started: Instant,
    seconds: Histogram,
    appended: Counter,
}

impl Call {
    /// `count` records are through, or never went.
    fn settle(&self, count: usize, failure: Option<String>) {
        match failure {
            Some(failure) => *self.failure.lock() = Some(failure),
            None => self.appended.increment(count as u64),
        }
        if self.remaining.fetch_sub(count, Ordering::AcqRel) > count {
            return;
        }
        self.pending.fetch_sub(self.bytes, Ordering::AcqRel);
        self.seconds.record(self.started.elapsed());
        let outcome = match self.failure.lock().take() {
            Some(reason) => Err(BrokerError::Failed(reason)),
            None => Ok(()),
        };
        if let Some(done) = self.done.lock().take() {
            // Whoever asked may have stopped waiting.
            let _ = done.send(outcome);
        }
    }
}

/// Hears what became of each record.
struct Deliveries(Voice);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Call>;

    fn delivery(&self, report: &DeliveryResult<'_>, call: Arc<Call>) {
        let failure = report.as_ref().err().map(|(error, message)| {
            let code = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
            format!("a record for {} was not stored for sure: {code}", message.topic())
        });
        call.settle(1, failure);
    }
}

impl Producer {
    /// Starts the client and its thread; connects when there is something to do.
    pub fn start(options: KafkaOptions, voice: Voice, sizes: Arc<Sizes>) -> Result<Self, BrokerError> {
        let client = connect(&options, &voice)?;
        let shared = Arc::new(Shared {
            options,
            voice,
            sizes,
            client: RwLock::new(Some(client)),
            pending: Arc::default(),
            pending_bytes: gauge!("qgx_broker_pending_bytes"),
            closing: AtomicBool::new(false),
            given_up: AtomicUsize::new(0),
            deadline: Mutex::default(),
        });
        let polled = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || polled.run())
            .map_err(|error| BrokerError::Failed(format!("a thread cannot be started: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes records in order; `partitions` is how many the topic has.
    pub fn append(&self, topic: Topic, partitions: u32, records: Vec<NewRecord>) -> Append {
        if records.is_empty() {
            let closed = self.shared.closing.load(Ordering::Acquire);
            return std::future::ready(if closed { Err(BrokerError::Closed) } else { Ok(()) }).boxed();
        }
        let waiting = match self.shared.enqueue(topic, partitions, &records) {
            Ok(waiting) => waiting,
            Err(error) => return std::future::ready(Err(error)).boxed(),
        };
        let patience = self.shared.options.ack_timeout;
        async move {
            match tokio::time::timeout(patience, waiting).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => {
                    Err(BrokerError::Failed("the producer ended before a delivery report".to_owned()))
                }
                Err(_) => {
                    counter!("qgx_broker_ack_timeouts_total", "topic" => topic.name()).increment(1);
                    Err(BrokerError::Failed(format!(
                        "no delivery report within {} s; whether the records are stored is not known",
                        patience.as_secs()
                    )))
                }
            }
        }
        .boxed()
    }

    /// Takes no more, waits for delivery reports until the close timeout, and ends. Blocks.
    pub fn close(&self) -> Result<(), BrokerError> {
        let Some(thread) = self.thread.lock().take() else { return Ok(()) };
        *self.shared.deadline.lock() = Some(Instant::now() + self.shared.options.close_timeout);
        self.shared.closing.store(true, Ordering::Release);
        thread.join().map_err(|_| BrokerError::Failed("the producer's thread panicked".to_owned()))?;
        match self.shared.given_up.load(Ordering::Acquire) {
            0 => Ok(()),
            count => Err(BrokerError::Failed(format!(
                "{count} records were not delivered before the close timeout; whether they are stored is not known"
            ))),
        }
    }

    /// Stops without waiting: for a broker that is dropped unclosed.
    pub fn abandon(&self) {
        *self.shared.deadline.lock() = Some(Instant::now());
        self.shared.closing.store(true, Ordering::Release);
    }
}

fn connect(options: &KafkaOptions, voice: &Voice) -> Result<Arc<BaseProducer<Deliveries>>, BrokerError> {
    let client = options.producer().create_with_context(Deliveries(voice.clone()));
    client.map(Arc::new).map_err(|error| voice.failed("the Kafka producer cannot be set up", &error))
}

impl Shared {
    fn enqueue(
        &self,
        topic: Topic,
        partitions: u32,
        records: &[NewRecord],
    ) -> Result<oneshot::Receiver<Result<(), BrokerError>>, BrokerError> {
        if let Some(record) = records.iter().find(|it| it.payload.len() + 1024 > MAX_RECORD_BYTES) {
            let bytes = record.payload.len();
            return Err(BrokerError::Failed(format!("a record of {bytes} bytes is larger than Kafka takes")));
        }
        // Held while the records are handed over: none goes to a client that is being replaced.
        let client = self.client.read();
        if self.closing.load(Ordering::Acquire) {
            return Err(BrokerError::Closed);
        }
        let Some(client) = &*client else {
            return Err(BrokerError::Busy {
                reason: "the client is connecting anew".to_owned(),
                retry_after: RENEWAL,
            });
        };
        let bytes: usize = records.iter().map(|it| it.payload.len() + OVERHEAD_BYTES).sum();
        self.take(topic, bytes)?;
        let (done, waiting) = oneshot::channel();
        let call = Arc::new(Call {
            remaining: AtomicUsize::new(records.len()),
            failure: Mutex::default(),
            done: Mutex::new(Some(done)),
            bytes,
            pending: Arc::clone(&self.pending),
            started: Instant::now(),
            seconds: histogram!("qgx_broker_commit_seconds", "topic" => topic.name()),
            appended: counter!("qgx_broker_appended_records_total", "topic" => topic.name()),
        });
        counter!("qgx_broker_appended_bytes_total", "topic" => topic.name()).increment(bytes as u64);
        let name = self.options.topic(topic);
        let mut key = (None, String::new());
        for (at, record) in records.iter().enumerate() {
            let route = Arc::as_ptr(&record.route);
            if key.0 != Some(route) {
                key = (Some(route), wire::key(&record.route));
            }
            self.sizes.seen(topic, record.payload.len() + OVERHEAD_BYTES);
            let partition = i32::try_from(record.route.partition(partitions)).unwrap_or(0);
            let message = BaseRecord::with_opaque_to(&name, Arc::clone(&call))
                .partition(partition)
                .key(key.1.as_str())
                .payload(&record.payload[..])
                .headers(wire::headers(record));
            if let Err((error, _)) = client.send(message) {
                // Nothing after it may overtake it. What went before is reported by itself.
                let reason = self.voice.failed("a record could not be handed over", &error).to_string();
                call.settle(records.len() - at, Some(reason));
                break;
            }
        }
        Ok(waiting)
    }

    /// Takes bytes of the budget; a call larger than all of it goes alone.
    fn take(&self, topic: Topic, bytes: usize) -> Result<(), BrokerError> {
        let limit = self.options.pending_bytes;
        let taken = self.pending.fetch_update(Ordering::AcqRel, Ordering::Acquire, |pending| {
            (pending == 0 || pending + bytes <= limit).then_some(pending + bytes)
        });
        if taken.is_ok() {
            return Ok(());
        }
        counter!("qgx_broker_busy_total", "topic" => topic.name(), "reason" => "pending").increment(1);
        Err(BrokerError::Busy {
            reason: "too many records wait for Kafka".to_owned(),
            retry_after: Duration::from_secs(1),
        })
    }

    /// Polls until closed, through as many clients as it takes.
    fn run(&self) {
        loop {
            let Some(client) = self.client.read().clone() else { return };
            let fatal = self.poll(&client);
            *self.client.write() = None;
            match fatal {
                Some((code, reason)) => {
                    counter!("qgx_broker_fatal_errors_total").increment(1);
                    tracing::error!(target: "kafka", %code, reason, "the producer failed for good; a new one takes its place");
                    self.settle_all(&client, Instant::now() + self.options.request_timeout);
                    retire(client);
                    if !self.renew() {
                        return;
                    }
                }
                None => {
                    let deadline = self.deadline.lock().unwrap_or_else(Instant::now);
                    let flushed = client.flush(deadline.saturating_duration_since(Instant::now()));
                    if flushed.is_err() {
                        let left = usize::try_from(client.in_flight_count()).unwrap_or_default();
                        self.given_up.store(left, Ordering::Release);
                        self.settle_all(&client, Instant::now() + Duration::from_secs(1));
                    }
                    retire(client);
                    return;
                }
            }
        }
    }

    /// Until a fatal error, which it answers, or until it is to close.
    fn poll(&self, client: &BaseProducer<Deliveries>) -> Option<(RDKafkaErrorCode, String)> {
        loop {
            client.poll(POLL);
            self.pending_bytes.set(self.pending.load(Ordering::Relaxed) as f64);
            if let Some(fatal) = client.client().fatal_error() {
                return Some(fatal);
            }
            if self.closing.load(Ordering::Acquire) {
                return None;
            }
        }
    }

    /// Gives up what a client still holds, so that every append hears of it.
    fn settle_all(&self, client: &BaseProducer<Deliveries>, deadline: Instant) {
        client.purge(PurgeConfig::default().queue().inflight());
        while client.in_flight_count() > 0 && Instant::now() < deadline {
            client.poll(POLL);
        }
    }

    /// Sets a new client up, as often as it takes; false where it is to close instead.
    fn renew(&self) -> bool {
        // Whoever had an append fail must hear of it before a later one of the same caller can be stored.
        let heard = Instant::now() + RENEWAL;
        loop {
            thread::park_timeout(POLL);
            if self.closing.load(Ordering::Acquire) {
                return false;
            }
            if Instant::now() < heard {
                continue;
            }
            match connect(&self.options, &self.voice) {
                Ok(client) => {
                    *self.client.write() = Some(client);
                    return true;
                }
                Err(error) => tracing::warn!(target: "kafka", %error, "no new producer yet"),
            }
        }
    }
}

/// Dropping a client waits for its threads, which was seen to hang: not here.
fn retire(client: Arc<BaseProducer<Deliveries>>) {
    let dropped = thread::Builder::new().name("kafka-retire".to_owned()).spawn(move || drop(client));
    if let Err(error) = dropped {
        tracing::warn!(target: "kafka", %error, "a client could not be closed aside");
    }
}
