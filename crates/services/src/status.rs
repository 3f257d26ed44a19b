//! The pipeline's own figures, in this process: set by ingestion and processor, read by overview, `doctor` and metrics.

use crate::bus::FORGOTTEN;
use domain::{TenantId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A part of the way from a byte to a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// TCP and HTTP in, to the broker.
    Ingestion,
    /// The durable log.
    Broker,
    /// Broker to sinks, as a whole.
    Processor,
    /// The event index.
    Index,
    /// The SQL store.
    Sql,
}

impl Stage {
    /// Every stage, in the order an event passes them.
    pub const ALL: [Self; 5] = [Self::Ingestion, Self::Broker, Self::Processor, Self::Index, Self::Sql];

    /// The name in metrics and in `doctor`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingestion => "ingestion",
            Self::Broker => "broker",
            Self::Processor => "processor",
            Self::Index => "index",
            Self::Sql => "sql",
        }
    }
}

/// What a stage has not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Backlog {
    /// Records waiting.
    pub records: u64,
    /// Their bytes, as far as known.
    pub bytes: u64,
    /// When the oldest of them arrived.
    pub oldest: Option<Timestamp>,
}

/// A stage's figures at an instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageStatus {
    /// Which.
    pub stage: Stage,
    /// Records a second over the last ten seconds.
    pub records_per_sec: f64,
    /// Bytes a second over the last ten seconds.
    pub bytes_per_sec: f64,
    /// Records since the process started.
    pub records: u64,
    /// Bytes since the process started.
    pub bytes: u64,
    /// What waits before it.
    pub backlog: Backlog,
    /// How long the oldest of the backlog has waited.
    pub age: Option<Duration>,
    /// When it last did something.
    pub last_active: Option<Timestamp>,
    /// Why it stands still, while it does: constant text, no customer data.
    pub failing: Option<String>,
}

/// How a process does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its name on the live bus, another one after each start.
    pub process: String,
    /// Its number on its machine.
    pub pid: u32,
    /// What it does.
    pub roles: Vec<String>,
    /// When it said so.
    pub at: Timestamp,
    /// Since when it is on the live bus.
    pub started_at: Timestamp,
    /// Its stages; those of other roles stand still.
    pub stages: Vec<StageStatus>,
}

/// The figures of all stages, and the freshness of each tenant. One a process; cheap to set, once a batch.
#[derive(Debug)]
pub struct PipelineStatus {
    epoch: Instant,
    stages: [Mutex<StageState>; Stage::ALL.len()],
    freshness: Mutex<HashMap<TenantId, Freshness>>,
    /// Delays that other processes were not told yet, by bucket.
    untold: Mutex<HashMap<TenantId, HashMap<u8, u64>>>,
    shares_delays: AtomicBool,
    /// What processes told, by name.
    processes: Mutex<HashMap<String, (Instant, ProcessStatus)>>,
}

/// Seconds a rate looks back.
const RATE_WINDOW: u64 = 10;

#[derive(Debug, Default)]
struct StageState {
    /// (second, records, bytes), the ring of the last seconds.
    ring: [(u64, u64, u64); RATE_WINDOW as usize + 1],
    records: u64,
    bytes: u64,
    backlog: Backlog,
    last_active: Option<Timestamp>,
    failing: Option<String>,
}

impl Default for PipelineStatus {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            stages: Default::default(),
            freshness: Mutex::default(),
            untold: Mutex::default(),
            shares_delays: AtomicBool::new(false),
            processes: Mutex::default(),
        }
    }
}

impl PipelineStatus {
    /// Notes what a stage just did.
    pub fn record(&self, stage: Stage, records: u64, bytes: u64) {
        self.record_at(stage, records, bytes, self.second());
    }

    fn record_at(&self, stage: Stage, records: u64, bytes: u64, second: u64) {
        let mut state = self.stages[stage as usize].lock();
        state.records += records;
        state.bytes += bytes;
        state.last_active = Some(Timestamp::now());
        let len = state.ring.len() as u64;
        let slot = &mut state.ring[(second % len) as usize];
        if slot.0 != second {
            *slot = (second, 0, 0);
        }
        slot.1 += records;
        slot.2 += bytes;
    }

    /// Sets what waits before a stage.
    pub fn set_backlog(&self, stage: Stage, backlog: Backlog) {
        self.stages[stage as usize].lock().backlog = backlog;
    }

