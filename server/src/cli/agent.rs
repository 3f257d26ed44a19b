//! `qgx agent`

use super::args::{AgentArgs, TargetArgs};
use crate::agent::service::{self, AgentOptions, usual_state_dir};
use crate::agent::shipper::Habits;
use crate::client::{SenderOptions, Target};
use anyhow::{Context, Result};
use std::time::Duration;
use telemetry::LogFormat;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Lines in flight at most.
pub const WINDOW: usize = 10_000;
/// How long an agent that is told to stop may keep positions and close connections.
const LEAVE_TAKING: Duration = Duration::from_secs(5);

impl TargetArgs {
    /// How to send there.
    pub fn sender(&self, stream: String, give_up_after: Option<Duration>) -> SenderOptions {
        SenderOptions {
            target: self.target(),
            token: self.token.clone(),
            source: self.source.clone(),
            stream,
            window: WINDOW,
            give_up_after,
            ..SenderOptions::default()
        }
    }

    /// Where to.
    pub fn target(&self) -> Target {
        Target {
            address: self.to.clone(),
            tls_ca: self.tls_ca.clone(),
            tls_identity: self.tls_cert.clone().zip(self.tls_key.clone()),
        }
    }
}

impl AgentArgs {
    fn options(self) -> Result<AgentOptions> {
        let state_dir = self.state_dir.or_else(usual_state_dir);
        Ok(AgentOptions {
            // Each stream has a name of its own.
            sender: self.target.sender(String::new(), None),
            state_dir: state_dir.context("HOME is not set; give --state-dir DIR")?,
            every: (!self.no_figures).then(|| Duration::from_secs(self.every)),
            buffer_bytes: self.buffer_max_bytes,
            tail: self.tail,
            from_start: self.from_start,
            habits: Habits {
                partial: Duration::from_secs(self.partial_after),
                aside: Duration::from_secs(self.rotated_for),
            },
        })
    }
}

/// Runs until SIGTERM or SIGINT.
pub fn run(args: AgentArgs) -> Result<()> {
    let logs = telemetry::init_logs(LogFormat::Text, &args.log_level)?;
    super::runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let options = args.options()?;
        let stop = CancellationToken::new();
        tracing::info!(
            to = options.sender.target.address,
            state = %options.state_dir.display(),
            files = options.tail.len(),
            "the agent sends"
        );
        let sending = service::run(options, stop.clone());
        tokio::pin!(sending);
        tokio::select! {
            outcome = &mut sending => return outcome,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
        // What is not kept by then is sent again, and recognised.
        tokio::time::timeout(LEAVE_TAKING, sending).await.unwrap_or(Ok(()))
    })?;
    logs.flush();
    Ok(())
}
