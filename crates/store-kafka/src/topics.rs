//! Topics: made by an explicit step, checked at each start.

use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use std::thread;
use std::time::{Duration, Instant};
use store::broker::{BrokerError, Topic};

use crate::options::{KafkaOptions, MAX_RECORD_BYTES};
use crate::voice::Voice;

/// How long the news of a topic may take to reach all servers.
const SPREAD: Duration = Duration::from_secs(3);

/// The live bus is small and every process reads all of it; this many are never grown.
const LIVE_PARTITIONS: u32 = 3;
/// What is live is over in seconds; so much is kept for a look at what went by.
const LIVE_RETENTION: Duration = Duration::from_secs(600);

/// So many servers in a row must know of a topic before it counts as made.
const LOOKS: u32 = 5;

/// What became of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// It was missing.
    Created {
        /// Its name.
        topic: String,
        /// How many it has.
        partitions: u32,
    },
    /// It had fewer partitions than asked for. Sources move to other partitions: what was sent before and after
    /// may be processed in another order, so grow while nothing waits to be processed.
    Grown {
        /// Its name.
        topic: String,
        /// How many it had.
        from: u32,
        /// How many it has.
        to: u32,
    },
    /// It was there, with at least as many partitions. Its settings are left as they are.
    Kept {
        /// Its name.
        topic: String,
        /// How many it has.
        partitions: u32,
    },
}

/// Makes the topics that are missing, with the partitions, copies and retention of the options, and gives those that
/// have too few partitions more of them. Never takes anything away. A second run changes nothing.
///
/// # Errors
/// [`BrokerError::Failed`] with the cluster's reason: not reachable, not allowed, fewer servers than copies.
pub async fn ensure_topics(options: &KafkaOptions) -> Result<Vec<Ensured>, BrokerError> {
    let voice = Voice::default();
    let admin: AdminClient<Voice> = options
        .client()
        .create_with_context(voice.clone())
        .map_err(|error| voice.failed("the Kafka client cannot be set up", &error))?;
    let live = Wanted { name: options.live_topic(), partitions: LIVE_PARTITIONS, retention: LIVE_RETENTION };
    let mut ensured = Vec::new();
    for wanted in Topic::ALL.into_iter().map(|topic| Wanted::of(options, topic)).chain([live]) {
        let outcome = ensure(&admin, &voice, options, &wanted).await?;
        // A new topic is known to all servers a moment later.
        if let Ensured::Created { partitions, .. } | Ensured::Grown { to: partitions, .. } = &outcome {
            await_partitions(options, &wanted.name, *partitions).await?;
        }
        ensured.push(outcome);
    }
    Ok(ensured)
}

/// A topic as it should be.
struct Wanted {
    name: String,
    partitions: u32,
    retention: Duration,
}

impl Wanted {
    fn of(options: &KafkaOptions, topic: Topic) -> Self {
        let retention = match topic {
            Topic::Events => options.retention,
            Topic::DeadLetters => options.dead_letter_retention,
        };
        Self { name: options.topic(topic), partitions: options.partitions, retention }
    }
}

async fn ensure(
    admin: &AdminClient<Voice>,
    voice: &Voice,
    options: &KafkaOptions,
    wanted: &Wanted,
) -> Result<Ensured, BrokerError> {
    let Wanted { name, partitions, retention } = wanted;
    let (retention, largest) = (retention.as_millis().to_string(), MAX_RECORD_BYTES.to_string());
    let in_sync = options.min_in_sync.min(options.replication).to_string();
    let copies = i32::try_from(options.replication).unwrap_or(i32::MAX);
    let count = i32::try_from(*partitions).unwrap_or(i32::MAX);
    let new = NewTopic::new(name, count, TopicReplication::Fixed(copies))
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention)
        .set("retention.bytes", "-1")
        .set("max.message.bytes", &largest)
        .set("min.insync.replicas", &in_sync)
        // Age is counted from arrival, whatever the clocks of the senders say.
        .set("message.timestamp.type", "LogAppendTime");
    let asked = AdminOptions::new()
        .request_timeout(Some(options.request_timeout))
        .operation_timeout(Some(options.request_timeout));
    let what = format!("the topic {name} cannot be made");
    let outcomes = admin.create_topics([&new], &asked).await.map_err(|error| voice.failed(&what, &error))?;
    match outcomes.into_iter().next() {
        Some(Ok(_)) => Ok(Ensured::Created { topic: name.clone(), partitions: *partitions }),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
            grow(admin, voice, options, wanted, &asked).await
        }
        Some(Err((_, code))) => Err(BrokerError::Failed(format!("{what}: {code}{}", advice(code)))),
        None => Err(BrokerError::Failed(format!("{what}: the cluster did not answer"))),
    }
}

