//! The roles apart, on Kafka, OpenSearch and MySQL: what the processor takes an event, how soon a backlog is worked
//! off, and what memory each role has.

mod database;
mod installation;

pub use installation::{Engines, Installation, Role};

use crate::kafka::wire::Cluster;
use crate::{load, process, report};
use anyhow::{Context, ensure};
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Lines in one write.
const BLOCK: u64 = 1_024;
/// Without a new event in the index for so long, the rest will not come.
const STALLED: Duration = Duration::from_secs(120);

/// `bench engines`
#[derive(Args)]
pub struct EnginesArgs {
    #[command(flatten)]
    engines: Engines,
    /// Millions of events that wait when the processor starts.
    #[arg(long, default_value_t = 5.0)]
    millions: f64,
    /// Events a second, with all roles running, once the backlog is worked off.
    #[arg(long, default_value_t = 5_000)]
    rate: u64,
    /// Seconds of it.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Fills the topic, starts the processor on it, then all roles under a steady load; prints each.
pub fn run(args: &EnginesArgs) -> anyhow::Result<()> {
    let installation = Installation::new(&args.engines, "engines")?;
    let mut cluster = Cluster::connect(&args.engines.kafka, &installation.topic())?;
    let token = installation.token("ingest")?;
    let ingestion = installation.start(Role::Ingestion)?;
    let backlog = fill(&mut cluster, ingestion.port(), &token, args.millions)?;
    let (_, peak) = process::memory_mib(ingestion.pid())?;
    println!("backlog: {backlog} events are on {}; ingestion's peak RSS {peak:.0} MiB", installation.topic());

    // From its very start: it begins before it says that it is ready.
    let start = Instant::now();
    let processor = installation.start(Role::Processor)?;
    await_indexed(&installation, backlog, true)?;
    let took = start.elapsed().as_secs_f64();
    let cpu = process::cpu_seconds(processor.pid())?;
    let threads = process::since(&BTreeMap::new(), &process::thread_seconds(processor.pid())?);
    let (now, peak) = process::memory_mib(processor.pid())?;
    println!(
        "backlog: worked off in {took:.1} s, {:.0} events/s; {:.2} µs CPU of the processor an event; {now:.0} MiB \
         resident, peak {peak:.0}",
        backlog as f64 / took,
        cpu * 1e6 / backlog as f64
    );
    report::threads("processor", &threads, cpu, backlog);

    let front = installation.start(Role::Front)?;
    let back = installation.start(Role::Back)?;
    let before = process::cpu_seconds(processor.pid())?;
    let port = ingestion.port();
    let time = Duration::from_secs(args.seconds);
    let sent =
        load::paced_after(&format!("AUTH {token}\n"), port, args.rate, time, backlog, load::json_line)?;
    await_indexed(&installation, backlog + sent, false)?;
    let cpu = process::cpu_seconds(processor.pid())? - before;
    println!(
        "steady: {} events/s for {} s; {:.2} µs CPU of the processor an event",
        args.rate,
        args.seconds,
        cpu * 1e6 / sent as f64
    );
    let mut sum = 0.0;
    for (name, role) in
        [("front", &front), ("back", &back), ("ingestion", &ingestion), ("processor", &processor)]
    {
        let (now, peak) = process::memory_mib(role.pid())?;
        sum += now;
        println!("memory: {name} {now:.0} MiB resident under that load, peak {peak:.0}");
    }
    println!("memory: {sum:.0} MiB together");
    for role in [front, back, ingestion, processor] {
        role.stop()?;
    }
    installation.remove(&mut cluster)
}

/// Sends so many events as fast as they are taken, and waits until they are on the topic; answers how many.
fn fill(cluster: &mut Cluster, port: u16, token: &str, millions: f64) -> anyhow::Result<u64> {
    let before = cluster.end()?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    writeln!(stream, "AUTH {token}")?;
    let blocks = (millions * 1e6 / BLOCK as f64).ceil() as u64;
    let mut block = Vec::new();
    for at in 0..blocks {
        block.clear();
        for n in 0..BLOCK {
            load::json_line(at * BLOCK + n, &mut block);
        }
        stream.write_all(&block).context("ingestion closed the connection")?;
    }
    drop(stream);
    let wanted = before + blocks * BLOCK;
    process::wait_for("the backlog on the topic", Duration::from_secs(120), || {
        cluster.end().is_ok_and(|end| end >= wanted)
    })?;
    ensure!(cluster.end()? == wanted, "other records than those sent are on the topic");
    Ok(blocks * BLOCK)
}

/// Waits until so many events can be found.
fn await_indexed(installation: &Installation, wanted: u64, told: bool) -> anyhow::Result<()> {
    let (start, mut last, mut moved, mut next) = (Instant::now(), 0, Instant::now(), Duration::from_secs(10));
    loop {
        let found = installation.indexed()?;
        if found >= wanted {
            ensure!(found == wanted, "{} events more than were sent are in the index", found - wanted);
            return Ok(());
        }
        if found != last {
            (last, moved) = (found, Instant::now());
        }
        ensure!(moved.elapsed() < STALLED, "{} events did not come", wanted - found);
        if told && start.elapsed() >= next {
            println!("  {:>4} s: {found} in the index", start.elapsed().as_secs());
            next += Duration::from_secs(10);
        }
        process::pause(Duration::from_millis(200));
    }
}
