//! Tails: new events of a tenant that match a query, to whoever watches.

use super::hooks::ProcessorHooks;
use domain::event::StoredEvent;
use domain::query::Matcher;
use domain::{Event, TenantId};
use services::live::TAIL_EVENTS;
use services::{Tail, TailId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The registered tails, ready to match.
#[derive(Default)]
pub(crate) struct TailSet {
    of: Arc<Vec<Tail>>,
    by_tenant: HashMap<TenantId, Vec<(TailId, Matcher)>>,
}

/// What matched in a batch.
pub(crate) type TailMatches = HashMap<TailId, TailMatch>;

/// What matched one tail.
#[derive(Default)]
pub(crate) struct TailMatch {
    /// In order of arrival, at most [`TAIL_EVENTS`].
    pub events: Vec<Event>,
    /// How many more.
    pub omitted: u64,
}

impl TailSet {
    /// Looks whether the tails changed.
    pub fn refreshed(current: &Arc<Self>, hooks: &dyn ProcessorHooks) -> Arc<Self> {
        let of = hooks.tails();
        if Arc::ptr_eq(&of, &current.of) {
            return current.clone();
        }
        let mut by_tenant = HashMap::<TenantId, Vec<_>>::new();
        for tail in of.iter() {
            by_tenant.entry(tail.tenant.clone()).or_default().push((tail.id, Matcher::new(&tail.query)));
        }
        Arc::new(Self { of, by_tenant })
    }

    /// Adds an event to the tails it matches.
    pub fn matches(&self, tenant: &TenantId, event: &StoredEvent<'_>, into: &mut TailMatches) {
        let Some(tails) = self.by_tenant.get(tenant) else { return };
        for (id, matcher) in tails {
            if matcher.matches(event) {
                let matched = into.entry(*id).or_default();
                if matched.events.len() < TAIL_EVENTS {
                    matched.events.push(event.to_event());
                } else {
                    matched.omitted += 1;
                }
            }
        }
    }
}

/// Keeps each tail at [`TAIL_EVENTS`] events a second.
#[derive(Default)]
pub(crate) struct TailRates {
    sent: HashMap<TailId, (Instant, usize)>,
}

impl TailRates {
    /// Cuts what is too much for this second.
    pub fn limit(&mut self, id: TailId, matched: &mut TailMatch, now: Instant) {
        const SECOND: Duration = Duration::from_secs(1);
        if !self.sent.contains_key(&id) {
            self.sent.retain(|_, (start, _)| now < *start + SECOND);
        }
        let (start, sent) = self.sent.entry(id).or_insert((now, 0));
        if now >= *start + SECOND {
            (*start, *sent) = (now, 0);
        }
        let room = TAIL_EVENTS - *sent;
        matched.omitted += matched.events.len().saturating_sub(room) as u64;
        matched.events.truncate(room);
        *sent += matched.events.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_gets_so_many_a_second() {
        let mut rates = TailRates::default();
        let start = Instant::now();
        let mut check = |millis, id, events: usize, expect: (usize, u64)| {
            let event = crate::processor::tests::fixture::shown_event();
            let mut matched = TailMatch { events: vec![event; events], omitted: 0 };
            rates.limit(TailId(id), &mut matched, start + Duration::from_millis(millis));
            assert_eq!((matched.events.len(), matched.omitted), expect);
        };
        check(0, 1, 150, (150, 0));
        check(500, 1, 100, (50, 50));
        check(500, 2, 200, (200, 0));
        check(999, 1, 1, (0, 1));
        check(1_000, 1, 1, (1, 0));
        check(1_400, 2, 1, (0, 1));
        check(1_600, 2, 1, (1, 0));
    }
}
