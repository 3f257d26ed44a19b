//! Each second of each tenant: how much came, from where, how fresh.

use super::hooks::ProcessorHooks;
use super::summary::{ARRIVAL_STEP, Summary};
use super::tail::{TailMatches, TailRates};
use domain::api::{LiveTotals, SourceState};
use domain::{SourceKey, TenantId, Timestamp};
use lru::LruCache;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Sources named in a second's totals.
const TOP_SOURCES: usize = 20;
/// Seconds for which a tenant that fell silent still gets totals, of zero, so that its charts fall too.
const SILENT_SECONDS: u32 = 60;
/// Tokens remembered as seen.
const TOKENS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// The second under way, of every tenant.
pub(crate) struct Live {
    hooks: Arc<dyn ProcessorHooks>,
    state: Mutex<State>,
}

struct State {
    tenants: HashMap<TenantId, Second>,
    rates: TailRates,
    tokens: LruCache<u64, ()>,
}

#[derive(Default)]
struct Second {
    events: u64,
    bytes: u64,
    levels: [u64; 10],
    sources: HashMap<SourceKey, u64>,
    /// (nanoseconds from arrival to searchable, events)
    delays: Vec<(u64, u64)>,
    silent: u32,
}

impl Second {
    fn totals(&mut self, at: Timestamp) -> LiveTotals {
        let mut sources: Vec<_> = self.sources.drain().collect();
        sources.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sources.truncate(TOP_SOURCES);
        let totals = LiveTotals {
            at,
            events: self.events,
            bytes: self.bytes,
            levels: self.levels,
            sources,
            freshness_p99_ms: p99_ms(&mut self.delays),
        };
        let silent = if self.events == 0 { self.silent + 1 } else { 0 };
        *self = Self { silent, ..Self::default() };
        totals
    }
}

/// The delay that 99 of 100 events had at most; 0 where there were none.
fn p99_ms(delays: &mut [(u64, u64)]) -> f64 {
    delays.sort_unstable();
    let total: u64 = delays.iter().map(|(_, events)| events).sum();
    let wanted = total - total / 100;
    let mut seen = 0;
    let found = delays.iter().find(|(_, events)| {
        seen += events;
        seen >= wanted
    });
    found.map_or(0.0, |(nanos, _)| *nanos as f64 / 1e6)
}

impl Live {
    pub fn new(hooks: Arc<dyn ProcessorHooks>) -> Self {
        let state =
            State { tenants: HashMap::new(), rates: TailRates::default(), tokens: LruCache::new(TOKENS) };
        Self { hooks, state: Mutex::new(state) }
    }

    /// What became searchable at `visible_at`, now that all of it is stored.
    pub fn add(
        &self,
        summary: &Summary,
        visible_at: Timestamp,
        tailed: TailMatches,
        new_sources: Vec<(TenantId, SourceKey)>,
    ) {
        let mut state = self.state.lock();
        let state = &mut *state;
        for sum in &summary.sources {
            let (tenant, source) = (&sum.route.tenant, &sum.route.source);
            if !state.tenants.contains_key(tenant) {
                state.tenants.insert(tenant.clone(), Second::default());
            }
            let Some(second) = state.tenants.get_mut(tenant) else { continue };
            let mut of_source = 0;
            for (level, events, bytes) in sum.by_level() {
                of_source += events;
                second.bytes += bytes;
                second.levels[usize::from(level.min(9))] += events;
            }
            second.events += of_source;
            *second.sources.entry(source.clone()).or_default() += of_source;
            self.add_delays(second, tenant, &sum.arrived, visible_at);
            for token in &sum.tokens {
                if state.tokens.put(*token, ()).is_none() {
                    self.hooks.publish_token_seen(tenant, *token, source.clone());
                }
            }
        }
        for (tenant, source) in new_sources {
            self.hooks.publish_source(&tenant, source, SourceState::Online);
        }
        let now = Instant::now();
        for (id, mut matched) in tailed {
            state.rates.limit(id, &mut matched, now);
            self.hooks.publish_tail(id, matched.events, matched.omitted);
        }
    }

    fn add_delays(
        &self,
        second: &mut Second,
        tenant: &TenantId,
        arrived: &[(i64, u64)],
        visible_at: Timestamp,
    ) {
        let histogram = metrics::histogram!("qgx_processor_freshness_seconds");
        for (step, events) in arrived {
            // From the middle of the step.
            let nanos = visible_at.as_nanos().saturating_sub(*step + ARRIVAL_STEP / 2);
            let nanos = u64::try_from(nanos).unwrap_or(0);
            match second.delays.last_mut() {
                Some((last, count)) if *last == nanos => *count += events,
                _ => second.delays.push((nanos, *events)),
            }
            let delay = Duration::from_nanos(nanos);
            histogram.record_many(delay, usize::try_from(*events).unwrap_or(usize::MAX));
            self.hooks.record_freshness(tenant, *events, delay);
        }
    }

    /// Publishes the second that ended, of every tenant that sent something in the last minute.
    fn publish(&self, now: Timestamp) {
        let at = Timestamp::from_secs(now.as_secs() - 1);
        let mut state = self.state.lock();
        for (tenant, second) in &mut state.tenants {
            let totals = second.totals(at);
            self.hooks.publish_totals(tenant, totals);
        }
        state.tenants.retain(|_, second| second.silent < SILENT_SECONDS);
    }

    /// Publishes each second until told to stop; then what is left.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let last = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
            };
            self.publish(Timestamp::now());
            if last {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(delays: &[(u64, u64)], expect: f64) {
        let mut delays: Vec<_> = delays.iter().map(|(ms, events)| (ms * 1_000_000, *events)).collect();
        assert!((p99_ms(&mut delays) - expect).abs() < 1e-9);
    }

    #[test]
    fn p99_is_of_events_not_of_batches() {
        check(&[], 0.0);
        check(&[(20, 1)], 20.0);
        check(&[(900, 1), (20, 99)], 20.0);
        check(&[(20, 98), (900, 2)], 900.0);
        check(&[(5, 50), (10, 50)], 10.0);
    }
}
