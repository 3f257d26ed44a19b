//! Those that are compared, as processes.

use super::KafkaArgs;
use crate::engines::{Installation, Role};
use crate::process;
use anyhow::{Context, ensure};
use clap::ValueEnum;
use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// One that takes lines over TCP and writes them to Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// `qgx serve --roles ingestion`.
    Qgx,
    /// The seed's stack.
    Netty,
    /// rsyslog.
    Omkafka,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qgx => "QGX, role ingestion",
            Self::Netty => "Netty 4.1 + kafka-clients 3.9",
            Self::Omkafka => "rsyslog imptcp + omkafka",
        })
    }
}

impl Contender {
    /// Whether the others are measured against it.
    pub fn is_ours(self) -> bool {
        self == Self::Qgx
    }

    /// Starts it, and waits until it takes connections.
    pub fn start(self, args: &KafkaArgs, installation: &Installation) -> anyhow::Result<Running> {
        match self {
            Self::Qgx => {
                let token = installation.token("ingest")?;
                let role = installation.start(Role::Ingestion)?;
                let port = role.port();
                Running::listening(role.into_child()?, port, format!("AUTH {token}\n"), None)
            }
            Self::Netty => netty(args, &installation.topic()),
            Self::Omkafka => omkafka(&args.engines.kafka, &installation.topic()),
        }
    }
}

/// A started process that takes lines; killed when dropped.
pub struct Running {
    child: Child,
    port: u16,
    greeting: String,
    _folder: Option<tempfile::TempDir>,
}

impl Running {
    fn listening(
        child: Child,
        port: u16,
        greeting: String,
        folder: Option<tempfile::TempDir>,
    ) -> anyhow::Result<Self> {
        let mut running = Self { child, port, greeting, _folder: folder };
        let mut ended = None;
        process::wait_for("its port", Duration::from_secs(60), || {
            ended = running.child.try_wait().ok().flatten();
            ended.is_some() || TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        match ended {
            Some(status) => anyhow::bail!("it ended with {status}"),
            None => Ok(running),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it takes lines.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a connection says first.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> anyhow::Result<()> {
        process::ask_to_end(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn netty(args: &KafkaArgs, topic: &str) -> anyhow::Result<Running> {
    ensure!(
        args.netty_jar.is_file(),
        "{} is missing: run `mvn -B -f bench/peers/netty/pom.xml package` first",
        args.netty_jar.display()
    );
    let port = free_port()?;
    let child = Command::new("java")
        .args(args.java_options.split_whitespace())
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-jar"])
        .arg(&args.netty_jar)
        .args([&port.to_string(), &args.engines.kafka, topic, "t_bench"])
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .context("java cannot be started (Debian: apt install openjdk-17-jre-headless)")?;
    Running::listening(child, port, String::new(), None)
}

/// rsyslog's own way: its parser and `mmpstrucdata` read the line, a template writes the JSON.
fn omkafka(servers: &str, topic: &str) -> anyhow::Result<Running> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let config = folder.path().join("rsyslog.conf");
    let brokers: Vec<_> = servers.split(',').map(|server| format!("\"{server}\"")).collect();
    let text = include_str!("../../peers/omkafka/rsyslog.conf")
        .replace("@FOLDER@", &folder.path().display().to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@BROKERS@", &brokers.join(", "))
        .replace("@TOPIC@", topic);
    std::fs::write(&config, text)?;
    let child = Command::new("rsyslogd")
        .args(["-n", "-f"])
        .arg(&config)
        .arg("-i")
        .arg(folder.path().join("pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .context("rsyslogd cannot be started (Debian: apt install rsyslog rsyslog-kafka)")?;
    Running::listening(child, port, String::new(), Some(folder))
}

/// The example of ingestion that throws its records away.
pub fn discard(program: &Path) -> anyhow::Result<Running> {
    let port = free_port()?;
    let child = Command::new(program)
        .args([format!("127.0.0.1:{port}"), u64::MAX.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| {
            format!(
                "{} cannot be started: `cargo build --release -p ingest --example discard` makes it",
                program.display()
            )
        })?;
    Running::listening(child, port, String::new(), None)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