    /// Says why a stage stands still; `None` when it goes on.
    pub fn set_failing(&self, stage: Stage, reason: Option<String>) {
        self.stages[stage as usize].lock().failing = reason;
    }

    /// Every stage, in the order an event passes them.
    pub fn stages(&self) -> Vec<StageStatus> {
        let (second, now) = (self.second(), Timestamp::now());
        Stage::ALL.into_iter().map(|stage| self.stage_at(stage, second, now)).collect()
    }

    /// One stage.
    pub fn stage(&self, stage: Stage) -> StageStatus {
        self.stage_at(stage, self.second(), Timestamp::now())
    }

    fn stage_at(&self, stage: Stage, second: u64, now: Timestamp) -> StageStatus {
        let state = self.stages[stage as usize].lock();
        // The current second is not over: the ten before it count.
        let (records, bytes) = state
            .ring
            .iter()
            .filter(|slot| slot.0 < second && slot.0 + RATE_WINDOW >= second)
            .fold((0, 0), |sum, slot| (sum.0 + slot.1, sum.1 + slot.2));
        let age = state
            .backlog
            .oldest
            .map(|at| Duration::from_nanos(u64::try_from(now.as_nanos() - at.as_nanos()).unwrap_or(0)));
        StageStatus {
            stage,
            records_per_sec: records as f64 / RATE_WINDOW as f64,
            bytes_per_sec: bytes as f64 / RATE_WINDOW as f64,
            records: state.records,
            bytes: state.bytes,
            backlog: state.backlog,
            age,
            last_active: state.last_active,
            failing: state.failing.clone(),
        }
    }

    /// Notes how long after arrival `events` of a tenant became searchable.
    pub fn record_freshness(&self, tenant: &TenantId, events: u64, delay: Duration) {
        let bucket = bucket_of(delay);
        if self.shares_delays.load(Ordering::Relaxed) {
            let mut untold = self.untold.lock();
            let of_tenant = untold.entry(tenant.clone()).or_default();
            *of_tenant.entry(u8::try_from(bucket).unwrap_or(u8::MAX)).or_default() += events;
        }
        self.record_bucket(tenant, events, bucket);
    }

    /// From now on delays are kept until [`Self::take_delays`].
    pub(crate) fn share_delays(&self) {
        self.shares_delays.store(true, Ordering::Relaxed);
    }

    /// The delays of a tenant since the last time: (bucket, events).
    pub(crate) fn take_delays(&self, tenant: &TenantId) -> Vec<(u8, u64)> {
        self.untold.lock().remove(tenant).into_iter().flatten().collect()
    }

    /// Notes what another process counted.
    pub(crate) fn record_delays(&self, tenant: &TenantId, delays: &[(u8, u64)]) {
        for (bucket, events) in delays {
            self.record_bucket(tenant, *events, usize::from(*bucket).min(BUCKETS - 1));
        }
    }

    /// A process told how it does.
    pub(crate) fn heard_of(&self, status: ProcessStatus) {
        let (mut processes, now) = (self.processes.lock(), Instant::now());
        processes.retain(|_, (heard, _)| now < *heard + FORGOTTEN);
        processes.insert(status.process.clone(), (now, status));
    }

    /// What processes told in the last ten seconds, in the order of their start.
    pub(crate) fn processes(&self) -> Vec<ProcessStatus> {
        let (mut processes, now) = (self.processes.lock(), Instant::now());
        processes.retain(|_, (heard, _)| now < *heard + FORGOTTEN);
        let mut all: Vec<_> = processes.values().map(|(_, status)| status.clone()).collect();
        all.sort_by(|a, b| (a.started_at, &a.process).cmp(&(b.started_at, &b.process)));
        all
    }

    fn record_bucket(&self, tenant: &TenantId, events: u64, bucket: usize) {
        let second = self.second();
        let mut all = self.freshness.lock();
        if !all.contains_key(tenant) {
            all.retain(|_, freshness| freshness.last_second() + FRESHNESS_WINDOW > second);
        }
        all.entry(tenant.clone()).or_default().record(second, events, bucket);
    }

    /// From arrival to searchable, p99 over the last minute, in milliseconds, to within 10 %.
    pub fn freshness_p99_ms(&self, tenant: &TenantId) -> Option<f64> {
        let second = self.second();
        self.freshness.lock().get(tenant)?.quantile(second, 0.99)
    }

