//! What every [`Broker`] must do, whatever it runs on: one suite for the embedded log, Kafka and memory.
//!
//! A check panics with what it saw; an implementation's test calls [`run`].

#![expect(clippy::unwrap_used, reason = "a check fails by panicking, as in any test")]

use async_trait::async_trait;
use bytes::Bytes;
use domain::{SourceKey, TenantId, Timestamp};
use futures::future::{join, join_all};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Broker, BrokerError, NewRecord, Offset, Origin, Partition, Record, Route, Topic};

/// Nothing in the suite takes longer on a working broker.
const DEADLINE: Duration = Duration::from_secs(30);
const NO_WAIT: Duration = Duration::ZERO;
const MIB: usize = 1024 * 1024;
const DAY_NANOS: i64 = 24 * 3600 * 1_000_000_000;

/// What not every implementation can show in a test.
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    /// [`Broker::enforce_retention`] removes at once what is older than the retention (at most 30 days) at the `now`
    /// it is given. Kafka removes by its own clock.
    pub retention: bool,
}

/// Makes the brokers under test.
#[async_trait]
pub trait Setup: Send + Sync {
    /// What it can show.
    fn abilities(&self) -> Abilities;
    /// A broker with empty topics.
    async fn fresh(&self) -> Arc<dyn Broker>;
    /// The same topics through a new connection or process, after `broker` was closed; `None` where nothing outlives
    /// the value.
    async fn reopen(&self, broker: Arc<dyn Broker>) -> Option<Arc<dyn Broker>>;
}

/// Runs every check, each on a fresh broker.
///
/// # Panics
/// Where the broker does not conform.
pub async fn run(setup: &dyn Setup) {
    keeps_the_order_of_each_route(&*setup.fresh().await).await;
    keeps_what_was_given(&*setup.fresh().await).await;
    keeps_topics_apart(&*setup.fresh().await).await;
    takes_an_empty_append(&*setup.fresh().await).await;
    fetches_by_bytes_and_at_least_one(&*setup.fresh().await).await;
    fetches_big_records(&*setup.fresh().await).await;
    wakes_a_waiting_fetch(&*setup.fresh().await).await;
    ends_an_idle_fetch(&*setup.fresh().await).await;
    scans_beside_a_reader(&*setup.fresh().await).await;
    scans_what_was_appended_just_now(&*setup.fresh().await).await;
    keeps_each_appender_in_order(&*setup.fresh().await).await;
    tells_where_groups_stand(&*setup.fresh().await).await;
    counts_stored_bytes(&*setup.fresh().await).await;
    if setup.abilities().retention {
        keeps_what_a_group_needs(&*setup.fresh().await).await;
        keeps_what_is_young(&*setup.fresh().await).await;
        keeps_what_nobody_has_read(&*setup.fresh().await).await;
    }
    keeps_everything_when_reopened(setup).await;
    refuses_when_closed(&*setup.fresh().await).await;
}

/// The route of a source of the suite's tenant.
pub fn route(source: &str) -> Arc<Route> {
    Arc::new(Route {
        tenant: TenantId::new("t_conformance").unwrap(),
        source: SourceKey::new(source).unwrap(),
        class: "30d".into(),
        group: 1,
        protocol: "ndjson".into(),
    })
}

/// Records of one source whose payload is their number.
pub fn numbered(source: &str, numbers: Range<u64>) -> Vec<NewRecord> {
    let route = route(source);
    let record = |number: u64| NewRecord {
        route: Arc::clone(&route),
        origin: Origin::Unmarked,
        token: 0,
        payload: Bytes::from(number.to_string()),
    };
    numbers.map(record).collect()
}

/// Everything of a partition from an offset to the end, by as many fetches as it takes.
///
/// # Panics
/// Where a fetch fails, has a gap, or the deadline passes.
pub async fn drain(broker: &dyn Broker, topic: Topic, partition: Partition, from: Offset) -> Vec<Record> {
    let started = Instant::now();
    let mut records: Vec<Record> = Vec::new();
    loop {
        assert!(started.elapsed() < DEADLINE, "draining partition {partition} takes too long");
        let next = from + records.len() as u64;
        let fetched = broker.fetch(topic, partition, next, MIB, NO_WAIT).await.unwrap();
        for (record, expect) in fetched.records.iter().zip(next..) {
            assert_eq!(record.offset, expect, "offsets have no gaps");
        }
        records.extend(fetched.records);
        if from + records.len() as u64 >= fetched.end {
            return records;
        }
    }
}

