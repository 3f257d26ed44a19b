//! How many MB/s of small records the embedded log takes, synced, and how long an ack takes.
//!
//! ```text
//! cargo run --release -p store-log --example log_throughput -- [seconds] [producers] [records a call] [calls in flight] [folder]
//! ```
//!
//! Every producer is a source of its own with a stream; a reader per partition follows at the tail.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use bytes::Bytes;
use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::broker::conformance::route;
use store::broker::{Append, Broker, NewRecord, Origin, Route, Topic};
use store_log::{EmbeddedLog, LogOptions};

const RECORD_BYTES: usize = 256;

/// What a producer does, and until when.
#[derive(Clone)]
struct Load {
    log: Arc<EmbeddedLog>,
    records: u64,
    in_flight: usize,
    until: Instant,
}

impl Load {
    /// Appends until the time is over and returns the time each ack took.
    async fn produce(self, route: Arc<Route>) -> Vec<Duration> {
        let stream: Arc<str> = "boot-7".into();
        let payload = Bytes::from(vec![b'x'; RECORD_BYTES]);
        let mut sequence = 0;
        let mut waiting: VecDeque<(Instant, Append)> = VecDeque::new();
        let mut took = Vec::new();
        while Instant::now() < self.until {
            let batch = (0..self.records).map(|_| {
                sequence += 1;
                NewRecord {
                    route: Arc::clone(&route),
                    origin: Origin::Stream { stream: Arc::clone(&stream), sequence },
                    token: 1,
                    payload: payload.clone(),
                }
            });
            waiting.push_back((Instant::now(), self.log.append(Topic::Events, batch.collect())));
            if waiting.len() >= self.in_flight {
                took.extend(settle(&mut waiting).await);
            }
        }
        while let Some(last) = settle(&mut waiting).await {
            took.push(last);
        }
        took
    }
}

/// Waits for the oldest append; `None` where there is none or it was refused.
async fn settle(waiting: &mut VecDeque<(Instant, Append)>) -> Option<Duration> {
    let (since, append) = waiting.pop_front()?;
    match append.await {
        Ok(()) => Some(since.elapsed()),
        Err(error) => {
            println!("refused: {error}");
            None
        }
    }
}

async fn follow(log: Arc<EmbeddedLog>, partition: u32, stop: Arc<AtomicBool>, read: Arc<AtomicU64>) {
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let wait = Duration::from_millis(100);
        match log.fetch(Topic::Events, partition, next, 1 << 20, wait).await {
            Ok(fetched) => {
                next += fetched.records.len() as u64;
                read.fetch_add(fetched.records.len() as u64, Ordering::Relaxed);
            }
            Err(error) => return println!("a reader stopped: {error}"),
        }
    }
}

async fn run(log: Arc<EmbeddedLog>, seconds: u64, producers: u64, records: u64, in_flight: usize) {
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let stop = Arc::new(AtomicBool::new(false));
    let read = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..log.partitions(Topic::Events))
        .map(|partition| {
            telemetry::spawn(
                "reader",
                follow(Arc::clone(&log), partition, Arc::clone(&stop), Arc::clone(&read)),
            )
        })
        .collect();
    let load = Load { log, records, in_flight, until };
    let producers: Vec<_> = (0..producers)
        .map(|at| telemetry::spawn("producer", load.clone().produce(route(&format!("pump-{at}")))))
        .collect();
    let mut took = Vec::new();
    for producer in producers {
        took.extend(producer.await.unwrap_or_default());
    }
    let elapsed = started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        // A panic of it was logged.
        let _ = reader.await;
    }
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 1000).map_or(0.0, |it| it.as_secs_f64() * 1000.0);
    let count = took.len() as u64 * records;
    println!(
        "{:.0} MB/s, {:.0} records/s, ack ms p50 {:.1} p99 {:.1} p99.9 {:.1}, read {:.0} % at the tail",
        (count * RECORD_BYTES as u64) as f64 / 1e6 / elapsed,
        count as f64 / elapsed,
        at(500),
        at(990),
        at(999),
        read.load(Ordering::Relaxed) as f64 * 100.0 / count.max(1) as f64,
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().and_then(|it| it.parse().ok()).unwrap_or(default);
    let (seconds, producers, records, in_flight) = (number(5), number(8), number(64), number(16));
    let folder = args.next().map_or_else(|| std::env::temp_dir().join("qgx-throughput"), Into::into);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let started = Instant::now();
        let log = EmbeddedLog::open(&folder, LogOptions::default())?;
        println!("{} bytes opened in {:.3} s", log.stored_bytes().await?, started.elapsed().as_secs_f64());
        run(Arc::clone(&log), seconds, producers, records, in_flight as usize).await;
        log.close().await
    });
    std::fs::remove_dir_all(&folder)?;
    Ok(outcome?)
}
