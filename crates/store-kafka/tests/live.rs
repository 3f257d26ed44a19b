//! The live bus: everybody hears everybody, from now on, and nobody waits. `QGX_TEST_KAFKA` names the servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;

use bytes::Bytes;
use cluster::{fresh_options, servers};
use std::time::{Duration, Instant};
use store::live_bus::{LiveBus, MESSAGE_MAX};
use store_kafka::{KafkaLive, ensure_topics};
use tokio::sync::broadcast::Receiver;

async fn heard(receiver: &mut Receiver<Bytes>) -> Bytes {
    tokio::time::timeout(Duration::from_secs(20), receiver.recv()).await.expect("it is heard").unwrap()
}

/// A consumer that begins at the end has to find it first: what is said until then it may miss.
async fn listening(bus: &dyn LiveBus, receiver: &mut Receiver<Bytes>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let probe = Bytes::from_static(b"are you there?");
    loop {
        assert!(Instant::now() < deadline, "nobody hears");
        bus.publish(probe.clone());
        if tokio::time::timeout(Duration::from_millis(200), receiver.recv()).await.is_ok() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_everybody_in_order() {
    let Some(servers) = servers() else { return };
    let options = fresh_options(&servers);
    let missing = KafkaLive::connect(options.clone()).await.err().expect("the topic is missing");
    assert!(missing.to_string().contains("run `qgx migrate`"), "{missing}");
    ensure_topics(&options).await.unwrap();
    let first = KafkaLive::connect(options.clone()).await.unwrap();
    let second = KafkaLive::connect(options.clone()).await.unwrap();
    let (mut at_first, mut at_second) = (first.subscribe(), second.subscribe());
    for speaker in [&first, &second] {
        listening(&**speaker, &mut at_first).await;
        listening(&**speaker, &mut at_second).await;
    }
    for number in 0..50 {
        first.publish(Bytes::from(format!("first {number}")));
    }
    for receiver in [&mut at_first, &mut at_second] {
        let mut next = 0;
        while next < 50 {
            let message = heard(receiver).await;
            if message.starts_with(b"first") {
                assert_eq!(message, format!("first {next}"));
                next += 1;
            }
        }
    }
    // Who comes later hears nothing of it.
    let late = KafkaLive::connect(options).await.unwrap();
    let mut at_late = late.subscribe();
    listening(&*late, &mut at_late).await;
    while let Ok(message) = at_late.try_recv() {
        assert!(!message.starts_with(b"first"), "{message:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_it() {
    let Some(servers) = servers() else { return };
    let options = fresh_options(&servers);
    ensure_topics(&options).await.unwrap();
    let bus = KafkaLive::connect(options).await.unwrap();
    let large = Bytes::from(vec![b'x'; MESSAGE_MAX]);
    let started = Instant::now();
    // Far more than its queue takes.
    for _ in 0..1_000 {
        bus.publish(large.clone());
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