async fn drain_all(broker: &dyn Broker, topic: Topic) -> Vec<(Partition, Record)> {
    let mut all = Vec::new();
    for partition in 0..broker.partitions(topic) {
        all.extend(drain(broker, topic, partition, 0).await.into_iter().map(|record| (partition, record)));
    }
    all
}

fn number(record: &Record) -> u64 {
    std::str::from_utf8(&record.payload).unwrap().parse().unwrap()
}

fn partition_of(broker: &dyn Broker, source: &str) -> Partition {
    route(source).partition(broker.partitions(Topic::Events))
}

/// Every source's numbers must be `expect` in order, all in the source's own partition.
async fn check_order(broker: &dyn Broker, expect: &BTreeMap<String, Vec<u64>>) {
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (partition, record) in drain_all(broker, Topic::Events).await {
        let source = record.route.source.as_str();
        assert_eq!(partition, partition_of(broker, source), "{source} stands in its own partition");
        seen.entry(source.to_owned()).or_default().push(number(&record));
    }
    assert_eq!(&seen, expect);
}

async fn keeps_the_order_of_each_route(broker: &dyn Broker) {
    let mut expect: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for call in 0..20 {
        let mut records = Vec::new();
        for source in 0..7 {
            let source = format!("pump-{source}");
            let numbers = call * 3..call * 3 + 3;
            expect.entry(source.clone()).or_default().extend(numbers.clone());
            records.extend(numbered(&source, numbers));
        }
        broker.append(Topic::Events, records).await.unwrap();
    }
    check_order(broker, &expect).await;
}

async fn keeps_what_was_given(broker: &dyn Broker) {
    let stream = |stream: &str, sequence| Origin::Stream { stream: stream.into(), sequence };
    let table = [
        ("펌프 1호기", Origin::Unmarked, 0, "온도 81.2 ㅋㅋ".as_bytes()),
        ("펌프 1호기", stream("boot-7", 1), 7, b"one"),
        ("펌프 1호기", stream("boot-7", 2), 7, b"two"),
        ("펌프 1호기", stream("boot-7", u64::MAX), 7, b"far ahead"),
        ("펌프 1호기", stream("boot-7", 3), 7, b"back again"),
        ("펌프 1호기", stream("부트-8", 4), u64::MAX, b"another stream"),
        ("PUMP-1", Origin::Given("주문/42".into()), 9, b"\0\xff\n bytes"),
        ("pump-1", Origin::Given("".into()), 9, b""),
        ("pump-1", Origin::Given("x".into()), 9, b"\r\n"),
    ];
    let records: Vec<_> = table
        .iter()
        .map(|(source, origin, token, payload)| NewRecord {
            route: Arc::new(Route {
                tenant: TenantId::new("t_8f2k").unwrap(),
                source: SourceKey::new(source).unwrap(),
                class: if *token == 9 { "1y" } else { "7d" }.into(),
                group: u16::MAX,
                protocol: "qgx".into(),
            }),
            origin: origin.clone(),
            token: *token,
            payload: Bytes::from_static(payload),
        })
        .collect();
    broker.append(Topic::Events, records.clone()).await.unwrap();

    let seen = drain_all(broker, Topic::Events).await;
    assert_eq!(seen.len(), records.len());
    for source in ["펌프 1호기", "PUMP-1", "pump-1"] {
        let expect = records.iter().filter(|it| it.route.source.as_str() == source);
        let seen = seen.iter().map(|(_, record)| record).filter(|it| it.route.source.as_str() == source);
        for (seen, expect) in seen.zip(expect) {
            assert_eq!(seen.route, expect.route);
            assert_eq!(seen.origin, expect.origin);
            assert_eq!(seen.token, expect.token);
            assert_eq!(seen.payload, expect.payload);
        }
    }
}

async fn keeps_topics_apart(broker: &dyn Broker) {
    broker.append(Topic::Events, numbered("pump-1", 0..2)).await.unwrap();
    broker.append(Topic::DeadLetters, numbered("pump-1", 5..6)).await.unwrap();
    let numbers = |all: Vec<(Partition, Record)>| all.iter().map(|(_, it)| number(it)).collect::<Vec<_>>();
    assert_eq!(numbers(drain_all(broker, Topic::Events).await), [0, 1]);
    assert_eq!(numbers(drain_all(broker, Topic::DeadLetters).await), [5]);
}

async fn takes_an_empty_append(broker: &dyn Broker) {
    broker.append(Topic::Events, Vec::new()).await.unwrap();
    assert!(drain_all(broker, Topic::Events).await.is_empty());
}

