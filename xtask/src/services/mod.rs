//! `cargo xtask services`: the engines of production on this machine, for tests and for development.
//!
//! Each has a folder below `target/services`: its data, its log, the number of its process, its ports. Everything
//! listens on loopback only. What is up stays up between runs; `down` ends what was started here and nothing else.

mod compose;
mod daemon;
mod health;
mod jars;
mod kafka;
mod mysql;
mod own;
mod ports;
mod postgres;
mod s3;
mod search;

use crate::process::{Run, root};
use anyhow::{Context, bail};
use clap::Subcommand;
use daemon::Daemon;
pub use own::OwnEngines;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of variables that tests read, and what they are to say.
pub type Urls = Vec<(&'static str, String)>;

/// What to do with the services.
#[derive(Subcommand)]
pub enum Command {
    /// Start what does not run, and wait until it answers.
    Up {
        /// `kafka`, `opensearch`, `mysql`, `postgres`, `s3`; all where none is named.
        names: Vec<String>,
        /// Kafka's servers: 1, or 3 for a quorum that survives the loss of one. Said once, when it is made.
        #[arg(long)]
        nodes: Option<u16>,
    },
    /// End what was started here.
    Down {
        /// As for `up`.
        names: Vec<String>,
        /// Remove the data too.
        #[arg(long)]
        data: bool,
    },
    /// Tell what runs, and the variables that tests read.
    Status,
    /// Show the end of a log.
    Logs {
        /// Whose.
        name: String,
        /// How many lines.
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
        /// Go on as it grows.
        #[arg(short, long)]
        follow: bool,
    },
}

/// An engine.
trait Service {
    /// What it is called on the command line, and its folder.
    fn name(&self) -> &'static str;
    /// Its processes.
    fn daemons(&self, home: &Path) -> Vec<Daemon>;
    /// Where it is found.
    fn urls(&self, home: &Path) -> Urls;
    /// Whether all of it answers.
    fn is_healthy(&self, home: &Path) -> bool;
    /// Starts what does not run and waits until it answers.
    fn up(&self, home: &Path) -> anyhow::Result<()>;
}

fn all(nodes: Option<u16>) -> Vec<Box<dyn Service>> {
    vec![
        Box::new(kafka::Kafka { nodes }),
        Box::new(search::OpenSearch),
        Box::new(mysql::MySql),
        Box::new(postgres::Postgres),
        Box::new(s3::S3),
    ]
}

fn chosen(names: &[String], nodes: Option<u16>) -> anyhow::Result<Vec<Box<dyn Service>>> {
    let mut services = all(nodes);
    let known: Vec<_> = services.iter().map(|service| service.name()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no service {unknown:?}: one of {}", known.join(", "));
    }
    services.retain(|service| names.is_empty() || names.iter().any(|name| name == service.name()));
    Ok(services)
}

/// Below the clone, whatever cargo's target folder is: servers that do not run as us must get in.
fn home(service: &dyn Service) -> PathBuf {
    root().join("target/services").join(service.name())
}

/// Runs the command.
pub fn run(command: Command) -> anyhow::Result<()> {
    if compose::answers() {
        return compose::run(&command);
    }
    match command {
        Command::Up { names, nodes } => {
            up(&names, nodes)?;
            status()
        }
        Command::Down { names, data } => down(&names, data),
        Command::Status => status(),
        Command::Logs { name, lines, follow } => logs(&name, lines, follow),
    }
}

/// Starts services and answers where they are found; what runs already is left as it is.
pub fn up(names: &[String], nodes: Option<u16>) -> anyhow::Result<Urls> {
    let mut urls = Vec::new();
    for service in chosen(names, nodes)? {
        let home = home(&*service);
        if !runs(&*service) || !service.is_healthy(&home) {
            fs::create_dir_all(&home)?;
            service.up(&home).with_context(|| format!("{} is not up", service.name()))?;
        }
        urls.extend(service.urls(&home));
    }
    Ok(urls)
}

/// What the tests have: what they started ends with this value, what ran before goes on.
pub struct Engines {
    urls: Urls,
    started: Vec<String>,
}

impl Engines {
    /// The variables that tests read.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        if !self.started.is_empty()
            && let Err(error) = down(&self.started, false)
        {
            eprintln!("error: {error:#}");
        }
    }
}

