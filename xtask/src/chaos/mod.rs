//! `cargo xtask chaos`: load with a ledger of what was acknowledged, while things break on purpose.
//!
//! After each fault everything acknowledged must be in the event index and counted by SQL, once. Counts and recovery times
//! go into a table; a promise that was broken ends the run with a failure.

mod audit;
mod cluster;
mod dice;
mod disk;
mod fault;
mod feed;
mod http;
mod load;
mod plain;
mod report;
mod sender;
mod stage;
mod waiting;
mod wire;

use crate::process::{cargo, root, target_dir};
use crate::services::{self, OwnEngines, Urls};
use crate::suite::{self, Extent, Tally};
use anyhow::{Context, bail, ensure};
use cluster::Cluster;
use dice::Dice;
use disk::SmallDisk;
use fault::{FAULTS, Listed, Place};
use report::Row;
use stage::Stage;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ENGINES: [&str; 3] = ["kafka", "opensearch", "mysql"];
/// As a quorum, so that one may be missing.
const KAFKA_NODES: u16 = 3;

/// What to break, and how often.
#[derive(clap::Args)]
pub struct Args {
    /// How often each process is killed; other faults happen less often in proportion.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Only faults whose name is one of these.
    #[arg(long, num_args = 1..)]
    only: Vec<String>,
    /// One process a role on real engines of the run's own, instead of one process with all roles.
    #[arg(long)]
    split: bool,
    /// Repeats the choices and times of an earlier run, which tells its seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Events a second, together.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Seconds that an engine is away.
    #[arg(long, default_value_t = 30)]
    outage: u64,
    /// The release build instead of the debug build; `QGX_BIN` names any other.
    #[arg(long)]
    release: bool,
    /// Leave data and logs where they are.
    #[arg(long)]
    keep: bool,
}

/// A run of several stages.
struct Run<'a> {
    binary: PathBuf,
    /// How it was built.
    profile: &'static str,
    dir: PathBuf,
    kills: u32,
    only: &'a [String],
    rate: u64,
    outage: Duration,
    dice: Dice,
    rows: Vec<Row>,
    skipped: u64,
}

/// Runs the command.
///
/// # Errors
/// Where a promise was broken, or the run could not be made.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let place = |listed: &Listed| (listed.place == Place::Split) == args.split;
    if let Some(unknown) =
        args.only.iter().find(|name| !FAULTS.iter().any(|it| it.name == **name && place(it)))
    {
        let known: Vec<_> = FAULTS.iter().filter(|listed| place(listed)).map(|listed| listed.name).collect();
        bail!("there is no fault {unknown:?} here: one of {}", known.join(", "));
    }
    let binary = binary(args.release)?;
    let mut run = Run::new(&binary, args.kills, &args.only, args.seed)?;
    run.rate = args.rate;
    run.outage = Duration::from_secs(args.outage);
    if args.split {
        run.on_own_engines();
    } else {
        run.embedded();
    }
    let kept = run.finish();
    if !args.keep && kept.is_ok() {
        fs::remove_dir_all(&run.dir)?;
    } else {
        println!("data and logs are in {}", run.dir.display());
    }
    kept
}

/// The step of the suite: a few kills, and all of it where the extent is long.
///
/// # Errors
/// Where there is no program to test.
pub fn test(extent: &Extent) -> anyhow::Result<Tally> {
    let binary = suite::test_server()?;
    let short =
        ["kill", "restart", "resets", "clients", "kill-ingestion", "kill-processor"].map(str::to_owned);
    let only: &[String] = if extent.long { &[] } else { &short };
    let mut run = Run::new(&binary, if extent.long { 50 } else { 5 }, only, None)?;
    run.embedded();
    if extent.long {
        run.on_own_engines();
    } else {
        run.kills = 3;
        run.on_shared_engines();
    }
    let kept = run.finish();
    if let Err(error) = &kept {
        eprintln!("error: {error:#}; data and logs are in {}", run.dir.display());
    } else {
        fs::remove_dir_all(&run.dir)?;
    }
    let failed = run.rows.iter().filter(|row| !row.is_kept()).count() as u64;
    Ok(Tally { passed: run.rows.len() as u64 - failed, failed, skipped: run.skipped })
}

/// The program under test.
fn binary(release: bool) -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("QGX_BIN") {
        return Ok(named.into());
    }
    let built = target_dir().join(if release { "release/qgx" } else { "debug/qgx" });
    if !built.is_file() {
        if release {
            return crate::build();
        }
        cargo(&["build", "--locked", "--package", "server", "--bin", "qgx"]).step("building the server")?;
    }
    Ok(built)
}