async fn fetches_by_bytes_and_at_least_one(broker: &dyn Broker) {
    const EACH: usize = 1000;
    let mut records = numbered("pump-1", 0..10);
    for record in &mut records {
        record.payload = Bytes::from(vec![b'x'; EACH]);
    }
    broker.append(Topic::Events, records).await.unwrap();
    let partition = partition_of(broker, "pump-1");
    for (max_bytes, at_most) in [(0, 1), (1, 1), (3 * EACH, 3 + 1), (MIB, 10)] {
        for from in [0, 4, 9] {
            let fetched = broker.fetch(Topic::Events, partition, from, max_bytes, DEADLINE).await.unwrap();
            let count = fetched.records.len();
            assert!((1..=at_most).contains(&count), "{count} records from {from} for {max_bytes} bytes");
            assert_eq!(fetched.records[0].offset, from);
            assert_eq!(fetched.end, 10);
        }
    }
}

async fn fetches_big_records(broker: &dyn Broker) {
    let mut records = numbered("pump-1", 0..3);
    let big: Vec<u8> = (0..8 * MIB).map(|at| (at % 251) as u8).collect();
    records[1].payload = Bytes::from(big.clone());
    broker.append(Topic::Events, records).await.unwrap();
    let seen = drain(broker, Topic::Events, partition_of(broker, "pump-1"), 0).await;
    assert_eq!(seen.len(), 3);
    assert!(seen[1].payload == big, "a record of 8 MiB comes back as it was");
    assert_eq!(number(&seen[2]), 2);
}

async fn wakes_a_waiting_fetch(broker: &dyn Broker) {
    let started = Instant::now();
    let partition = partition_of(broker, "pump-1");
    let fetch = broker.fetch(Topic::Events, partition, 0, MIB, DEADLINE);
    let append = async {
        // Lets the fetch find nothing first.
        tokio::task::yield_now().await;
        broker.append(Topic::Events, numbered("pump-1", 0..1)).await.unwrap();
    };
    let (fetched, ()) = join(fetch, append).await;
    assert_eq!(fetched.unwrap().records.len(), 1);
    assert!(started.elapsed() < DEADLINE / 2, "the append wakes the fetch, not its deadline");
}

async fn ends_an_idle_fetch(broker: &dyn Broker) {
    broker.append(Topic::Events, numbered("pump-1", 0..2)).await.unwrap();
    let partition = partition_of(broker, "pump-1");
    let started = Instant::now();
    let wait = Duration::from_millis(50);
    let fetched = broker.fetch(Topic::Events, partition, 2, MIB, wait).await.unwrap();
    assert!(fetched.records.is_empty());
    assert_eq!(fetched.end, 2);
    assert!(started.elapsed() >= wait, "it waited for a first record");
}

/// Two that read one partition at different offsets, turn by turn, one of them by scans. A reader that each scan sent
/// elsewhere would not be through in time.
async fn scans_beside_a_reader(broker: &dyn Broker) {
    const RECORDS: u64 = 2_000;
    broker.append(Topic::Events, numbered("pump-1", 0..RECORDS)).await.unwrap();
    let partition = partition_of(broker, "pump-1");
    let (mut fetched, mut scanned) = (0, 0);
    let started = Instant::now();
    while fetched < RECORDS {
        assert!(started.elapsed() < DEADLINE, "the two hinder each other: {fetched} read, {scanned} scanned");
        let read = broker.fetch(Topic::Events, partition, fetched, 40, DEADLINE).await.unwrap();
        for record in &read.records {
            assert_eq!(
                (record.offset, number(record)),
                (fetched, fetched),
                "the reader goes on where it was"
            );
            fetched += 1;
        }
        let read = broker.scan(Topic::Events, partition, scanned, 30).await.unwrap();
        assert!(!read.records.is_empty(), "something stands from {scanned} to {}", read.end);
        assert_eq!(read.end, RECORDS);
        for record in &read.records {
            assert_eq!((record.offset, number(record)), (scanned, scanned));
            scanned += 1;
        }
        // From its beginning again: the reader is never where the scan is.
        scanned = if scanned >= RECORDS { 0 } else { scanned };
    }
    let beyond = broker.scan(Topic::Events, partition, RECORDS, MIB).await.unwrap();
    assert!(beyond.records.is_empty() && beyond.end == RECORDS, "{beyond:?}");
}

