//! Copying events and records from one engine to another, and comparing what came.

use super::engines::Engines;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use domain::event::StoredEvent;
use domain::query::Query;
use domain::{EventId, SourceKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;
use store::backup::Offsets;
use store::broker::{Broker, BrokerError, NewRecord, Offset, Origin, Partition, Record, Topic};
use store::index::{EventIndex, IndexName, ReadLimit};
use store::sql::{Accounts, Pipeline};
use store_sql::SqlDatabase;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400_000_000_000;
/// Bytes read from a log together.
const FETCH_BYTES: usize = 4 << 20;
/// How long a question to an index may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an index may need until it shows what was loaded.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);
/// Days asked for in one question.
const DAYS_A_QUESTION: usize = 200;
/// Events compared byte for byte, at most.
const SAMPLES: usize = 500;

/// Events of each tenant and day of `ts` (days since 1970-01-01, UTC).
pub type Days = BTreeMap<String, BTreeMap<i64, u64>>;

/// What was copied of one index.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Copied {
    /// Events.
    pub events: u64,
    /// By tenant and day.
    pub days: Days,
}

/// Which events of an index are copied.
pub struct Choice {
    /// Only those of these tenants: the others are removed.
    pub tenants: HashSet<String>,
    /// Only those received before.
    pub before: Timestamp,
    /// Not these: they come again by the log.
    pub but: HashSet<EventId>,
}

impl Choice {
    /// All events of the tenants that a database has.
    ///
    /// # Errors
    /// As the database.
    pub async fn of(sql: &SqlDatabase) -> Result<Self> {
        let tenants = sql.tenants().await?.into_iter().map(|tenant| tenant.key.as_str().to_owned()).collect();
        Ok(Self { tenants, before: Timestamp::from_nanos(i64::MAX), but: HashSet::new() })
    }

    fn takes(&self, event: &StoredEvent<'_>) -> bool {
        event.received_at < self.before
            && self.tenants.contains(event.tenant.as_ref())
            && !self.but.contains(&event.id)
    }
}

/// An event to be looked for after a copy.
pub struct Sample {
    tenant: TenantId,
    id: EventId,
    json: Bytes,
}

/// Copies an index; a few of its events go to `samples`.
///
/// # Errors
/// As the indexes.
pub async fn copy_index(
    from: &Engines,
    to: &Engines,
    name: IndexName,
    choice: &Choice,
    samples: &mut Vec<Sample>,
) -> Result<Copied> {
    let (sender, mut receiver) = mpsc::channel::<Vec<Bytes>>(4);
    let dump = async { from.events.dump(name, sender).await.map_err(anyhow::Error::from) };
    let load = async {
        let mut copied = Copied::default();
        while let Some(chunk) = receiver.recv().await {
            let mut chosen = Vec::with_capacity(chunk.len());
            for json in chunk {
                let event = StoredEvent::parse(&json).context("an event in the index is unreadable")?;
                if !choice.takes(&event) {
                    continue;
                }
                if chosen.is_empty() && samples.len() < SAMPLES {
                    let tenant = TenantId::new(event.tenant.as_ref())?;
                    samples.push(Sample { tenant, id: event.id, json: json.clone() });
                }
                copied.events += 1;
                let day = event.ts.as_nanos().div_euclid(DAY);
                *copied.days.entry(event.tenant.as_ref().to_owned()).or_default().entry(day).or_default() +=
                    1;
                chosen.push(json);
            }
            if !chosen.is_empty() {
                to.events.load(name, chosen).await?;
            }
        }
        Ok(copied)
    };
    let ((), copied) = futures::try_join!(dump, load)?;
    Ok(copied)
}

/// Adds the days of one index to those of others.
pub fn add(all: &mut Days, more: &Days) {
    for (tenant, days) in more {
        for (day, count) in days {
            *all.entry(tenant.clone()).or_default().entry(*day).or_default() += count;
        }
    }
}

