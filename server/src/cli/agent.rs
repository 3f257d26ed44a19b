//! `qgx agent`

use super::args::{AgentArgs, TargetArgs};
use crate::agent::{self, host_name, new_stream};
use crate::client::{SenderOptions, Target};
use anyhow::{Context, Result};
use std::time::Duration;
use telemetry::LogFormat;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Lines in flight at most.
pub const WINDOW: usize = 10_000;

impl TargetArgs {
    /// How to send there.
    pub fn sender(&self, stream: String, give_up_after: Option<Duration>) -> SenderOptions {
        SenderOptions {
            target: Target { address: self.to.clone(), tls_ca: self.tls_ca.clone() },
            token: self.token.clone(),
            source: self.source.clone(),
            stream,
            window: WINDOW,
            give_up_after,
        }
    }
}

/// Runs until SIGTERM or SIGINT.
pub fn run(args: AgentArgs) -> Result<()> {
    let logs = telemetry::init_logs(LogFormat::Text, &args.log_level)?;
    super::runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut options = args.target.sender(new_stream("agent"), None);
        options.source = options.source.or_else(|| Some(host_name()));
        let stop = CancellationToken::new();
        tracing::info!(
            to = options.target.address,
            every_secs = args.every,
            "sending this machine's figures"
        );
        let sending = agent::run(options, Duration::from_secs(args.every), stop.clone());
        tokio::select! {
            outcome = sending => outcome.context("check --to and --token"),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })?;
    logs.flush();
    Ok(())
}