async fn scans_what_was_appended_just_now(broker: &dyn Broker) {
    let partition = partition_of(broker, "pump-1");
    let ends = async |expect: u64| {
        let ends = broker.ends(Topic::Events).await.unwrap();
        assert_eq!(ends.len(), broker.partitions(Topic::Events) as usize);
        assert_eq!(ends[partition as usize], expect);
        assert_eq!(ends.iter().sum::<u64>(), expect, "the other partitions are empty");
    };
    ends(0).await;
    for round in 0..3 {
        broker.append(Topic::Events, numbered("pump-1", round..round + 1)).await.unwrap();
        ends(round + 1).await;
        let mut numbers = Vec::new();
        // A scan may end where a file does.
        while numbers.len() as u64 <= round {
            let from = numbers.len() as u64;
            let scan = broker.scan(Topic::Events, partition, from, MIB).await.unwrap();
            assert!(!scan.records.is_empty(), "something stands at {from}");
            assert_eq!(scan.end, round + 1, "no end of a moment ago");
            numbers.extend(scan.records.iter().map(number));
        }
        assert_eq!(numbers, (0..=round).collect::<Vec<_>>());
    }
}

async fn keeps_each_appender_in_order(broker: &dyn Broker) {
    let appender = |source: String| async move {
        // All calls are made before the first is awaited: order is that of the calls.
        let appends: Vec<_> = (0..50)
            .map(|number| broker.append(Topic::Events, numbered(&source, number..number + 1)))
            .collect();
        for append in appends {
            append.await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let sources: Vec<_> = (0..8).map(|source| format!("appender-{source}")).collect();
    join_all(sources.iter().cloned().map(appender)).await;
    check_order(broker, &sources.into_iter().map(|source| (source, (0..50).collect())).collect()).await;
}

async fn tells_where_groups_stand(broker: &dyn Broker) {
    let before = Timestamp::now();
    let partition = partition_of(broker, "pump-1");
    let mut records = numbered("pump-1", 0..10);
    for record in &mut records {
        record.payload = Bytes::from(vec![b'x'; 500]);
    }
    broker.append(Topic::Events, records).await.unwrap();
    let lag_of = |group: &'static str| async move {
        let all = broker.lag(group, Topic::Events).await.unwrap();
        assert_eq!(all.len(), broker.partitions(Topic::Events) as usize);
        for (lag, expect) in all.iter().zip(0..) {
            assert_eq!(lag.partition, expect);
            if expect != partition {
                assert_eq!((lag.end, lag.oldest_uncommitted, lag.bytes), (0, None, 0), "an empty partition");
            }
        }
        all[partition as usize]
    };

    assert_eq!(broker.committed("processor", Topic::Events, partition).await.unwrap(), 0);
    let untouched = lag_of("processor").await;
    assert_eq!((untouched.committed, untouched.end), (0, 10));
    assert!(untouched.bytes >= 5000, "{untouched:?}");

    broker.commit("processor", Topic::Events, partition, 4).await.unwrap();
    broker.commit("other", Topic::Events, partition, 10).await.unwrap();
    assert_eq!(broker.committed("processor", Topic::Events, partition).await.unwrap(), 4);
    let behind = lag_of("processor").await;
    assert_eq!((behind.committed, behind.end), (4, 10));
    let oldest = behind.oldest_uncommitted.expect("six records are not committed");
    // Brokers keep milliseconds.
    let known = before.plus_nanos(-1_000_000)..=Timestamp::now().plus_nanos(1_000_000);
    assert!(known.contains(&oldest), "{oldest:?} not in {known:?}");
    assert!(behind.bytes > 0 && behind.bytes < untouched.bytes, "{behind:?}");

    let done = lag_of("other").await;
    assert_eq!((done.committed, done.end, done.oldest_uncommitted, done.bytes), (10, 10, None, 0));
    assert_eq!(broker.committed("processor", Topic::DeadLetters, partition).await.unwrap(), 0);
}

async fn counts_stored_bytes(broker: &dyn Broker) {
    let before = broker.stored_bytes().await.unwrap();
    let mut records = numbered("pump-1", 0..1);
    // Noise, so that compression changes nothing.
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    records[0].payload = (0..100_000).map(|_| noise()).collect::<Vec<_>>().into();
    broker.append(Topic::Events, records).await.unwrap();
    let grown = broker.stored_bytes().await.unwrap() - before;
    assert!(grown >= 100_000, "{grown}");
}

async fn keeps_what_a_group_needs(broker: &dyn Broker) {
    let partition = partition_of(broker, "pump-1");
    let later = Timestamp::now().plus_nanos(400 * DAY_NANOS);
    broker.append(Topic::Events, numbered("pump-1", 0..6)).await.unwrap();
    broker.commit("slow", Topic::Events, partition, 0).await.unwrap();
    broker.commit("fast", Topic::Events, partition, 6).await.unwrap();
    assert_eq!(broker.enforce_retention(later).await.unwrap(), 0);
    assert_eq!(drain(broker, Topic::Events, partition, 0).await.len(), 6);

    broker.commit("slow", Topic::Events, partition, 6).await.unwrap();
    assert_eq!(broker.enforce_retention(later).await.unwrap(), 6);
    let gone = broker.fetch(Topic::Events, partition, 0, MIB, NO_WAIT).await;
    assert!(
        matches!(gone, Err(BrokerError::OutOfRange { asked: 0, earliest: 6 })),
        "a removed offset is refused: {gone:?}"
    );
    let gone = broker.scan(Topic::Events, partition, 0, MIB).await;
    assert!(matches!(gone, Err(BrokerError::OutOfRange { asked: 0, earliest: 6 })), "{gone:?}");

    broker.append(Topic::Events, numbered("pump-1", 6..8)).await.unwrap();
    let seen = drain(broker, Topic::Events, partition, 6).await;
    assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), [6, 7], "offsets go on after retention");
}