/// Brings up what tests ask for, but for what the environment names already. What cannot be started is told in one
/// sentence, and its tests say that they are skipped.
pub fn for_tests() -> Engines {
    let mut engines = Engines { urls: Vec::new(), started: Vec::new() };
    for (name, variable) in [
        ("kafka", "QGX_TEST_KAFKA"),
        ("opensearch", "QGX_TEST_OPENSEARCH"),
        ("mysql", "QGX_TEST_MYSQL"),
        ("s3", "QGX_TEST_S3"),
    ] {
        if std::env::var_os(variable).is_some() {
            continue;
        }
        let names = [name.to_owned()];
        let ran = chosen(&names, None).is_ok_and(|services| services.iter().any(|service| runs(&**service)));
        match up(&names, None) {
            Ok(urls) => engines.urls.extend(urls),
            Err(error) => eprintln!("{name} is not there for tests: {error:#}"),
        }
        if !ran {
            engines.started.extend(names);
        }
    }
    engines
}

fn runs(service: &dyn Service) -> bool {
    let daemons = service.daemons(&home(service));
    !daemons.is_empty() && daemons.iter().all(|daemon| daemon.pid().is_some())
}

fn down(names: &[String], data: bool) -> anyhow::Result<()> {
    for service in chosen(names, None)? {
        let home = home(&*service);
        // All at once: the last of a quorum would wait for the others.
        service.daemons(&home).iter().try_for_each(Daemon::ask_to_end)?;
        for daemon in service.daemons(&home) {
            let stopped = daemon.stop().with_context(|| format!("{} cannot be stopped", service.name()))?;
            if stopped {
                println!("stopped {} ({})", service.name(), daemon.home().display());
            }
        }
        if data && home.exists() {
            fs::remove_dir_all(&home).with_context(|| format!("{} cannot be removed", home.display()))?;
        }
    }
    Ok(())
}

fn status() -> anyhow::Result<()> {
    let mut urls = Vec::new();
    for service in all(None) {
        let home = home(&*service);
        let pids: Vec<_> = service.daemons(&home).iter().filter_map(Daemon::pid).collect();
        let state = match pids.is_empty() {
            true => "down",
            false if service.is_healthy(&home) => "up",
            false => "starting or unwell",
        };
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        println!("{:<11} {state:<18} {}", service.name(), pids.join(" "));
        if !pids.is_empty() {
            urls.extend(service.urls(&home));
        }
    }
    for (name, value) in urls {
        println!("export {name}='{value}'");
    }
    Ok(())
}

fn logs(name: &str, lines: usize, follow: bool) -> anyhow::Result<()> {
    for service in chosen(&[name.to_owned()], None)? {
        let daemons = service.daemons(&home(&*service));
        if daemons.is_empty() {
            bail!("{name} was never started here");
        }
        if follow {
            let mut tail = Run::new("tail");
            tail.args(["-n", &lines.to_string(), "-F"]).args(daemons.iter().map(Daemon::log));
            return tail.foreground();
        }
        for daemon in daemons {
            println!("── {}", daemon.log().display());
            println!("{}", daemon.last_lines(lines));
        }
    }
    Ok(())
}

/// The user that we run as.
fn system_user() -> String {
    Run::new("id").arg("-un").output().map_or_else(|_| String::new(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expect: Result<&[&str], &str>) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        match (chosen(&names, None), expect) {
            (Ok(services), Ok(expect)) => {
                let names: Vec<_> = services.iter().map(|service| service.name()).collect();
                assert_eq!(names, expect);
            }
            (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
            (found, expect) => panic!("{:?} instead of {expect:?}", found.map(|all| all.len())),
        }
    }

    #[test]
    fn services_are_chosen_by_name() {
        check(&[], Ok(&["kafka", "opensearch", "mysql", "postgres", "s3"]));
        check(&["mysql", "kafka"], Ok(&["kafka", "mysql"]));
        check(&["kafka", "redis"], Err("redis"));
    }
}
