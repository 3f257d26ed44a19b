//! A tenant's quota over several processes: each second a process tells what it used, reads what the others told, and takes
//! its share.
//!
//! Shares are max-min fair: who needs less than an equal part gets what it needs and some more, the others divide the
//! rest. All compute them from the same figures, so that they sum up to the quota; a change is known to all a second
//! later. Where the database is away, everybody keeps the last share.

use super::{TenantState, Tenants};
use domain::{TenantId, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use store::sql::quotas::{QuotaBook, QuotaLease, Quotas};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

/// How often shares are taken.
const EVERY: Duration = Duration::from_secs(1);
/// How long the database may take; the last share holds meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// A process that told nothing new for so long has no share.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// A process that is seen for the first time lives if it told something so short a while ago, by its clock.
const FRESH_NANOS: i64 = 30_000_000_000;
/// How long a tenant that sends nothing keeps its share.
const IDLE: Duration = Duration::from_secs(10);

/// One limit of a tenant: events or bytes a second.
#[derive(Debug, Default)]
pub(super) struct Side {
    limit: AtomicU64,
    /// 0: none was taken yet.
    share: AtomicU64,
    used: AtomicU64,
    short: AtomicBool,
}

impl Side {
    /// What this process may take a second of a limit, among so many processes.
    pub fn allowed(&self, limit: u64, replicas: u64) -> u64 {
        self.limit.store(limit, Ordering::Relaxed);
        match self.share.load(Ordering::Relaxed) {
            0 => (limit / replicas.max(1)).max(1),
            share => share.min(limit),
        }
    }

    /// So much was taken.
    pub fn take(&self, amount: u64) {
        self.used.fetch_add(amount, Ordering::Relaxed);
    }

    /// More was wanted.
    pub fn fall_short(&self) {
        self.short.store(true, Ordering::Relaxed);
    }

    /// What was taken a second since the last time, and whether more was wanted.
    pub fn tell(&self, elapsed: Duration) -> (u64, bool) {
        let used = self.used.swap(0, Ordering::Relaxed) as f64;
        ((used / elapsed.as_secs_f64().max(0.001)) as u64, self.short.swap(false, Ordering::Relaxed))
    }

    fn set(&self, told: &[(u64, bool)], own: usize) {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit > 0 {
            self.share.store(share(limit, told, own).max(1), Ordering::Relaxed);
        }
    }
}

/// The share of one of several processes, by what each used and whether it would have taken more.
fn share(limit: u64, told: &[(u64, bool)], own: usize) -> u64 {
    // Room to grow until the next second.
    let wants = |(used, short): (u64, bool)| if short { limit } else { used + used / 4 + limit / 50 };
    let mut order: Vec<usize> = (0..told.len()).collect();
    order.sort_by_key(|at| (wants(told[*at]), *at));
    let (mut left, mut mine) = (limit, 0);
    for (place, at) in order.iter().enumerate() {
        let given = wants(told[*at]).min(left / (told.len() - place) as u64);
        left -= given;
        if *at == own {
            mine = given;
        }
    }
    mine + left / told.len().max(1) as u64
}

/// Takes the shares of a process.
pub(crate) struct Leases {
    pub tenants: Arc<Tenants>,
    pub sql: Arc<dyn Quotas>,
    /// This process, among the others.
    pub replica: String,
    /// When something new was heard of the others' tenants, by our clock.
    heard: HashMap<(TenantId, String), (Timestamp, Instant)>,
    told_at: Instant,
}

impl Leases {
    pub fn new(tenants: Arc<Tenants>, sql: Arc<dyn Quotas>, replica: String) -> Self {
        Self { tenants, sql, replica, heard: HashMap::new(), told_at: Instant::now() }
    }

    /// Every second until told to stop, and a last time then.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let last = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
            };
            let done = self.turn(Timestamp::now()).await;
            if let Err(error) = &done
                && !failing
            {
                tracing::warn!(error, "shares of quotas cannot be taken; the last ones hold");
            }
            if done.is_err() {
                metrics::counter!("qgx_quota_lease_failures_total").increment(1);
            }
            failing = done.is_err();
            if last {
                return;
            }
        }
    }

    /// Tells what was used, and takes the shares.
    pub async fn turn(&mut self, now: Timestamp) -> Result<(), String> {
        let elapsed = self.told_at.elapsed();
        self.told_at = Instant::now();
        let active: Vec<_> =
            self.tenants.all().into_iter().filter(|(_, state)| state.is_leased(IDLE)).collect();
        let uses: Vec<_> = active.iter().map(|(tenant, state)| state.tell(tenant, elapsed)).collect();
        if uses.is_empty() {
            return Ok(());
        }
        let told = match timeout(PATIENCE, self.sql.lease_quotas(&self.replica, now, &uses)).await {
            Ok(Ok(book)) => Ok(book),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the database did not answer within {PATIENCE:?}")),
        };
        let book = match told {
            Ok(book) => book,
            Err(error) => {
                for ((_, state), used) in active.iter().zip(uses) {
                    state.untell(used.day);
                }
                return Err(error);
            }
        };
        self.take(&book, &active, now);
        Ok(())
    }

    fn take(&mut self, book: &QuotaBook, active: &[(TenantId, Arc<TenantState>)], now: Timestamp) {
        let living: Vec<&QuotaLease> = book.leases.iter().filter(|lease| self.lives(lease, now)).collect();
        let replicas: HashSet<&str> = living.iter().map(|lease| lease.replica.as_str()).collect();
        self.tenants.set_replicas(replicas.len() as u64);
        let at = Instant::now();
        self.heard.retain(|_, (_, heard)| at < *heard + Duration::from_secs(3_600));
        for (tenant, state) in active {
            let of_tenant: Vec<_> = living.iter().filter(|lease| lease.tenant == *tenant).collect();
            if let Some(own) = of_tenant.iter().position(|lease| lease.replica == self.replica) {
                let side = |read: fn(&QuotaLease) -> (u64, bool)| {
                    of_tenant.iter().map(|lease| read(lease)).collect::<Vec<_>>()
                };
                state.events.set(&side(|lease| (lease.events, lease.events_short)), own);
                state.bytes.set(&side(|lease| (lease.bytes, lease.bytes_short)), own);
            }
            for (of, ends, bytes) in &book.days {
                if of == tenant {
                    state.set_day(*ends, *bytes);
                }
            }
        }
    }

    /// Whether a process goes on telling; clocks of processes need not agree.
    fn lives(&mut self, lease: &QuotaLease, now: Timestamp) -> bool {
        let at = Instant::now();
        let key = (lease.tenant.clone(), lease.replica.clone());
        match self.heard.get_mut(&key) {
            Some((told_at, heard)) if *told_at != lease.told_at => {
                (*told_at, *heard) = (lease.told_at, at);
                true
            }
            Some((_, heard)) => at < *heard + DEAD_AFTER,
            None => {
                let fresh = (now.as_nanos() - lease.told_at.as_nanos()).abs() < FRESH_NANOS;
                // Else it counts as long silent.
                let heard = if fresh { at } else { at.checked_sub(DEAD_AFTER).unwrap_or(at) };
                self.heard.insert(key, (lease.told_at, heard));
                fresh
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{TokenLimits, Verdict};
    use crate::record::Limits;
    use domain::Zone;
    use parking_lot::Mutex;
    use services::ingest_access::{IngestTenant, Masking};
    use std::collections::BTreeMap;
    use store::sql::quotas::QuotaUse;
    use store::sql::{SqlError, SqlResult};

    /// What the database holds.
    #[derive(Default)]
    struct Book {
        leases: Mutex<BTreeMap<(TenantId, String), QuotaLease>>,
        days: Mutex<BTreeMap<(TenantId, Timestamp), u64>>,
        away: AtomicBool,
    }

    #[async_trait::async_trait]
    impl Quotas for Book {
        async fn lease_quotas(
            &self,
            replica: &str,
            now: Timestamp,
            uses: &[QuotaUse],
        ) -> SqlResult<QuotaBook> {
            if self.away.load(Ordering::Relaxed) {
                return Err(SqlError::Failed("away".to_owned()));
            }
            for used in uses {
                let QuotaUse { tenant, events, events_short, bytes, bytes_short, day } = used.clone();
                if let Some((ends, bytes)) = day {
                    *self.days.lock().entry((tenant.clone(), ends)).or_default() += bytes;
                }
                let (key, replica) = ((tenant.clone(), replica.to_owned()), replica.to_owned());
                let lease =
                    QuotaLease { tenant, replica, told_at: now, events, events_short, bytes, bytes_short };
                self.leases.lock().insert(key, lease);
            }
            let days = self.days.lock();
            let days = days.iter().map(|((tenant, ends), bytes)| (tenant.clone(), *ends, *bytes)).collect();
            Ok(QuotaBook { leases: self.leases.lock().values().cloned().collect(), days })
        }
    }

    #[test]
    fn shares_are_fair_and_sum_up() {
        fn check(limit: u64, told: &[(u64, bool)], expect: &[u64]) {
            let shares: Vec<_> = (0..told.len()).map(|own| share(limit, told, own)).collect();
            assert_eq!(shares, expect);
            assert!(shares.iter().sum::<u64>() <= limit);
        }
        check(1_000, &[(700, false)], &[1_000]);
        check(1_000, &[(1_000, true)], &[1_000]);
        check(1_000, &[(500, true), (500, true)], &[500, 500]);
        check(1_000, &[(900, true), (80, false)], &[880, 120]);
        check(1_000, &[(0, false), (0, false)], &[500, 500]);
        check(1_000, &[(100, false), (900, true), (900, true)], &[145, 427, 428]);
        check(1_000, &[(600, false), (600, false)], &[500, 500]);
    }

    fn tenant(events: u64, per_day: Option<u64>) -> IngestTenant {
        IngestTenant {
            key: TenantId::new("t_a").unwrap(),
            zone: Zone::named("Asia/Seoul").unwrap(),
            class: "30d".into(),
            group: 1,
            events_per_sec: Some(events),
            bytes_per_sec: None,
            bytes_per_day: per_day,
            masking: Masking::default(),
        }
    }

    /// Processes on one database, and what each was let take.
    struct Replicas {
        leases: Vec<Leases>,
        states: Vec<Arc<TenantState>>,
        tenant: IngestTenant,
        now: Timestamp,
    }

    impl Replicas {
        fn new(count: usize, tenant: IngestTenant) -> Self {
            let sql = Arc::new(Book::default());
            let leases: Vec<_> = (0..count)
                .map(|n| Leases::new(Arc::new(Tenants::new(Limits::default())), sql.clone(), format!("r{n}")))
                .collect();
            let states = leases.iter().map(|it| it.tenants.state(&tenant.key)).collect();
            Self { leases, states, tenant, now: Timestamp::now() }
        }

        /// A second in which each asks so often; answers how much each got.
        async fn second(&mut self, asks: &[u64]) -> Vec<u64> {
            let mut got = vec![0; asks.len()];
            for _ in 0..20 {
                for (at, asks) in asks.iter().enumerate() {
                    let ask = || self.states[at].ask(&self.tenant, 1, TokenLimits::default(), 100);
                    got[at] += (0..asks / 20).filter(|_| ask() == Verdict::Go).count() as u64;
                }
                tokio::time::advance(Duration::from_millis(50)).await;
            }
            self.now = self.now.plus_nanos(1_000_000_000);
            for leases in &mut self.leases {
                leases.turn(self.now).await.unwrap();
            }
            got
        }
    }

    #[tokio::test(start_paused = true)]
    async fn processes_keep_one_quota_together() {
        let mut replicas = Replicas::new(3, tenant(1_000, None));
        for (asks, expect) in [
            // One alone has it all; a second one comes, and takes what the first one leaves; then both want all.
            ([2_000, 0, 0], [1_000, 0, 0]),
            ([2_000, 200, 0], [800, 200, 0]),
            ([2_000, 2_000, 2_000], [333, 333, 333]),
            ([0, 2_000, 0], [0, 1_000, 0]),
        ] {
            // They settle within seconds; until then each that joins has a second's worth too much.
            let mut settling = 0;
            for _ in 0..7 {
                settling += replicas.second(&asks).await.iter().sum::<u64>();
            }
            assert!(settling <= 10_000, "{asks:?}: {settling}");
            let mut total = 0;
            for _ in 0..5 {
                let got = replicas.second(&asks).await;
                total += got.iter().sum::<u64>();
                for (got, expect) in got.iter().zip(expect) {
                    assert!(got.abs_diff(expect) <= 100, "{asks:?}: {got} instead of {expect}");
                }
            }
            let error = (total as f64 / 5_000.0 - 1.0).abs();
            assert!(error <= 0.1, "{asks:?}: {total} in five seconds");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_day_is_that_of_all_processes_and_outlives_them() {
        let mut replicas = Replicas::new(2, tenant(1_000_000, Some(10_000)));
        let go = |replicas: &Replicas, at: usize| {
            replicas.states[at].ask(&replicas.tenant, 1, TokenLimits::default(), 100) == Verdict::Go
        };
        assert!((0..60).all(|_| go(&replicas, 0)));
        assert!((0..20).all(|_| go(&replicas, 1)));
        replicas.second(&[0, 0]).await;
        replicas.second(&[0, 0]).await;
        // 2,000 bytes are left: to each, as far as it knows; told, they are spent.
        assert!((0..20).all(|_| go(&replicas, 1)));
        assert!(!go(&replicas, 1));
        replicas.second(&[0, 0]).await;
        replicas.second(&[0, 0]).await;
        assert!(!go(&replicas, 0));
        // One that starts anew knows of it after its first turn.
        let sql = replicas.leases[0].sql.clone();
        let mut late = Leases::new(Arc::new(Tenants::new(Limits::default())), sql, "late".to_owned());
        let state = late.tenants.state(&replicas.tenant.key);
        assert_eq!(state.ask(&replicas.tenant, 1, TokenLimits::default(), 100), Verdict::Go);
        late.turn(replicas.now).await.unwrap();
        assert!(matches!(state.ask(&replicas.tenant, 1, TokenLimits::default(), 100), Verdict::Wait(_)));
    }

    #[tokio::test]
    async fn without_the_database_the_last_share_holds() {
        let sql = Arc::new(Book::default());
        let mut leases = Leases::new(Arc::new(Tenants::new(Limits::default())), sql.clone(), "a".to_owned());
        let tenant = tenant(1_000, Some(1_000_000));
        let state = leases.tenants.state(&tenant.key);
        let ask = || state.ask(&tenant, 1, TokenLimits::default(), 100);
        assert_eq!(ask(), Verdict::Go);
        leases.turn(Timestamp::now()).await.unwrap();
        let share = state.events.share.load(Ordering::Relaxed);
        assert_eq!(share, 1_000);
        sql.away.store(true, Ordering::Relaxed);
        assert_eq!(ask(), Verdict::Go);
        assert!(leases.turn(Timestamp::now()).await.is_err());
        assert_eq!(state.events.share.load(Ordering::Relaxed), share);
        // What was not told is told later.
        assert_eq!(state.tell(&tenant.key, EVERY).day.map(|(_, bytes)| bytes), Some(100));
    }
}
