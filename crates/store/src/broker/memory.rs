//! A broker in memory, for tests: it keeps the contract, and fails on request.

use async_trait::async_trait;
use domain::Timestamp;
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::{Append, Broker, BrokerError, Fetched, Lag, NewRecord, Offset, Partition, Record, Topic};

/// How long dead letters are kept, read or not.
const DEAD_LETTER_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// What goes wrong with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFault {
    /// Answers [`BrokerError::Busy`]; nothing is stored.
    Busy {
        /// What the answer says.
        retry_after: Duration,
    },
    /// The connection is lost: answers [`BrokerError::Failed`], though the first `stored` records are stored.
    Lost {
        /// How many, at most as many as there are.
        stored: usize,
    },
}

/// The in-memory broker. Everything is gone with the value.
pub struct MemoryBroker {
    this: Weak<Self>,
    partitions: u32,
    retention_age: Duration,
    state: Mutex<State>,
    arrived: Notify,
    held: watch::Sender<bool>,
    hanging: watch::Sender<bool>,
    hang: AtomicUsize,
}

#[derive(Default)]
struct State {
    logs: HashMap<(Topic, Partition), Log>,
    committed: HashMap<(String, Topic, Partition), Offset>,
    append_faults: VecDeque<AppendFault>,
    failing_fetches: usize,
    limit_bytes: Option<u64>,
    closed: bool,
}

#[derive(Default)]
struct Log {
    earliest: Offset,
    kept: VecDeque<Kept>,
}

struct Kept {
    record: Record,
    appended_at: Timestamp,
}

impl Log {
    fn end(&self) -> Offset {
        self.earliest + self.kept.len() as u64
    }

    fn push(&mut self, new: NewRecord, appended_at: Timestamp) {
        let NewRecord { route, origin, token, payload } = new;
        let record = Record { offset: self.end(), route, origin, token, payload };
        self.kept.push_back(Kept { record, appended_at });
    }

    fn from(&self, offset: Offset) -> impl Iterator<Item = &Kept> {
        let skipped = usize::try_from(offset.saturating_sub(self.earliest)).unwrap_or(usize::MAX);
        self.kept.iter().skip(skipped)
    }
}

impl MemoryBroker {
    /// An empty one, with `partitions` for each topic and a retention of seven days, of dead letters thirty.
    pub fn new(partitions: u32) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            partitions: partitions.max(1),
            retention_age: Duration::from_secs(7 * 24 * 3600),
            state: Mutex::default(),
            arrived: Notify::new(),
            held: watch::Sender::new(false),
            hanging: watch::Sender::new(false),
            hang: AtomicUsize::new(0),
        })
    }

    /// The next append that has no fault yet gets this one.
    pub fn inject(&self, fault: AppendFault) {
        self.state.lock().append_faults.push_back(fault);
    }

    /// The next `count` fetches answer [`BrokerError::Failed`].
    pub fn fail_fetches(&self, count: usize) {
        self.state.lock().failing_fetches = count;
    }

    /// From now on appends are stored, but their futures wait for [`Self::release_acks`].
    pub fn hold_acks(&self) {
        self.held.send_replace(true);
    }

    /// Resolves the appends that [`Self::hold_acks`] held.
    pub fn release_acks(&self) {
        self.held.send_replace(false);
    }

    /// From now on appends hang: their records are stored, each append's by its own future, after [`Self::end_hanging`].
    pub fn hang_appends(&self) {
        self.hanging.send_replace(true);
    }

    /// Stores and resolves the appends that hang.
    pub fn end_hanging(&self) {
        self.hanging.send_replace(false);
    }

    /// How many appends have hung so far.
    pub fn hung(&self) -> usize {
        self.hang.load(Ordering::Acquire)
    }

    /// Beyond this many bytes, appends answer [`BrokerError::Busy`]; `None` is no limit.
    pub fn limit_bytes(&self, limit: Option<u64>) {
        self.state.lock().limit_bytes = limit;
    }

    /// Everything kept of a topic, by partition and offset.
    pub fn records(&self, topic: Topic) -> Vec<Record> {
        let state = self.state.lock();
        (0..self.partitions)
            .filter_map(|partition| state.logs.get(&(topic, partition)))
            .flat_map(|log| log.kept.iter().map(|kept| kept.record.clone()))
            .collect()
    }

    fn hang(&self, topic: Topic, records: Vec<NewRecord>) -> Append {
        self.hang.fetch_add(1, Ordering::AcqRel);
        let (broker, mut hanging) = (self.this.clone(), self.hanging.subscribe());
        async move {
            let _ = hanging.wait_for(|hanging| !hanging).await;
            broker.upgrade().ok_or(BrokerError::Closed)?.store(topic, records)
        }
        .boxed()
    }

    fn store(&self, topic: Topic, mut records: Vec<NewRecord>) -> Result<(), BrokerError> {
        let mut state = self.state.lock();
        state.open()?;
        let fault = state.append_faults.pop_front();
        if let Some(AppendFault::Busy { retry_after }) = fault {
            return Err(BrokerError::Busy { reason: "injected".to_owned(), retry_after });
        }
        if state.limit_bytes.is_some_and(|limit| state.bytes() >= limit) {
            let reason = "the size limit is reached".to_owned();
            return Err(BrokerError::Busy { reason, retry_after: Duration::from_secs(1) });
        }
        if let Some(AppendFault::Lost { stored }) = fault {
            records.truncate(stored);
        }
        let now = Timestamp::now();
        for record in records {
            let partition = record.route.partition(self.partitions);
            state.logs.entry((topic, partition)).or_default().push(record, now);
        }
        self.arrived.notify_waiters();
        if fault.is_some() {
            return Err(BrokerError::Failed("injected: the connection was lost".to_owned()));
        }
        Ok(())
    }

    /// `None` where there is nothing at `from` yet.
    fn read(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Option<Fetched>, BrokerError> {
        let mut state = self.state.lock();
        let Some(log) = state.log(topic, partition)? else { return Ok(None) };
        if from < log.earliest {
            return Err(BrokerError::OutOfRange { asked: from, earliest: log.earliest });
        }
        let mut fetched = Fetched { records: Vec::new(), end: log.end() };
        let mut bytes = 0;
        for kept in log.from(from) {
            bytes += kept.record.payload.len();
            if bytes > max_bytes && !fetched.records.is_empty() {
                break;
            }
            fetched.records.push(kept.record.clone());
        }
        Ok((!fetched.records.is_empty()).then_some(fetched))
    }

    fn end(&self, topic: Topic, partition: Partition) -> Result<Offset, BrokerError> {
        Ok(self.state.lock().log(topic, partition)?.map_or(0, |log| log.end()))
    }
}

