//! The whole of `qgx agent`: figures and tails, with a directory for what must outlive a restart.

use super::buffer::Buffer;
use super::shipper::Habits;
use super::tail::{self, TailOptions};
use super::{figures, host_name};
use crate::client::SenderOptions;
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the agent does.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// How to send.
    pub sender: SenderOptions,
    /// Where positions and the buffer lie.
    pub state_dir: PathBuf,
    /// Between two measurements; `None`: no figures.
    pub every: Option<Duration>,
    /// Most bytes of figures on disk.
    pub buffer_bytes: u64,
    /// Files to tail: paths or patterns.
    pub tail: Vec<String>,
    /// Also what stands already in files that are there at the very first start.
    pub from_start: bool,
    /// How files are tailed.
    pub habits: Habits,
}

/// A state directory that this process holds; let go of however the process ends.
struct Held(#[expect(dead_code, reason = "it is held, not used")] File);

/// Runs until stopped.
///
/// # Errors
/// Where the state directory cannot be used or is another agent's, or the server refuses the credential.
pub async fn run(options: AgentOptions, stop: CancellationToken) -> Result<()> {
    let AgentOptions { mut sender, state_dir, every, buffer_bytes, tail, from_start, habits } = options;
    if every.is_none() && tail.is_empty() {
        bail!("there is nothing to send: give --tail FILE, or leave out --no-figures");
    }
    let _held = hold(&state_dir)?;
    sender.source = sender.source.or_else(|| Some(host_name()));
    let either = stop.child_token();
    let its_figures = async {
        let Some(every) = every else { return Ok(()) };
        let buffer = Buffer::open(state_dir.join("buffer"), buffer_bytes)
            .with_context(|| format!("the buffer in {} cannot be used", state_dir.display()))?;
        figures::run(sender.clone(), every, buffer, either.clone()).await.context("check --to and --token")
    };
    let its_tails = async {
        if tail.is_empty() {
            return Ok(());
        }
        let options = TailOptions { patterns: tail, from_start, habits };
        let tails = tail::run(options, sender.clone(), state_dir.join("tails"), either.clone());
        tails.await.context("check --to, --token and --tail")
    };
    // Where one of them cannot go on, the other keeps what it has, and whoever started the agent starts it again.
    let (figures, tails) = tokio::join!(
        async {
            let ended: Result<()> = its_figures.await;
            stop_on_failure(ended, &either)
        },
        async {
            let ended: Result<()> = its_tails.await;
            stop_on_failure(ended, &either)
        }
    );
    figures.and(tails)
}

fn stop_on_failure(ended: Result<()>, stop: &CancellationToken) -> Result<()> {
    if ended.is_err() {
        stop.cancel();
    }
    ended
}

fn hold(state_dir: &Path) -> Result<Held> {
    let usable = || {
        format!("the state directory {} cannot be used; choose another with --state-dir", state_dir.display())
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir).with_context(usable)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(state_dir.join("lock"))
        .with_context(usable)?;
    match lock.try_lock() {
        Ok(()) => Ok(Held(lock)),
        Err(TryLockError::WouldBlock) => bail!(
            "the state directory {} is in use by another agent; give each its own with --state-dir",
            state_dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(usable),
    }
}

/// Where the agent keeps its state where nobody says otherwise: `qgx-agent` in `$STATE_DIRECTORY` (systemd), in
/// `$XDG_STATE_HOME`, or in `~/.local/state`.
pub fn usual_state_dir() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given("STATE_DIRECTORY").or_else(|| {
        let base = given("XDG_STATE_HOME").or_else(|| Some(given("HOME")?.join(".local/state")))?;
        Some(base.join("qgx-agent"))
    })
}
