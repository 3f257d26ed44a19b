//! The live hub: what just happened, to whoever watches.
//!
//! One bounded broadcast a tenant. Nobody who publishes ever waits: a reader that is too slow is told how much it
//! missed. Tenants that nobody watches and that send nothing are forgotten.

use domain::api::{LiveMessage, LiveTotals, Refusal, SourceState};
use domain::query::Query;
use domain::{Event, SourceKey, TenantId, Timestamp};
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{broadcast, mpsc};

/// Messages a slow reader may lag behind.
const BACKLOG: usize = 128;
/// Batches of a stream's tails that may wait.
const TAIL_BACKLOG: usize = 32;
/// Streams of one person or token.
pub const STREAMS_PER_READER: usize = 6;
/// Streams of one tenant.
pub const STREAMS_PER_TENANT: usize = 200;
/// Tails of one stream.
pub const TAILS_PER_STREAM: usize = 4;
/// Tails of one tenant: each event is matched against all of them.
pub const TAILS_PER_TENANT: usize = 64;
/// Events of a tail in one message.
pub const TAIL_EVENTS: usize = 200;
const HISTORY_NANOS: i64 = 60_000_000_000;

/// Names a registered tail within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TailId(pub u64);

/// A tail: the processor matches each new event of the tenant against the query.
#[derive(Debug, Clone)]
pub struct Tail {
    /// Its name.
    pub id: TailId,
    /// Whose.
    pub tenant: TenantId,
    /// What it shows.
    pub query: Query,
}

/// The hub of this process.
#[derive(Debug, Clone)]
pub struct LiveHub {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    tenants: Mutex<HashMap<TenantId, Feed>>,
    /// Refusals that belong to no tenant.
    strangers: broadcast::Sender<Arc<Refusal>>,
    tails: RwLock<Arc<Vec<Tail>>>,
    outlets: Mutex<HashMap<TailId, Outlet>>,
    next_tail: AtomicU64,
}

#[derive(Debug)]
struct Feed {
    sender: broadcast::Sender<Published>,
    history: VecDeque<Arc<LiveTotals>>,
    streams: usize,
    tails: usize,
    readers: HashMap<Arc<str>, usize>,
}

/// Where a tail's events go.
#[derive(Debug, Clone)]
struct Outlet {
    page_id: Arc<str>,
    sender: mpsc::Sender<LiveMessage>,
    missed: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Published {
    Totals(Arc<LiveTotals>),
    Source(SourceKey, SourceState),
    Refusal(Arc<Refusal>),
    TokenSeen(u64, SourceKey),
}

/// A stream's ends in the hub. Dropping it takes the stream and its tails out.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) published: broadcast::Receiver<Published>,
    pub(crate) strangers: broadcast::Receiver<Arc<Refusal>>,
    pub(crate) tailed: mpsc::Receiver<LiveMessage>,
    /// Tail messages left out since last asked.
    pub(crate) missed: Arc<AtomicU64>,
    /// Keeps the place.
    pub(crate) place: Place,
}

/// A stream's place in the hub, given up on drop.
#[derive(Debug)]
pub(crate) struct Place {
    hub: LiveHub,
    tenant: TenantId,
    reader: Option<Arc<str>>,
    tails: Vec<TailId>,
    /// Held so that the receiver stays open for a stream without tails.
    _tailing: mpsc::Sender<LiveMessage>,
}

/// There are too many streams or tails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HubFull;

impl Default for LiveHub {
    fn default() -> Self {
        let (strangers, _) = broadcast::channel(BACKLOG);
        Self {
            state: Arc::new(State {
                tenants: Mutex::default(),
                strangers,
                tails: RwLock::default(),
                outlets: Mutex::default(),
                next_tail: AtomicU64::new(1),
            }),
        }
    }
}

impl LiveHub {
    /// One second of a tenant.
    pub fn publish_totals(&self, tenant: &TenantId, totals: LiveTotals) {
        self.publish_totals_at(tenant, totals, Timestamp::now());
    }

    fn publish_totals_at(&self, tenant: &TenantId, totals: LiveTotals, now: Timestamp) {
        let totals = Arc::new(totals);
        let mut tenants = self.state.tenants.lock();
        let feed = feed_of(&mut tenants, tenant, now);
        feed.history.push_back(totals.clone());
        feed.forget_before(now.plus_nanos(-HISTORY_NANOS));
        feed.publish(Published::Totals(totals));
    }

    /// A source came, went, or was heard from for the first time.
    pub fn publish_source(&self, tenant: &TenantId, key: SourceKey, state: SourceState) {
        self.publish(tenant, Published::Source(key, state));
    }