impl State {
    fn open(&self) -> Result<(), BrokerError> {
        if self.closed { Err(BrokerError::Closed) } else { Ok(()) }
    }

    fn log(&mut self, topic: Topic, partition: Partition) -> Result<Option<&mut Log>, BrokerError> {
        self.open()?;
        Ok(self.logs.get_mut(&(topic, partition)))
    }

    fn bytes(&self) -> u64 {
        self.logs.values().flat_map(|log| &log.kept).map(|kept| kept.record.payload.len() as u64).sum()
    }

    /// The first offset that some group of the topic still needs.
    fn needed(&self, topic: Topic, partition: Partition) -> Offset {
        let groups = self.committed.keys().filter(|(_, of, _)| *of == topic).map(|(group, ..)| group);
        groups
            .map(|group| self.committed.get(&(group.clone(), topic, partition)).copied().unwrap_or(0))
            .min()
            // Events wait for a group that is still to come; dead letters are read by people, without one.
            .unwrap_or(if topic == Topic::Events { 0 } else { Offset::MAX })
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn partitions(&self, _topic: Topic) -> u32 {
        self.partitions
    }

    fn append(&self, topic: Topic, records: Vec<NewRecord>) -> Append {
        if *self.hanging.borrow() {
            return self.hang(topic, records);
        }
        let outcome = self.store(topic, records);
        let mut held = self.held.subscribe();
        async move {
            // The sender goes with the broker: nobody is left to release the acks, so they are not held.
            let _ = held.wait_for(|held| !held).await;
            outcome
        }
        .boxed()
    }

    async fn fetch(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Fetched, BrokerError> {
        {
            let mut state = self.state.lock();
            if state.failing_fetches > 0 {
                state.failing_fetches -= 1;
                return Err(BrokerError::Failed("injected: the fetch failed".to_owned()));
            }
        }
        let deadline = Instant::now() + max_wait;
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            if let Some(fetched) = self.read(topic, partition, from, max_bytes)? {
                return Ok(fetched);
            }
            if timeout_at(deadline, arrived).await.is_err() {
                return Ok(Fetched { records: Vec::new(), end: self.end(topic, partition)? });
            }
        }
    }

    async fn commit(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
        next: Offset,
    ) -> Result<(), BrokerError> {
        let mut state = self.state.lock();
        state.open()?;
        state.committed.insert((group.to_owned(), topic, partition), next);
        Ok(())
    }

    async fn committed(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
    ) -> Result<Offset, BrokerError> {
        let state = self.state.lock();
        state.open()?;
        Ok(state.committed.get(&(group.to_owned(), topic, partition)).copied().unwrap_or(0))
    }

    async fn lag(&self, group: &str, topic: Topic) -> Result<Vec<Lag>, BrokerError> {
        let state = self.state.lock();
        state.open()?;
        let of_partition = |partition| {
            let committed = state.committed.get(&(group.to_owned(), topic, partition)).copied().unwrap_or(0);
            let log = state.logs.get(&(topic, partition));
            Lag {
                partition,
                committed,
                end: log.map_or(0, Log::end),
                oldest_uncommitted: log
                    .and_then(|log| log.from(committed).next())
                    .map(|kept| kept.appended_at),
                bytes: log
                    .map_or(0, |log| log.from(committed).map(|kept| kept.record.payload.len() as u64).sum()),
            }
        };
        Ok((0..self.partitions).map(of_partition).collect())
    }

    async fn enforce_retention(&self, now: Timestamp) -> Result<u64, BrokerError> {
        let mut state = self.state.lock();
        state.open()?;
        let mut removed = 0;
        for topic in Topic::ALL {
            let age = if topic == Topic::Events { self.retention_age } else { DEAD_LETTER_AGE };
            let kept_since = now.plus_nanos(-i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
            for partition in 0..self.partitions {
                let needed = state.needed(topic, partition);
                let Some(log) = state.logs.get_mut(&(topic, partition)) else { continue };
                while log.earliest < needed && log.kept.front().is_some_and(|it| it.appended_at < kept_since)
                {
                    log.kept.pop_front();
                    log.earliest += 1;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    async fn stored_bytes(&self) -> Result<u64, BrokerError> {
        let state = self.state.lock();
        state.open()?;
        Ok(state.bytes())
    }

    async fn close(&self) -> Result<(), BrokerError> {
        self.state.lock().closed = true;
        self.arrived.notify_waiters();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::conformance::{self, Abilities, Setup, numbered};

    struct InMemory;

    #[async_trait]
    impl Setup for InMemory {
        fn abilities(&self) -> Abilities {
            Abilities { retention: true }
        }
        async fn fresh(&self) -> Arc<dyn Broker> {
            MemoryBroker::new(4)
        }
        async fn reopen(&self, _broker: Arc<dyn Broker>) -> Option<Arc<dyn Broker>> {
            None
        }
    }

    #[tokio::test]
    async fn conforms() {
        conformance::run(&InMemory).await;
    }

    /// Injects a fault, appends three records, and checks the answer and what was stored.
    async fn check(fault: AppendFault, busy: Option<Duration>, stored: usize) {
        let broker = MemoryBroker::new(1);
        broker.inject(fault);
        let answer = broker.append(Topic::Events, numbered("pump-1", 0..3)).await;
        match busy {
            Some(expect) => {
                assert!(
                    matches!(answer, Err(BrokerError::Busy { retry_after, .. }) if retry_after == expect)
                );
            }
            None => assert!(matches!(answer, Err(BrokerError::Failed(_)))),
        }
        assert_eq!(broker.records(Topic::Events).len(), stored);
        broker.append(Topic::Events, numbered("pump-1", 0..3)).await.unwrap();
        assert_eq!(broker.records(Topic::Events).len(), stored + 3, "a fault is used up by one append");
    }

    #[tokio::test]
    async fn appends_fail_on_request() {
        let second = Duration::from_secs(1);
        check(AppendFault::Busy { retry_after: second }, Some(second), 0).await;
        check(AppendFault::Lost { stored: 0 }, None, 0).await;
        check(AppendFault::Lost { stored: 2 }, None, 2).await;
        check(AppendFault::Lost { stored: 9 }, None, 3).await;
    }

    #[tokio::test]
    async fn acks_are_held_and_released() {
        let broker = MemoryBroker::new(1);
        broker.hold_acks();
        let mut append = broker.append(Topic::Events, numbered("pump-1", 0..1));
        assert!((&mut append).now_or_never().is_none());
        assert_eq!(broker.records(Topic::Events).len(), 1);
        broker.release_acks();
        append.await.unwrap();
    }

    #[tokio::test]
    async fn appends_hang_and_are_stored_later() {
        let broker = MemoryBroker::new(1);
        broker.hang_appends();
        let mut append = broker.append(Topic::Events, numbered("pump-1", 0..2));
        assert!((&mut append).now_or_never().is_none());
        assert_eq!((broker.records(Topic::Events).len(), broker.hung()), (0, 1));
        broker.end_hanging();
        append.await.unwrap();
        assert_eq!(broker.records(Topic::Events).len(), 2);
    }

    #[tokio::test]
    async fn the_size_limit_answers_busy() {
        let broker = MemoryBroker::new(1);
        broker.limit_bytes(Some(1));
        broker.append(Topic::Events, numbered("pump-1", 0..1)).await.unwrap();
        let refused = broker.append(Topic::Events, numbered("pump-1", 1..2)).await;
        assert!(matches!(refused, Err(BrokerError::Busy { .. })));
        broker.limit_bytes(None);
        broker.append(Topic::Events, numbered("pump-1", 1..2)).await.unwrap();
    }

    #[tokio::test]
    async fn fetches_fail_on_request() {
        let broker = MemoryBroker::new(1);
        broker.fail_fetches(1);
        let fetch = || broker.fetch(Topic::Events, 0, 0, 1, Duration::ZERO);
        assert!(matches!(fetch().await, Err(BrokerError::Failed(_))));
        assert_eq!(fetch().await.unwrap().end, 0);
    }
}
