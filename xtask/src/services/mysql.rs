//! A MySQL-compatible server: MariaDB, as Debian packages it.

use super::daemon::Daemon;
use super::{Service, Urls, health, ports, system_user};
use crate::process::{Run, which};
use crate::steps;
use anyhow::{Context, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PORT: u16 = 13_306;
const LIMIT: Duration = Duration::from_secs(60);
/// Run at each start: the one user, who may make databases.
const SETUP: &str = "CREATE DATABASE IF NOT EXISTS qgx CHARACTER SET utf8mb4;\n\
                     CREATE USER IF NOT EXISTS 'qgx'@'%' IDENTIFIED BY 'qgx';\n\
                     GRANT ALL PRIVILEGES ON *.* TO 'qgx'@'%';\n";

/// MariaDB.
pub struct MySql;

impl Service for MySql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn daemons(&self, home: &Path) -> Vec<Daemon> {
        vec![Daemon::at(home)]
    }

    fn urls(&self, home: &Path) -> Urls {
        let port = ports::noted(home);
        port.map(|port| ("QGX_TEST_MYSQL", format!("mysql://qgx:qgx@127.0.0.1:{port}/qgx")))
            .into_iter()
            .collect()
    }

    fn is_healthy(&self, home: &Path) -> bool {
        ports::noted(home).is_some_and(health::mysql)
    }

    fn up(&self, home: &Path) -> anyhow::Result<()> {
        let (Some(server), Some(install)) = (which("mariadbd"), which("mariadb-install-db")) else {
            bail!(
                "MariaDB is missing: install it (Debian: apt install mariadb-server-core; macOS: brew install mariadb)"
            );
        };
        let port = ports::settle(home, PORT, 1)?;
        let data = home.join("data");
        fs::write(home.join("setup.sql"), SETUP)?;
        // It refuses to run as root unless that is said; the folder may lie where no other user gets in.
        let user = system_user();
        if !data.join("mysql").is_dir() {
            Run::new(install)
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(format!("--user={user}"))
                .arg(format!("--datadir={}", data.display()))
                .output()
                .context("the databases cannot be made")?;
        }
        let mut command = Command::new(server);
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-buffer-pool-size=256M", "--max-connections=400"])
            .arg(format!("--user={user}"))
            .arg(format!("--port={port}"))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--init-file={}", home.join("setup.sql").display()))
            // The path of a socket has a hundred bytes at most; the clone's may have more.
            .arg(format!(
                "--socket={}",
                std::env::temp_dir().join(format!("qgx-mysql-{port}.sock")).display()
            ));
        steps::timed("starting MariaDB", || {
            let daemon = Daemon::at(home);
            daemon.start(&mut command)?;
            daemon.await_health(LIMIT, || self.is_healthy(home))
        })
    }
}
