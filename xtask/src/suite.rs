//! `cargo xtask test`: every check, in an order that fails early, and one closing line.

use crate::process::{Run, cargo, root};
use crate::steps::spoken;
use crate::{browser, chaos, clients, fuzz, prerequisites, services, split, tools, web};
use anyhow::bail;
use std::time::{Duration, Instant};

/// How much to test.
pub struct Extent {
    /// Also what takes too long for every change.
    pub long: bool,
    /// Only steps whose name contains one of these; empty is all.
    pub only: Vec<String>,
}

/// How many tests did what.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Named a missing service and did not run.
    pub skipped: u64,
}

impl Tally {
    /// A check that is one test.
    pub fn one(ok: bool) -> Self {
        Self { passed: u64::from(ok), failed: u64::from(!ok), skipped: 0 }
    }

    /// Takes another in.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// One named part of the suite.
struct Step {
    name: &'static str,
    long_only: bool,
    run: fn(&Extent) -> anyhow::Result<Tally>,
}

const STEPS: &[Step] = &[
    Step { name: "format", long_only: false, run: |_| check(cargo(&["fmt", "--all", "--check"])) },
    Step { name: "clippy-server", long_only: false, run: |_| clippy_server() },
    Step { name: "clippy-web", long_only: false, run: |_| clippy_web() },
    Step { name: "web-build", long_only: false, run: |_| web_build() },
    Step { name: "rust-tests", long_only: false, run: |_| rust_tests(&[]) },
    Step { name: "clients", long_only: false, run: clients::run },
    Step { name: "browser", long_only: false, run: browser::test },
    Step { name: "split", long_only: false, run: split::run },
    Step { name: "chaos", long_only: false, run: chaos::test },
    Step { name: "fuzz", long_only: false, run: fuzz::run },
    Step { name: "long-tests", long_only: true, run: |_| rust_tests(&["--", "--ignored"]) },
];

/// Runs the suite; an error where anything failed, or was skipped in CI.
pub fn run(extent: Extent) -> anyhow::Result<()> {
    prerequisites::check()?;
    let mut total = Tally::default();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for step in STEPS {
        let chosen =
            extent.only.is_empty() || extent.only.iter().any(|word| step.name.contains(word.as_str()));
        if !chosen || (step.long_only && !extent.long) {
            continue;
        }
        println!("── {} …", step.name);
        let start = Instant::now();
        let tally = (step.run)(&extent).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Tally::one(false)
        });
        times.push((step.name, start.elapsed()));
        println!(
            "── {}: {} passed, {} failed, {} skipped in {}",
            step.name,
            tally.passed,
            tally.failed,
            tally.skipped,
            spoken(start.elapsed())
        );
        total.add(tally);
    }
    println!("\nminutes per step:");
    for (name, time) in &times {
        println!("  {name:<16} {:>6.1}", time.as_secs_f64() / 60.0);
    }
    let in_ci = std::env::var_os("CI").is_some();
    let skipped = if total.skipped > 0 { format!(", {} skipped", total.skipped) } else { String::new() };
    println!("\n{} passed, {} failed{skipped}", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    if in_ci && total.skipped > 0 {
        bail!("{} tests were skipped, and in CI nothing may be", total.skipped);
    }
    Ok(())
}

fn check(mut run: Run) -> anyhow::Result<Tally> {
    Ok(Tally::one(run.foreground().is_ok()))
}

/// Everything that runs on a server; `app` and `ui` come along with their server faces.
fn clippy_server() -> anyhow::Result<Tally> {
    check(cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

/// The browser's face of each web app, for the target it runs on.
fn clippy_web() -> anyhow::Result<Tally> {
    check(cargo(&[
        "clippy",
        "--package",
        "app",
        "--target",
        "wasm32-unknown-unknown",
        "--no-default-features",
        "--features",
        "hydrate",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Unit, property, snapshot, conformance and integration tests.
fn rust_tests(extra: &[&str]) -> anyhow::Result<Tally> {
    let mut run = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    run.args(extra);
    let engines = services::for_tests();
    for (name, value) in engines.urls() {
        run.env(name, value);
    }
    let mut tally = Tally::default();
    let succeeded = run.watch(|line| {
        tally.add(test_result(line).unwrap_or_default());
        // `store::testing::wanted` says it past the harness, which then counts the test as passed.
        if line.starts_with("skipped: ") {
            tally.skipped += 1;
        }
    })?;
    tally.passed = tally.passed.saturating_sub(tally.skipped);
    if !succeeded && tally.failed == 0 {
        // It did not compile, or a test program died.
        tally.failed = 1;
    }
    Ok(tally)
}

/// Reads `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
fn test_result(line: &str) -> Option<Tally> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let count = |what: &str| {
        rest.split([';', '.']).find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
    };
    // Ignored tests are the long ones; they run in `--all` and are not "skipped for want of a service".
    Some(Tally { passed: count(" passed")?, failed: count(" failed")?, skipped: 0 })
}

fn web_build() -> anyhow::Result<Tally> {
    tools::install()?;
    web::build(web::Profile::Release)?;
    Ok(Tally::one(web::check_size().map_err(|error| eprintln!("error: {error:#}")).is_ok()))
}

/// Builds the server that client and browser tests start, with the web assets beside it.
pub fn test_server() -> anyhow::Result<std::path::PathBuf> {
    // The very build that the Rust tests use, integration tests' binaries included: nothing is compiled twice.
    cargo(&["test", "--workspace", "--locked", "--no-run", "--quiet"]).foreground()?;
    Ok(crate::process::target_dir().join("debug/qgx"))
}

/// Runs a Node test file tree and reads its TAP summary.
pub fn node_tests(dir: &str, env: &[(&str, String)]) -> anyhow::Result<Tally> {
    let mut run = Run::new("node");
    run.dir(root().join(dir));
    run.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]);
    for (name, value) in env {
        run.env(name, value);
    }
    let mut tally = Tally::default();
    let succeeded = run.watch(|line| {
        let line = line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let mut words = line.split_whitespace();
        if let (Some(what), Some(Ok(count)), None) =
            (words.next(), words.next().map(str::parse::<u64>), words.next())
        {
            match what {
                "pass" => tally.passed = count,
                "fail" | "cancelled" => tally.failed += count,
                "skipped" => tally.skipped = count,
                _ => {}
            }
        }
    })?;
    if tally.passed + tally.failed == 0 || (!succeeded && tally.failed == 0) {
        tally.failed += 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cargo_s_summary() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        let tally = test_result(line).expect("it is a summary");
        assert_eq!((tally.passed, tally.failed), (12, 3));
        assert!(test_result("running 3 tests").is_none());
    }
}
