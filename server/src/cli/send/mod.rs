//! `qgx send`: files to a server, with a progress bar and a summary that says where to look.

mod input;
mod stamps;
mod unacknowledged;

use super::args::{Protocol, SendArgs};
use super::print::{say, say_json};
use crate::agent::new_stream;
use crate::client::sender::{self, Progress, SendError};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use input::Input;
use serde_json::json;
use stamps::Stamps;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a server may stay silent.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
/// Lines read ahead.
const READ_AHEAD: usize = 1_024;

/// What was read so far; shared with the progress bar.
#[derive(Default)]
struct Counters {
    bytes: AtomicU64,
    lines: AtomicU64,
}

/// What happened.
struct Summary {
    lines: u64,
    acknowledged: Option<u64>,
    skipped: u64,
    refused: u64,
    reconnects: u64,
    bytes: u64,
    elapsed: Duration,
    stamps: Stamps,
}

/// Sends the files.
pub fn run(args: SendArgs) -> Result<ExitCode> {
    let named = args.target.source.is_some() || args.stream.is_some();
    let acknowledged = match args.protocol {
        Protocol::Qgx | Protocol::Csv => true,
        // The same lines travel as QGX lines, whose HELLO can name a source and a stream.
        Protocol::Ndjson | Protocol::Raw => named,
        _ => false,
    };
    if named && !acknowledged {
        bail!(
            "--source and --stream go with --as qgx, ndjson, raw and csv; the other formats name a source in each record"
        );
    }
    if args.stream.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > 64) {
        bail!("--stream takes a name of 1 to 64 characters");
    }
    let bar = progress_bar(&args);
    let summary = super::runtime()?.block_on(async {
        let counters = Arc::new(Counters::default());
        let progress = Arc::new(Progress::default());
        let ticking = tick(bar.clone(), Arc::clone(&counters), Arc::clone(&progress), acknowledged);
        let ticking = tokio_util::task::AbortOnDropHandle::new(telemetry::spawn("progress-bar", ticking));
        let started = Instant::now();
        let outcome = if acknowledged {
            send_acknowledged(&args, &counters, &progress).await
        } else {
            unacknowledged::send(&args, &counters).await
        };
        drop(ticking);
        let stamps = outcome?;
        let figure = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok::<_, anyhow::Error>(Summary {
            lines: figure(&counters.lines),
            acknowledged: acknowledged.then(|| figure(&progress.acked)),
            skipped: figure(&progress.skipped),
            refused: figure(&progress.refused),
            reconnects: figure(&progress.reconnects),
            bytes: figure(&counters.bytes),
            elapsed: started.elapsed(),
            stamps,
        })
    });
    bar.finish_and_clear();
    let summary = summary?;
    report(&args, &summary);
    Ok(if summary.refused > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn progress_bar(args: &SendArgs) -> ProgressBar {
    let sizes: Option<u64> = args
        .files
        .iter()
        .map(|file| if file == Path::new("-") { None } else { Some(std::fs::metadata(file).ok()?.len()) })
        .sum();
    let bar = match sizes {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    if args.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg} {eta}";
    let style = if sizes.is_some() { template } else { "{spinner} {bytes} {bytes_per_sec} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

async fn tick(bar: ProgressBar, counters: Arc<Counters>, progress: Arc<Progress>, acknowledged: bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        bar.set_position(counters.bytes.load(Ordering::Relaxed));
        let lines = counters.lines.load(Ordering::Relaxed);
        if acknowledged {
            bar.set_message(format!("{} of {lines} acknowledged", progress.acked.load(Ordering::Relaxed)));
        } else {
            bar.set_message(format!("{lines} lines"));
        }
    }
}

async fn send_acknowledged(args: &SendArgs, counters: &Arc<Counters>, progress: &Progress) -> Result<Stamps> {
    let stream = args.stream.clone().unwrap_or_else(|| new_stream("send"));
    let options = args.target.sender(stream, Some(GIVE_UP_AFTER));
    let (feed, lines) = mpsc::channel::<Bytes>(READ_AHEAD);
    let reading = {
        let input = Input::new(args);
        let counters = Arc::clone(counters);
        telemetry::spawn_blocking_named("read-input", move || {
            let mut stamps = Stamps::default();
            input.for_each(&counters, |line| {
                stamps.note(&line);
                // The receiver is gone where sending failed, and then that is what is reported.
                feed.blocking_send(line).is_ok()
            })?;
            Ok::<_, anyhow::Error>(stamps)
        })
    };
    let sent = sender::run(&options, lines, progress, &CancellationToken::new()).await;
    let read = reading.await.context("reading the input was cut off")?;
    match sent {
        Ok(()) => read,
        Err(SendError::Refused(fault)) => {
            let text = format!("the server refused: {} ({})", fault.message, fault.code);
            bail!(
                "{text}\nan ingest token is made on the server's machine by: qgx token create --tenant default \
                 --kind ingest\n(with the --data-dir that the server was started with, where it was)"
            )
        }
        Err(error) => {
            let hint = match &args.stream {
                Some(name) => format!("the same command with --stream {name} goes on where it was left"),
                None => "with --stream NAME the same command could go on where it was left".to_owned(),
            };
            Err(anyhow::Error::from(error).context(hint))
        }
    }
}

fn report(args: &SendArgs, summary: &Summary) {
    let link =
        summary.stamps.outside().map(|(count, range)| (count, range, explore_link(&args.target.to, range)));
    if args.json {
        say_json(&json!({
            "lines": summary.lines,
            "acknowledged": summary.acknowledged,
            "already_there": summary.skipped,
            "refused": summary.refused,
            "reconnects": summary.reconnects,
            "bytes": summary.bytes,
            "seconds": summary.elapsed.as_secs_f64(),
            "outside_last_hour": link.as_ref().map(|(count, range, link)| json!({
                "count": count, "from": range.from, "to": range.to, "link": link,
            })),
        }));
        return;
    }
    let seconds = summary.elapsed.as_secs_f64().max(0.001);
    say(&format!(
        "{} lines in {seconds:.1} s, {:.0} a second",
        summary.lines,
        summary.lines as f64 / seconds
    ));
    match summary.acknowledged {
        Some(count) => say(&format!("{count} acknowledged: on durable storage")),
        None => say("sent; this protocol acknowledges nothing"),
    }
    if summary.skipped > 0 {
        say(&format!("{} of them were there from an earlier run", summary.skipped));
    }
    if summary.refused > 0 {
        say(&format!("{} refused for good; see the log lines above", summary.refused));
    }
    if let Some((count, range, link)) = link {
        say(&format!(
            "{count} lie outside the last hour, from {} to {}; see them at\n  {link}",
            range.from, range.to
        ));
    }
}

/// Explore on the same machine, at the port that goes with the ingestion port; only the ports' usual distance is known
/// here.
fn explore_link(to: &str, range: domain::TimeRange) -> String {
    const DISTANCE: u16 = 31_101 - 31_080;
    let (host, port) = to.rsplit_once(':').unwrap_or((to, "31101"));
    let web = port.parse::<u16>().ok().and_then(|port| port.checked_sub(DISTANCE)).unwrap_or(31_080);
    let path = app::address::explore("", &range.from.to_string(), &range.to.to_string());
    format!("http://{host}:{web}{path}")
}