async fn keeps_what_is_young(broker: &dyn Broker) {
    let partition = partition_of(broker, "pump-1");
    broker.append(Topic::Events, numbered("pump-1", 0..6)).await.unwrap();
    broker.commit("fast", Topic::Events, partition, 6).await.unwrap();
    assert_eq!(broker.enforce_retention(Timestamp::now()).await.unwrap(), 0);
    assert_eq!(drain(broker, Topic::Events, partition, 0).await.len(), 6);
}

async fn keeps_what_nobody_has_read(broker: &dyn Broker) {
    let partition = partition_of(broker, "pump-1");
    let after = |days: i64| Timestamp::now().plus_nanos(days * DAY_NANOS);
    broker.append(Topic::Events, numbered("pump-1", 0..3)).await.unwrap();
    broker.append(Topic::DeadLetters, numbered("pump-1", 0..2)).await.unwrap();
    assert_eq!(broker.enforce_retention(after(29)).await.unwrap(), 0, "letters are kept for a month");
    assert_eq!(drain(broker, Topic::DeadLetters, partition, 0).await.len(), 2);
    assert_eq!(broker.enforce_retention(after(400)).await.unwrap(), 2, "letters need no group to go");
    assert_eq!(drain(broker, Topic::Events, partition, 0).await.len(), 3, "events wait for a first group");
}

async fn keeps_everything_when_reopened(setup: &dyn Setup) {
    let broker = setup.fresh().await;
    let partition = partition_of(&*broker, "pump-1");
    let partitions = broker.partitions(Topic::Events);
    broker.append(Topic::Events, numbered("pump-1", 0..100)).await.unwrap();
    broker.append(Topic::DeadLetters, numbered("pump-1", 0..3)).await.unwrap();
    broker.commit("processor", Topic::Events, partition, 40).await.unwrap();
    broker.close().await.unwrap();

    let Some(broker) = setup.reopen(broker).await else { return };
    assert_eq!(broker.partitions(Topic::Events), partitions);
    assert_eq!(broker.committed("processor", Topic::Events, partition).await.unwrap(), 40);
    broker.append(Topic::Events, numbered("pump-1", 100..110)).await.unwrap();
    let seen = drain(&*broker, Topic::Events, partition, 0).await;
    assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), (0..110).collect::<Vec<_>>());
    assert_eq!(drain_all(&*broker, Topic::DeadLetters).await.len(), 3);
}

async fn refuses_when_closed(broker: &dyn Broker) {
    broker.append(Topic::Events, numbered("pump-1", 0..1)).await.unwrap();
    let partition = partition_of(broker, "pump-1");
    let waiting = broker.fetch(Topic::Events, partition, 1, MIB, DEADLINE);
    let closing = async {
        tokio::task::yield_now().await;
        broker.close().await.unwrap();
    };
    let started = Instant::now();
    let (waiting, ()) = join(waiting, closing).await;
    assert!(matches!(waiting, Err(BrokerError::Closed)), "{waiting:?}");
    assert!(started.elapsed() < DEADLINE / 2, "closing ends a waiting fetch");

    let append = broker.append(Topic::Events, numbered("pump-1", 1..2)).await;
    assert!(matches!(append, Err(BrokerError::Closed)), "{append:?}");
    let fetch = broker.fetch(Topic::Events, partition, 0, MIB, NO_WAIT).await;
    assert!(matches!(fetch, Err(BrokerError::Closed)), "{fetch:?}");
    let scan = broker.scan(Topic::Events, partition, 0, MIB).await;
    assert!(matches!(scan, Err(BrokerError::Closed)), "{scan:?}");
    let commit = broker.commit("processor", Topic::Events, partition, 1).await;
    assert!(matches!(commit, Err(BrokerError::Closed)), "{commit:?}");
    broker.close().await.expect("closing twice is no error");
}
