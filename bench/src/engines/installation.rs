//! QGX on real engines, with topics, indexes and a database of its own, a process a role.

use super::database;
use crate::kafka::wire::Cluster;
use crate::{http, process};
use anyhow::{Context, ensure};
use clap::Args;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Shifts every port, so that a running `qgx` is not disturbed.
const OFFSET: u16 = 1_300;

/// Where the engines are: `cargo xtask services up kafka opensearch mysql` starts some and prints these variables.
#[derive(Args, Clone)]
pub struct Engines {
    /// The `qgx` that is measured.
    #[arg(long, default_value = "target/release/qgx")]
    pub qgx: PathBuf,
    /// Kafka: `host:port`, separated by commas.
    #[arg(long, env = "QGX_TEST_KAFKA")]
    pub kafka: String,
    /// OpenSearch: `http://127.0.0.1:PORT`.
    #[arg(long, env = "QGX_TEST_OPENSEARCH")]
    pub opensearch: String,
    /// MySQL or MariaDB: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, a user who may make databases.
    #[arg(long, env = "QGX_TEST_MYSQL", hide_env_values = true)]
    pub mysql: String,
}

/// A role with a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user web.
    Front,
    /// The REST API.
    Back,
    /// TCP to Kafka.
    Ingestion,
    /// Kafka to OpenSearch and SQL.
    Processor,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Back => "back",
            Self::Ingestion => "ingestion",
            Self::Processor => "processor",
        }
    }

    /// The public port, and that of management, which all have.
    fn ports(self) -> (u16, u16) {
        let (public, management) = match self {
            Self::Front => (31_080, 31_111),
            Self::Back => (31_090, 31_112),
            Self::Ingestion => (31_101, 31_113),
            Self::Processor => (31_102, 31_114),
        };
        (public + OFFSET, management + OFFSET)
    }
}

/// Topics, indexes and database of one measurement. [`Installation::remove`] takes them away.
pub struct Installation {
    qgx: PathBuf,
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
    /// In front of the names of topics and indexes.
    prefix: String,
    database: String,
    mysql: String,
    search_port: u16,
}

impl Installation {
    /// Makes everything, by `qgx migrate`.
    pub fn new(engines: &Engines, purpose: &str) -> anyhow::Result<Self> {
        ensure!(engines.qgx.is_file(), "{} is missing: run `cargo xtask build` first", engines.qgx.display());
        let search_port = engines.opensearch.strip_prefix("http://127.0.0.1:").context(
            "the address of OpenSearch is not http://127.0.0.1:PORT: its index is counted without TLS",
        )?;
        let search_port = search_port.trim_end_matches('/').parse()?;
        let second = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let name = format!("bench_{purpose}_{second}");
        let prefix = format!("{}-", name.replace('_', "-"));
        let url = database::create(&engines.mysql, &name)?;
        let brokers = engines.kafka.split(',').count().min(3);
        let environment = vec![
            ("QGX_DATABASE_URL", url),
            ("QGX_BROKER_URL", format!("kafka://{}", engines.kafka)),
            ("QGX_SEARCH_URL", engines.opensearch.clone()),
            ("QGX_KAFKA_PREFIX", prefix.clone()),
            ("QGX_KAFKA_REPLICATION", brokers.to_string()),
            ("QGX_KAFKA_MIN_IN_SYNC", brokers.min(2).to_string()),
            ("QGX_SEARCH_PREFIX", prefix.clone()),
            ("QGX_SEARCH_REPLICAS", "0".to_owned()),
            // Not secret: it seals what is thrown away at the end.
            ("QGX_SECRET_KEYS", format!("{}=", "A".repeat(43))),
            ("QGX_SERVICE_KEYS", "of a measurement alone".to_owned()),
            ("QGX_OWNER_EMAIL", "owner@example.com".to_owned()),
            ("QGX_OWNER_PASSWORD", "correct horse battery".to_owned()),
            ("QGX_LOG_LEVEL", "warn".to_owned()),
        ];
        let installation = Self {
            qgx: std::path::absolute(&engines.qgx)?,
            folder: tempfile::tempdir()?,
            environment,
            prefix,
            database: name,
            mysql: engines.mysql.clone(),
            search_port,
        };
        installation.command("migrate", &["migrate"])?;
        Ok(installation)
    }

    /// The topic of events.
    pub fn topic(&self) -> String {
        format!("{}qgx.events.v1", self.prefix)
    }

    /// Runs a command to its end, with a data directory of this name; answers what it printed.
    fn command(&self, directory: &str, args: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.qgx)
            .args(args)
            .arg("--data-dir")
            .arg(self.folder.path().join(directory))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .context("qgx cannot be started")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "qgx {}: {}", args.join(" "), error.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Makes a token of the first tenant.
    pub fn token(&self, kind: &str) -> anyhow::Result<String> {
        let args = ["token", "create", "--tenant", "default", "--json", "--kind", kind];
        let made: serde_json::Value = serde_json::from_str(&self.command("migrate", &args)?)?;
        Ok(made["token"].as_str().context("no token")?.to_owned())
    }

    /// Starts a role and waits until it is ready.
    pub fn start(&self, role: Role) -> anyhow::Result<Process> {
        let (public, management) = role.ports();
        let child = Command::new(&self.qgx)
            .args(["serve", "--roles", role.name(), "--no-self-monitor"])
            .args(["--port-offset", &OFFSET.to_string()])
            .args(["--management", &format!("127.0.0.1:{}", management - OFFSET)])
            .arg("--data-dir")
            .arg(self.folder.path().join(role.name()))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .context("qgx cannot be started")?;
        let mut process = Process { child: Some(child), port: public };
        let mut ended = None;
        process::wait_for(role.name(), Duration::from_secs(60), || {
            ended = process.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            ended.is_some()
                || http::request(management, "GET /readyz", "", "").is_ok_and(|(status, _)| status == 200)
        })?;
        if let Some(status) = ended {
            anyhow::bail!("qgx serve --roles {} ended with {status}", role.name());
        }
        Ok(process)
    }

    /// How many events the index has, counting those of this moment.
    pub fn indexed(&self) -> anyhow::Result<u64> {
        let indexes = format!("{}*", self.prefix);
        let refresh = format!("POST /{indexes}/_refresh?allow_no_indices=true");
        http::request(self.search_port, &refresh, "", "")?;
        let count = format!("GET /{indexes}/_count?allow_no_indices=true");
        let (status, body) = http::request(self.search_port, &count, "", "")?;
        ensure!(status == 200, "OpenSearch counts nothing: {status} {body}");
        let answer: serde_json::Value = serde_json::from_str(&body)?;
        answer["count"].as_u64().context("no count")
    }

    /// Takes topics, indexes and database away.
    pub fn remove(self, cluster: &mut Cluster) -> anyhow::Result<()> {
        cluster.delete(&self.prefix)?;
        http::request(self.search_port, &format!("DELETE /{}*", self.prefix), "", "")?;
        database::remove(&self.mysql, &self.database)
    }
}

/// A running role; killed when dropped.
pub struct Process {
    child: Option<Child>,
    port: u16,
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Its public port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Hands the process over to who ends it.
    pub fn into_child(mut self) -> anyhow::Result<Child> {
        self.child.take().context("it was handed over before")
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.child.as_mut().map_or(Ok(()), process::ask_to_end)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
