//! Kafka in KRaft mode: one server or a quorum of three, each broker and controller at once.

use super::daemon::Daemon;
use super::jars::{Program, check_java};
use super::{Service, Urls, health, ports};
use crate::process::Run;
use crate::steps;
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PROGRAM: Program = Program {
    name: "kafka-3.9.1",
    artifacts: &["org.apache.kafka:kafka_2.13:3.9.1", "org.slf4j:slf4j-reload4j:1.7.36"],
};
/// The same for every cluster made here: it tells clusters apart, and these never meet.
const CLUSTER: &str = "cWd4LXNlcnZpY2VzLTEhIQ";
const PORT: u16 = 19_092;
/// Clients, controller, and clients over TLS with a password.
const PORTS: u16 = 3;
const LIMIT: Duration = Duration::from_secs(120);
/// Who may come in over TLS, and the password of the key store.
const USER: &str = "qgx";
const PASSWORD: &str = "qgx-services";

/// Kafka, of so many servers.
pub struct Kafka {
    /// One or three; as many as it has where it is not said.
    pub nodes: Option<u16>,
}

impl Kafka {
    fn nodes_of(home: &Path) -> Option<u16> {
        fs::read_to_string(home.join("nodes")).ok()?.trim().parse().ok()
    }

    fn node(home: &Path, node: u16) -> Daemon {
        Daemon::at(home.join(format!("node-{node}")))
    }
}

impl Service for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn daemons(&self, home: &Path) -> Vec<Daemon> {
        (1..=Self::nodes_of(home).unwrap_or(0)).map(|node| Self::node(home, node)).collect()
    }

    fn urls(&self, home: &Path) -> Urls {
        let (Some(port), Some(nodes)) = (ports::noted(home), Self::nodes_of(home)) else { return Vec::new() };
        let servers = |at: u16| {
            let all: Vec<_> =
                (0..nodes).map(|node| format!("127.0.0.1:{}", port + node * PORTS + at)).collect();
            all.join(",")
        };
        vec![
            ("QGX_TEST_KAFKA", servers(0)),
            ("QGX_TEST_KAFKA_TLS", servers(2)),
            ("QGX_TEST_KAFKA_CA", home.join("ca.pem").display().to_string()),
        ]
    }

    fn is_healthy(&self, home: &Path) -> bool {
        let (Some(port), Some(nodes)) = (ports::noted(home), Self::nodes_of(home)) else { return false };
        if self.nodes.is_some_and(|wanted| wanted != nodes) {
            return false;
        }
        (0..nodes).all(|node| health::kafka_servers(port + node * PORTS) == Some(u32::from(nodes)))
    }

    fn up(&self, home: &Path) -> anyhow::Result<()> {
        let made = Self::nodes_of(home);
        let nodes = self.nodes.or(made).unwrap_or(1);
        if !matches!(nodes, 1 | 3) {
            bail!("a quorum has 1 or 3 nodes, not {nodes}");
        }
        if let Some(made) = made.filter(|made| *made != nodes) {
            bail!(
                "Kafka has {made} nodes here, not {nodes}: remove it with `cargo xtask services down kafka --data` first"
            );
        }
        check_java()?;
        let cluster = Cluster {
            home,
            nodes,
            class_path: PROGRAM.class_path()?,
            // A cluster that runs in part keeps its ports.
            port: match ports::noted(home).filter(|_| self.daemons(home).iter().any(|it| it.pid().is_some()))
            {
                Some(port) => port,
                None => ports::settle(home, PORT, PORTS * nodes)?,
            },
        };
        fs::write(home.join("nodes"), nodes.to_string())?;
        cluster.make_certificate()?;
        fs::write(home.join("log4j.properties"), LOGGING)?;
        let title = if nodes == 1 { "starting Kafka" } else { "starting Kafka (a quorum of three)" };
        steps::timed(title, || {
            for node in 1..=nodes {
                cluster.start(node)?;
            }
            let all = || self.is_healthy(home);
            (1..=nodes).try_for_each(|node| {
                Self::node(home, node).await_health(LIMIT, all).with_context(|| format!("Kafka node {node}"))
            })
        })
    }
}

