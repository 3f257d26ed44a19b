//! Kafka passes the broker's suite. `QGX_TEST_KAFKA` names its servers; `cargo xtask services up` starts some.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;

use async_trait::async_trait;
use cluster::{fresh_options, servers};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use store::broker::Broker;
use store::broker::conformance::{self, Abilities, Setup};
use store_kafka::{KafkaBroker, KafkaOptions, ensure_topics};

struct OnKafka {
    servers: String,
    partitions: u32,
    /// The options of each broker, by its address.
    options: Mutex<HashMap<usize, KafkaOptions>>,
}

impl OnKafka {
    async fn open(&self, options: KafkaOptions) -> Arc<dyn Broker> {
        let broker = KafkaBroker::connect(options.clone()).await.unwrap();
        self.options.lock().insert(Arc::as_ptr(&broker).addr(), options);
        broker
    }
}

#[async_trait]
impl Setup for OnKafka {
    fn abilities(&self) -> Abilities {
        Abilities { retention: false }
    }

    async fn fresh(&self) -> Arc<dyn Broker> {
        let options = KafkaOptions { partitions: self.partitions, ..fresh_options(&self.servers) };
        ensure_topics(&options).await.unwrap();
        self.open(options).await
    }

    async fn reopen(&self, broker: Arc<dyn Broker>) -> Option<Arc<dyn Broker>> {
        let options = self.options.lock().remove(&Arc::as_ptr(&broker).cast::<()>().addr()).unwrap();
        Some(self.open(options).await)
    }
}

async fn check(partitions: u32) {
    let Some(servers) = servers() else { return };
    conformance::run(&OnKafka { servers, partitions, options: Mutex::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    check(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_with_one_partition() {
    check(1).await;
}
