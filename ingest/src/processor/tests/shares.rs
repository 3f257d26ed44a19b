//! A processor that shares the partitions with others.

use super::fixture::eventually;
use super::{Deps, EVENTS, Processor, World, logs};
use async_trait::async_trait;
use domain::Timestamp;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use store::broker::memory::MemoryBroker;
use store::broker::{
    Append, Broker, BrokerError, Fetched, Lag, Membership, NewRecord, Offset, Partition, Share, Topic,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The broker in memory, with shares as the test says.
struct Shared {
    inner: Arc<MemoryBroker>,
    shares: watch::Sender<Share>,
    complete: Sender<u64>,
    completed: Mutex<Receiver<u64>>,
}

impl Shared {
    fn over(inner: Arc<MemoryBroker>) -> Arc<Self> {
        let (complete, completed) = channel();
        let shares = watch::Sender::new(Share::Waiting);
        Arc::new(Self { inner, shares, complete, completed: Mutex::new(completed) })
    }

    fn give(&self, generation: u64, partitions: &[Partition]) {
        self.shares.send_replace(Share::Consuming { generation, partitions: partitions.into() });
    }

    /// Takes a share back and waits until it is done with.
    async fn take_back(&self, generation: u64) {
        let until = Instant::now() + Duration::from_secs(20);
        self.shares.send_replace(Share::Draining { generation, until });
        eventually("the share to be done with", async || self.completed.lock().try_recv() == Ok(generation))
            .await;
        self.shares.send_replace(Share::Waiting);
    }
}

#[async_trait]
impl Broker for Shared {
    fn partitions(&self, topic: Topic) -> u32 {
        self.inner.partitions(topic)
    }
    fn append(&self, topic: Topic, records: Vec<NewRecord>) -> Append {
        self.inner.append(topic, records)
    }
    async fn fetch(
        &self,
        topic: Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Fetched, BrokerError> {
        self.inner.fetch(topic, partition, from, max_bytes, max_wait).await
    }
    async fn commit(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
        next: Offset,
    ) -> Result<(), BrokerError> {
        self.inner.commit(group, topic, partition, next).await
    }
    async fn committed(&self, group: &str, topic: Topic, of: Partition) -> Result<Offset, BrokerError> {
        self.inner.committed(group, topic, of).await
    }
    async fn lag(&self, group: &str, topic: Topic) -> Result<Vec<Lag>, BrokerError> {
        self.inner.lag(group, topic).await
    }
    async fn join(&self, _: &str, _: Topic) -> Result<Membership, BrokerError> {
        let left = CancellationToken::new();
        Ok(Membership::shared(self.shares.subscribe(), self.complete.clone(), left))
    }
    async fn enforce_retention(&self, now: Timestamp) -> Result<u64, BrokerError> {
        self.inner.enforce_retention(now).await
    }
    async fn stored_bytes(&self) -> Result<u64, BrokerError> {
        self.inner.stored_bytes().await
    }
    async fn close(&self) -> Result<(), BrokerError> {
        self.inner.close().await
    }
}

/// Each partition with as many records as were appended to it.
fn ends(world: &World) -> BTreeMap<Partition, Offset> {
    let mut ends = BTreeMap::new();
    for place in world.places_of("number") {
        *ends.entry(place.0).or_default() += 1;
    }
    ends
}

async fn stored(world: &World) -> BTreeMap<Partition, Offset> {
    world.sql.offsets(EVENTS).await.unwrap().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_keeps_to_its_share() {
    let world = World::new().await;
    let names: Vec<_> = (0..12).map(|n| format!("s{n}")).collect();
    let append = async || {
        for name in &names {
            world.append(logs(name, 0..10)).await;
        }
    };
    append().await;
    assert_eq!(ends(&world).len(), 3, "every partition has something");

    let group = Shared::over(world.broker.clone());
    let deps = Deps {
        broker: group.clone(),
        index: world.index.clone(),
        sql: world.sql.clone(),
        hooks: world.hooks.clone(),
    };
    let processor = Processor::start(deps, world.config.clone());
    group.give(1, &[0, 2]);
    let mut expect = ends(&world);
    expect.remove(&1);
    eventually("the end of the share", async || stored(&world).await == expect).await;

    group.take_back(1).await;
    append().await;
    // More partitions than it has places for: nothing to do, and nothing done.
    group.give(2, &[]);
    group.take_back(2).await;
    assert_eq!(stored(&world).await, expect, "what is not its share is not read");

    group.give(3, &[0, 1, 2]);
    world.drained().await;
    processor.shutdown().await;
    for name in &names {
        assert_eq!(world.counted(name).await, 20, "each event counts once");
    }
}
