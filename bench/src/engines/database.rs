//! A database of a measurement's own, so that no offset of an earlier one is resumed from.

use anyhow::{Context, ensure};
use std::process::Command;

/// A server's address, taken apart: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`.
struct Server<'a> {
    user: &'a str,
    password: &'a str,
    host: &'a str,
    port: &'a str,
}

impl<'a> Server<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let (login, place) = url.strip_prefix("mysql://")?.split_once('@')?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = place.split(['/', '?']).next()?.split_once(':')?;
        Some(Self { user, password, host, port })
    }

    fn run(&self, statement: &str) -> anyhow::Result<()> {
        let output = Command::new("mysql")
            .args(["--protocol=tcp", "--host", self.host, "--port", self.port, "--user", self.user])
            .args(["--execute", statement])
            // As an argument, everybody on the machine could read it.
            .env("MYSQL_PWD", self.password)
            .output()
            .context("mysql cannot be started (Debian: apt install mariadb-client)")?;
        ensure!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

/// Makes a database beside the one that the address names; answers its address.
pub fn create(url: &str, name: &str) -> anyhow::Result<String> {
    let server = server(url)?;
    server.run(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"))?;
    Ok(format!("mysql://{}:{}@{}:{}/{name}", server.user, server.password, server.host, server.port))
}

/// Removes it.
pub fn remove(url: &str, name: &str) -> anyhow::Result<()> {
    server(url)?.run(&format!("DROP DATABASE IF EXISTS {name}"))
}

fn server(url: &str) -> anyhow::Result<Server<'_>> {
    Server::parse(url).context("the address of MySQL is not mysql://USER:PASSWORD@HOST:PORT/DATABASE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: Option<[&str; 4]>) {
        let parts = Server::parse(url).map(|it| [it.user, it.password, it.host, it.port]);
        assert_eq!(parts, expect, "{url}");
    }

    #[test]
    fn addresses_are_taken_apart() {
        check("mysql://qgx:hush@127.0.0.1:13306/qgx", Some(["qgx", "hush", "127.0.0.1", "13306"]));
        check("mysql://root@db:3306", Some(["root", "", "db", "3306"]));
        check("mysql://qgx:hush@db/qgx", None);
        check("postgres://qgx@db:1/qgx", None);
    }
}
