//! Protocols without acknowledgements: bytes out, and what the server says before it closes.

use super::stamps::Stamps;
use super::{Counters, input};
use crate::cli::args::{Protocol, SendArgs};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// How long the server may take to read the rest.
const CLOSING: Duration = Duration::from_secs(60);
const CHUNK: usize = 64 * 1024;
/// Of what the server says, so much is shown.
const ANSWER_MAX: u64 = 4_096;

/// Sends the files as they are.
pub async fn send(args: &SendArgs, counters: &Arc<Counters>) -> Result<Stamps> {
    let target = args.target.target();
    let (reader, mut writer) = target
        .connect()
        .await
        .with_context(|| format!("{} cannot be reached; check --to", target.address))?;
    let (feed, mut chunks) = mpsc::channel::<Bytes>(4);
    let reading = {
        let (files, protocol, counters) = (args.files.clone(), args.protocol, Arc::clone(counters));
        telemetry::spawn_blocking_named("read-input", move || {
            let mut stamps = Stamps::default();
            for path in &files {
                let whole = read_chunks(input::open(path)?, protocol, &counters, &feed, &mut stamps)
                    .with_context(|| format!("{} cannot be read further", path.display()))?;
                if !whole {
                    break;
                }
            }
            Ok::<_, anyhow::Error>(stamps)
        })
    };
    // What it says is read all the while, or it could not say why it closes.
    let answer = telemetry::spawn("server-answer", async move {
        let mut said = Vec::new();
        let mut reader = reader.take(ANSWER_MAX);
        let _ = reader.read_to_end(&mut said).await;
        said
    });
    let written = async {
        if let Some(token) = &args.target.token {
            writer.write_all(format!("AUTH {token}\n").as_bytes()).await?;
        }
        while let Some(chunk) = chunks.recv().await {
            writer.write_all(&chunk).await?;
        }
        writer.shutdown().await
    };
    let written = written.await;
    drop(chunks);
    let said =
        tokio::time::timeout(CLOSING, answer).await.context("the server does not close the connection")?;
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).trim().to_owned();
    if !said.is_empty() {
        bail!("the server answered: {said}");
    }
    written.context("the server closed the connection; its Connect page says why")?;
    reading.await.context("reading the input was cut off")?
}

/// Reads a file to its end; false where nobody takes it any more. GELF objects are parted by NUL on TCP. A last line
/// without an end gets one, or the next file's first line would go on with it.
fn read_chunks(
    mut read: Box<dyn Read + Send>,
    protocol: Protocol,
    counters: &Counters,
    feed: &mpsc::Sender<Bytes>,
    stamps: &mut Stamps,
) -> Result<bool> {
    let mut buffer = vec![0; CHUNK];
    let mut line = Vec::new();
    let delimiter: &[u8] = if protocol == Protocol::Gelf { b"\0" } else { b"\n" };
    // Syslog frames that say their own length (RFC 6587 §3.4.1) begin with a digit and have no ends of lines.
    let mut counted = None;
    loop {
        let count = read.read(&mut buffer)?;
        if count == 0 {
            if line.is_empty() {
                return Ok(true);
            }
            counters.lines.fetch_add(1, Ordering::Relaxed);
            stamps.note(&line);
            let ended = line.ends_with(delimiter) || counted == Some(true);
            return Ok(ended || feed.blocking_send(Bytes::from_static(delimiter)).is_ok());
        }
        let chunk = &mut buffer[..count];
        counted.get_or_insert(protocol == Protocol::Syslog && chunk[0].is_ascii_digit());
        counters.bytes.fetch_add(count as u64, Ordering::Relaxed);
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                counters.lines.fetch_add(1, Ordering::Relaxed);
                stamps.note(&line);
                line.clear();
            }
        }
        if protocol == Protocol::Gelf {
            chunk.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = 0);
        }
        if feed.blocking_send(Bytes::copy_from_slice(chunk)).is_err() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_without_an_end_gets_one() {
        fn check(protocol: Protocol, file: &'static [u8], sent: &[u8], lines: u64) {
            let (feed, mut chunks) = mpsc::channel(16);
            let counters = Counters::default();
            let whole = read_chunks(Box::new(file), protocol, &counters, &feed, &mut Stamps::default());
            assert!(whole.unwrap());
            drop(feed);
            let mut found = Vec::new();
            while let Some(chunk) = chunks.blocking_recv() {
                found.extend_from_slice(&chunk);
            }
            assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(sent));
            assert_eq!(counters.lines.load(Ordering::Relaxed), lines);
        }
        check(Protocol::Raw, b"a\nb", b"a\nb\n", 2);
        check(Protocol::Raw, b"a\nb\n", b"a\nb\n", 2);
        check(Protocol::Raw, b"", b"", 0);
        check(Protocol::Gelf, b"{}\n{}", b"{}\0{}\0", 2);
        check(Protocol::Gelf, b"{}\n", b"{}\0", 1);
        check(Protocol::Gelf, b"{}\0", b"{}\0", 1);
        check(Protocol::Syslog, b"<1>1 - - - - - - x", b"<1>1 - - - - - - x\n", 1);
        check(Protocol::Syslog, b"18 <1>1 - - - - - - x", b"18 <1>1 - - - - - - x", 1);
    }
}
