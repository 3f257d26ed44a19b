//! The live hub: what just happened, to whoever watches.
//!
//! One bounded broadcast a tenant. Nobody who publishes ever waits: a reader that is too slow is told how much it
//! missed. Tenants that nobody watches and that send nothing are forgotten.
//!
//! Where the roles are split, the hub of each process is joined to the others by the live bus ([`crate::bus`]): what is
//! published here is said there, and a second of a tenant is put together from what each processor says of it.

use crate::bus::{BusEnd, FORGOTTEN, Said};
use crate::ingest_access::StreamTaken;
use domain::api::{LiveMessage, LiveTotals, Refusal, SourceState};
use domain::query::Query;
use domain::{Event, SourceKey, TenantId, Timestamp};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

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
/// How long a second waits for what other processors say of it.
const PUT_TOGETHER: Duration = Duration::from_millis(700);
/// Sources named in a second.
const TOP_SOURCES: usize = 20;
/// Tails of other processes, in all.
const REMOTE_TAILS: usize = 4_096;
/// Streams taken elsewhere that may wait to be looked at.
const TAKEN_BACKLOG: usize = 1_024;

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

/// A tail of another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteTail {
    /// Its name there.
    pub(crate) id: u64,
    /// Whose.
    pub(crate) tenant: TenantId,
    /// What it shows.
    pub(crate) query: String,
}

/// What another process watches for.
#[derive(Debug)]
struct Watcher {
    heard: Instant,
    /// Their names here.
    tails: Vec<(TailId, RemoteTail)>,
}

/// The hub of this process.
#[derive(Debug, Clone)]
pub struct LiveHub {
    pub(crate) state: Arc<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) bus: BusEnd,
    tenants: Mutex<HashMap<TenantId, Feed>>,
    /// Refusals that belong to no tenant.
    strangers: broadcast::Sender<Arc<Refusal>>,
    tails: RwLock<Arc<Vec<Tail>>>,
    outlets: Mutex<HashMap<TailId, Outlet>>,
    next_tail: AtomicU64,
    /// By the name of their process.
    watchers: Mutex<HashMap<String, Watcher>>,
    taken: broadcast::Sender<StreamTaken>,
}

#[derive(Debug)]
struct Feed {
    sender: broadcast::Sender<Published>,
    history: VecDeque<Arc<LiveTotals>>,
    /// Seconds being put together, since when.
    coming: BTreeMap<i64, (Instant, LiveTotals)>,
    /// The last that was put together.
    done: i64,
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
    /// Since when, and how many events: of all processors together.
    second: Arc<Mutex<(Instant, usize)>>,
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
                bus: BusEnd::default(),
                tenants: Mutex::default(),
                strangers,
                tails: RwLock::default(),
                outlets: Mutex::default(),
                next_tail: AtomicU64::new(1),
                watchers: Mutex::default(),
                taken: broadcast::channel(TAKEN_BACKLOG).0,
            }),
        }
    }
}

impl LiveHub {
    /// One second of a tenant, as far as this process has it; `delays` are for the status of other processes.
    pub(crate) fn publish_share(&self, tenant: &TenantId, totals: LiveTotals, delays: Vec<(u8, u64)>) {
        if self.bus().is_joined() {
            self.bus().say(Said::Totals { tenant: tenant.clone(), totals: totals.clone(), delays });
            self.add_totals(tenant, totals);
        } else {
            self.publish_totals(tenant, totals);
        }
    }

    /// One second of a tenant, whole.
    pub fn publish_totals(&self, tenant: &TenantId, totals: LiveTotals) {
        self.publish_totals_at(tenant, totals, Timestamp::now());
    }

    /// One processor's share of a second. What comes after its second was put together counts in the next: nothing is
    /// left out, whatever the clocks say.
    pub(crate) fn add_totals(&self, tenant: &TenantId, totals: LiveTotals) {
        let mut tenants = self.state.tenants.lock();
        let feed = feed_of(&mut tenants, tenant, Timestamp::now());
        let second = totals.at.as_secs().max(feed.done.saturating_add(1));
        match feed.coming.get_mut(&second) {
            Some((_, sum)) => add(sum, totals),
            None => {
                let at = Timestamp::from_secs(second);
                feed.coming.insert(second, (Instant::now(), LiveTotals { at, ..totals }));
            }
        }
    }

