//! PostgreSQL, as Debian packages it. It refuses to run as root, so there it runs as its own system user.

use super::daemon::Daemon;
use super::{Service, Urls, health, ports, system_user};
use crate::process::which;
use crate::steps;
use anyhow::bail;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PORT: u16 = 15_432;
const LIMIT: Duration = Duration::from_secs(60);
/// The system user that Debian's package makes.
const SYSTEM_USER: &str = "postgres";

/// PostgreSQL.
pub struct Postgres;

impl Service for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn daemons(&self, home: &Path) -> Vec<Daemon> {
        vec![Daemon::at(home)]
    }

    fn urls(&self, home: &Path) -> Urls {
        let port = ports::noted(home);
        let url = |port| format!("postgres://qgx:qgx@127.0.0.1:{port}/postgres");
        port.map(|port| ("QGX_TEST_POSTGRES", url(port))).into_iter().collect()
    }

    fn is_healthy(&self, home: &Path) -> bool {
        ports::noted(home).is_some_and(health::postgres)
    }

    fn up(&self, home: &Path) -> anyhow::Result<()> {
        let (Some(server), Some(initdb)) = (program("postgres"), program("initdb")) else {
            bail!(
                "PostgreSQL is missing: install it (Debian: apt install postgresql; macOS: brew install postgresql)"
            );
        };
        let port = ports::settle(home, PORT, 1)?;
        let data = home.join("data");
        if !data.join("PG_VERSION").is_file() {
            make(&initdb, home, &data)?;
        }
        let mut command = unprivileged(&server);
        command
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string()])
            // No socket in the file system: loopback is enough, and Debian's folder for it may not be ours to write.
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=200"]);
        steps::timed("starting PostgreSQL", || {
            let daemon = Daemon::at(home);
            daemon.start(&mut command)?;
            daemon.await_health(LIMIT, || self.is_healthy(home))
        })
    }
}

fn make(initdb: &Path, home: &Path, data: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(data)?;
    let password = home.join("password");
    fs::write(&password, "qgx\n")?;
    if is_root() {
        let owned = Command::new("chown").arg(format!("{SYSTEM_USER}:")).arg(data).arg(&password).status()?;
        if !owned.success() {
            bail!(
                "there is no system user {SYSTEM_USER}: install Debian's package, or run as another user than root"
            );
        }
    }
    let made = unprivileged(initdb)
        .args(["--username=qgx", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"])
        .arg(format!("--pwfile={}", password.display()))
        .arg("-D")
        .arg(data)
        .current_dir("/")
        .output()?;
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr);
        bail!("the database cannot be made in {}: {why}", data.display());
    }
    Ok(())
}

fn is_root() -> bool {
    system_user() == "root"
}

/// The program, as a user that is not root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            format!("--reuid={SYSTEM_USER}"),
            format!("--regid={SYSTEM_USER}"),
            "--init-groups".to_owned(),
        ])
        .arg(program);
    command
}

/// Debian keeps the servers out of PATH, a folder a version: the newest.
fn program(name: &str) -> Option<PathBuf> {
    which(name).or_else(|| {
        let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
            .filter(|file| file.is_file())
            .collect();
        versions.sort();
        versions.pop()
    })
}
