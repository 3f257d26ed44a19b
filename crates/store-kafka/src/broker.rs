//! The clients together, as a [`Broker`].

use async_trait::async_trait;
use domain::Timestamp;
use futures::FutureExt;
use rdkafka::consumer::BaseConsumer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use store::broker::{
    Append, Broker, BrokerError, Fetched, Lag, Membership, NewRecord, Offset, Partition, Topic,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::groups::Groups;
use crate::lag::Gauge;
use crate::member;
use crate::options::KafkaOptions;
use crate::producer::Producer;
use crate::reader::Reader;
use crate::scanner::Scanner;
use crate::sizes::Sizes;
use crate::topics;
use crate::voice::Voice;

/// How often noted commits are told to Kafka.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// How often the age of what is not processed is compared with the retention.
const GUARD_EVERY: Duration = Duration::from_secs(30);
/// The client of this group answers questions where no group is guarded.
const NOBODY: &str = "qgx";

/// The broker on Kafka.
pub struct KafkaBroker {
    options: KafkaOptions,
    voice: Voice,
    events: u32,
    dead_letters: u32,
    parts: Arc<Parts>,
    closed: AtomicBool,
    stop: CancellationToken,
    /// What is not processed is about to be removed.
    overdue: Arc<AtomicBool>,
}

/// The clients, closed together.
struct Parts {
    producer: Producer,
    reader: Reader,
    scanner: Scanner,
    groups: Arc<Groups>,
    gauge: Gauge,
}

impl KafkaBroker {
    /// Connects, and checks that the topics are there.
    ///
    /// # Errors
    /// [`BrokerError::Failed`] with one sentence: no server answers, refused credentials, a missing topic.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn connect(options: KafkaOptions) -> Result<Arc<Self>, BrokerError> {
        let stop = CancellationToken::new();
        let opening = options.clone();
        let opened = blocking("kafka-connect", move || Opened::on(opening)).await?;
        let kept_for = topics::kept_for(&options).await.unwrap_or(options.retention);
        let broker = Arc::new(Self {
            options,
            voice: opened.voice,
            events: opened.events,
            dead_letters: opened.dead_letters,
            parts: opened.parts,
            closed: AtomicBool::new(false),
            stop,
            overdue: Arc::default(),
        });
        broker.begin_upkeep(kept_for);
        Ok(broker)
    }

    fn begin_upkeep(&self, kept_for: Duration) {
        let (parts, stop) = (Arc::clone(&self.parts), self.stop.clone());
        telemetry::spawn("kafka-commits", flush_until(parts, stop));
        let guard = Guard {
            parts: Arc::clone(&self.parts),
            groups: self.options.guarded_groups.clone(),
            partitions: self.events,
            // At 80 %: early enough to let the processors catch up.
            limit: kept_for / 5 * 4,
            overdue: Arc::clone(&self.overdue),
        };
        telemetry::spawn("kafka-guard", guard.run_until(self.stop.clone()));
    }

    fn open_still(&self) -> Result<(), BrokerError> {
        if self.closed.load(Ordering::Acquire) { Err(BrokerError::Closed) } else { Ok(()) }
    }
}

struct Opened {
    voice: Voice,
    events: u32,
    dead_letters: u32,
    parts: Arc<Parts>,
}

impl Opened {
    /// Blocks.
    fn on(options: KafkaOptions) -> Result<Self, BrokerError> {
        let (voice, sizes) = (Voice::default(), Arc::new(Sizes::default()));
        let groups = Arc::new(Groups::new(options.clone(), voice.clone()));
        let group = options.guarded_groups.first().map_or(NOBODY, String::as_str).to_owned();
        let asker: Arc<BaseConsumer<Voice>> = groups.client(&group)?;
        let events = topics::count_soon(&asker, &voice, &options, Topic::Events)?;
        let dead_letters = topics::count_soon(&asker, &voice, &options, Topic::DeadLetters)?;
        let producer = Producer::start(options.clone(), voice.clone(), Arc::clone(&sizes))?;
        let reader =
            Reader::start(options.clone(), &group, Arc::clone(&asker), voice.clone(), Arc::clone(&sizes))?;
        let scanner = Scanner::new(options.clone(), voice.clone(), Arc::clone(&asker));
        let gauge = Gauge::new(options, voice.clone(), Arc::clone(&groups), asker, sizes);
        Ok(Self {
            voice,
            events,
            dead_letters,
            parts: Arc::new(Parts { producer, reader, scanner, groups, gauge }),
        })
    }
}

