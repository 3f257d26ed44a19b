//! TCP in, syslog 256 B, framed, parsed, section-5 JSON written, discarded; beside rsyslog imptcp.

use crate::{load, process};
use anyhow::{Context, ensure};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Lines in the block that is written over and over.
const BLOCK: u64 = 4_096;

/// Loads each in turn with the same bytes and prints CPU-seconds per million events and the ratio.
pub fn run(millions: u64) -> anyhow::Result<()> {
    let block = load::block(BLOCK, load::syslog_line);
    let blocks = millions * 1_000_000 / BLOCK;
    println!("{} bytes a line, {} events each", block.len() as u64 / BLOCK, blocks * BLOCK);
    let peer = rsyslog(&block, blocks)?;
    let ours = ours(&block, blocks)?;
    println!("ratio: QGX takes {:.2} of rsyslog's CPU", ours / peer);
    Ok(())
}

fn ours(block: &[u8], blocks: u64) -> anyhow::Result<f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let program = target.join("release/examples/discard");
    ensure!(
        program.is_file(),
        "{} is missing: run `cargo build --release -p ingest --example discard` first",
        program.display()
    );
    let port = free_port()?;
    let child = Command::new(program)
        .args([format!("127.0.0.1:{port}"), u64::MAX.to_string()])
        .stdout(Stdio::null())
        .spawn()?;
    measure("QGX", child, port, block, blocks)
}

fn rsyslog(block: &[u8], blocks: u64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let config = folder.path().join("rsyslog.conf");
    std::fs::write(
        &config,
        format!(
            "global(workDirectory=\"{0}\")\nmodule(load=\"imptcp\")\ninput(type=\"imptcp\" port=\"{port}\" ruleset=\"drop\")\nruleset(name=\"drop\") {{\n  if $msg == \"never\" then {{ action(type=\"omfile\" file=\"{0}/never\") }}\n  stop\n}}\n",
            folder.path().display()
        ),
    )?;
    let child = Command::new("rsyslogd")
        .args(["-n", "-f"])
        .arg(&config)
        .arg("-i")
        .arg(folder.path().join("pid"))
        .stdout(Stdio::null())
        .spawn()
        .context("rsyslogd cannot be started (Debian: apt install rsyslog)")?;
    measure("rsyslog imptcp", child, port, block, blocks)
}

fn measure(name: &str, mut child: Child, port: u16, block: &[u8], blocks: u64) -> anyhow::Result<f64> {
    let outcome = load_and_read(name, &child, port, block, blocks);
    child.kill().ok();
    child.wait()?;
    outcome
}

fn load_and_read(name: &str, child: &Child, port: u16, block: &[u8], blocks: u64) -> anyhow::Result<f64> {
    process::wait_for(name, Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let before = process::cpu_seconds(child.id())?;
    let start = Instant::now();
    for _ in 0..blocks {
        stream.write_all(block)?;
    }
    drop(stream);
    // What stands in the socket buffer is still to be parsed: done is when its CPU time no longer moves.
    let cpu = process::settled_cpu_seconds(child.id())? - before;
    let events = (blocks * BLOCK) as f64;
    let (_, peak) = process::memory_mib(child.id())?;
    let per_million = cpu / events * 1e6;
    println!(
        "{name}: {per_million:.2} CPU-seconds per million events, {:.0} events/s, peak RSS {peak:.0} MiB",
        events / start.elapsed().as_secs_f64()
    );
    Ok(per_million)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
