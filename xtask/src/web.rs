//! The web apps: bundled by Trunk, precompressed, measured.

use crate::process::{Run, root, target_dir};
use crate::{steps, tools};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small: what people download.
    Release,
    /// Quick to build.
    Dev,
}

/// What the first load of an app is to come down to, brotli; `bench/RESULTS.md` says where the bytes go.
const TARGET: u64 = 300_000;
/// What it must not grow beyond meanwhile: what is there, and what the same sources differ by from clone to clone.
const CEILING: u64 = 512_000;

/// Where an app's assets land; the server embeds or reads them from there.
pub fn site(app: &str) -> PathBuf {
    root().join("target/site").join(app)
}

/// Builds every web app.
pub fn build(profile: Profile) -> anyhow::Result<()> {
    let path = tools::install()?;
    steps::timed("building the user web", || {
        let dist = site("app");
        if profile == Profile::Release && fresh(&dist) {
            println!("   up to date");
            return Ok(());
        }
        let mut trunk = Run::new("trunk");
        trunk.dir(root().join("app")).path(&path)?;
        trunk.args(["build", "--offline", "--config", "Trunk.toml", "--dist"]).arg(&dist);
        // `--offline` is for Trunk's own downloads; the tools stand on PATH.
        trunk.env("CARGO_TARGET_DIR", target_dir()).env("NO_COLOR", "true");
        if profile == Profile::Release {
            trunk.args(["--release", "--cargo-profile", "wasm-release"]);
        }
        trunk.foreground()?;
        Run::new("node").arg(root().join("xtask/precompress.mjs")).arg(&dist).foreground()?;
        if profile == Profile::Release {
            std::fs::write(dist.join(".built"), "")?;
        }
        Ok(())
    })
}

/// Whether the release build is newer than everything it is made of.
fn fresh(dist: &Path) -> bool {
    let Ok(built) = std::fs::metadata(dist.join(".built")).and_then(|m| m.modified()) else {
        return false;
    };
    ["app", "crates/ui", "crates/domain", "style", "public", "Cargo.lock", "package-lock.json"]
        .iter()
        .all(|part| newest(&root().join(part)).is_some_and(|changed| changed < built))
}

/// When a file, or the last of a folder's, changed.
fn newest(path: &Path) -> Option<SystemTime> {
    let mut newest = None;
    each_file(path, &mut |_, changed| newest = newest.max(changed));
    newest
}

/// Tells of a file, or of all in a folder and below, by name, and when each changed.
pub fn each_file(path: &Path, tell: &mut dyn FnMut(&Path, Option<SystemTime>)) {
    if path.is_dir() {
        let mut inside: Vec<_> =
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        inside.sort();
        for path in inside {
            each_file(&path, tell);
        }
    } else if let Ok(meta) = std::fs::metadata(path) {
        tell(path, meta.modified().ok());
    }
}

/// One file of the first load.
pub struct Asset {
    /// Its name.
    pub name: String,
    /// As it lies.
    pub raw: u64,
    /// As it travels.
    pub brotli: u64,
}

/// The files of an app's first load: scripts, WASM, styles. Pages and what is loaded later are not among them.
pub fn first_load(app: &str) -> anyhow::Result<Vec<Asset>> {
    let dist = site(app);
    let index = std::fs::read_to_string(dist.join("index.html"))
        .with_context(|| format!("{} has no index.html: build the web first", dist.display()))?;
    let mut assets = Vec::new();
    for entry in std::fs::read_dir(&dist)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let counted = [".js", ".wasm", ".css"].iter().any(|end| name.ends_with(end));
        if counted && index.contains(&name) {
            let packed = PathBuf::from(format!("{}.br", path.display()));
            let brotli = std::fs::metadata(&packed)
                .with_context(|| format!("{} was not precompressed", path.display()))?
                .len();
            assets.push(Asset { name, raw: std::fs::metadata(&path)?.len(), brotli });
        }
    }
    assets.sort_by_key(|asset| std::cmp::Reverse(asset.brotli));
    Ok(assets)
}

/// Prints the first load of the user web and fails where it is over the budget.
pub fn check_size() -> anyhow::Result<()> {
    let assets = first_load("app")?;
    if assets.is_empty() {
        bail!("index.html of the user web names no asset");
    }
    for Asset { name, raw, brotli } in &assets {
        println!("   {name:<44} {raw:>9} bytes, brotli {brotli:>8}");
    }
    let total: u64 = assets.iter().map(|a| a.brotli).sum();
    println!("   first load: {total} bytes brotli; ceiling {CEILING}, target {TARGET}");
    if total > CEILING {
        bail!("the first load of the user web is {total} bytes brotli, over its ceiling of {CEILING}");
    }
    Ok(())
}