impl Parts {
    /// Delivers what was appended, commits what was noted, and lets all clients go. Blocks.
    fn close(&self, stop: &CancellationToken) -> Result<(), BrokerError> {
        let delivered = self.producer.close();
        // While its members are still in it: a group with other members takes commits from nobody else.
        let committed = self.groups.flush();
        stop.cancel();
        self.reader.close();
        self.scanner.close();
        self.gauge.close();
        self.groups.close();
        delivered.and(committed)
    }
}

async fn flush_until(parts: Arc<Parts>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FLUSH_EVERY) => {}
        }
        let flushing = Arc::clone(&parts);
        let flush = move || {
            flushing.groups.listen();
            flushing.groups.flush()
        };
        if let Err(error) = blocking("kafka-flush", flush).await {
            tracing::warn!(%error, "commits wait; they are told again");
        }
    }
}

/// Holds appends back before Kafka removes what nobody has processed.
struct Guard {
    parts: Arc<Parts>,
    groups: Vec<String>,
    partitions: u32,
    limit: Duration,
    overdue: Arc<AtomicBool>,
}

impl Guard {
    async fn run_until(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(GUARD_EVERY) => {}
            }
            let (parts, groups, partitions) = (Arc::clone(&self.parts), self.groups.clone(), self.partitions);
            let look = move || -> Result<Option<Timestamp>, BrokerError> {
                let mut oldest: Option<Timestamp> = None;
                for group in &groups {
                    for lag in parts.gauge.lag(group, Topic::Events, partitions)? {
                        oldest = oldest.into_iter().chain(lag.oldest_uncommitted).min();
                    }
                }
                Ok(oldest)
            };
            match blocking("kafka-guard", look).await {
                Ok(oldest) => self.judge(oldest, Timestamp::now()),
                Err(error) => tracing::warn!(%error, "the age of what is not processed could not be read"),
            }
        }
    }

    fn judge(&self, oldest: Option<Timestamp>, now: Timestamp) {
        let overdue = is_overdue(oldest, now, self.limit);
        if self.overdue.swap(overdue, Ordering::AcqRel) != overdue {
            let hours = self.limit.as_secs() / 3600;
            if overdue {
                tracing::error!(
                    hours,
                    "events wait so long to be processed that Kafka would soon remove them; no more are taken"
                );
            } else {
                tracing::info!("events are taken again");
            }
        }
    }
}

/// Whether what is oldest has waited longer than `limit`.
fn is_overdue(oldest: Option<Timestamp>, now: Timestamp, limit: Duration) -> bool {
    let limit = i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
    oldest.is_some_and(|oldest| now.as_nanos().saturating_sub(oldest.as_nanos()) > limit)
}

async fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    let done = telemetry::spawn_blocking_named(name, work).await;
    done.unwrap_or_else(|error| Err(BrokerError::Failed(error.to_string())))
}

