//! TCP in to Kafka, acknowledged by all: QGX ingestion beside the seed's stack (Netty and kafka-clients) and rsyslog's
//! `omkafka`, one after the other, with the same bytes into the same topic.
//!
//! Each is warmed up before it is measured, so that a virtual machine has compiled what it will; then its CPU time is
//! taken from the first byte sent until the last record is on the topic.

mod contender;
pub mod wire;

use crate::engines::{Engines, Installation};
use crate::{load, process, report};
use anyhow::{Context, ensure};
use clap::Args;
use contender::{Contender, Running};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::Cluster;

/// Lines in the block that is written over and over.
const BLOCK: u64 = 4_096;
/// Without a new record on the topic for so long, the rest will not come.
const STALLED: Duration = Duration::from_secs(60);

/// `bench kafka`
#[derive(Args)]
pub struct KafkaArgs {
    #[command(flatten)]
    engines: Engines,
    /// The Netty peer, with what it needs in lib/ beside it: `mvn -B -f bench/peers/netty/pom.xml package`.
    #[arg(long, default_value = "target/netty-peer/netty-peer.jar")]
    netty_jar: PathBuf,
    /// What the Java virtual machine of the Netty peer is told. By default what it would choose in the gigabyte that the
    /// seed's ingestion is given.
    #[arg(long, default_value = "-Xmx256m", allow_hyphen_values = true)]
    java_options: String,
    /// The example that discards: what is left of QGX's CPU time without Kafka. Left out where it is not there.
    #[arg(long)]
    discard: Option<PathBuf>,
    /// Millions of events for each.
    #[arg(long, default_value_t = 3.0)]
    millions: f64,
    /// Millions of events before the measurement.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// Only these.
    #[arg(long, value_delimiter = ',', default_values = ["qgx", "netty", "omkafka"])]
    only: Vec<Contender>,
}

/// What was seen of one.
struct Seen {
    contender: Contender,
    cpu: f64,
    wall: f64,
    peak: f64,
    threads: Vec<(String, f64)>,
    events: u64,
}

impl Seen {
    fn micros(&self) -> f64 {
        self.cpu * 1e6 / self.events as f64
    }
}

/// Measures each in turn and prints the table.
pub fn run(args: &KafkaArgs) -> anyhow::Result<()> {
    let installation = Installation::new(&args.engines, "kafka")?;
    let mut cluster = Cluster::connect(&args.engines.kafka, &installation.topic())?;
    let block = load::block(BLOCK, load::syslog_line);
    let share = |millions: f64| {
        let blocks = (millions * 1e6 / (BLOCK * args.connections) as f64).ceil() as u64;
        blocks.max(1)
    };
    let (warm_up, measured) = (share(args.warm_up), share(args.millions));
    println!(
        "{} bytes a line, {} connections, {} events each after {} to warm up; {} partitions",
        block.len() as u64 / BLOCK,
        args.connections,
        measured * args.connections * BLOCK,
        warm_up * args.connections * BLOCK,
        cluster.partitions()
    );
    let mut all = Vec::new();
    for contender in &args.only {
        let running = contender.start(args, &installation)?;
        let mut load = Load { block: &block, connections: args.connections, running: &running };
        load.through(&mut cluster, warm_up).with_context(|| format!("{contender}, warming up"))?;
        let seen = load.measure(&mut cluster, *contender, measured);
        all.push(seen.with_context(|| contender.to_string())?);
        running.stop()?;
    }
    let discarded = args.discard.as_ref().map(|path| discard(path, &block, measured, args.connections));
    print(&all, discarded.transpose()?);
    installation.remove(&mut cluster)
}

struct Load<'a> {
    block: &'a [u8],
    connections: u64,
    running: &'a Running,
}

impl Load<'_> {
    /// Sends so many blocks over each connection, and waits until all of their lines are on the topic.
    fn through(&mut self, cluster: &mut Cluster, blocks: u64) -> anyhow::Result<()> {
        let wanted = cluster.end()? + blocks * self.connections * BLOCK;
        send(self.block, self.connections, blocks, self.running)?;
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let end = cluster.end()?;
            if end >= wanted {
                ensure!(end == wanted, "{} records more are on the topic than were sent", end - wanted);
                return Ok(());
            }
            if end != last {
                (last, moved) = (end, Instant::now());
            }
            ensure!(moved.elapsed() < STALLED, "{} records did not come", wanted - end);
            process::pause(Duration::from_millis(20));
        }
    }

    fn measure(&mut self, cluster: &mut Cluster, contender: Contender, blocks: u64) -> anyhow::Result<Seen> {
        let pid = self.running.pid();
        let (before, threads) = (process::cpu_seconds(pid)?, process::thread_seconds(pid)?);
        let start = Instant::now();
        self.through(cluster, blocks)?;
        let wall = start.elapsed().as_secs_f64();
        let cpu = process::cpu_seconds(pid)? - before;
        let threads = process::since(&threads, &process::thread_seconds(pid)?);
        let (_, peak) = process::memory_mib(pid)?;
        Ok(Seen { contender, cpu, wall, peak, threads, events: blocks * self.connections * BLOCK })
    }
}

/// Writes the block over and over on each connection.
fn send(block: &[u8], connections: u64, blocks: u64, running: &Running) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let mut stream = TcpStream::connect(("127.0.0.1", running.port()))?;
                    stream.write_all(running.greeting().as_bytes())?;
                    for _ in 0..blocks {
                        stream.write_all(block)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        Ok(())
    })
}

/// CPU of ingestion that throws its records away, in µs an event.
fn discard(program: &Path, block: &[u8], blocks: u64, connections: u64) -> anyhow::Result<f64> {
    let running = contender::discard(program)?;
    let before = process::cpu_seconds(running.pid())?;
    send(block, connections, blocks, &running)?;
    let cpu = process::settled_cpu_seconds(running.pid())? - before;
    running.stop()?;
    Ok(cpu * 1e6 / (blocks * connections * BLOCK) as f64)
}

fn print(all: &[Seen], discarded: Option<f64>) {
    println!("\n| what | events per CPU-second | µs CPU an event | events/s | peak RSS, MiB |");
    println!("|---|---|---|---|---|");
    for seen in all {
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.0} |",
            seen.contender,
            seen.events as f64 / seen.cpu,
            seen.micros(),
            seen.events as f64 / seen.wall,
            seen.peak
        );
    }
    for seen in all {
        report::threads(&seen.contender.to_string(), &seen.threads, seen.cpu, seen.events);
    }
    let Some(ours) = all.iter().find(|seen| seen.contender.is_ours()) else { return };
    println!();
    for peer in all.iter().filter(|seen| !seen.contender.is_ours()) {
        println!(
            "ratio: {:.2} × the events per CPU-second of {}, {:.2} of its peak RSS",
            peer.micros() / ours.micros(),
            peer.contender,
            ours.peak / peer.peak
        );
    }
    // librdkafka names its threads.
    let inside = ours.threads.iter().filter(|(name, _)| name.starts_with("rdk:")).map(|(_, cpu)| cpu);
    let inside = inside.sum::<f64>() * 1e6 / ours.events as f64;
    println!("librdkafka: {inside:.2} of {:.2} µs an event in threads of its own", ours.micros());
    if let Some(discarded) = discarded {
        println!(
            "librdkafka: {:.2} µs an event more than with discarding ({discarded:.2} µs); so {:.2} µs in ours, handing \
             records over and hearing of their delivery",
            ours.micros() - discarded,
            (ours.micros() - discarded - inside).max(0.0)
        );
    }
}