/// Compares the events of each tenant and day with what an index shows, and samples byte for byte. Answers what differs,
/// a line each. An index that shows events a little after they came is waited for.
///
/// # Errors
/// As the index.
pub async fn compare(to: &dyn EventIndex, expected: &Days, samples: &[Sample]) -> Result<Vec<String>> {
    let deadline = Instant::now() + SHOWN_WITHIN;
    let mut differences = loop {
        let differences = compare_now(to, expected).await?;
        if differences.is_empty() || Instant::now() >= deadline {
            break differences;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    for Sample { tenant, id, json } in samples {
        let limit = ReadLimit::within(PATIENCE, CancellationToken::new());
        match to.get(tenant, *id, limit).await? {
            Some(found) if found == *json => {}
            Some(_) => differences.push(format!("event {id}: its bytes differ")),
            None => differences.push(format!("event {id}: is missing")),
        }
    }
    Ok(differences)
}

/// As [`compare`], of the days alone, and at once.
///
/// # Errors
/// As the index.
pub async fn compare_now(to: &dyn EventIndex, expected: &Days) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    for (tenant, days) in expected {
        let key = TenantId::new(tenant)?;
        let listed: Vec<i64> = days.keys().copied().collect();
        for part in listed.chunks(DAYS_A_QUESTION) {
            let edges: BTreeSet<i64> = part.iter().flat_map(|day| [*day, day + 1]).collect();
            let edges: Vec<i64> = edges.into_iter().collect();
            let at = |day: &i64| Timestamp::from_nanos(day.saturating_mul(DAY));
            let limit = ReadLimit::within(PATIENCE, CancellationToken::new());
            let found = to.histogram(&key, Query::all(), edges.iter().map(at).collect(), limit).await?;
            let found: HashMap<i64, u64> = edges
                .iter()
                .enumerate()
                .map(|(bucket, day)| (*day, found.by_level.iter().filter_map(|row| row.get(bucket)).sum()))
                .collect();
            for day in part {
                let (before, now) = (days[day], found.get(day).copied().unwrap_or(0));
                if before != now {
                    let day = at(day).to_string();
                    let day = day.split('T').next().unwrap_or_default();
                    differences.push(format!("{tenant} on {day}: {before} events before, {now} now"));
                }
            }
        }
    }
    Ok(differences)
}

/// Where each partition of a topic ends.
///
/// # Errors
/// As the broker.
pub async fn ends(broker: &dyn Broker, topic: Topic) -> Result<Vec<(Partition, Offset)>> {
    let lags = broker.lag("qgx-copy", topic).await?;
    Ok(lags.into_iter().map(|lag| (lag.partition, lag.end)).collect())
}

/// Reads a topic from SQL's offsets to where it ends now, in an order that is the same whenever it is read again.
///
/// # Errors
/// As the stores, or the taker of the records.
pub async fn read_tail(
    sql: &SqlDatabase,
    broker: &dyn Broker,
    topic: Topic,
    mut take: impl AsyncFnMut(Vec<Record>) -> Result<()>,
) -> Result<()> {
    let offsets: BTreeMap<Partition, Offset> = sql.offsets(topic.name()).await?.into_iter().collect();
    for (partition, end) in ends(broker, topic).await? {
        let mut next = offsets.get(&partition).copied().unwrap_or(0);
        while next < end {
            let fetched = broker.fetch(topic, partition, next, FETCH_BYTES, Duration::from_secs(5)).await;
            let mut records = match fetched {
                Ok(fetched) => fetched.records,
                // Dead letters that went by age; of events nothing goes that is not processed.
                Err(BrokerError::OutOfRange { earliest, .. }) if earliest > next => {
                    next = earliest;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            records.retain(|record| record.offset < end);
            let Some(last) = records.last() else {
                bail!("{} {partition} cannot be read from {next} to {end}", topic.name());
            };
            next = last.offset + 1;
            take(records).await?;
        }
    }
    Ok(())
}

/// Appends what a topic holds beyond SQL's offsets to another broker, each record to the partition of its key there.
/// `starts` is where that broker's partitions ended before the first attempt: what stands behind came by an earlier one,
/// and is not appended again.
///
/// # Errors
/// As the stores.
pub async fn copy_tail(
    sql: &SqlDatabase,
    from: &dyn Broker,
    to: &dyn Broker,
    topic: Topic,
    starts: &Offsets,
) -> Result<u64> {
    let mut there: HashMap<Partition, u64> = HashMap::new();
    for (partition, end) in ends(to, topic).await? {
        let start = starts.get(&(topic, partition)).copied().unwrap_or(0);
        there.insert(partition, end.saturating_sub(start));
    }
    let (partitions, mut copied) = (to.partitions(topic), 0);
    read_tail(sql, from, topic, async |records| {
        let mut fresh = Vec::with_capacity(records.len());
        for Record { route, origin, token, payload, .. } in records {
            match there.get_mut(&route.partition(partitions)) {
                Some(left) if *left > 0 => *left -= 1,
                _ => fresh.push(NewRecord { route, origin, token, payload }),
            }
        }
        copied += fresh.len() as u64;
        append(to, topic, fresh).await
    })
    .await?;
    Ok(copied)
}

async fn append(to: &dyn Broker, topic: Topic, records: Vec<NewRecord>) -> Result<()> {
    loop {
        match to.append(topic, records.clone()).await {
            Ok(()) => return Ok(()),
            // Nothing was stored.
            Err(BrokerError::Busy { retry_after, .. }) => tokio::time::sleep(retry_after).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The ids of events that the processor will index anew when it reads on from SQL's offsets: those of the log's tail but
/// for what it recognises as sent before.
///
/// # Errors
/// As the stores.
pub async fn ids_to_come(sql: &SqlDatabase, broker: &dyn Broker) -> Result<HashSet<EventId>> {
    let mut to_come = HashSet::new();
    let mut positions: HashMap<(TenantId, SourceKey, String), u64> = HashMap::new();
    read_tail(sql, broker, Topic::Events, async |records| {
        for record in records {
            let route = &record.route;
            let known = match &record.origin {
                Origin::Unmarked => false,
                Origin::Stream { stream, sequence } => {
                    let key = (route.tenant.clone(), route.source.clone(), stream.to_string());
                    if !positions.contains_key(&key) {
                        let stored = sql.stream_position(&key.0, &key.1, &key.2).await?;
                        positions.insert(key.clone(), stored);
                    }
                    *sequence <= positions.get(&key).copied().unwrap_or(0)
                }
                Origin::Given(id) => {
                    let key = [(route.tenant.clone(), route.source.clone(), id.to_string())];
                    !sql.known_ids(&key).await?.is_empty()
                }
            };
            if !known && let Ok(event) = StoredEvent::parse(&record.payload) {
                to_come.insert(event.id);
            }
        }
        Ok(())
    })
    .await?;
    Ok(to_come)
}
