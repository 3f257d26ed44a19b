//! The S3 API, as Python's moto answers it: for tests of backups.

use super::daemon::Daemon;
use super::{Service, Urls, health, ports};
use crate::process::{Run, cache_dir};
use crate::steps;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "moto[server,s3]==5.2.*";
const PORT: u16 = 19_900;
const LIMIT: Duration = Duration::from_secs(30);

/// A server of the S3 API.
pub struct S3;

impl Service for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn daemons(&self, home: &Path) -> Vec<Daemon> {
        vec![Daemon::at(home)]
    }

    fn urls(&self, home: &Path) -> Urls {
        let port = ports::noted(home);
        port.map(|port| ("QGX_TEST_S3", format!("http://127.0.0.1:{port}"))).into_iter().collect()
    }

    fn is_healthy(&self, home: &Path) -> bool {
        ports::noted(home).is_some_and(health::http)
    }

    fn up(&self, home: &Path) -> anyhow::Result<()> {
        let program = installed()?;
        let port = ports::settle(home, PORT, 1)?;
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        steps::timed("starting the S3 API", || {
            let daemon = Daemon::at(home);
            daemon.start(&mut command)?;
            daemon.await_health(LIMIT, || self.is_healthy(home))
        })
    }
}

/// The program, in an environment of its own.
fn installed() -> anyhow::Result<PathBuf> {
    let home = cache_dir()?.join("tools").join("moto-5.2");
    let program = home.join("bin/moto_server");
    if !program.is_file() {
        let mut make = Run::new("python3");
        make.args(["-m", "venv"]).arg(&home);
        make.step("making a Python environment")?;
        let mut install = Run::new(home.join("bin/pip"));
        install.args(["--quiet", "install", PACKAGE]);
        install.step("installing moto (half a minute, once)")?;
    }
    Ok(program)
}
