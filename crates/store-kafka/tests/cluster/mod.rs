//! Which Kafka the tests talk to, and topics of their own on it.

use store_kafka::KafkaOptions;

/// The servers of a variable, where the environment sets it.
pub fn servers() -> Option<String> {
    store::testing::wanted(
        "QGX_TEST_KAFKA",
        "servers of a Kafka, as host:port; `cargo xtask services up kafka` starts one",
    )
}

/// Options with a prefix that nobody else has, one copy of everything.
pub fn fresh_options(servers: &str) -> KafkaOptions {
    KafkaOptions {
        prefix: format!("test-{}.", uuid::Uuid::new_v4().simple()),
        partitions: 4,
        replication: 1,
        min_in_sync: 1,
        ..KafkaOptions::new(servers)
    }
}
