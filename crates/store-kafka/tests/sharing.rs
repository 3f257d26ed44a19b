//! Processes of one group share the partitions; what a share has in hand is finished before others get it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;

use cluster::{fresh_options, servers};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::conformance::{drain, numbered};
use store::broker::{Broker, Membership, Share, Topic};
use store_kafka::{Ensured, KafkaBroker, KafkaOptions, ensure_topics};

const GROUP: &str = "qgx-processor";
const DEADLINE: Duration = Duration::from_secs(40);

/// Waits for a share that `wanted` takes.
async fn until(member: &Membership, what: &str, mut wanted: impl FnMut(&Share) -> bool) -> Share {
    let mut shares = member.shares();
    let share = tokio::time::timeout(DEADLINE, shares.wait_for(|share| wanted(share))).await;
    let share = share.unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}")).unwrap();
    share.clone()
}

fn consuming(share: &Share) -> Option<(u64, BTreeSet<u32>)> {
    match share {
        Share::Consuming { generation, partitions } => {
            Some((*generation, partitions.iter().copied().collect()))
        }
        _ => None,
    }
}

async fn connected(options: &KafkaOptions) -> Arc<KafkaBroker> {
    KafkaBroker::connect(options.clone()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_move_only_when_drained() {
    let Some(servers) = servers() else { return };
    let options = fresh_options(&servers);
    ensure_topics(&options).await.unwrap();
    let (first, second) = (connected(&options).await, connected(&options).await);

    let one = first.join(GROUP, Topic::Events).await.unwrap();
    let all = until(&one, "first share", |it| consuming(it).is_some()).await;
    let (generation, partitions) = consuming(&all).unwrap();
    assert_eq!(partitions, (0..4).collect(), "the only member has everything");

    let two = second.join(GROUP, Topic::Events).await.unwrap();
    let draining = until(&one, "draining", |it| matches!(it, Share::Draining { .. })).await;
    assert!(matches!(draining, Share::Draining { generation: of, .. } if of == generation));
    // A commit of what was in hand still counts.
    first.append(Topic::Events, numbered("pump-1", 0..3)).await.unwrap();
    first.commit(GROUP, Topic::Events, 2, 1).await.unwrap();
    assert_eq!(*two.shares().borrow(), Share::Waiting, "nothing is given away while the first drains");
    one.complete(generation);

    let mine = until(&one, "second share", |it| consuming(it).is_some_and(|(of, _)| of > generation)).await;
    let theirs = until(&two, "their share", |it| consuming(it).is_some()).await;
    let (mine, theirs) = (consuming(&mine).unwrap().1, consuming(&theirs).unwrap().1);
    assert_eq!((mine.len(), theirs.len()), (2, 2));
    assert_eq!(mine.union(&theirs).copied().collect::<BTreeSet<_>>(), (0..4).collect());
    first.close().await.unwrap();
    assert_eq!(second.committed(GROUP, Topic::Events, 2).await.unwrap(), 1, "told before the close ended");

    // A member that leaves is not waited for: the other one gets everything.
    drop(one);
    let generation = until(&two, "draining", |it| matches!(it, Share::Draining { .. })).await;
    if let Share::Draining { generation, .. } = generation {
        two.complete(generation);
    }
    until(&two, "the whole", |it| consuming(it).is_some_and(|(_, all)| all.len() == 4)).await;
    second.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_not_drained_is_fenced_in_time() {
    let Some(servers) = servers() else { return };
    let options = KafkaOptions { drain_timeout: Duration::from_secs(2), ..fresh_options(&servers) };
    ensure_topics(&options).await.unwrap();
    let (first, second) = (connected(&options).await, connected(&options).await);
    let one = first.join(GROUP, Topic::Events).await.unwrap();
    until(&one, "first share", |it| consuming(it).is_some()).await;
    let two = second.join(GROUP, Topic::Events).await.unwrap();
    let draining = until(&one, "draining", |it| matches!(it, Share::Draining { .. })).await;
    let started = Instant::now();
    until(&two, "their share", |it| consuming(it).is_some()).await;
    assert!(started.elapsed() >= Duration::from_secs(1), "the first was waited for");
    let Share::Draining { until: limit, .. } = draining else { panic!("{draining:?}") };
    assert!(Instant::now() >= limit, "not given away before the time it was promised");
    first.close().await.unwrap();
    second.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_once_and_grow() {
    let Some(servers) = servers() else { return };
    let mut options = fresh_options(&servers);
    let missing = KafkaBroker::connect(options.clone()).await.err().expect("the topics are missing");
    assert!(missing.to_string().contains("run `qgx migrate`"), "{missing}");

    // The live bus's topic is the last, and never grows.
    let check = |ensured: &[Ensured], expect: &dyn Fn(&Ensured) -> bool| {
        assert!(ensured.len() == 3 && ensured[..2].iter().all(expect), "{ensured:?}");
        let live = |partitions: &u32| *partitions == 3;
        assert!(
            matches!(&ensured[2], Ensured::Created { partitions, .. } | Ensured::Kept { partitions, .. } if live(partitions))
        );
    };
    let made = ensure_topics(&options).await.unwrap();
    check(&made, &|it| matches!(it, Ensured::Created { partitions: 4, .. }));
    let kept = ensure_topics(&options).await.unwrap();
    check(&kept, &|it| matches!(it, Ensured::Kept { partitions: 4, .. }));
    options.partitions = 2;
    let kept = ensure_topics(&options).await.unwrap();
    check(&kept, &|it| matches!(it, Ensured::Kept { partitions: 4, .. }));
    options.partitions = 6;
    let grown = ensure_topics(&options).await.unwrap();
    check(&grown, &|it| matches!(it, Ensured::Grown { from: 4, to: 6, .. }));
    assert_eq!(connected(&options).await.partitions(Topic::Events), 6);

    let many = KafkaOptions { replication: 100, ..fresh_options(&servers) };
    let refused = ensure_topics(&many).await.expect_err("there are no hundred servers");
    assert!(refused.to_string().contains("fewer servers than copies"), "{refused}");
}

/// Records a reader of one process has taken are told apart from those that another offset asks for again.
#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_back_and_forth() {
    let Some(servers) = servers() else { return };
    let options = KafkaOptions { partitions: 1, ahead_bytes: 64 * 1024, ..fresh_options(&servers) };
    ensure_topics(&options).await.unwrap();
    let broker = connected(&options).await;
    let records = numbered("pump-1", 0..5_000);
    broker.append(Topic::Events, records).await.unwrap();
    for from in [0, 4_000, 10, 4_999, 5_000, 2_500, 0] {
        let records = drain(&*broker, Topic::Events, 0, from).await;
        assert_eq!(records.len() as u64, 5_000 - from);
    }
    let beyond = broker.fetch(Topic::Events, 0, 9_999, 1024, Duration::from_millis(50)).await.unwrap();
    assert!(beyond.records.is_empty() && beyond.end == 5_000, "{beyond:?}");
    assert_eq!(drain(&*broker, Topic::Events, 0, 4_990).await.len(), 10, "it goes on after that");
    broker.close().await.unwrap();
}
