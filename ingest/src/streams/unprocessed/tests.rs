use super::*;
use crate::processor::tests::fixture;
use crate::streams::Owner;
use store::broker::NewRecord;
use store::broker::memory::MemoryBroker;
use store::sql::Flush;

const BUDGET: usize = 8 << 20;

struct World {
    broker: Arc<MemoryBroker>,
    sql: Arc<dyn SqlStore>,
    budget: ByteBudget,
    unprocessed: Unprocessed,
}

impl World {
    async fn new(budget: usize) -> Self {
        let (broker, sql) = (MemoryBroker::new(3), fixture::sql().await);
        let unprocessed = Unprocessed::new(sql.clone(), broker.clone());
        Self { broker, sql, budget: ByteBudget::new(budget), unprocessed }
    }

    async fn append(&self, source: &str, name: &str, sequences: std::ops::RangeInclusive<u64>) {
        let name: Arc<str> = name.into();
        let line = |sequence| NewRecord {
            origin: Origin::Stream { stream: Arc::clone(&name), sequence },
            ..fixture::new_record(source, "{}")
        };
        self.broker.append(Topic::Events, sequences.map(line).collect()).await.unwrap();
    }

    /// As a processor that is at the end.
    async fn process_all(&self) {
        let offsets: Vec<_> = (0..).zip(self.broker.ends(Topic::Events).await.unwrap()).collect();
        self.sql.flush(Topic::Events.name(), &Flush { offsets, ..Flush::default() }).await.unwrap();
    }

    async fn highest(&self, owner: Owner, stream: &str) -> Result<u64, Unknown> {
        let (tenant, name) = (fixture::tenant(), owner.stored_name(stream));
        let stream = StoredStream { tenant, source: owner.source().cloned(), name };
        self.unprocessed.highest(&stream, &self.budget).await
    }

    async fn check(&self, owner: &Owner, stream: &str, expect: u64) {
        assert_eq!(self.highest(owner.clone(), stream).await, Ok(expect), "{owner:?} {stream}");
    }

    fn remembered(&self) -> usize {
        self.unprocessed.0.known.lock().partitions.values().map(|part| part.streams.len()).sum()
    }
}

fn bound(source: &str) -> Owner {
    Owner::Bound(fixture::source(source))
}

#[tokio::test]
async fn what_stands_in_the_log_counts_until_it_is_processed() {
    let world = World::new(BUDGET).await;
    let (one, two, mixed) = (bound("pump-1"), bound("pump-2"), Owner::Token(7));
    world.check(&one, "boot", 0).await;
    world.append("pump-1", "bound/boot", 1..=2).await;
    world.append("pump-2", "bound/boot", 1..=50).await;
    for (source, last) in [("a", 3), ("b", 9), ("c", 5)] {
        world.append(source, "mixed/7/boot", last..=last).await;
    }
    world.append("pump-1", "http/0123", 70..=80).await;
    world.check(&one, "boot", 2).await;
    world.check(&two, "boot", 50).await;
    world.check(&mixed, "boot", 9).await;
    world.check(&mixed, "other", 0).await;
    world.append("d", "mixed/7/boot", 10..=12).await;
    world.check(&mixed, "boot", 12).await;
    world.process_all().await;
    world.append("pump-1", "bound/boot", 3..=3).await;
    world.check(&mixed, "boot", 0).await;
    world.check(&one, "boot", 3).await;
    assert_eq!(world.remembered(), 1, "what is processed is forgotten");
}

#[tokio::test]
async fn nothing_is_read_twice_while_it_is_not_processed() {
    let world = World::new(BUDGET).await;
    world.append("pump-1", "bound/boot", 1..=2).await;
    world.check(&bound("pump-1"), "boot", 2).await;
    // As retention would: a second look at it would fail, or find nothing.
    let partition = fixture::new_record("pump-1", "").route.partition(3);
    assert_eq!(world.unprocessed.0.known.lock().forget(partition, 0), 2);
    world.append("pump-1", "bound/boot", 3..=4).await;
    world.check(&bound("pump-1"), "boot", 4).await;
    assert_eq!(world.unprocessed.0.known.lock().forget(partition, 0), 4);
    assert_eq!(world.unprocessed.0.known.lock().forget(partition, 3), 4);
    assert_eq!(world.remembered(), 1);
    assert_eq!(world.unprocessed.0.known.lock().forget(partition, 9), 9, "the processor is further");
    assert_eq!((world.remembered(), world.unprocessed.0.known.lock().bytes), (0, 0));
}

#[tokio::test]
async fn everybody_who_asks_at_once_is_answered_by_few_passes() {
    let world = World::new(BUDGET).await;
    world.append("pump-1", "bound/boot", 1..=2).await;
    let asked = (0..100).map(|_| world.highest(bound("pump-1"), "boot"));
    assert_eq!(futures::future::join_all(asked).await, [Ok(2); 100]);
    let begun = world.unprocessed.0.turn.lock().begun;
    assert!(begun <= 2, "{begun} passes");
}

#[tokio::test]
async fn beyond_the_budget_streams_have_the_highest_number_of_their_tenant() {
    // Room for a read and no more.
    let world = World::new(READ_SHARE).await;
    world.append("pump-1", "bound/boot", 1..=2).await;
    world.append("a", "mixed/7/boot", 9..=9).await;
    world.check(&bound("pump-1"), "boot", 9).await;
    world.check(&Owner::Token(8), "never seen", 9).await;
    assert_eq!(world.remembered(), 0);
    assert_eq!(world.budget.free(), READ_SHARE, "nothing is held");
    world.process_all().await;
    world.check(&Owner::Token(8), "never seen", 0).await;
}

#[tokio::test]
async fn shares_are_given_back() {
    let world = World::new(BUDGET).await;
    for n in 0..5_000 {
        world.append("a", &format!("mixed/7/{n}"), 1..=1).await;
    }
    world.check(&Owner::Token(7), "4999", 1).await;
    let taken = BUDGET - world.budget.free();
    assert!((5_000 * ENTRY..2 * 5_000 * ENTRY).contains(&taken), "{taken}");
    world.process_all().await;
    world.check(&Owner::Token(7), "4999", 0).await;
    assert!(BUDGET - world.budget.free() <= STEP);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_no_position() {
    let world = World::new(BUDGET).await;
    world.append("pump-1", "bound/boot", 1..=2).await;
    world.broker.fail_fetches(1);
    assert_eq!(world.highest(bound("pump-1"), "boot").await, Err(Unknown));
    world.check(&bound("pump-1"), "boot", 2).await;
}
