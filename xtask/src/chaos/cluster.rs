//! The product's processes under test: one with all roles on embedded stores, or one a role on engines.

use super::http;
use super::waiting::until;
use crate::process::Run;
use crate::services::Urls;
use anyhow::{Context, bail, ensure};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const FRONT: u16 = 31_080;
const API: u16 = 31_090;
const INGESTION: u16 = 31_101;
const SECOND_INGESTION: u16 = 31_103;
const MANAGEMENT: u16 = 31_100;
/// The ports of everything that may run, before the offset.
const PORTS: std::ops::RangeInclusive<u16> = FRONT..=31_119;
/// Where offsets are tried: the ports stay below those that systems give to outgoing connections, which would take the
/// place of a process that is down for a moment.
const OFFSETS: std::ops::RangeInclusive<u16> = 200..=1_600;
/// How long a process may take to end when it is asked to; its own grace period is shorter.
const GRACE: Duration = Duration::from_secs(60);
/// 32 bytes in base64, as the sealing key of nothing that is kept.
const SECRET_KEY: &str = "Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtMTI=";

/// One process: its name, its role (`all` for every one), and its ports.
struct Member {
    name: &'static str,
    role: &'static str,
    management: u16,
    listen: Option<(&'static str, u16)>,
    /// Not started with the others.
    spare: bool,
}

const fn member(name: &'static str, role: &'static str, management: u16) -> Member {
    Member { name, role, management, listen: None, spare: false }
}

const fn moved(mut member: Member, setting: &'static str, port: u16) -> Member {
    member.listen = Some((setting, port));
    member
}

const ALL: &[Member] = &[member("all", "all", MANAGEMENT)];

const SPLIT: &[Member] = &[
    member("front-1", "front", 31_110),
    member("back-1", "back", 31_112),
    member("ingestion-1", "ingestion", 31_113),
    moved(member("ingestion-2", "ingestion", 31_114), "ingestion_listen", SECOND_INGESTION),
    member("processor-1", "processor", 31_115),
    moved(member("processor-2", "processor", 31_116), "processor_listen", 31_104),
    moved(member("processor-3", "processor", 31_117), "processor_listen", 31_105),
    Member { spare: true, ..moved(member("processor-4", "processor", 31_118), "processor_listen", 31_106) },
];

/// One process of the cluster.
pub struct Process {
    about: &'static Member,
    child: Option<Child>,
}

/// The processes; killed when dropped.
pub struct Cluster {
    binary: PathBuf,
    dir: PathBuf,
    offset: u16,
    environment: Vec<(String, String)>,
    processes: Vec<Process>,
    /// How long a start may take.
    patience: Duration,
}

impl Cluster {
    /// One process with all roles in a new folder.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn embedded(binary: &Path, dir: &Path) -> anyhow::Result<Self> {
        Self::start(binary, dir, ALL, Vec::new(), Duration::from_secs(60))
    }

