//! Sends lines and keeps them until they are acknowledged: what a broken connection or a restarted server had not
//! confirmed is sent again on the same stream, and the server recognises it.

use super::connection::{Fault, Hello, Reader, Reply, Target, Writer, greet};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How to send.
#[derive(Debug, Clone, Default)]
pub struct SenderOptions {
    /// Where to.
    pub target: Target,
    /// The ingest token.
    pub token: Option<String>,
    /// The source.
    pub source: Option<String>,
    /// The stream's name, at most 64 characters: the same name goes on where it was left.
    pub stream: String,
    /// The sequence before that of the first line: what an earlier run knew to be acknowledged.
    pub acked: u64,
    /// Fields that every record gets.
    pub fields: BTreeMap<String, String>,
    /// Lines in flight at most.
    pub window: usize,
    /// How long to try without a single answer; `None`: forever.
    pub give_up_after: Option<Duration>,
}

/// How far it is; shared with whoever draws it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Lines that the server had from an earlier run.
    pub skipped: AtomicU64,
    /// Lines acknowledged, with those skipped.
    pub acked: AtomicU64,
    /// Lines refused for good.
    pub refused: AtomicU64,
    /// Connections made after the first.
    pub reconnects: AtomicU64,
}

/// Why sending ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server will not have it.
    #[error("refused: {} ({})", .0.message, .0.code)]
    Refused(Fault),
    /// The server could not be reached for too long.
    #[error("{address} cannot be reached: {cause}")]
    Unreachable {
        /// Where.
        address: String,
        /// The last error.
        cause: io::Error,
    },
    /// Told to stop.
    #[error("stopped")]
    Stopped,
}

/// What ended a connection.
enum Ended {
    /// Everything is acknowledged.
    Done,
    /// It broke, or the server closed it: again, at the earliest after this.
    Again { after: Duration, cause: io::Error },
}

/// Bytes in flight at most, but for one line.
const WINDOW_BYTES: usize = 8 << 20;
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MOST: Duration = Duration::from_secs(15);

/// The lines not yet acknowledged, and the sequence of the first of them.
struct Window {
    lines: VecDeque<Bytes>,
    /// Of all lines.
    bytes: usize,
    acked: u64,
    /// Lines that the server has of an earlier run, still to be passed over in the input.
    to_skip: u64,
    ended: bool,
}

impl Window {
    /// Drops what is acknowledged.
    fn settle(&mut self, sequence: u64, progress: &Progress) {
        let count = usize::try_from(sequence.saturating_sub(self.acked)).unwrap_or(usize::MAX);
        let settled = self.lines.drain(..count.min(self.lines.len()));
        self.bytes -= settled.map(|line| line.len()).sum::<usize>();
        self.acked = self.acked.max(sequence);
        progress.acked.store(self.acked, Ordering::Relaxed);
    }

    /// The server may have more than was sent so far, of an earlier run that it has come to only now: it is passed over in
    /// the input.
    fn pass_over(&mut self, last_seq: u64, progress: &Progress) {
        let accounted_for = self.acked + self.lines.len() as u64;
        let more = last_seq.saturating_sub(accounted_for);
        self.to_skip += more;
        progress.skipped.fetch_add(more, Ordering::Relaxed);
    }

    fn finished(&self) -> bool {
        self.ended && self.lines.is_empty()
    }
}

/// Sends all lines of the channel (without their newline) and returns once the last is acknowledged.
///
/// # Errors
/// [`SendError`].
pub async fn run(
    options: &SenderOptions,
    mut lines: mpsc::Receiver<Bytes>,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), SendError> {
    let mut window =
        Window { lines: VecDeque::new(), bytes: 0, acked: options.acked, to_skip: 0, ended: false };
    let mut backoff = BACKOFF_FIRST;
    let mut heard = Instant::now();
    loop {
        let before = window.acked;
        let attempt = connected(options, &mut window, &mut lines, progress);
        let ended = match stop.run_until_cancelled(attempt).await {
            None => return Err(SendError::Stopped),
            Some(Ok(ended)) => ended,
            Some(Err(fault)) => return Err(SendError::Refused(fault)),
        };
        let Ended::Again { after, cause } = ended else { return Ok(()) };
        if window.acked > before || after > Duration::ZERO {
            heard = Instant::now();
            backoff = BACKOFF_FIRST;
        }
        if options.give_up_after.is_some_and(|most| heard.elapsed() > most) {
            return Err(SendError::Unreachable { address: options.target.address.clone(), cause });
        }
        tracing::debug!(error = %cause, "the connection ended; trying again");
        progress.reconnects.fetch_add(1, Ordering::Relaxed);
        if stop.run_until_cancelled(tokio::time::sleep(after.max(jittered(backoff)))).await.is_none() {
            return Err(SendError::Stopped);
        }
        backoff = (backoff * 2).min(BACKOFF_MOST);
    }
}

