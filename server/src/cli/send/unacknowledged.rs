//! Protocols without acknowledgements: bytes out, and what the server says before it closes.

use super::stamps::Stamps;
use super::{Counters, input};
use crate::cli::args::{Protocol, SendArgs};
use crate::client::Target;
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
    let target = Target { address: args.target.to.clone(), tls_ca: args.target.tls_ca.clone() };
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

/// Reads a file to its end; false where nobody takes it any more. GELF objects are parted by NUL on TCP.
fn read_chunks(
    mut read: Box<dyn Read + Send>,
    protocol: Protocol,
    counters: &Counters,
    feed: &mpsc::Sender<Bytes>,
    stamps: &mut Stamps,
) -> Result<bool> {
    let mut buffer = vec![0; CHUNK];
    let mut line = Vec::new();
    loop {
        let count = read.read(&mut buffer)?;
        if count == 0 {
            if !line.is_empty() {
                counters.lines.fetch_add(1, Ordering::Relaxed);
                stamps.note(&line);
            }
            return Ok(true);
        }
        let chunk = &mut buffer[..count];
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
