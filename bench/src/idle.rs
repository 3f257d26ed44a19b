//! Idle memory, and start to ready after a clean stop and after kill −9.

use crate::{load, process, server::Server};
use std::time::Duration;

/// Events in the store before the restarts.
const EVENTS: u64 = 1_000_000;

/// Prints resident memory after start and start times with a million events.
pub fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (server, first) = Server::start_on(&data)?;
    println!("start: first start with an empty folder ready after {:.2} s", first.as_secs_f64());
    process::pause(Duration::from_secs(10));
    let (now, peak) = process::memory_mib(server.pid())?;
    println!("idle: {now:.0} MiB resident, peak {peak:.0} MiB");
    let token = server.token("api")?;
    load::paced(server.ingest_port(), 100_000, Duration::from_secs(EVENTS / 100_000), 0, load::json_line)?;
    process::wait_for("searchable", Duration::from_secs(120), || {
        server.count(&token, "").is_ok_and(|found| found >= EVENTS * 9 / 10)
    })?;
    server.stop()?;
    let (server, clean) = Server::start_on(&data)?;
    println!("start: after a clean stop ready after {:.2} s", clean.as_secs_f64());
    // Dropping kills with SIGKILL.
    drop(server);
    let (server, killed) = Server::start_on(&data)?;
    println!("start: after kill -9 ready after {:.2} s", killed.as_secs_f64());
    server.stop()
}