    /// Seconds since a minute before this was made, so that no second is ever zero.
    fn second(&self) -> u64 {
        self.epoch.elapsed().as_secs() + 60
    }
}

/// Seconds that freshness looks back.
const FRESHNESS_WINDOW: u64 = 60;
const SLOT_SECONDS: u64 = 10;
const SLOTS: usize = (FRESHNESS_WINDOW / SLOT_SECONDS) as usize;
/// Buckets that grow by a tenth each: from 1 ms to more than ten minutes.
const BUCKETS: usize = 144;
const GROWTH: f64 = 1.1;

#[derive(Debug)]
struct Freshness {
    /// (slot number, counts by bucket).
    slots: [(u64, Box<[u64; BUCKETS]>); SLOTS],
}

impl Default for Freshness {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| (0, Box::new([0; BUCKETS]))) }
    }
}

fn bucket_of(delay: Duration) -> usize {
    let millis = delay.as_secs_f64() * 1_000.0;
    let bucket = if millis <= 1.0 { 0 } else { millis.log(GROWTH).ceil() as usize };
    bucket.min(BUCKETS - 1)
}

impl Freshness {
    fn record(&mut self, second: u64, events: u64, bucket: usize) {
        let number = second / SLOT_SECONDS;
        let slot = &mut self.slots[(number % SLOTS as u64) as usize];
        if slot.0 != number {
            slot.0 = number;
            slot.1.fill(0);
        }
        slot.1[bucket] += events;
    }

    fn last_second(&self) -> u64 {
        self.slots.iter().map(|slot| slot.0).max().unwrap_or(0) * SLOT_SECONDS
    }

    fn quantile(&self, second: u64, quantile: f64) -> Option<f64> {
        let number = second / SLOT_SECONDS;
        let recent = || self.slots.iter().filter(|slot| slot.0 + SLOTS as u64 > number);
        let total: u64 = recent().flat_map(|slot| slot.1.iter()).sum();
        if total == 0 {
            return None;
        }
        let wanted = (total as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for bucket in 0..BUCKETS {
            seen += recent().map(|slot| slot.1[bucket]).sum::<u64>();
            if seen >= wanted {
                return Some(GROWTH.powi(i32::try_from(bucket).unwrap_or(0)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_ten_whole_seconds() {
        let status = PipelineStatus::default();
        for second in 100..=111 {
            status.record_at(Stage::Index, 50, 5_000, second);
        }
        let check = |second, expect: f64| {
            let figures = status.stage_at(Stage::Index, second, Timestamp::now());
            assert!((figures.records_per_sec - expect).abs() < 1e-9, "{figures:?}");
            assert!((figures.bytes_per_sec - expect * 100.0).abs() < 1e-9, "{figures:?}");
        };
        check(111, 50.0);
        check(116, 30.0);
        check(122, 0.0);
        assert_eq!(status.stage(Stage::Index).records, 600);
        assert_eq!(status.stage(Stage::Sql).records, 0);
    }

    #[test]
    fn p99_is_that_of_the_last_minute() {
        let mut freshness = Freshness::default();
        freshness.record(100, 98, bucket_of(Duration::from_millis(20)));
        freshness.record(105, 2, bucket_of(Duration::from_millis(900)));
        let check = |second, expect: Option<f64>| {
            let found = freshness.quantile(second, 0.99);
            match expect {
                None => assert_eq!(found, None),
                Some(millis) => {
                    let found = found.expect("there are values");
                    assert!((millis..millis * 1.11).contains(&found), "{found}");
                }
            }
        };
        check(110, Some(900.0));
        check(159, Some(900.0));
        check(160, None);
        let mut slow = Freshness::default();
        slow.record(5, 1, bucket_of(Duration::from_secs(86_400)));
        assert!(slow.quantile(5, 0.99).is_some_and(|ms| ms > 600_000.0));
    }

    #[test]
    fn backlog_ages() {
        let status = PipelineStatus::default();
        let oldest = Timestamp::now().plus_nanos(-5_000_000_000);
        status.set_backlog(Stage::Processor, Backlog { records: 7, bytes: 70, oldest: Some(oldest) });
        status.set_failing(Stage::Processor, Some("index".to_owned()));
        let figures = &status.stages()[2];
        assert_eq!(figures.backlog.records, 7);
        assert!(figures.age.is_some_and(|age| age >= Duration::from_secs(5)));
        assert_eq!(figures.failing.as_deref(), Some("index"));
    }
}
