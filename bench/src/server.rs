//! The release binary as a child process on ports of its own.

use crate::{http, process};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Shifts every port, so that a running `qgx` is not disturbed; below those that systems give to outgoing connections.
const OFFSET: u16 = 1_200;

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    data: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

/// Where the release binary lies.
pub fn binary() -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let path = target.join("release/qgx");
    ensure!(path.is_file(), "{} is missing: run `cargo xtask build` first", path.display());
    Ok(path)
}

impl Server {
    /// Starts on a fresh data folder.
    pub fn start() -> anyhow::Result<Self> {
        let temporary = tempfile::tempdir()?;
        let data = temporary.path().join("data");
        let mut server = Self::start_on(&data)?.0;
        server._temporary = Some(temporary);
        Ok(server)
    }

    /// Starts on a data folder; answers how long it took to be ready.
    pub fn start_on(data: &Path) -> anyhow::Result<(Self, Duration)> {
        let start = Instant::now();
        let child = Command::new(binary()?)
            .args(["serve", "--no-self-monitor", "--port-offset", &OFFSET.to_string(), "--data-dir"])
            .arg(data)
            .env("QGX_OWNER_EMAIL", "owner@example.com")
            .env("QGX_OWNER_PASSWORD", "correct horse battery")
            // One person asks more than a person would.
            .env("QGX_API_REQUESTS_PER_SEC", "100000")
            .env("QGX_API_REQUESTS_BURST", "100000")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .env("QGX_LOG_LEVEL", "warn")
            .spawn()
            .context("qgx cannot be started")?;
        // From here on it is killed when this returns early.
        let mut server = Self { child, data: data.to_owned(), _temporary: None };
        let mut ended = None;
        process::wait_for("ready", Duration::from_secs(60), || {
            ended = server.child.try_wait().ok().flatten();
            ended.is_some()
                || http::request(31_100 + OFFSET, "GET /readyz", "", "")
                    .is_ok_and(|(status, _)| status == 200)
        })?;
        if let Some(status) = ended {
            anyhow::bail!("qgx ended with {status}; start it by hand to see why");
        }
        Ok((server, start.elapsed()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The TCP port for events.
    pub fn ingest_port(&self) -> u16 {
        31_101 + OFFSET
    }

    /// The REST port.
    pub fn api_port(&self) -> u16 {
        31_090 + OFFSET
    }

    /// The web's port.
    pub fn web_port(&self) -> u16 {
        31_080 + OFFSET
    }

    /// Makes a token.
    pub fn token(&self, kind: &str) -> anyhow::Result<String> {
        let output = Command::new(binary()?)
            .args(["token", "create", "--tenant", "default", "--json", "--kind", kind, "--data-dir"])
            .arg(&self.data)
            .output()?;
        ensure!(output.status.success(), "qgx token create: {}", String::from_utf8_lossy(&output.stderr));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(value["token"].as_str().context("no token")?.to_owned())
    }

    /// How many events a query finds.
    pub fn count(&self, token: &str, q: &str) -> anyhow::Result<u64> {
        let path = format!("/api/v1/events?q={q}&from=1970-01-02T00:00:00Z&to=now%2B24h&limit=1");
        http::get_json(self.api_port(), &path, token)?["total"].as_u64().context("no total")
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