    /// One process a role, two of ingestion, three of the processor, on these engines; what they keep there has `key` in
    /// its name.
    ///
    /// # Errors
    /// Where the schema cannot be made, or one of them does not start.
    pub fn split(
        binary: &Path,
        dir: &Path,
        engines: &Urls,
        key: &str,
        kafka_nodes: u16,
    ) -> anyhow::Result<Self> {
        let url = |name: &str| {
            let found = engines.iter().find(|(known, _)| *known == name).map(|(_, url)| url.clone());
            found.or_else(|| std::env::var(name).ok()).with_context(|| format!("{name} is not known"))
        };
        let (mysql, kafka) = (url("QGX_TEST_MYSQL")?, url("QGX_TEST_KAFKA")?);
        let server = mysql.rsplit_once('/').map_or(mysql.as_str(), |(server, _)| server);
        let environment = [
            ("QGX_DATABASE_URL", format!("{server}/{key}")),
            ("QGX_BROKER_URL", format!("kafka://{kafka}")),
            ("QGX_KAFKA_PREFIX", format!("{key}.")),
            ("QGX_KAFKA_PARTITIONS", "6".to_owned()),
            ("QGX_KAFKA_REPLICATION", kafka_nodes.to_string()),
            ("QGX_KAFKA_MIN_IN_SYNC", (kafka_nodes / 2 + 1).to_string()),
            ("QGX_SEARCH_URL", url("QGX_TEST_OPENSEARCH")?),
            ("QGX_SEARCH_PREFIX", format!("{key}-")),
            ("QGX_SEARCH_REPLICAS", "0".to_owned()),
            ("QGX_SECRET_KEYS", SECRET_KEY.to_owned()),
            ("QGX_SERVICE_KEYS", "a service key of the tests".to_owned()),
            ("QGX_WORKER_THREADS", "2".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        Self::start(binary, dir, SPLIT, environment, Duration::from_secs(180))
    }

    fn start(
        binary: &Path,
        dir: &Path,
        members: &'static [Member],
        environment: Vec<(String, String)>,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let offset = free_offset().context("no block of free ports was found")?;
        let processes = members.iter().map(|about| Process { about, child: None }).collect();
        let binary = binary.to_owned();
        let mut cluster = Self { binary, dir: dir.to_owned(), offset, environment, processes, patience };
        if cluster.is_split() {
            cluster.cli(&["migrate"])?;
        }
        cluster.launch_all()?;
        cluster.await_ready()?;
        Ok(cluster)
    }

    /// Whether each role has processes of its own.
    pub fn is_split(&self) -> bool {
        self.processes.len() > 1
    }

    /// Where data is taken.
    pub fn doors(&self) -> Vec<SocketAddr> {
        let ports: &[u16] = if self.is_split() { &[INGESTION, SECOND_INGESTION] } else { &[INGESTION] };
        ports.iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port + self.offset))).collect()
    }

    /// Where the REST API is.
    pub fn api(&self) -> u16 {
        API + self.offset
    }

    /// The processes of a role, by their place.
    pub fn of_role(&self, role: &str) -> Vec<usize> {
        let of_role = |(_, process): &(usize, &Process)| process.about.role == role && !process.about.spare;
        self.processes.iter().enumerate().filter(of_role).map(|(at, _)| at).collect()
    }

    /// The process that does not run with the others.
    pub fn spare(&self) -> Option<usize> {
        self.processes.iter().position(|process| process.about.spare)
    }

    /// Starts what does not run, but for the spare.
    ///
    /// # Errors
    /// Where a program cannot be started.
    pub fn launch_all(&mut self) -> anyhow::Result<()> {
        (0..self.processes.len())
            .filter(|at| !self.processes[*at].about.spare)
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|at| if self.processes[at].child.is_none() { self.launch(at) } else { Ok(()) })
    }

    /// Starts one.
    ///
    /// # Errors
    /// Where the program cannot be started.
    pub fn launch(&mut self, at: usize) -> anyhow::Result<()> {
        let about = self.processes[at].about;
        let log = File::options().create(true).append(true).open(self.log(about))?;
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--data-dir").arg(self.dir.join(about.name));
        command.args(["--port-offset", &self.offset.to_string(), "--no-self-monitor"]);
        if self.is_split() {
            command.args(["--roles", about.role, "--management", &format!("127.0.0.1:{}", about.management)]);
        }
        if let Some((setting, port)) = about.listen {
            command.args(["--set", &format!("{setting}=127.0.0.1:{port}")]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = self.with_environment(&mut command).spawn();
        let child = child.with_context(|| format!("{} cannot be started", self.binary.display()))?;
        self.processes[at].child = Some(child);
        Ok(())
    }

    fn with_environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("QGX_OWNER_EMAIL", "owner@example.com")
            .env("QGX_OWNER_PASSWORD", "correct horse battery")
            // Counting asks more than a person would.
            .env("QGX_API_REQUESTS_PER_SEC", "100000")
            .env("QGX_API_REQUESTS_BURST", "100000")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
    }

    /// Ends one without a warning.
    ///
    /// # Errors
    /// Where it had ended before.
    pub fn kill(&mut self, at: usize) -> anyhow::Result<()> {
        self.expect_running(at)?;
        let child = self.processes[at].child.take();
        let mut child = child.with_context(|| format!("{} does not run", self.processes[at].about.name))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks one to end, and waits until it does.
    ///
    /// # Errors
    /// Where it does not, or not with success.
    pub fn stop(&mut self, at: usize) -> anyhow::Result<()> {
        self.expect_running(at)?;
        let name = self.processes[at].about.name;
        let child = self.processes[at].child.take();
        let mut child = child.with_context(|| format!("{name} does not run"))?;
        Run::new("kill").args(["-TERM", &child.id().to_string()]).output()?;
        let ended = until(&format!("the end of {name}"), GRACE, || {
            Ok(if child.try_wait()?.is_some() { Ok(()) } else { Err("it runs".to_owned()) })
        });
        if ended.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        ended?;
        ensure!(status.success(), "{name} was asked to end, and ended with {status}{}", self.end_of_log(at));
        Ok(())
    }

    /// Everything that was started and not ended runs still.
    ///
    /// # Errors
    /// With the end of the log of one that does not.
    pub fn expect_all_running(&mut self) -> anyhow::Result<()> {
        (0..self.processes.len()).try_for_each(|at| self.expect_running(at))
    }

    fn expect_running(&mut self, at: usize) -> anyhow::Result<()> {
        let ended = self.processes[at].child.as_mut().map(Child::try_wait).transpose()?.flatten();
        if let Some(status) = ended {
            bail!("{} ended by itself with {status}{}", self.processes[at].about.name, self.end_of_log(at));
        }
        Ok(())
    }

    /// Waits until all that run say that they are ready; answers how long that took.
    ///
    /// # Errors
    /// Where one ends, or is not ready in time.
    pub fn await_ready(&mut self) -> anyhow::Result<Duration> {
        until("readiness", self.patience, || {
            self.expect_all_running()?;
            for process in self.processes.iter().filter(|process| process.child.is_some()) {
                let management = process.about.management + self.offset;
                let answer = http::request(management, "GET", "/readyz", None, None);
                match answer {
                    Ok((200, _)) => {}
                    Ok((_, why)) => {
                        let why = String::from_utf8_lossy(&why).trim().to_owned();
                        return Ok(Err(format!("{}: {why}", process.about.name)));
                    }
                    Err(error) => return Ok(Err(format!("{}: {error:#}", process.about.name))),
                }
            }
            Ok(Ok(()))
        })
    }

    /// Makes a token.
    ///
    /// # Errors
    /// What the command says.
    pub fn token(&self, kind: &str, name: &str) -> anyhow::Result<String> {
        let made =
            self.cli(&["token", "create", "--tenant", "default", "--json", "--kind", kind, "--name", name])?;
        let made: serde_json::Value = serde_json::from_str(&made)?;
        Ok(made["token"].as_str().context("no token came")?.to_owned())
    }

    fn cli(&self, args: &[&str]) -> anyhow::Result<String> {
        let dir = self.dir.join(if self.is_split() { "cli" } else { "all" });
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--data-dir").arg(dir).stdin(Stdio::null());
        let output = self.with_environment(&mut command).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "qgx {} ended with {}\n{said}", args.join(" "), output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn log(&self, about: &Member) -> PathBuf {
        self.dir.join(format!("{}.log", about.name))
    }

    fn end_of_log(&self, at: usize) -> String {
        let log = self.log(self.processes[at].about);
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        format!("; the end of {}:\n{}", log.display(), lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().filter_map(|process| process.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A shift by which nobody listens on any of the ports.
fn free_offset() -> Option<u16> {
    OFFSETS.step_by(60).find(|offset| {
        PORTS.clone().all(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port + offset)).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_processes_share_a_port() {
        let mut ports = vec![FRONT, API, INGESTION, 31_102];
        ports.extend(SPLIT.iter().map(|member| member.management));
        ports.extend(SPLIT.iter().filter_map(|member| Some(member.listen?.1)));
        let count = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), count, "{ports:?}");
        assert!(ports.iter().all(|port| PORTS.contains(port)));
        assert!(
            PORTS.end() + OFFSETS.end() < 32_768,
            "Linux gives the ports from there on to outgoing connections"
        );
    }

    #[test]
    fn each_role_has_its_number_of_processes() {
        let count = |role| SPLIT.iter().filter(|member| member.role == role && !member.spare).count();
        assert_eq!(["front", "back", "ingestion", "processor"].map(count), [1, 1, 2, 3]);
    }
}
