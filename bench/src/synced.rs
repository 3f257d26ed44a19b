//! TCP to the synced log: QGX lines, acknowledged after the sync.

use crate::{load, process, report, server::Server};
use anyhow::{Context, ensure};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Lines in one write of a connection.
const BATCH: u64 = 256;
/// Loads `connections` connections for a time, each with at most `window` lines that are not acknowledged, and prints MB/s
/// and ack latencies. A wide window shows what goes through; a narrow one how long an ack takes.
pub fn run(seconds: u64, connections: usize, window: u64) -> anyhow::Result<()> {
    let server = Server::start()?;
    let token = server.token("ingest")?;
    let before = process::cpu_seconds(server.pid())?;
    let start = Instant::now();
    let workers: Vec<_> = (0..connections)
        .map(|index| {
            let (port, token) = (server.ingest_port(), token.clone());
            std::thread::spawn(move || client(port, &token, index, window, Duration::from_secs(seconds)))
        })
        .collect();
    let (mut bytes, mut lines, mut latencies) = (0, 0, Vec::new());
    for worker in workers {
        let done = worker.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        bytes += done.bytes;
        lines += done.lines;
        latencies.extend(done.ack_millis);
    }
    let time = start.elapsed().as_secs_f64();
    let cpu = process::cpu_seconds(server.pid())? - before;
    println!(
        "synced: {:.1} MB/s, {:.0} events/s acknowledged, {connections} connections, window {window}",
        bytes as f64 / 1e6 / time,
        lines as f64 / time
    );
    println!(
        "synced: {:.2} µs CPU an event (the whole process: log, index and SQL go on behind)",
        cpu * 1e6 / lines as f64
    );
    report::times("ack", latencies);
    Ok(())
}

struct Done {
    bytes: u64,
    lines: u64,
    ack_millis: Vec<f64>,
}

fn client(port: u16, token: &str, index: usize, window: u64, time: Duration) -> anyhow::Result<Done> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    writeln!(stream, "HELLO {{\"token\":\"{token}\",\"source\":\"bench-{index}\"}}")?;
    let mut line = String::new();
    answers.read_line(&mut line)?;
    ensure!(line.starts_with("OK "), "HELLO was answered {line}");
    let block = load::block(BATCH, load::json_line);
    let (start, mut sent, mut acked, mut bytes) = (Instant::now(), 0_u64, 0_u64, 0_u64);
    let mut waiting: VecDeque<(u64, Instant)> = VecDeque::new();
    let mut ack_millis = Vec::new();
    loop {
        let sending = start.elapsed() < time;
        if sending && sent - acked < window {
            stream.write_all(&block)?;
            sent += BATCH;
            bytes += block.len() as u64;
            waiting.push_back((sent, Instant::now()));
            if sent - acked < window / 2 {
                continue;
            }
        }
        if acked == sent {
            return Ok(Done { bytes, lines: sent, ack_millis });
        }
        line.clear();
        ensure!(answers.read_line(&mut line)? > 0, "the server closed the connection");
        let number = line.trim().strip_prefix("ACK ").with_context(|| format!("not an ACK: {line}"))?;
        acked = number.parse()?;
        while waiting.front().is_some_and(|(last, _)| *last <= acked) {
            let (_, at) = waiting.pop_front().context("a batch waits")?;
            ack_millis.push(at.elapsed().as_secs_f64() * 1e3);
        }
    }
}
