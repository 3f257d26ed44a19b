//! Measured comparisons of the release binary with peers: `cargo run --release -p bench -- NAME`.
//!
//! Each measurement starts real processes on loopback, loads them, and prints a table; CPU is user and system
//! time of the measured process as the kernel accounts it, never wall time. Results are recorded in
//! `bench/RESULTS.md` with machine and date.
#![expect(clippy::print_stdout, reason = "a command-line tool talks on the terminal")]

mod discard;
mod engines;
mod http;
mod idle;
mod kafka;
mod load;
mod process;
mod report;
mod server;
mod sustained;
mod synced;
mod visible;
mod web;

use clap::{Parser, Subcommand};

/// Measured comparisons of QGX with its peers and its targets.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// TCP in, syslog 256 B, to section-5 JSON and discarded, beside rsyslog imptcp.
    Discard {
        /// Millions of events for each.
        #[arg(long, default_value_t = 3)]
        millions: u64,
    },
    /// TCP to the synced log: MB/s and ack p50/p99.
    Synced {
        /// Seconds.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Concurrent QGX-lines connections.
        #[arg(long, default_value_t = 4)]
        connections: usize,
        /// Lines of a connection that may wait for their ACK.
        #[arg(long, default_value_t = 16_384)]
        window: u64,
    },
    /// Sustained events/s to searchable, CPU per event, lag.
    Sustained {
        /// Seconds.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// Events a second offered.
        #[arg(long, default_value_t = 50_000)]
        rate: u64,
    },
    /// From send to visible at a rate: p50 and p99.
    Visible {
        /// Seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Events a second beside the probes.
        #[arg(long, default_value_t = 10_000)]
        rate: u64,
    },
    /// TCP to Kafka, acknowledged by all: events per CPU-second and peak RSS, beside Netty and rsyslog.
    Kafka(kafka::KafkaArgs),
    /// Kafka to OpenSearch and SQL: CPU an event, a backlog worked off, memory of each role.
    Engines(engines::EnginesArgs),
    /// Idle memory and start to ready.
    Idle,
    /// Page and read p50/p99 over a filled index.
    Web {
        /// Requests a page.
        #[arg(long, default_value_t = 500)]
        requests: usize,
        /// Millions of events in the index.
        #[arg(long, default_value_t = 10)]
        millions: u64,
    },
}

fn main() -> anyhow::Result<()> {
    report::machine();
    match Cli::parse().what {
        What::Discard { millions } => discard::run(millions),
        What::Synced { seconds, connections, window } => synced::run(seconds, connections, window),
        What::Sustained { seconds, rate } => sustained::run(seconds, rate),
        What::Visible { seconds, rate } => visible::run(seconds, rate),
        What::Kafka(args) => kafka::run(&args),
        What::Engines(args) => engines::run(&args),
        What::Idle => idle::run(),
        What::Web { requests, millions } => web::run(requests, millions),
    }
}