#[async_trait]
impl Broker for KafkaBroker {
    fn partitions(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Events => self.events,
            Topic::DeadLetters => self.dead_letters,
        }
    }

    fn append(&self, topic: Topic, records: Vec<NewRecord>) -> Append {
        if let Err(closed) = self.open_still() {
            return std::future::ready(Err(closed)).boxed();
        }
        if topic == Topic::Events && self.overdue.load(Ordering::Acquire) {
            metrics::counter!("qgx_broker_busy_total", "topic" => topic.name(), "reason" => "retention")
                .increment(1);
            return std::future::ready(Err(BrokerError::Busy {
                reason: "events wait too long to be processed".to_owned(),
                retry_after: GUARD_EVERY,
            }))
            .boxed();
        }
        self.parts.producer.append(topic, self.partitions(topic), records)
    }

    async fn fetch(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Fetched, BrokerError> {
        self.open_still()?;
        self.parts.reader.fetch((topic, partition), from, max_bytes, max_wait).await
    }

    async fn scan(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Fetched, BrokerError> {
        self.open_still()?;
        let parts = Arc::clone(&self.parts);
        blocking("kafka-scan", move || parts.scanner.scan(topic, partition, from, max_bytes)).await
    }

    async fn ends(&self, topic: Topic) -> Result<Vec<Offset>, BrokerError> {
        self.open_still()?;
        let (parts, partitions) = (Arc::clone(&self.parts), self.partitions(topic));
        blocking("kafka-ends", move || parts.gauge.ends(topic, partitions)).await
    }

    async fn commit(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
        next: Offset,
    ) -> Result<(), BrokerError> {
        self.open_still()?;
        self.parts.groups.note(group, topic, partition, next);
        Ok(())
    }

    async fn committed(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
    ) -> Result<Offset, BrokerError> {
        self.open_still()?;
        let (parts, group) = (Arc::clone(&self.parts), group.to_owned());
        let ask = move || parts.groups.committed(&group, topic, &[partition]);
        let committed = blocking("kafka-committed", ask).await?;
        Ok(committed.first().copied().unwrap_or(0))
    }

    async fn lag(&self, group: &str, topic: Topic) -> Result<Vec<Lag>, BrokerError> {
        self.open_still()?;
        let (parts, group, partitions) = (Arc::clone(&self.parts), group.to_owned(), self.partitions(topic));
        blocking("kafka-lag", move || parts.gauge.lag(&group, topic, partitions)).await
    }

    async fn join(&self, group: &str, topic: Topic) -> Result<Membership, BrokerError> {
        self.open_still()?;
        member::join(&self.options, group, topic, &self.parts.groups, self.voice.clone(), &self.stop)
    }

    /// Kafka removes by its own clock; what nobody has processed is protected by refusing appends in time.
    async fn enforce_retention(&self, _: Timestamp) -> Result<u64, BrokerError> {
        self.open_still()?;
        Ok(0)
    }

    /// Records times their mean weight, before compression and copies: Kafka tells no bytes to its clients.
    async fn stored_bytes(&self) -> Result<u64, BrokerError> {
        self.open_still()?;
        let (parts, events, dead_letters) = (Arc::clone(&self.parts), self.events, self.dead_letters);
        let ask = move || {
            let stored = parts.gauge.stored(Topic::Events, events)?;
            Ok(stored + parts.gauge.stored(Topic::DeadLetters, dead_letters)?)
        };
        blocking("kafka-stored", ask).await
    }

    async fn close(&self) -> Result<(), BrokerError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.parts.reader.abandon();
        let (done, waiting) = oneshot::channel();
        let (parts, stop) = (Arc::clone(&self.parts), self.stop.clone());
        // A thread of its own: librdkafka's closing was seen to hang, and the runtime's end waits for its blocking
        // work.
        thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(move || {
                // Whoever asked may have stopped waiting.
                let _ = done.send(parts.close(&stop));
            })
            .map_err(|error| BrokerError::Failed(format!("a thread cannot be started: {error}")))?;
        let limit = self.options.close_timeout + self.options.request_timeout;
        match tokio::time::timeout(limit, waiting).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(BrokerError::Failed("the thread that closes panicked".to_owned())),
            Err(_) => Err(BrokerError::Failed(format!(
                "the Kafka clients did not close within {} s and are left to the end of the process",
                limit.as_secs()
            ))),
        }
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.stop.cancel();
        self.parts.reader.abandon();
        self.parts.producer.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(age_secs: Option<i64>, limit_secs: u64, expect: bool) {
        let now = Timestamp::from_secs(1_000_000);
        let oldest = age_secs.map(|age| Timestamp::from_secs(1_000_000 - age));
        assert_eq!(is_overdue(oldest, now, Duration::from_secs(limit_secs)), expect);
    }

    #[test]
    fn overdue_is_older_than_the_limit() {
        check(None, 0, false);
        check(Some(99), 100, false);
        check(Some(101), 100, true);
        check(Some(-5), 100, false);
        check(Some(i64::MAX / 1_000_000_000 / 2), u64::MAX, false);
    }
}
