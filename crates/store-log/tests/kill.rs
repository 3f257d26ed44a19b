//! What was acknowledged is there after `kill -9` at any moment.
//!
//! The test runs its own binary again as the process to kill: [`child_appends`] is that process's part.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use store::broker::conformance::{drain, route};
use store::broker::{Broker, NewRecord, Origin, Topic};
use store_log::{EmbeddedLog, LogOptions};

const ROUNDS: u64 = 5;
const SOURCES: u64 = 3;
const FOLDER: &str = "QGX_TEST_KILL_FOLDER";
const ROUND: &str = "QGX_TEST_KILL_ROUND";

fn options() -> LogOptions {
    // Small segments, so that some kills meet the change to a new one.
    LogOptions { segment_bytes: 256 * 1024, ..LogOptions::default() }
}

/// Appends without end and prints `ACK source number` for what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else { return };
    let log = EmbeddedLog::open(folder, options()).unwrap();
    let appender = |source: u64| {
        let log = Arc::clone(&log);
        let name = format!("r{round}-s{source}");
        async move {
            let route = route(&name);
            let record = |number: u64| NewRecord {
                route: Arc::clone(&route),
                origin: Origin::Stream { stream: "boot".into(), sequence: number },
                token: 0,
                payload: Bytes::from(format!("{number} {}", "x".repeat((number % 700) as usize))),
            };
            for call in 0.. {
                let numbers = call * 50..(call + 1) * 50;
                log.append(Topic::Events, numbers.map(record).collect()).await.unwrap();
                println!("ACK {name} {}", call * 50 + 49);
            }
        }
    };
    join_all((0..SOURCES).map(appender)).await;
}

/// Starts the child, kills it after `acks` lines, and returns the highest acknowledged number of each source.
fn run_and_kill(folder: &Path, round: u64, acks: usize) -> BTreeMap<String, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_appends", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acked = Vec::new();
    while acked.len() < acks {
        let line = lines.next().expect("the child runs until it is killed").unwrap();
        acked.extend(parse_ack(&line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What the child had printed before the kill counts as well, but for a last line that may be torn.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let whole = rest.len().saturating_sub(1);
    acked.extend(rest[..whole].iter().filter_map(|line| parse_ack(line)));
    // Later numbers of a source replace earlier ones.
    acked.into_iter().collect()
}

fn parse_ack(line: &str) -> Option<(String, u64)> {
    let (source, number) = line.strip_prefix("ACK ")?.split_once(' ')?;
    Some((source.to_owned(), number.parse().ok()?))
}

#[tokio::test]
async fn acknowledged_records_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acked = BTreeMap::new();
    for round in 0..ROUNDS {
        let acks = 1 + RandomState::new().hash_one(round) % 300;
        acked.extend(run_and_kill(folder.path(), round, acks as usize));

        let log = EmbeddedLog::open(folder.path(), options()).unwrap();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for partition in 0..log.partitions(Topic::Events) {
            for record in drain(&*log, Topic::Events, partition, 0).await {
                let next = found.entry(record.route.source.as_str().to_owned()).or_default();
                let payload = format!("{next} {}", "x".repeat((*next % 700) as usize));
                assert_eq!(record.payload, payload, "in order, without gaps, each once");
                *next += 1;
            }
        }
        for (source, number) in &acked {
            let next = found.get(source).copied().unwrap_or(0);
            assert!(next > *number, "{source}: {number} was acknowledged, {next} records are there");
        }
    }
    assert!(acked.len() as u64 >= ROUNDS, "every round acknowledged something: {acked:?}");
}