    /// Publishes the seconds that have waited long enough for all processors.
    pub(crate) fn put_together(&self, now: Instant) {
        let mut tenants = self.state.tenants.lock();
        for feed in tenants.values_mut() {
            while let Some(first) = feed.coming.first_entry()
                && first.get().0 + PUT_TOGETHER <= now
            {
                let (second, (_, totals)) = first.remove_entry();
                feed.done = second;
                let totals = Arc::new(totals);
                feed.history.push_back(totals.clone());
                feed.forget_before(totals.at.plus_nanos(-HISTORY_NANOS));
                feed.publish(Published::Totals(totals));
            }
        }
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
        self.bus().say(Said::Source { tenant: tenant.clone(), key: key.clone(), state });
        self.publish_source_here(tenant, key, state);
    }

    /// As [`Self::publish_source`], to readers of this process alone: each process looks for itself.
    pub(crate) fn publish_source_here(&self, tenant: &TenantId, key: SourceKey, state: SourceState) {
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
        self.bus().say(Said::TokenSeen { tenant: tenant.clone(), token, source: source.clone() });
        self.publish_token_seen_here(tenant, token, source);
    }

    pub(crate) fn publish_token_seen_here(&self, tenant: &TenantId, token: u64, source: SourceKey) {
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
        let outlet = self.state.outlets.lock().get(&id).cloned();
        let Some(outlet) = outlet else {
            let owner = self.watcher_of(id);
            if let Some((process, tail)) = owner {
                self.bus().say_matches(process, tail, events, omitted);
            }
            return;
        };
        let over = events.len().saturating_sub(TAIL_EVENTS);
        events.truncate(TAIL_EVENTS);
        let message =
            LiveMessage::Tail { id: outlet.page_id.to_string(), events, omitted: omitted + over as u64 };
        if outlet.sender.try_send(message).is_err() {
            outlet.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What another process found for a tail of this one. Of all processes together a tail gets [`TAIL_EVENTS`] a second.
    pub(crate) fn publish_found(&self, tail: u64, mut events: Vec<Event>, omitted: u64) {
        let id = TailId(tail);
        let Some(second) = self.state.outlets.lock().get(&id).map(|outlet| outlet.second.clone()) else {
            return;
        };
        let room = {
            let (mut second, now) = (second.lock(), Instant::now());
            if now >= second.0 + Duration::from_secs(1) {
                *second = (now, 0);
            }
            let room = TAIL_EVENTS.saturating_sub(second.1);
            second.1 += events.len().min(room);
            room
        };
        let over = events.len().saturating_sub(room);
        events.truncate(room);
        self.publish_tail(id, events, omitted + over as u64);
    }

    /// Says what this process watches for.
    pub(crate) fn announce_tails(&self) {
        if !self.bus().is_joined() {
            return;
        }
        let outlets = self.state.outlets.lock();
        let own = self.tails().iter().filter(|tail| outlets.contains_key(&tail.id)).map(remote).collect();
        drop(outlets);
        self.bus().say(Said::Tails { tails: own });
    }

    /// From now on another process watches for these, and for nothing else.
    pub(crate) fn watch_for(&self, process: &str, tails: Vec<RemoteTail>) {
        let mut watchers = self.state.watchers.lock();
        let now = Instant::now();
        let before = watchers.remove(process).map_or_else(Vec::new, |watcher| watcher.tails);
        if before.len() == tails.len() && before.iter().zip(&tails).all(|((_, known), tail)| known == tail) {
            watchers.insert(process.to_owned(), Watcher { heard: now, tails: before });
            return;
        }
        let elsewhere: usize = watchers.values().map(|watcher| watcher.tails.len()).sum();
        let mut kept: HashMap<u64, TailId> = before.iter().map(|(id, tail)| (tail.id, *id)).collect();
        let (mut named, mut added) = (Vec::with_capacity(tails.len()), Vec::new());
        for tail in tails.into_iter().take(REMOTE_TAILS.saturating_sub(elsewhere)) {
            if let Some(id) = kept.remove(&tail.id) {
                named.push((id, tail));
            } else if let Ok(query) = Query::parse(&tail.query) {
                let id = TailId(self.state.next_tail.fetch_add(1, Ordering::Relaxed));
                added.push(Tail { id, tenant: tail.tenant.clone(), query });
                named.push((id, tail));
            }
        }
        watchers.insert(process.to_owned(), Watcher { heard: now, tails: named });
        drop(watchers);
        self.change_tails(&kept.into_values().collect::<Vec<_>>(), added);
    }

    /// Watches no longer for processes that have said nothing for a while.
    pub(crate) fn forget_silent(&self, now: Instant) {
        let mut gone = Vec::new();
        self.state.watchers.lock().retain(|_, watcher| {
            let there = now < watcher.heard + FORGOTTEN;
            if !there {
                gone.extend(watcher.tails.iter().map(|(id, _)| *id));
            }
            there
        });
        self.change_tails(&gone, Vec::new());
    }

    fn change_tails(&self, gone: &[TailId], added: Vec<Tail>) {
        if gone.is_empty() && added.is_empty() {
            return;
        }
        let mut all = self.state.tails.write();
        let staying = all.iter().filter(|tail| !gone.contains(&tail.id)).cloned();
        *all = Arc::new(staying.chain(added).collect());
    }

    /// Whose tail it is, and its name there.
    fn watcher_of(&self, id: TailId) -> Option<(String, u64)> {
        let watchers = self.state.watchers.lock();
        watchers.iter().find_map(|(process, watcher)| {
            let (_, tail) = watcher.tails.iter().find(|(known, _)| *known == id)?;
            Some((process.clone(), tail.id))
        })
    }

    /// A stream was taken by a connection of another process.
    pub(crate) fn stream_taken_here(&self, taken: StreamTaken) {
        // Nobody listening is no fault.
        drop(self.state.taken.send(taken));
    }

    /// Streams that connections of other processes take.
    pub(crate) fn streams_taken(&self) -> broadcast::Receiver<StreamTaken> {
        self.state.taken.subscribe()
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
            let outlet = Outlet {
                page_id: page_id.into(),
                sender: tailing.clone(),
                missed: missed.clone(),
                second: Arc::new(Mutex::new((Instant::now(), 0))),
            };
            self.state.outlets.lock().insert(id, outlet);
            registered.push(Tail { id, tenant: tenant.clone(), query });
        }
        let ids = registered.iter().map(|tail| tail.id).collect();
        if !registered.is_empty() {
            self.change_tails(&[], registered);
            self.announce_tails();
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
            self.hub.change_tails(&self.tails, Vec::new());
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

fn remote(tail: &Tail) -> RemoteTail {
    RemoteTail { id: tail.id.0, tenant: tail.tenant.clone(), query: tail.query.text.clone() }
}

/// Puts another processor's share of a second to what is there.
fn add(sum: &mut LiveTotals, more: LiveTotals) {
    sum.events += more.events;
    sum.bytes += more.bytes;
    for (level, events) in sum.levels.iter_mut().zip(more.levels) {
        *level += events;
    }
    for (source, events) in more.sources {
        match sum.sources.iter_mut().find(|(known, _)| *known == source) {
            Some((_, known)) => *known += events,
            None => sum.sources.push((source, events)),
        }
    }
    sum.sources.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sum.sources.truncate(TOP_SOURCES);
    // Of shares only the slowest is known: it is not better than that.
    sum.freshness_p99_ms = sum.freshness_p99_ms.max(more.freshness_p99_ms);
}

fn feed_of<'a>(tenants: &'a mut HashMap<TenantId, Feed>, tenant: &TenantId, now: Timestamp) -> &'a mut Feed {
    if !tenants.contains_key(tenant) {
        let oldest = now.plus_nanos(-HISTORY_NANOS);
        tenants.retain(|_, feed| {
            feed.streams > 0 || !feed.coming.is_empty() || feed.history.back().is_some_and(|t| t.at >= oldest)
        });
    }
    tenants.entry(tenant.clone()).or_insert_with(Feed::new)
}

impl Feed {
    fn new() -> Self {
        Self {
            sender: broadcast::channel(BACKLOG).0,
            history: VecDeque::new(),
            coming: BTreeMap::new(),
            done: i64::MIN,
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
