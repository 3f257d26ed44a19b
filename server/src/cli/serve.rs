//! `qgx serve`

use super::args::ServeArgs;
use super::print::say;
use super::settings::load_with;
use crate::serve::{self, Host, banner};
use anyhow::{Context, Result};
use telemetry::LogHandle;
use tokio::signal::unix::{SignalKind, signal};

/// Runs until SIGTERM or SIGINT, then drains.
pub fn run(args: &ServeArgs) -> Result<()> {
    let config = load_with(&args.common, args.flags())?;
    let logs = telemetry::init_logs(config.log.format, &config.log.level).context("log_level is wrong")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.worker_threads)
        .thread_name("qgx")
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let outcome = runtime.block_on(serve_until_signal(config, &logs));
    // What still blocks after the grace period is left behind.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    logs.flush();
    outcome
}

async fn serve_until_signal(config: crate::Config, logs: &LogHandle) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let host = Host { logs: Some(logs.clone()), ..Host::default() };
    let starting = serve::start_as(config.clone(), host);
    let running = tokio::select! {
        started = starting => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let lang = banner::terminal_language();
    let email = running.owner_email.as_deref();
    say(&banner::text(lang, &config, &running.addresses, email, &running.owner_password));
    let which = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = which, "stopping");
    tokio::select! {
        () = running.shutdown() => tracing::info!("stopped"),
        // A second signal means now.
        _ = interrupt.recv() => tracing::warn!("stopped before everything was drained"),
    }
    Ok(())
}
