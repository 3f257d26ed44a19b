//! Idle memory, and start to ready after a clean stop and after kill −9.

use crate::{load, process, server::Server};
use std::time::Duration;

/// Events in the store before the restarts, and how fast they come.
const EVENTS: u64 = 10_000_000;
const RATE: u64 = 60_000;

/// Prints resident memory after start, and start times with ten million events: after a clean stop, and after a kill
/// while more come in.
pub fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (server, first) = Server::start_on(&data)?;
    println!("start: first start with an empty folder ready after {:.2} s", first.as_secs_f64());
    process::pause(Duration::from_secs(10));
    let (now, peak) = process::memory_mib(server.pid())?;
    println!("idle: {now:.0} MiB resident, peak {peak:.0} MiB");
    let token = server.token("api")?;
    let sent =
        load::paced(server.ingest_port(), RATE, Duration::from_secs(EVENTS / RATE), 0, load::json_line)?;
    process::wait_for("searchable", Duration::from_secs(600), || {
        server.count(&token, "").is_ok_and(|found| found >= sent)
    })?;
    let (now, peak) = process::memory_mib(server.pid())?;
    println!("loaded: {sent} events; {now:.0} MiB resident, peak {peak:.0} MiB");
    server.stop()?;
    let (server, clean) = Server::start_on(&data)?;
    println!("start: after a clean stop ready after {:.2} s", clean.as_secs_f64());
    let port = server.ingest_port();
    // It is cut off by the kill.
    let more = std::thread::spawn(move || {
        load::paced(port, RATE, Duration::from_secs(10), 0, load::json_line).is_ok()
    });
    process::pause(Duration::from_secs(5));
    // Dropping kills with SIGKILL.
    drop(server);
    let _ = more.join();
    let (server, killed) = Server::start_on(&data)?;
    println!("start: after kill -9 ready after {:.2} s", killed.as_secs_f64());
    server.stop()
}
