//! The processor between a broker in memory, an index and SQLite.

mod cost;
pub(crate) mod fixture;
mod letters;
mod recovery;
mod resend;
mod shares;
mod whole;

use super::{Deps, Processor, ProcessorConfig, ProcessorHandle, RetryPolicy};
use fixture::{FakeHooks, FakeIndex, eventually, source, tenant};
use std::sync::Arc;
use std::time::Duration;
use store::broker::memory::MemoryBroker;
use store::broker::{Broker, NewRecord, Offset, Origin, Partition, Topic};
use store::sql::SqlStore;

/// The stores and a processor's settings.
struct World {
    broker: Arc<MemoryBroker>,
    index: Arc<FakeIndex>,
    sql: Arc<dyn SqlStore>,
    hooks: Arc<FakeHooks>,
    config: ProcessorConfig,
}

const EVENTS: &str = "qgx.events.v1";

impl World {
    async fn new() -> Self {
        let retry = RetryPolicy { first: Duration::from_millis(1), most: Duration::from_millis(10) };
        Self {
            broker: MemoryBroker::new(3),
            index: FakeIndex::new(),
            sql: fixture::sql().await,
            hooks: Arc::new(FakeHooks::default()),
            config: ProcessorConfig {
                linger: Duration::from_millis(5),
                drain: Duration::from_secs(30),
                retry,
                ..ProcessorConfig::default()
            },
        }
    }

    fn start(&self) -> ProcessorHandle {
        let deps = Deps {
            broker: self.broker.clone(),
            index: self.index.clone(),
            sql: self.sql.clone(),
            hooks: self.hooks.clone(),
        };
        Processor::start(deps, self.config.clone())
    }

    async fn append(&self, records: Vec<NewRecord>) {
        self.broker.append(Topic::Events, records).await.unwrap();
    }

    /// Records appended so far.
    fn appended(&self) -> u64 {
        self.broker.records(Topic::Events).len() as u64
    }

    /// Until every record appended is behind SQL's offsets and the group's.
    async fn drained(&self) {
        eventually("the end of the log", async || {
            let stored: u64 = self.sql.offsets(EVENTS).await.unwrap().iter().map(|it| it.1).sum();
            let lag = self.broker.lag(&self.config.group, Topic::Events).await.unwrap();
            stored == self.appended() && lag.iter().all(|it| it.committed == it.end)
        })
        .await;
    }

    /// Events that SQL counted of a source.
    async fn counted(&self, name: &str) -> u64 {
        self.sql.source(&tenant(), &source(name)).await.unwrap().map_or(0, |it| it.events)
    }

    /// Where records stand whose payload contains a text.
    fn places_of(&self, text: &str) -> Vec<(Partition, Offset)> {
        let records = self.broker.records(Topic::Events);
        let found = records.iter().filter(|it| String::from_utf8_lossy(&it.payload).contains(text));
        found.map(|it| (it.route.partition(self.broker.partitions(Topic::Events)), it.offset)).collect()
    }
}

/// Logs of a source, each with its number as message.
fn logs(source_name: &str, numbers: std::ops::Range<u64>) -> Vec<NewRecord> {
    let log = |n| {
        let rest = format!(r#""kind":"log","level":"warn","message":"number {n}""#);
        fixture::new_record(source_name, &fixture::event(source_name, &rest))
    };
    numbers.map(log).collect()
}

/// The same as lines of a stream, their sequence one more than their number.
fn streamed(source_name: &str, stream: &str, numbers: std::ops::Range<u64>) -> Vec<NewRecord> {
    let stream: Arc<str> = stream.into();
    let sequences = numbers.clone();
    let mut records = logs(source_name, numbers);
    for (record, n) in records.iter_mut().zip(sequences) {
        record.origin = Origin::Stream { stream: stream.clone(), sequence: n + 1 };
    }
    records
}
