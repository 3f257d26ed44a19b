//! How much a tenant and a token may send.

mod lease;

pub(crate) use lease::Leases;

use crate::record::{Budgets, Limits, NameBudget, SourceBudget};
use domain::{TenantId, Timestamp, Zone};
use lease::Side;
use parking_lot::Mutex;
use services::ingest_access::IngestTenant;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::sql::quotas::QuotaUse;
use tokio::time::Instant;

/// Limits of one token, for all of them alike.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenLimits {
    /// Events a second; `None`: no limit.
    pub events_per_sec: Option<u64>,
    /// Bytes a second; `None`: no limit.
    pub bytes_per_sec: Option<u64>,
}

/// Whether a record may come in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Go,
    /// After so long: reading is to be delayed.
    Wait(Duration),
}

/// A bucket that fills at a rate and holds a second's worth.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(rate: u64, now: Instant) -> Self {
        Self { tokens: rate as f64, filled: now }
    }

    /// How long until the bucket is not in debt.
    fn wait(&mut self, rate: u64, now: Instant) -> Option<Duration> {
        let rate = rate.max(1) as f64;
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(rate);
        self.filled = now;
        // A single record may be larger than a second's worth: what it lacks is paid back by those that follow.
        (self.tokens <= 0.0).then(|| Duration::from_secs_f64((1.0 - self.tokens) / rate))
    }

    fn take(&mut self, amount: f64) {
        self.tokens -= amount;
    }
}

#[derive(Debug, Default)]
struct Rates {
    events: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Rates {
    fn ask(&mut self, events: Option<u64>, bytes: Option<u64>, size: usize, now: Instant) -> Verdict {
        let pairs = [(&mut self.events, events, 1.0), (&mut self.bytes, bytes, size as f64)];
        let mut longest = None;
        for (bucket, rate, _) in pairs {
            if let Some(rate) = rate {
                let bucket = bucket.get_or_insert_with(|| Bucket::new(rate, now));
                longest = longest.max(bucket.wait(rate, now));
            }
        }
        longest.map_or(Verdict::Go, Verdict::Wait)
    }

    fn take(&mut self, size: usize) {
        if let Some(bucket) = &mut self.events {
            bucket.take(1.0);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.take(size as f64);
        }
    }
}

/// What a tenant's connections share.
#[derive(Debug)]
pub struct TenantState {
    /// Field names of the day, and sources.
    pub budgets: Budgets,
    rates: Mutex<Rates>,
    tokens: Mutex<HashMap<u64, Rates>>,
    day: Mutex<DayBytes>,
    events: Side,
    bytes: Side,
    asked: Mutex<Option<Instant>>,
    replicas: Arc<AtomicU64>,
}

#[derive(Debug)]
struct DayBytes {
    /// When the tenant's next midnight is.
    ends: Timestamp,
    /// Of all processes, as far as known.
    bytes: u64,
    /// Of this process, not told to the others yet.
    untold: u64,
    /// There is a limit.
    limited: bool,
}

impl TenantState {
    fn new(limits: &Limits, replicas: Arc<AtomicU64>) -> Self {
        Self {
            budgets: Budgets {
                names: Arc::new(NameBudget::new(limits.names_per_day)),
                sources: Arc::new(SourceBudget::new(limits.sources_per_day)),
            },
            rates: Mutex::default(),
            tokens: Mutex::default(),
            day: Mutex::new(DayBytes { ends: Timestamp::default(), bytes: 0, untold: 0, limited: false }),
            events: Side::default(),
            bytes: Side::default(),
            asked: Mutex::default(),
            replicas,
        }
    }

    /// Asks for a record of so many bytes, and takes it where the answer is [`Verdict::Go`].
    pub fn ask(&self, tenant: &IngestTenant, token: u64, limits: TokenLimits, size: usize) -> Verdict {
        let of_token = limits.events_per_sec.is_some() || limits.bytes_per_sec.is_some();
        let of_tenant = tenant.events_per_sec.is_some() || tenant.bytes_per_sec.is_some();
        let now = Instant::now();
        let mut tokens = of_token.then(|| self.tokens.lock());
        let token = tokens.as_mut().map(|tokens| tokens.entry(token).or_default());
        let mut rates = of_tenant.then(|| self.rates.lock());
        if of_tenant || tenant.bytes_per_day.is_some() {
            *self.asked.lock() = Some(now);
        }
        let verdicts = [
            tenant.bytes_per_day.map_or(Verdict::Go, |limit| self.today(limit, &tenant.zone)),
            rates.as_mut().map_or(Verdict::Go, |rates| {
                let replicas = self.replicas.load(Ordering::Relaxed);
                let events = tenant.events_per_sec.map(|limit| self.events.allowed(limit, replicas));
                let bytes = tenant.bytes_per_sec.map(|limit| self.bytes.allowed(limit, replicas));
                rates.ask(events, bytes, size, now)
            }),
        ];
        if verdicts[1] != Verdict::Go {
            self.events.fall_short();
            self.bytes.fall_short();
        }
        let mut wait = verdicts.into_iter().filter_map(|v| match v {
            Verdict::Go => None,
            Verdict::Wait(time) => Some(time),
        });
        let mut longest = wait.by_ref().max();
        if let Some(token) = token {
            if let Verdict::Wait(time) = token.ask(limits.events_per_sec, limits.bytes_per_sec, size, now) {
                longest = longest.max(Some(time));
            }
            if longest.is_none() {
                token.take(size);
            }
        }
        if let Some(time) = longest {
            return Verdict::Wait(time);
        }
        if let Some(rates) = &mut rates {
            rates.take(size);
            self.events.take(1);
            self.bytes.take(size as u64);
        }
        if tenant.bytes_per_day.is_some() {
            let mut day = self.day.lock();
            day.bytes += size as u64;
            day.untold += size as u64;
        }
        Verdict::Go
    }

