//! What goes wrong between us and Kafka, on librdkafka's own simulated cluster.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::conformance::{drain, numbered};
use store::broker::{Broker, BrokerError, Topic};
use store_kafka::{KafkaBroker, KafkaOptions};

const DEADLINE: Duration = Duration::from_secs(30);

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A cluster of one server with our topics, and a broker on it.
async fn cluster(change: impl FnOnce(&mut KafkaOptions)) -> (Cluster, Arc<KafkaBroker>) {
    let cluster = MockCluster::new(1).unwrap();
    for topic in Topic::ALL {
        cluster.create_topic(topic.name(), 1, 1).unwrap();
    }
    let mut options = KafkaOptions {
        request_timeout: Duration::from_secs(5),
        ..KafkaOptions::new(cluster.bootstrap_servers())
    };
    change(&mut options);
    let broker = KafkaBroker::connect(options).await.unwrap();
    // The client has its numbers for idempotence, and a leader.
    broker.append(Topic::DeadLetters, numbered("pump-1", 0..1)).await.unwrap();
    (cluster, broker)
}

async fn stored(broker: &KafkaBroker) -> Vec<String> {
    let records = drain(broker, Topic::Events, 0, 0).await;
    records.iter().map(|it| String::from_utf8_lossy(&it.payload).into_owned()).collect()
}

fn failure(outcome: Result<(), BrokerError>) -> String {
    match outcome {
        Err(BrokerError::Failed(reason)) => reason,
        other => panic!("{other:?} is no failure"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_report_there_is_no_ack_and_no_gap() {
    let (cluster, broker) = cluster(|it| it.ack_timeout = Duration::from_secs(1)).await;
    cluster.broker_down(1).unwrap();
    let reason = failure(broker.append(Topic::Events, numbered("pump-1", 0..1)).await);
    assert!(reason.contains("no delivery report within 1 s"), "{reason}");
    // The one that nobody waits for any more still goes before what comes after it.
    let second = broker.append(Topic::Events, numbered("pump-1", 1..2));
    cluster.broker_up(1).unwrap();
    let _ = second.await;
    let deadline = Instant::now() + DEADLINE;
    while stored(&broker).await.len() < 2 {
        assert!(Instant::now() < deadline, "both are stored in the end");
    }
    assert_eq!(stored(&broker).await, ["0", "1"]);
    broker.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_ends_in_a_new_client() {
    let (cluster, broker) = cluster(|_| ()).await;
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    let reason = failure(broker.append(Topic::Events, numbered("pump-1", 0..1)).await);
    assert!(reason.contains("not stored for sure"), "{reason}");
    let deadline = Instant::now() + DEADLINE;
    let mut busy = 0;
    loop {
        assert!(Instant::now() < deadline, "a new client takes over");
        match broker.append(Topic::Events, numbered("pump-1", 1..2)).await {
            Ok(()) => break,
            Err(BrokerError::Busy { .. }) => busy += 1,
            // Those that met the old client on its way out.
            Err(BrokerError::Failed(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(busy > 0, "appends are held back while the client is replaced");
    assert_eq!(stored(&broker).await, ["1"]);
    broker.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_answers_busy_and_stores_nothing() {
    let (cluster, broker) = cluster(|it| it.pending_bytes = 1000).await;
    cluster.broker_down(1).unwrap();
    let first = broker.append(Topic::Events, numbered("pump-1", 0..10));
    let second = broker.append(Topic::Events, numbered("pump-1", 10..20)).await;
    assert!(matches!(second, Err(BrokerError::Busy { .. })), "{second:?}");
    cluster.broker_up(1).unwrap();
    first.await.unwrap();
    assert_eq!(stored(&broker).await.len(), 10);
    broker.append(Topic::Events, numbered("pump-1", 10..20)).await.unwrap();
    // A call larger than the whole budget goes alone.
    broker.append(Topic::Events, numbered("pump-1", 20..60)).await.unwrap();
    assert_eq!(stored(&broker).await.len(), 60);
    broker.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_has_a_deadline() {
    let (cluster, broker) = cluster(|it| it.close_timeout = Duration::from_secs(1)).await;
    cluster.broker_down(1).unwrap();
    let waiting = broker.append(Topic::Events, numbered("pump-1", 0..1));
    let started = Instant::now();
    let closed = broker.close().await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    failure(closed);
    failure(waiting.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_delivers_what_was_appended() {
    let (cluster, broker) = cluster(|it| it.linger = Duration::from_millis(500)).await;
    let waiting = broker.append(Topic::Events, numbered("pump-1", 0..100));
    broker.close().await.unwrap();
    waiting.await.unwrap();
    let again = KafkaBroker::connect(KafkaOptions::new(cluster.bootstrap_servers())).await.unwrap();
    assert_eq!(stored(&again).await.len(), 100);
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_cluster_is_one_clear_sentence() {
    let options =
        KafkaOptions { request_timeout: Duration::from_secs(2), ..KafkaOptions::new("127.0.0.1:1") };
    let refused = KafkaBroker::connect(options).await.err().unwrap().to_string();
    assert!(refused.contains("Kafka at 127.0.0.1:1 does not answer"), "{refused}");
    assert!(refused.contains("Connection refused"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_is_refused_before_anything_is_stored() {
    let (_cluster, broker) = cluster(|_| ()).await;
    let mut records = numbered("pump-1", 0..2);
    records[1].payload = vec![b'x'; 9 * 1024 * 1024].into();
    let reason = failure(broker.append(Topic::Events, records).await);
    assert!(reason.contains("larger than Kafka takes"), "{reason}");
    assert!(stored(&broker).await.is_empty());
    broker.close().await.unwrap();
}
