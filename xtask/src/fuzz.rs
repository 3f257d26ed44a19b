//! Fuzzing of what strangers' bytes reach first. `fuzz/` is a workspace of its own, compiled with coverage.

use crate::process::{Run, root, target_dir, which};
use crate::suite::{Extent, Tally};
use std::path::Path;

/// A short run in every suite, a long one in `--all`; seconds for each target.
const SECONDS: [u32; 2] = [8, 120];

/// Builds the targets and runs each for a while; a finding fails, and its input lies in `target/fuzz/findings`.
pub fn run(extent: &Extent) -> anyhow::Result<Tally> {
    if ["c++", "g++", "clang++"].iter().all(|name| which(name).is_none()) {
        eprintln!("skipped: fuzzing needs a C++ compiler for libFuzzer (Debian: apt install g++)");
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    // Inside the folder: its `.cargo/config.toml` brings the coverage.
    let folder = root().join("fuzz");
    let target = target_dir().join("fuzz");
    Run::new("cargo")
        .dir(&folder)
        .args(["build", "--locked"])
        .env("CARGO_TARGET_DIR", &target)
        .step("building the fuzz targets")?;
    let programs = target.join(host()?).join("debug");
    let seconds = SECONDS[usize::from(extent.long)];
    let mut tally = Tally::default();
    for name in targets(&folder)? {
        let (findings, corpus) = (target.join("findings"), target.join("corpus").join(&name));
        std::fs::create_dir_all(&findings)?;
        std::fs::create_dir_all(&corpus)?;
        let clean = Run::new(programs.join(&name))
            .args([format!("-max_total_time={seconds}"), format!("-artifact_prefix={}/", findings.display())])
            .args(["-rss_limit_mb=1024", "-timeout=20", "-verbosity=0", "-print_final_stats=1"])
            .arg(&corpus)
            .step(&format!("fuzzing {name} for {seconds} s"));
        if let Err(error) = &clean {
            eprintln!("error: {error:#}");
        }
        tally.add(Tally::one(clean.is_ok()));
    }
    Ok(tally)
}

/// The targets' names: one a file.
fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.join("fuzz_targets"))? {
        if let Some(name) = entry?.path().file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    anyhow::ensure!(!names.is_empty(), "fuzz/fuzz_targets holds no target");
    names.sort();
    Ok(names)
}

fn host() -> anyhow::Result<String> {
    Ok(Run::new("rustc").args(["--print", "host-tuple"]).output()?.trim().to_owned())
}