/// Between half and the whole, so that many clients do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 1];
    let _ = getrandom::fill(&mut random);
    pause / 2 + pause.mul_f64(f64::from(random[0]) / 512.0)
}

async fn connected(
    options: &SenderOptions,
    window: &mut Window,
    lines: &mut mpsc::Receiver<Bytes>,
    progress: &Progress,
) -> Result<Ended, Fault> {
    let hello = Hello {
        token: options.token.clone(),
        source: options.source.clone(),
        stream: Some(options.stream.clone()),
        // Also where it is 0: what stands in the log need not be read for who has everything and sends it again.
        acked: Some(window.acked),
        fields: options.fields.clone(),
    };
    let again = |cause: io::Error| Ended::Again { after: Duration::ZERO, cause };
    let (reader, writer, reply) = match greet(&options.target, &hello).await {
        Ok(greeted) => greeted,
        Err(cause) => return Ok(again(cause)),
    };
    match reply {
        Reply::Ok { last_seq } => {
            window.pass_over(last_seq, progress);
            window.settle(last_seq, progress);
        }
        Reply::Err(fault) => return closed(fault),
        Reply::Ack(_) | Reply::Nack { .. } => {
            return Ok(again(io::Error::new(io::ErrorKind::InvalidData, "the server did not greet")));
        }
    }
    converse(window, lines, progress, options.window, reader, writer).await
}

fn closed(fault: Fault) -> Result<Ended, Fault> {
    if fault.is_final() {
        return Err(fault);
    }
    let after = Duration::from_secs(fault.retry_after.unwrap_or(1));
    Ok(Ended::Again { after, cause: io::Error::other(format!("{} ({})", fault.message, fault.code)) })
}

async fn converse(
    window: &mut Window,
    lines: &mut mpsc::Receiver<Bytes>,
    progress: &Progress,
    most: usize,
    mut reader: Reader,
    mut writer: Writer,
) -> Result<Ended, Fault> {
    let again = |cause: io::Error| Ended::Again { after: Duration::ZERO, cause };
    // Answers are read apart from writing, or both sides could wait for each other with full buffers.
    let (replies_in, mut replies) = mpsc::channel(64);
    let reading = telemetry::spawn("line-replies", async move {
        loop {
            let reply = Reply::read(&mut reader).await;
            let last = !matches!(reply, Ok(Some(_)));
            if replies_in.send(reply).await.is_err() || last {
                return;
            }
        }
    });
    let reading = tokio_util::task::AbortOnDropHandle::new(reading);
    let mut out: Vec<u8> = Vec::with_capacity(64 * 1024);
    for line in &window.lines {
        push_line(&mut out, line);
    }
    let mut written = 0;
    let outcome = loop {
        if window.finished() && written == out.len() {
            let _ = writer.shutdown().await;
            break Ok(Ended::Done);
        }
        if written == out.len() {
            out.clear();
            written = 0;
        }
        let room =
            !window.ended && window.lines.len() < most && window.bytes < WINDOW_BYTES && out.len() < 1 << 20;
        tokio::select! {
            biased;
            reply = replies.recv() => match reply {
                Some(Ok(Some(Reply::Ack(sequence)))) => window.settle(sequence, progress),
                Some(Ok(Some(Reply::Nack { sequence, fault }))) => {
                    progress.refused.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(sequence, code = fault.code, "a line was refused for good");
                }
                Some(Ok(Some(Reply::Err(fault)))) => break closed(fault),
                Some(Ok(Some(Reply::Ok { .. }))) => {}
                Some(Ok(None)) | None => break Ok(again(io::ErrorKind::UnexpectedEof.into())),
                Some(Err(cause)) => break Ok(again(cause)),
            },
            sent = writer.write(&out[written..]), if written < out.len() => match sent {
                Ok(0) => break Ok(again(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    if written == out.len()
                        && let Err(cause) = writer.flush().await
                    {
                        break Ok(again(cause));
                    }
                }
                Err(cause) => break Ok(again(cause)),
            },
            line = lines.recv(), if room => match line {
                None => window.ended = true,
                Some(_) if window.to_skip > 0 => window.to_skip -= 1,
                Some(line) => {
                    push_line(&mut out, &line);
                    window.bytes += line.len();
                    window.lines.push_back(line);
                }
            },
        }
    };
    drop(reading);
    outcome
}

fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
