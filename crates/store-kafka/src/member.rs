//! Membership in a group: one consumer and one thread that read nothing, and only hear what is whose.
//!
//! Partitions come and go all together (eager assignor). When they go, the thread waits inside the rebalance until what
//! is in hand is done, at most the drain timeout: until then the group gives them to nobody.

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::Offset as At;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use store::broker::{BrokerError, Membership, Partition, Share, Topic};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::groups::Groups;
use crate::options::KafkaOptions;
use crate::voice::Voice;

const POLL: Duration = Duration::from_millis(100);
/// A member that is killed is missed after this.
const SESSION: Duration = Duration::from_secs(10);

/// Hears the group's rebalances.
pub struct Listener {
    voice: Voice,
    shares: watch::Sender<Share>,
    completed: Mutex<Receiver<u64>>,
    generation: AtomicU64,
    drain: Duration,
    left: CancellationToken,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.voice.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(error, reason);
    }
}

impl ConsumerContext for Listener {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let changed = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.given(consumer, list)
        } else {
            self.taken(consumer.assignment_lost());
            consumer.unassign()
        };
        if let Err(error) = changed {
            tracing::error!(target: "kafka", %error, "a share of the partitions could not be taken or given back");
        }
    }
}

impl Listener {
    fn given(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &mut TopicPartitionList,
    ) -> rdkafka::error::KafkaResult<()> {
        // Held, but not read here: the reader does, from where SQL says.
        list.set_all_offsets(At::End)?;
        consumer.assign(list)?;
        consumer.pause(list)?;
        let mut partitions: Vec<Partition> =
            list.elements().iter().filter_map(|it| u32::try_from(it.partition()).ok()).collect();
        partitions.sort_unstable();
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        tracing::info!(target: "kafka", generation, ?partitions, "consuming");
        self.shares.send_replace(Share::Consuming { generation, partitions: partitions.into() });
        Ok(())
    }

    /// Waits until what is in hand is done. A share that is lost already is waited for no more: others have it.
    fn taken(&self, lost: bool) {
        let Share::Consuming { generation, .. } = *self.shares.borrow() else { return };
        let started = Instant::now();
        let until = if lost { started } else { started + self.drain };
        self.shares.send_replace(Share::Draining { generation, until });
        let completed = self.completed.lock();
        let mut done = false;
        while !done && !self.left.is_cancelled() && Instant::now() < until {
            let wait = until.saturating_duration_since(Instant::now()).min(POLL);
            done = completed.recv_timeout(wait).is_ok_and(|of| of == generation);
        }
        metrics::histogram!("qgx_broker_drain_seconds").record(started.elapsed());
        if !done && !self.left.is_cancelled() {
            metrics::counter!("qgx_broker_fenced_total").increment(1);
            tracing::warn!(target: "kafka", generation, lost, "partitions were given up with records in hand; they are processed again");
        }
        self.shares.send_replace(Share::Waiting);
    }
}

/// Joins a group. The thread ends when the membership is dropped or `stop` is cancelled.
pub fn join(
    options: &KafkaOptions,
    group: &str,
    topic: Topic,
    groups: &Arc<Groups>,
    voice: Voice,
    stop: &CancellationToken,
) -> Result<Membership, BrokerError> {
    let left = stop.child_token();
    let (shares, told) = watch::channel(Share::Waiting);
    let (complete, completed) = channel();
    let listener = Listener {
        voice: voice.clone(),
        shares,
        completed: Mutex::new(completed),
        generation: AtomicU64::new(0),
        drain: options.drain_timeout,
        left: left.clone(),
    };
    let mut config = options.consumer(group);
    let patience = options.drain_timeout * 2 + SESSION;
    config
        // Cooperative assignors with manual commits were seen to lose the order of events.
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", SESSION.as_millis().to_string())
        .set("heartbeat.interval.ms", "2000")
        .set("max.poll.interval.ms", patience.as_millis().to_string());
    let failed = |error| voice.failed(&format!("the group {group} cannot be joined"), &error);
    let consumer: BaseConsumer<Listener> = config.create_with_context(listener).map_err(failed)?;
    consumer.subscribe(&[&options.topic(topic)]).map_err(failed)?;
    let consumer = Arc::new(consumer);
    groups.joined(group, topic, Arc::clone(&consumer));
    let (token, groups, group) = (left.clone(), Arc::clone(groups), group.to_owned());
    let run = move || {
        while !token.is_cancelled() {
            // It reads nothing; what slipped in before the pause is read by the reader too.
            let _ = consumer.poll(POLL);
        }
        groups.left(&group, topic);
        consumer.unsubscribe();
        let deadline = Instant::now() + SESSION;
        while consumer.assignment().is_ok_and(|it| it.count() > 0) && Instant::now() < deadline {
            let _ = consumer.poll(POLL);
        }
    };
    thread::Builder::new()
        .name("kafka-member".to_owned())
        .spawn(run)
        .map_err(|error| BrokerError::Failed(format!("a thread cannot be started: {error}")))?;
    Ok(Membership::shared(told, complete, left))
}
