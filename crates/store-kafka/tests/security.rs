//! TLS and a password against a real server: `QGX_TEST_KAFKA_TLS` names its listener, `QGX_TEST_KAFKA_CA` the file of its
//! authority; both are what `cargo xtask services up kafka` prints.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;
use store::broker::conformance::{drain, numbered};
use store::broker::{Broker, Topic};
use store::testing::wanted;
use store_kafka::{KafkaBroker, KafkaOptions, Sasl, SaslMechanism, Tls, ensure_topics};

/// The listener with a password over TLS, where the environment names one.
fn secured(password: &str, trusted: bool) -> Option<KafkaOptions> {
    let servers = wanted("QGX_TEST_KAFKA_TLS", "a listener with SCRAM-SHA-512 over TLS for qgx")?;
    let authority = wanted("QGX_TEST_KAFKA_CA", "the file of that listener's authority")?;
    Some(KafkaOptions {
        tls: Some(Tls { authorities: trusted.then(|| authority.into()), ..Tls::default() }),
        sasl: Some(Sasl {
            mechanism: SaslMechanism::ScramSha512,
            user: "qgx".to_owned(),
            password: password.to_owned(),
        }),
        request_timeout: Duration::from_secs(5),
        prefix: format!("test-{}.", uuid::Uuid::new_v4().simple()),
        partitions: 4,
        replication: 1,
        ..KafkaOptions::new(servers)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_over_tls_gets_in() {
    let Some(options) = secured("qgx-services", true) else { return };
    ensure_topics(&options).await.unwrap();
    let broker = KafkaBroker::connect(options).await.unwrap();
    broker.append(Topic::Events, numbered("pump-1", 0..3)).await.unwrap();
    let mut records = 0;
    for partition in 0..broker.partitions(Topic::Events) {
        records += drain(&*broker, Topic::Events, partition, 0).await.len();
    }
    assert_eq!(records, 3);
    broker.close().await.unwrap();
}

async fn check_refused(options: KafkaOptions, expect: &str) {
    let refused = KafkaBroker::connect(options).await.err().unwrap().to_string();
    assert!(refused.contains("does not answer") && refused.contains(expect), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told() {
    let Some(options) = secured("wrong", true) else { return };
    check_refused(options, "uthentication failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_told() {
    let Some(options) = secured("qgx-services", false) else { return };
    check_refused(options, "certificate verify failed").await;
}
