//! Load: realistic events of a given size, paced or as fast as the socket takes them.

use crate::process::pause;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A syslog line (RFC 5424 with structured data) of about 256 bytes, newline included, the `n`-th of a run.
pub fn syslog_line(n: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let pid = 1_000 + n % 9_000;
    write!(
        out,
        "<{}>1 2026-11-22T01:02:03.{:06}Z web-{:02} sshd {pid} LOGIN [req id=\"{n}\" ms=\"{}\"] Failed password for invalid user u{} from 10.{}.{}.{} port {} ssh2",
        34 + n % 5,
        n % 1_000_000,
        n % 16,
        n % 977,
        n % 10_007,
        n % 251,
        n % 241,
        n % 239,
        1_024 + n % 60_000
    )
    .expect("a vector takes what is written");
    while out.len() - start < 255 {
        out.push(b'x');
    }
    out.push(b'\n');
}

/// An NDJSON log event of about 256 bytes with six fields, two of them numbers.
pub fn json_line(n: u64, out: &mut Vec<u8>) {
    let start = out.len();
    write!(
        out,
        "{{\"source\":\"web-{:02}\",\"level\":\"{}\",\"message\":\"request {n} served for user u{} from 10.{}.{}.{}\",\"route\":\"/api/v{}/items\",\"method\":\"GET\",\"site\":\"부산\",\"status\":{},\"ms\":{}.{},\"note\":\"",
        n % 16,
        ["info", "info", "info", "debug", "warn", "error"][(n % 6) as usize],
        n % 10_007,
        n % 251,
        n % 241,
        n % 239,
        n % 3,
        200 + n % 5,
        n % 977,
        n % 10
    )
    .expect("a vector takes what is written");
    while out.len() - start < 253 {
        out.push(b'a' + (n % 26) as u8);
    }
    out.extend_from_slice(b"\"}\n");
}

/// Sends `rate` lines a second for a time; answers how many were sent. Falls behind rather than bursting more than
/// a tenth of a second's worth.
pub fn paced(
    port: u16,
    rate: u64,
    time: Duration,
    first: u64,
    line: impl Fn(u64, &mut Vec<u8>),
) -> anyhow::Result<u64> {
    paced_after("", port, rate, time, first, line)
}

/// As [`paced`], on a connection that says something first.
pub fn paced_after(
    greeting: &str,
    port: u16,
    rate: u64,
    time: Duration,
    first: u64,
    line: impl Fn(u64, &mut Vec<u8>),
) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(greeting.as_bytes())?;
    let start = Instant::now();
    let (mut sent, mut buffer) = (0, Vec::new());
    while start.elapsed() < time {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
        let burst = due.saturating_sub(sent).min(rate / 10 + 1);
        buffer.clear();
        for n in 0..burst {
            line(first + sent + n, &mut buffer);
        }
        stream.write_all(&buffer)?;
        sent += burst;
        pause(Duration::from_millis(5));
    }
    Ok(sent)
}

/// A block of whole lines to be written over and over.
pub fn block(lines: u64, line: impl Fn(u64, &mut Vec<u8>)) -> Vec<u8> {
    let mut block = Vec::new();
    for n in 0..lines {
        line(n, &mut block);
    }
    block
}