    fn today(&self, limit: u64, zone: &Zone) -> Verdict {
        let now = Timestamp::now();
        let mut day = self.day.lock();
        if now >= day.ends {
            *day = DayBytes { ends: next_midnight(now, zone), bytes: 0, untold: 0, limited: true };
        }
        if day.bytes < limit {
            return Verdict::Go;
        }
        let left = day.ends.as_nanos().saturating_sub(now.as_nanos());
        Verdict::Wait(Duration::from_nanos(u64::try_from(left).unwrap_or(1)))
    }
}

impl TenantState {
    /// Whether it has a quota, and sent something lately.
    fn is_leased(&self, idle: Duration) -> bool {
        self.asked.lock().is_some_and(|asked| asked.elapsed() < idle)
    }

    /// What was used since the last time.
    fn tell(&self, tenant: &TenantId, elapsed: Duration) -> QuotaUse {
        let ((events, events_short), (bytes, bytes_short)) =
            (self.events.tell(elapsed), self.bytes.tell(elapsed));
        let mut day = self.day.lock();
        let untold = std::mem::take(&mut day.untold);
        let day = day.limited.then_some((day.ends, untold));
        QuotaUse { tenant: tenant.clone(), events, events_short, bytes, bytes_short, day }
    }

    /// It is not known to the others after all.
    fn untell(&self, told: Option<(Timestamp, u64)>) {
        let mut day = self.day.lock();
        if let Some((ends, bytes)) = told
            && ends == day.ends
        {
            day.untold += bytes;
        }
    }

    /// What all processes told of a day.
    fn set_day(&self, ends: Timestamp, bytes: u64) {
        let mut day = self.day.lock();
        if day.ends == ends {
            day.bytes = bytes + day.untold;
        }
    }
}

fn next_midnight(now: Timestamp, zone: &Zone) -> Timestamp {
    let today = zone.civil(now);
    let days = domain::time::days_from_civil(today.year.into(), today.month.into(), today.day.into());
    let (year, month, day) = domain::time::civil_from_days(days + 1);
    let midnight = domain::Civil {
        year: year as i16,
        month: month as i8,
        day: day as i8,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
    };
    zone.instant(midnight).unwrap_or_else(|| now.plus_nanos(86_400_000_000_000))
}

/// The tenants of this process.
#[derive(Debug)]
pub struct Tenants {
    limits: Limits,
    states: Mutex<HashMap<TenantId, Arc<TenantState>>>,
    /// Processes that have a part in quotas.
    replicas: Arc<AtomicU64>,
}

impl Tenants {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, states: Mutex::default(), replicas: Arc::new(AtomicU64::new(1)) }
    }

    /// What a tenant's connections share.
    pub fn state(&self, tenant: &TenantId) -> Arc<TenantState> {
        let mut states = self.states.lock();
        let new = || Arc::new(TenantState::new(&self.limits, Arc::clone(&self.replicas)));
        Arc::clone(states.entry(tenant.clone()).or_insert_with(new))
    }

    fn all(&self) -> Vec<(TenantId, Arc<TenantState>)> {
        self.states.lock().iter().map(|(tenant, state)| (tenant.clone(), Arc::clone(state))).collect()
    }

    fn set_replicas(&self, count: u64) {
        self.replicas.store(count.max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use services::ingest_access::Masking;

    fn tenant(events: Option<u64>, per_day: Option<u64>) -> IngestTenant {
        IngestTenant {
            key: TenantId::new("t_a").unwrap(),
            zone: Zone::named("Asia/Seoul").unwrap(),
            class: "30d".into(),
            group: 1,
            events_per_sec: events,
            bytes_per_sec: None,
            bytes_per_day: per_day,
            masking: Masking::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_fill_again() {
        let state = TenantState::new(&Limits::default(), Arc::new(AtomicU64::new(1)));
        let tenant = tenant(Some(10), None);
        let go = || state.ask(&tenant, 1, TokenLimits::default(), 100) == Verdict::Go;
        assert_eq!((0..20).filter(|_| go()).count(), 10);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!((0..20).filter(|_| go()).count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_have_their_own() {
        let state = TenantState::new(&Limits::default(), Arc::new(AtomicU64::new(1)));
        let tenant = tenant(None, None);
        let limits = TokenLimits { events_per_sec: None, bytes_per_sec: Some(1_000) };
        let go = |token| state.ask(&tenant, token, limits, 600) == Verdict::Go;
        assert_eq!([go(1), go(1), go(1), go(2), go(2), go(2)], [true, true, false, true, true, false]);
    }

    #[test]
    fn a_day_ends_at_the_tenants_midnight() {
        let state = TenantState::new(&Limits::default(), Arc::new(AtomicU64::new(1)));
        let tenant = tenant(None, Some(150));
        let ask = || state.ask(&tenant, 1, TokenLimits::default(), 100);
        assert_eq!((ask(), ask()), (Verdict::Go, Verdict::Go));
        assert!(matches!(ask(), Verdict::Wait(time) if time <= Duration::from_secs(86_400)));
        let at = Timestamp::parse("2026-11-22T14:59:59Z").unwrap();
        assert_eq!(next_midnight(at, &tenant.zone).to_string(), "2026-11-22T15:00:00.000000000Z");
        assert_eq!(
            next_midnight(at.plus_nanos(1_000_000_000), &tenant.zone).to_string(),
            "2026-11-23T15:00:00.000000000Z"
        );
    }
}