struct Cluster<'a> {
    home: &'a Path,
    nodes: u16,
    class_path: String,
    port: u16,
}

impl Cluster<'_> {
    fn port(&self, node: u16) -> u16 {
        self.port + (node - 1) * PORTS
    }

    fn key_store(&self) -> PathBuf {
        self.home.join("keys.p12")
    }

    /// One certificate for all nodes, its own authority, and that authority for clients.
    fn make_certificate(&self) -> anyhow::Result<()> {
        let authority = self.home.join("ca.pem");
        if authority.is_file() {
            return Ok(());
        }
        let keytool = |args: &[&str]| {
            let mut run = Run::new("keytool");
            run.args(args)
                .args(["-alias", "kafka", "-storepass", PASSWORD, "-keystore"])
                .arg(self.key_store());
            run.output()
        };
        if !self.key_store().is_file() {
            let names = "SAN=dns:localhost,ip:127.0.0.1";
            let who = "CN=QGX services";
            keytool(&[
                "-genkeypair",
                "-keyalg",
                "EC",
                "-groupname",
                "secp256r1",
                "-validity",
                "3650",
                "-dname",
                who,
                "-ext",
                names,
                "-ext",
                "BC=ca:true",
                "-storetype",
                "PKCS12",
            ])?;
        }
        fs::write(authority, keytool(&["-exportcert", "-rfc"])?)?;
        Ok(())
    }

    fn properties(&self, node: u16, data: &Path) -> String {
        let voters: Vec<_> =
            (1..=self.nodes).map(|node| format!("{node}@127.0.0.1:{}", self.port(node) + 1)).collect();
        let (plain, controller, tls) = (self.port(node), self.port(node) + 1, self.port(node) + 2);
        let copies = self.nodes;
        let in_sync = if copies > 1 { 2 } else { 1 };
        format!(
            "process.roles=broker,controller\n\
             node.id={node}\n\
             controller.quorum.voters={}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SECURE://127.0.0.1:{tls}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{tls}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL\n\
             listener.name.secure.ssl.keystore.type=PKCS12\n\
             listener.name.secure.ssl.keystore.location={}\n\
             listener.name.secure.ssl.keystore.password={PASSWORD}\n\
             listener.name.secure.ssl.key.password={PASSWORD}\n\
             listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.secure.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             default.replication.factor={copies}\n\
             offsets.topic.replication.factor={copies}\n\
             offsets.topic.num.partitions=6\n\
             transaction.state.log.replication.factor={copies}\n\
             transaction.state.log.min.isr={in_sync}\n\
             min.insync.replicas={in_sync}\n\
             group.initial.rebalance.delay.ms=0\n",
            voters.join(","),
            self.key_store().display(),
            data.display(),
        )
    }

    fn java(&self) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"])
            .arg(format!("-Dlog4j.configuration=file:{}", self.home.join("log4j.properties").display()))
            .arg("-cp")
            .arg(&self.class_path);
        java
    }

    fn start(&self, node: u16) -> anyhow::Result<()> {
        let daemon = Kafka::node(self.home, node);
        if daemon.pid().is_some() {
            return Ok(());
        }
        let data = daemon.home().join("data");
        let settings = daemon.home().join("server.properties");
        fs::create_dir_all(&data)?;
        fs::write(&settings, self.properties(node, &data))?;
        if !data.join("meta.properties").is_file() {
            let formatted = self
                .java()
                .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
                .arg(&settings)
                .arg("--add-scram")
                .arg(format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]"))
                .output()?;
            if !formatted.status.success() {
                let told = [formatted.stdout, formatted.stderr].concat();
                bail!("the storage cannot be formatted: {}", String::from_utf8_lossy(&told));
            }
        }
        daemon.start(self.java().arg("kafka.Kafka").arg(&settings))
    }
}

const LOGGING: &str = "\
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1} %m%n
";
