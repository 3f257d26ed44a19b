//! `qgx doctor`: what is wrong, and how to mend it.

use super::FOUND;
use super::args::DoctorArgs;
use super::print::{say, say_json};
use crate::config::{Config, Given, ServerRole};
use crate::control::{Command, client};
use crate::serve::banner::terminal_language;
use crate::serve::data_dir::{Claim, DataDir, database_path, open_to_others, socket_path};
use crate::serve::stores;
use anyhow::Result;
use domain::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use sysinfo::Disks;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Wrong,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, message: impl Into<String>) -> Self {
        Self { what, state: State::Ok, message: message.into(), remedy: None }
    }

    fn warning(what: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, state: State::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    fn wrong(what: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, state: State::Wrong, message: message.into(), remedy: Some(remedy.into()) }
    }
}

/// Looks at everything and says it.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let given = Given::from_process(args.common.config.clone(), args.common.flags());
    let findings = match Config::load(&given) {
        Ok(config) => super::runtime()?.block_on(examine(&config)),
        Err(error) => vec![Finding::wrong("settings", error.to_string(), "correct these settings")],
    };
    if args.json {
        say_json(&serde_json::to_value(&findings)?);
    } else {
        for finding in &findings {
            let mark = match finding.state {
                State::Ok => "ok     ",
                State::Warning => "warning",
                State::Wrong => "wrong  ",
            };
            say(&format!("{mark}  {}: {}", finding.what, finding.message));
            if let Some(remedy) = &finding.remedy {
                say(&format!("         → {remedy}"));
            }
        }
    }
    let worst = findings.iter().map(|finding| finding.state).max();
    Ok(if worst == Some(State::Wrong) { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
}

async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("settings", "all are understood"), clock(&config.data_dir)];
    if !config.data_dir.exists() {
        let message =
            format!("{} is not there yet; the first `qgx serve` makes it", config.data_dir.display());
        findings.push(Finding::ok("data directory", message));
        findings.extend(ports(config));
        return findings;
    }
    match DataDir::claim(&config.data_dir) {
        Err(error) => findings.push(Finding::wrong(
            "data directory",
            format!("{error:#}"),
            "make it writable for this user, or choose another with --data-dir",
        )),
        Ok(Claim::Taken(holder)) => {
            findings.push(directory(&config.data_dir));
            findings.push(disk_space(&config.data_dir));
            findings.extend(of_running(config, holder).await);
        }
        Ok(Claim::Ours(data_dir)) => {
            findings.push(directory(&config.data_dir));
            findings.push(disk_space(&config.data_dir));
            findings.push(Finding::ok("server", "not running on this data directory"));
            findings.extend(ports(config));
            findings.extend(of_stores(&data_dir, config).await);
        }
    }
    findings
}

fn clock(data_dir: &Path) -> Finding {
    // 2026-01-01: this program did not exist before.
    const BUILT: i64 = 1_767_225_600;
    let now = Timestamp::now();
    let remedy = "set the clock, and keep it by NTP";
    if now.as_secs() < BUILT {
        return Finding::wrong("clock", format!("it says {now}, which is long past"), remedy);
    }
    let written = std::fs::metadata(database_path(data_dir)).and_then(|meta| meta.modified()).ok();
    match written.and_then(|at| at.duration_since(std::time::SystemTime::now()).ok()) {
        Some(ahead) if ahead.as_secs() > 60 => Finding::wrong(
            "clock",
            format!("it went back: the database was written {} s from now", ahead.as_secs()),
            remedy,
        ),
        _ => Finding::ok("clock", now.to_string()),
    }
}

fn directory(path: &Path) -> Finding {
    match std::fs::metadata(path) {
        Ok(_) => match open_to_others(path).first() {
            None => Finding::ok("data directory", path.display().to_string()),
            Some(open) => Finding::warning(
                "data directory",
                format!("{} can be read by others on this machine", open.display()),
                format!(
                    "chmod 700 {0}; the next `qgx serve` does so where {0} holds nothing but QGX's files",
                    path.display()
                ),
            ),
        },
        Err(error) => Finding::wrong("data directory", error.to_string(), "choose another with --data-dir"),
    }
}

fn disk_space(path: &Path) -> Finding {
    const LOW: u64 = 2 << 30;
    const EMPTY: u64 = 256 << 20;
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let disks = Disks::new_with_refreshed_list().ok();
    let holding = disks
        .iter()
        .flat_map(|disks| disks.iter())
        .filter(|disk| full.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len());
    let Some(disk) = holding else { return Finding::ok("disk", "its free space is not known here") };
    let free = disk.available_space();
    let message = format!("{} MiB free on {}", free >> 20, disk.mount_point().display());
    let remedy = "free some space, lower broker_max_bytes, or shorten the tenants' retention";
    match free {
        0..EMPTY => Finding::wrong("disk", message, remedy),
        EMPTY..LOW => Finding::warning("disk", message, remedy),
        _ => Finding::ok("disk", message),
    }
}

