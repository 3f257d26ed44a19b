//! `qgx agent`: this machine's own figures and its log files, sent as QGX lines with acks and resume.
//!
//! - [`service`]: all of it, with a state directory;
//! - [`tail`] finds files, a [`shipper`] reads and sends one; [`lines`] cuts it, [`ledger`] keeps how far it has come,
//!   [`mark`] knows a file again, [`rotation`] knows how files are named that were put aside;
//! - [`figures`] sends what `measure` sees by way of the [`buffer`] on disk;
//! - [`run`]: figures by way of memory alone, for a server that watches its own machine.

pub mod buffer;
pub mod figures;
pub mod ledger;
pub mod lines;
pub mod mark;
mod measure;
pub mod rotation;
pub mod service;
pub mod shipper;
pub mod tail;

use crate::client::{Progress, SendError, SenderOptions, sender};
use bytes::Bytes;
use measure::Machine;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Lines kept while the server cannot be reached, about 10 MB; newer ones are left out and counted.
const KEPT_LINES: usize = 50_000;

/// Measures every `every` and sends until stopped.
///
/// # Errors
/// Where the server refuses the credential; a server that cannot be reached is waited for.
pub async fn run(options: SenderOptions, every: Duration, stop: CancellationToken) -> Result<(), SendError> {
    let (feed, lines) = mpsc::channel::<Bytes>(KEPT_LINES);
    let measuring = telemetry::spawn("agent-measure", measure_on(feed, every, stop.clone()));
    let progress = Progress::default();
    let outcome = sender::run(&options, lines, &progress, &stop).await;
    measuring.abort();
    match outcome {
        Err(SendError::Stopped) => Ok(()),
        other => other,
    }
}

async fn measure_on(feed: mpsc::Sender<Bytes>, every: Duration, stop: CancellationToken) {
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
        // Reading /proc blocks for some milliseconds.
        let measured = telemetry::spawn_blocking_named("agent-measure", move || {
            let lines = machine.measure();
            (machine, lines)
        });
        let Ok((back, lines)) = measured.await else { return };
        machine = back;
        for line in lines {
            match feed.try_send(line) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    metrics::counter!("qgx_agent_dropped_records_total").increment(1);
                    tracing::warn!(
                        "the server takes nothing and the agent's memory is full: figures are left out"
                    );
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }
}

/// A stream's name that no other run has.
pub fn new_stream(prefix: &str) -> String {
    let mut random = [0; 8];
    let _ = getrandom::fill(&mut random);
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}-{random}")
}

/// What this machine calls itself.
pub fn host_name() -> String {
    sysinfo::System::host_name()
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