    /// A connection was refused: to its tenant, where that is known, else to those who may see all of them.
    pub fn publish_refusal(&self, tenant: Option<&TenantId>, refusal: Refusal) {
        let refusal = Arc::new(refusal);
        match tenant {
            Some(tenant) => self.publish(tenant, Published::Refusal(refusal)),
            // Nobody listening is no fault.
            None => drop(self.state.strangers.send(refusal)),
        }
    }

    /// A token's first event arrived.
    pub fn publish_token_seen(&self, tenant: &TenantId, token: u64, source: SourceKey) {
        self.publish(tenant, Published::TokenSeen(token, source));
    }

    fn publish(&self, tenant: &TenantId, message: Published) {
        if let Some(feed) = self.state.tenants.lock().get(tenant) {
            feed.publish(message);
        }
    }

    /// What is to be matched; a new `Arc` only when it changed, so that it can be compared by pointer.
    pub fn tails(&self) -> Arc<Vec<Tail>> {
        self.state.tails.read().clone()
    }

    /// Sends a tail the events that matched within a second, and how many more did. Beyond [`TAIL_EVENTS`] they are
    /// left out here.
    pub fn publish_tail(&self, id: TailId, mut events: Vec<Event>, omitted: u64) {
        let Some(outlet) = self.state.outlets.lock().get(&id).cloned() else { return };
        let over = events.len().saturating_sub(TAIL_EVENTS);
        events.truncate(TAIL_EVENTS);
        let message =
            LiveMessage::Tail { id: outlet.page_id.to_string(), events, omitted: omitted + over as u64 };
        if outlet.sender.try_send(message).is_err() {
            outlet.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The totals of the last 60 s, oldest first; a second in which nothing came may be absent.
    pub fn totals_history(&self, tenant: &TenantId) -> Vec<LiveTotals> {
        self.totals_history_at(tenant, Timestamp::now())
    }

    fn totals_history_at(&self, tenant: &TenantId, now: Timestamp) -> Vec<LiveTotals> {
        let mut tenants = self.state.tenants.lock();
        let Some(feed) = tenants.get_mut(tenant) else { return Vec::new() };
        feed.forget_before(now.plus_nanos(-HISTORY_NANOS));
        feed.history.iter().map(|totals| LiveTotals::clone(totals)).collect()
    }

    /// Tenants that somebody watches.
    pub(crate) fn watched(&self) -> Vec<TenantId> {
        let tenants = self.state.tenants.lock();
        tenants.iter().filter(|(_, feed)| feed.streams > 0).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// Takes a stream in. `reader` names the person or token that the limit per reader is for.
    pub(crate) fn join(
        &self,
        tenant: &TenantId,
        reader: Option<Arc<str>>,
        tails: Vec<(String, Query)>,
    ) -> Result<Joined, HubFull> {
        let (tailing, tailed) = mpsc::channel(TAIL_BACKLOG);
        let published = {
            let mut tenants = self.state.tenants.lock();
            let feed = feed_of(&mut tenants, tenant, Timestamp::now());
            feed.admit(reader.as_ref(), tails.len())?;
            feed.sender.subscribe()
        };
        let missed = Arc::new(AtomicU64::new(0));
        let mut registered = Vec::with_capacity(tails.len());
        for (page_id, query) in tails {
            let id = TailId(self.state.next_tail.fetch_add(1, Ordering::Relaxed));
            let outlet = Outlet { page_id: page_id.into(), sender: tailing.clone(), missed: missed.clone() };
            self.state.outlets.lock().insert(id, outlet);
            registered.push(Tail { id, tenant: tenant.clone(), query });
        }
        let ids = registered.iter().map(|tail| tail.id).collect();
        if !registered.is_empty() {
            let mut all = self.state.tails.write();
            *all = Arc::new(all.iter().cloned().chain(registered).collect());
        }
        let place =
            Place { hub: self.clone(), tenant: tenant.clone(), reader, tails: ids, _tailing: tailing };
        Ok(Joined { published, strangers: self.state.strangers.subscribe(), tailed, missed, place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let state = &self.hub.state;
        if !self.tails.is_empty() {
            let mut all = state.tails.write();
            *all = Arc::new(all.iter().filter(|tail| !self.tails.contains(&tail.id)).cloned().collect());
            drop(all);
            let mut outlets = state.outlets.lock();
            for id in &self.tails {
                outlets.remove(id);
            }
        }
        if let Some(feed) = state.tenants.lock().get_mut(&self.tenant) {
            feed.release(self.reader.as_ref(), self.tails.len());
        }
    }
}

fn feed_of<'a>(tenants: &'a mut HashMap<TenantId, Feed>, tenant: &TenantId, now: Timestamp) -> &'a mut Feed {
    if !tenants.contains_key(tenant) {
        let oldest = now.plus_nanos(-HISTORY_NANOS);
        tenants.retain(|_, feed| feed.streams > 0 || feed.history.back().is_some_and(|t| t.at >= oldest));
    }
    tenants.entry(tenant.clone()).or_insert_with(Feed::new)
}

impl Feed {
    fn new() -> Self {
        Self {
            sender: broadcast::channel(BACKLOG).0,
            history: VecDeque::new(),
            streams: 0,
            tails: 0,
            readers: HashMap::new(),
        }
    }

    fn publish(&self, message: Published) {
        // Nobody listening is no fault.
        drop(self.sender.send(message));
    }

    fn forget_before(&mut self, oldest: Timestamp) {
        while self.history.len() > 61 || self.history.front().is_some_and(|totals| totals.at < oldest) {
            self.history.pop_front();
        }
    }

    fn admit(&mut self, reader: Option<&Arc<str>>, tails: usize) -> Result<(), HubFull> {
        let own = reader.and_then(|reader| self.readers.get(reader)).copied().unwrap_or(0);
        if own >= STREAMS_PER_READER
            || self.streams >= STREAMS_PER_TENANT
            || tails > TAILS_PER_STREAM
            || self.tails + tails > TAILS_PER_TENANT
        {
            return Err(HubFull);
        }
        self.streams += 1;
        self.tails += tails;
        if let Some(reader) = reader {
            *self.readers.entry(reader.clone()).or_default() += 1;
        }
        Ok(())
    }

    fn release(&mut self, reader: Option<&Arc<str>>, tails: usize) {
        self.streams -= 1;
        self.tails -= tails;
        if let Some(reader) = reader
            && let Some(own) = self.readers.get_mut(reader)
        {
            *own -= 1;
            if *own == 0 {
                self.readers.remove(reader);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        TenantId::new("t_1").unwrap()
    }

    fn totals(at: Timestamp) -> LiveTotals {
        LiveTotals { at, events: 1, bytes: 10, levels: [0; 10], sources: vec![], freshness_p99_ms: 1.0 }
    }

    #[test]
    fn history_holds_a_minute_and_idle_tenants_are_forgotten() {
        let hub = LiveHub::default();
        for second in 0..200 {
            let at = Timestamp::from_secs(second);
            hub.publish_totals_at(&tenant(), totals(at), at);
        }
        let check = |now: i64, expect: usize| {
            assert_eq!(hub.totals_history_at(&tenant(), Timestamp::from_secs(now)).len(), expect);
        };
        check(199, 61);
        check(229, 31);
        check(500, 0);
        let at = Timestamp::from_secs(600);
        hub.publish_totals_at(&TenantId::new("t_2").unwrap(), totals(at), at);
        assert_eq!(hub.state.tenants.lock().len(), 1);
    }

    #[test]
    fn limits_hold_and_places_are_given_back() {
        let hub = LiveHub::default();
        let reader: Arc<str> = "u-1".into();
        let tail = || vec![("a".to_owned(), Query::all())];
        let mut held: Vec<_> = (0..STREAMS_PER_READER)
            .map(|_| hub.join(&tenant(), Some(reader.clone()), tail()).unwrap())
            .collect();
        assert_eq!(hub.join(&tenant(), Some(reader.clone()), tail()).err(), Some(HubFull));
        assert_eq!(hub.tails().len(), STREAMS_PER_READER);
        held.pop();
        assert_eq!(hub.tails().len(), STREAMS_PER_READER - 1);
        held.push(hub.join(&tenant(), Some(reader), tail()).unwrap());
        let many: Vec<_> = (0..=TAILS_PER_STREAM).map(|i| (i.to_string(), Query::all())).collect();
        assert_eq!(hub.join(&tenant(), None, many).err(), Some(HubFull));
        let others: Vec<_> =
            std::iter::from_fn(|| hub.join(&tenant(), None, vec![]).ok()).take(1_000).collect();
        assert_eq!(others.len() + held.len(), STREAMS_PER_TENANT);
        drop((held, others));
        assert!(hub.tails().is_empty() && hub.watched().is_empty() && hub.state.outlets.lock().is_empty());
    }

    #[test]
    fn a_tail_never_blocks_and_counts_what_it_leaves_out() {
        let hub = LiveHub::default();
        let mut joined = hub.join(&tenant(), None, vec![("t".to_owned(), Query::all())]).unwrap();
        let id = hub.tails()[0].id;
        for _ in 0..TAIL_BACKLOG + 5 {
            hub.publish_tail(id, vec![], 3);
        }
        assert_eq!(joined.missed.load(Ordering::Relaxed), 5);
        let message = joined.tailed.try_recv().unwrap();
        assert_eq!(message, LiveMessage::Tail { id: "t".to_owned(), events: vec![], omitted: 3 });
        drop(joined);
        hub.publish_tail(id, vec![], 0);
    }
}
