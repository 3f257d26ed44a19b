//! This machine's figures by way of the buffer on disk, so that neither a server that is away nor a restart loses them.

use super::buffer::Buffer;
use super::measure::Machine;
use crate::client::{Progress, SendError, SenderOptions, sender};
use bytes::Bytes;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Read from the buffer at a time, in bytes.
const BATCH: usize = 256 << 10;
/// How often what is acknowledged leaves the buffer.
const SETTLE_EVERY: Duration = Duration::from_secs(2);

/// The buffer, and who waits for something in it.
struct Queue {
    buffer: Mutex<Buffer>,
    filled: Notify,
}

/// Measures every `every` and sends until stopped.
///
/// # Errors
/// Where the server refuses the credential; a server that cannot be reached is waited for.
pub async fn run(
    options: SenderOptions,
    every: Duration,
    buffer: Buffer,
    stop: CancellationToken,
) -> Result<(), SendError> {
    let options = SenderOptions { stream: buffer.stream().to_owned(), ..options };
    let queue = Arc::new(Queue { buffer: Mutex::new(buffer), filled: Notify::new() });
    let measuring = telemetry::spawn("agent-measure", measure_on(Arc::clone(&queue), every, stop.clone()));
    let _measuring = AbortOnDropHandle::new(measuring);
    loop {
        match send_on(&options, &queue, &stop).await {
            // Some of the oldest were dropped: the stream goes on after them.
            Ok(()) => {}
            Err(SendError::Stopped) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Sends what is in the buffer, until lines are missing in it.
async fn send_on(
    options: &SenderOptions,
    queue: &Arc<Queue>,
    stop: &CancellationToken,
) -> Result<(), SendError> {
    let acked = queue.buffer.lock().settled();
    let options = SenderOptions { acked, ..options.clone() };
    let (feed, lines) = mpsc::channel::<Bytes>(64);
    let progress = Arc::new(Progress::default());
    let feeding = telemetry::spawn("agent-feed", feed_from(Arc::clone(queue), feed, acked + 1));
    let _feeding = AbortOnDropHandle::new(feeding);
    let sending = sender::run(&options, lines, &progress, stop);
    tokio::pin!(sending);
    let mut ticks = tokio::time::interval(SETTLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outcome = loop {
        tokio::select! {
            outcome = &mut sending => break outcome,
            _ = ticks.tick() => settle(queue, &progress).await,
        }
    };
    settle(queue, &progress).await;
    outcome
}

async fn settle(queue: &Arc<Queue>, progress: &Progress) {
    let (acked, queue) = (progress.acked.load(Ordering::Relaxed), Arc::clone(queue));
    let settled =
        telemetry::spawn_blocking_named("agent-settle", move || queue.buffer.lock().settle(acked)).await;
    if let Ok(Err(error)) = settled {
        tracing::error!(%error, "the buffer cannot give back what is acknowledged");
    }
}

/// Hands lines on in order; ends where some are missing.
async fn feed_from(queue: Arc<Queue>, feed: mpsc::Sender<Bytes>, mut next: u64) {
    loop {
        let filled = queue.filled.notified();
        let its_queue = Arc::clone(&queue);
        let read =
            telemetry::spawn_blocking_named("agent-feed", move || its_queue.buffer.lock().read(next, BATCH));
        match read.await {
            Ok(Ok(batch)) if batch.first > next && !batch.lines.is_empty() => return,
            Ok(Ok(batch)) if batch.lines.is_empty() => filled.await,
            Ok(Ok(batch)) => {
                for line in batch.lines {
                    if feed.send(line).await.is_err() {
                        return;
                    }
                    next += 1;
                }
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the buffer cannot be read");
                filled.await;
            }
            Err(_) => return,
        }
    }
}

async fn measure_on(queue: Arc<Queue>, every: Duration, stop: CancellationToken) {
    let mut machine = match Machine::new() {
        Ok(machine) => machine,
        Err(error) => {
            tracing::error!(%error, "this machine cannot be measured");
            return;
        }
    };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first look only sets the base line of rates.
    ticks.tick().await;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let its_queue = Arc::clone(&queue);
        // Reading /proc and writing to the disk block for some milliseconds.
        let measured = telemetry::spawn_blocking_named("agent-measure", move || {
            let lines = machine.measure();
            (machine, keep(&its_queue, &lines))
        });
        let Ok((back, kept)) = measured.await else { return };
        machine = back;
        match kept {
            Ok(0) => {}
            Ok(dropped) => {
                metrics::counter!("qgx_agent_dropped_records_total").increment(dropped);
                tracing::warn!(records = dropped, "the buffer is full: the oldest figures were dropped");
            }
            Err(error) => {
                tracing::error!(%error, "figures cannot be written to the buffer, and are left out")
            }
        }
    }
}

fn keep(queue: &Queue, lines: &[Bytes]) -> io::Result<u64> {
    let kept = queue.buffer.lock().append(lines);
    queue.filled.notify_one();
    kept
}