async fn grow(
    admin: &AdminClient<Voice>,
    voice: &Voice,
    options: &KafkaOptions,
    wanted: &Wanted,
    asked: &AdminOptions,
) -> Result<Ensured, BrokerError> {
    let (name, wanted) = (wanted.name.clone(), wanted.partitions);
    let has = partitions(options, &name).await?;
    if has >= wanted {
        return Ok(Ensured::Kept { topic: name, partitions: has });
    }
    let what = format!("the topic {name} cannot get more partitions");
    let more = NewPartitions::new(&name, wanted as usize);
    let outcomes =
        admin.create_partitions([&more], asked).await.map_err(|error| voice.failed(&what, &error))?;
    match outcomes.into_iter().next() {
        // It has as many already; the server asked had not heard of it yet.
        Some(Err((_, RDKafkaErrorCode::InvalidPartitions))) => {
            Ok(Ensured::Kept { topic: name, partitions: wanted })
        }
        Some(Err((_, code))) => Err(BrokerError::Failed(format!("{what}: {code}{}", advice(code)))),
        Some(Ok(_)) | None => Ok(Ensured::Grown { topic: name, from: has, to: wanted }),
    }
}

fn advice(code: RDKafkaErrorCode) -> &'static str {
    match code {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            " (fewer servers than copies: start more, or set the replication lower)"
        }
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            " (this user may not make topics: let an operator run `qgx migrate`, or allow Create)"
        }
        _ => "",
    }
}

/// How many partitions a topic has.
async fn partitions(options: &KafkaOptions, topic: &str) -> Result<u32, BrokerError> {
    let (options, topic) = (options.clone(), topic.to_owned());
    let look = move || {
        let voice = Voice::default();
        let client: BaseConsumer<Voice> = options
            .client()
            .create_with_context(voice.clone())
            .map_err(|error| voice.failed("the Kafka client cannot be set up", &error))?;
        named_soon(&client, &voice, &options, &topic)
    };
    let looked = telemetry::spawn_blocking_named("kafka-partitions", look).await;
    looked.unwrap_or_else(|error| Err(BrokerError::Failed(error.to_string())))
}

async fn await_partitions(options: &KafkaOptions, topic: &str, wanted: u32) -> Result<(), BrokerError> {
    let settled = async {
        // Each look is a new client's, at any of the servers.
        let mut known = 0;
        while known < LOOKS {
            let seen = partitions(options, topic).await.is_ok_and(|has| has >= wanted);
            known = if seen { known + 1 } else { 0 };
            if !seen {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    tokio::time::timeout(options.request_timeout, settled)
        .await
        .map_err(|_| BrokerError::Failed(format!("the topic {topic} was made but is not served yet")))
}

/// How many partitions a topic has, waiting a moment for one that was made just now: not every server knows of it at
/// once. Blocks.
pub fn count_soon(
    client: &BaseConsumer<Voice>,
    voice: &Voice,
    options: &KafkaOptions,
    topic: Topic,
) -> Result<u32, BrokerError> {
    named_soon(client, voice, options, &options.topic(topic))
}

fn named_soon(
    client: &BaseConsumer<Voice>,
    voice: &Voice,
    options: &KafkaOptions,
    topic: &str,
) -> Result<u32, BrokerError> {
    let deadline = Instant::now() + SPREAD;
    loop {
        match count_named(client, voice, options, topic) {
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => thread::park_timeout(Duration::from_millis(200)),
            counted => return counted,
        }
    }
}

/// How many partitions the topic of a name has. Blocks.
pub fn count_named(
    client: &BaseConsumer<Voice>,
    voice: &Voice,
    options: &KafkaOptions,
    name: &str,
) -> Result<u32, BrokerError> {
    let metadata = client.fetch_metadata(Some(name), options.request_timeout).map_err(|error| {
        // What the client complained of waits in its queue.
        Voice::listen(client, Duration::from_millis(300));
        voice.failed(&format!("Kafka at {} does not answer", options.bootstrap), &error)
    })?;
    let found = metadata.topics().iter().find(|it| it.name() == name);
    let found = found.filter(|it| it.error().is_none() && !it.partitions().is_empty());
    let Some(found) = found else {
        return Err(BrokerError::Failed(format!(
            "the topic {name} is missing on {}: run `qgx migrate`",
            options.bootstrap
        )));
    };
    Ok(u32::try_from(found.partitions().len()).unwrap_or(u32::MAX))
}

/// How long the cluster keeps events, whatever our settings say; `None` where it keeps them for ever or does not tell.
pub async fn kept_for(options: &KafkaOptions) -> Option<Duration> {
    let admin: AdminClient<Voice> = options.client().create_with_context(Voice::default()).ok()?;
    let name = options.topic(Topic::Events);
    let asked = AdminOptions::new().request_timeout(Some(options.request_timeout));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(&name)], &asked).await.ok()?;
    let value = described.into_iter().next()?.ok()?.get("retention.ms")?.value.clone()?;
    value.parse().ok().map(Duration::from_millis)
}