impl<'a> Run<'a> {
    fn new(binary: &Path, kills: u32, only: &'a [String], seed: Option<u64>) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed = seed.unwrap_or(now.as_secs());
        let dir = root().join("target/chaos").join(format!("run-{}-{}", now.as_secs(), std::process::id()));
        fs::create_dir_all(&dir)?;
        // A build meanwhile must not change what is started again.
        let own = dir.join("qgx");
        if fs::hard_link(binary, &own).is_err() {
            fs::copy(binary, &own).with_context(|| format!("{} cannot be copied", binary.display()))?;
        }
        println!("seed {seed}: the same again with --seed {seed}");
        let released = binary.parent().is_some_and(|dir| dir.ends_with("release"));
        Ok(Self {
            binary: own,
            profile: if released { "release" } else { "debug" },
            dir,
            kills,
            only,
            rate: 2_000,
            outage: Duration::from_secs(30),
            dice: Dice::new(seed),
            rows: Vec::new(),
            skipped: 0,
        })
    }

    fn chosen(&self, place: Place) -> Vec<&'static Listed> {
        let wanted =
            |listed: &&Listed| self.only.is_empty() || self.only.iter().any(|name| name == listed.name);
        FAULTS.iter().filter(|listed| listed.place == place).filter(wanted).collect()
    }

    /// One process with all roles.
    fn embedded(&mut self) {
        let dir = self.dir.join("embedded");
        let made =
            |run: &Self| Stage::new(Cluster::embedded(&run.binary, &dir)?, None, None, run.rate, run.outage);
        self.suffer(Place::Embedded, made);
        if self.chosen(Place::SmallDisk).is_empty() {
            return;
        }
        let dir = self.dir.join("small-disk");
        match SmallDisk::mount(&dir.join("all/log")) {
            Ok(disk) => self.suffer(Place::SmallDisk, move |run| {
                Stage::new(Cluster::embedded(&run.binary, &dir)?, None, Some(disk), run.rate, run.outage)
            }),
            Err(error) => {
                eprintln!("skipped: full-disk: {error:#}");
                self.skipped += 1;
            }
        }
    }

    /// One process a role, on engines that may be killed.
    fn on_own_engines(&mut self) {
        if self.chosen(Place::Split).is_empty() {
            return;
        }
        self.suffer(Place::Split, |run| {
            let engines = OwnEngines::start(&run.dir.join("engines"), &ENGINES, KAFKA_NODES)?;
            let cluster = run.split(&engines.urls(), KAFKA_NODES)?;
            Stage::new(cluster, Some(engines), None, run.rate, run.outage)
        });
    }

    /// One process a role, on the engines that other tests use too.
    fn on_shared_engines(&mut self) {
        let shared = services::for_tests();
        let there = ["QGX_TEST_KAFKA", "QGX_TEST_OPENSEARCH", "QGX_TEST_MYSQL"].iter().all(|name| {
            shared.urls().iter().any(|(known, _)| known == name) || std::env::var_os(name).is_some()
        });
        if !there {
            eprintln!("skipped: faults of split roles need Kafka, OpenSearch and MySQL");
            self.skipped += 1;
            return;
        }
        self.suffer(Place::Split, |run| {
            Stage::new(run.split(shared.urls(), 1)?, None, None, run.rate, run.outage)
        });
    }

    fn split(&self, engines: &Urls, kafka_nodes: u16) -> anyhow::Result<Cluster> {
        let key = format!("chaos{}", std::process::id());
        Cluster::split(&self.binary, &self.dir.join("split"), engines, &key, kafka_nodes)
    }

    fn suffer(&mut self, place: Place, stage: impl FnOnce(&Self) -> anyhow::Result<Stage>) {
        let chosen = self.chosen(place);
        let Some(first) = chosen.first() else { return };
        let mut stage = match stage(self) {
            Ok(stage) => stage,
            Err(error) => {
                let broken = vec![format!("it cannot be set up: {error:#}")];
                self.rows.push(Row { fault: first.name, place, broken, ..Row::default() });
                return;
            }
        };
        for listed in chosen {
            let mut row = stage.suffer(listed, listed.times(self.kills), &mut self.dice);
            if row.times == 0 && row.broken.is_empty() {
                row.broken.push("it did not happen".to_owned());
            }
            for broken in &row.broken {
                eprintln!("error: {}: {broken}", listed.name);
            }
            let goes_on = row.is_kept();
            self.rows.push(row);
            if !goes_on {
                // What the next would find could be of this one.
                return;
            }
        }
    }

    fn finish(&self) -> anyhow::Result<()> {
        println!("\n{}", report::table(&self.rows));
        let home = root().join("target/chaos");
        let run = serde_json::json!({ "kills": self.kills, "events_per_second": self.rate, "profile": self.profile });
        report::write(&home, &self.rows, &run)?;
        println!("written to {}", home.join("report.json").display());
        let broken: Vec<_> = self.rows.iter().filter(|row| !row.is_kept()).map(|row| row.fault).collect();
        ensure!(!self.rows.is_empty() || self.skipped > 0, "no fault was made");
        ensure!(broken.is_empty(), "promises were broken: {}", broken.join(", "));
        Ok(())
    }
}
