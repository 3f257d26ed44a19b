//! What an event costs. Not a check: run by hand, `cargo test -p ingest --release -- --ignored --nocapture cost`.

use super::World;
use super::fixture;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::{Broker, Origin, Topic};

const SOURCES: u64 = 200;
const EVENTS: u64 = 400_000;

/// Processor time of this process.
fn cpu() -> Duration {
    // Fields 14 and 15 of proc(5)'s stat, in hundredths of a second.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn cost() {
    let mut world = World::new().await;
    world.config.linger = Duration::from_millis(200);
    for kind in [
        r#""kind":"log","level":"info","message":"Failed password for invalid user admin from 10.0.0.7 port 22 ssh2","s":{"app":"sshd","facility":"auth"},"n":{"pid":4711}"#,
        r#""kind":"metric","n":{"temperature":81.25,"pressure":3.5,"rpm":1490},"s":{"site":"부산"}"#,
    ] {
        let routes: Vec<_> =
            (0..SOURCES).map(|n| fixture::new_record(&format!("source-{n}"), "").route).collect();
        let stream: Arc<str> = kind[8..12].into();
        for start in (0..EVENTS).step_by(1_000) {
            let of_source = (start / 1_000 % SOURCES) as usize;
            let records = (start..start + 1_000).map(|n| {
                let mut record =
                    fixture::new_record("x", &fixture::event(routes[of_source].source.as_str(), kind));
                record.route = routes[of_source].clone();
                record.origin = Origin::Stream { stream: stream.clone(), sequence: n + 1 };
                record
            });
            world.broker.append(Topic::Events, records.collect()).await.unwrap();
        }
        let (start, before) = (Instant::now(), cpu());
        let processor = world.start();
        world.drained().await;
        let (took, used) = (start.elapsed(), cpu() - before);
        processor.shutdown().await;
        let each = used.as_secs_f64() * 1e6 / EVENTS as f64;
        let rate = EVENTS as f64 / took.as_secs_f64();
        println!("{each:.2} µs an event, {rate:.0} events/s: {}", &kind[..14]);
    }
}