fn ports(config: &Config) -> Vec<Finding> {
    let listen = &config.listen;
    let of_roles = [
        (ServerRole::Front, "front_listen", listen.front),
        (ServerRole::Back, "back_listen", listen.back),
        (ServerRole::Ingestion, "ingestion_listen", listen.ingestion),
    ];
    let of_roles = of_roles.into_iter().filter(|(role, ..)| config.has(*role));
    let all: Vec<(&str, SocketAddr)> = of_roles
        .map(|(_, name, address)| (name, address))
        .chain([("management", listen.management)])
        .collect();
    let taken: Vec<String> = all
        .iter()
        .filter_map(|(name, address)| {
            TcpListener::bind(address).err().map(|error| format!("{name} {address}: {error}"))
        })
        .collect();
    if taken.is_empty() {
        vec![Finding::ok("ports", "all are free")]
    } else {
        taken
            .into_iter()
            .map(|message| Finding::wrong("ports", message, "stop what uses it, or use --port-offset N"))
            .collect()
    }
}

async fn of_stores(data_dir: &DataDir, config: &Config) -> Vec<Finding> {
    if config.database.is_none() && !database_path(data_dir.path()).exists() {
        return vec![Finding::ok("stores", "none yet; the first `qgx serve` makes them")];
    }
    let services = match stores::open(data_dir, config, stores::Cost::Strong).await {
        Ok(services) => services,
        Err(error) => {
            let remedy = "restore the data directory from a backup, or move it away and start afresh";
            return vec![Finding::wrong("stores", format!("{error:#}"), remedy)];
        }
    };
    let status = crate::control::execute(&services, Command::Status, terminal_language()).await;
    stores::close(&services).await;
    let mut findings = vec![Finding::ok("stores", "database, log and index open; the schema is current")];
    match status {
        Ok(status) => findings.push(shards(&status)),
        Err(error) => findings.push(Finding::wrong("stores", error.to_string(), "look into the log lines")),
    }
    findings
}

async fn of_running(config: &Config, holder: Option<u32>) -> Vec<Finding> {
    let who = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    match client::ask(&socket_path(&config.data_dir), Command::Status, terminal_language()).await {
        Err(error) => vec![Finding::wrong(
            "server",
            format!("{who} holds the data directory: {error:#}"),
            "look into its log lines; stop it if it hangs",
        )],
        Ok(status) => {
            let version = status["version"].as_str().unwrap_or_default();
            let mut findings = vec![Finding::ok("server", format!("{who} runs, version {version}"))];
            if version != env!("CARGO_PKG_VERSION") {
                findings.push(Finding::warning(
                    "version",
                    format!("the server is {version}, this program {}", env!("CARGO_PKG_VERSION")),
                    "restart the server with this version",
                ));
            }
            findings.extend(stages(&status));
            findings.push(shards(&status));
            findings
        }
    }
}

/// Seconds that the oldest waiting record may be old.
const LAG_WARNING: f64 = 10.0;

fn stages(status: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stage in status["stages"].as_array().into_iter().flatten() {
        let name = stage["stage"].as_str().unwrap_or_default();
        if let Some(reason) = stage["failing"].as_str() {
            findings.push(Finding::wrong(
                "pipeline",
                format!("{name} stands still: {reason}"),
                "look into the server's log lines; nothing acknowledged is lost meanwhile",
            ));
        }
        let (waiting, age) = (&stage["backlog_records"], stage["oldest_secs"].as_f64().unwrap_or(0.0));
        if age > LAG_WARNING {
            findings.push(Finding::warning(
                "lag",
                format!("{waiting} records wait for {name}, the oldest for {age:.0} s"),
                "give the machine more processors or a faster disk, or send less",
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("pipeline", "every stage keeps up"));
    }
    findings
}

/// Segments of the index beyond which opening and merging take long.
const SEGMENT_BUDGET: u64 = 5_000;

fn shards(status: &Value) -> Finding {
    let figure = |name: &str| status["index"][name].as_u64().unwrap_or(0);
    let (indexes, segments) = (figure("indexes"), figure("segments"));
    let message = format!("{segments} segments in {indexes} indexes, {} events", figure("events"));
    if segments > SEGMENT_BUDGET {
        Finding::warning(
            "shard budget",
            message,
            "shorten the tenants' retention, or use fewer retention classes",
        )
    } else {
        Finding::ok("shard budget", message)
    }
}
