//! The pinned build tools, installed where they are missing.

use crate::process::{Run, cache_dir, root};
use crate::steps;
use anyhow::Context;
use std::path::PathBuf;

/// A tool that cargo installs at one exact version.
struct Tool {
    krate: &'static str,
    binary: &'static str,
    version: &'static str,
    minutes: &'static str,
    locked: bool,
}

/// Trunk 0.22 wants a newer compiler than ours.
const TRUNK: Tool =
    Tool { krate: "trunk", binary: "trunk", version: "0.21.14", minutes: "about 6 minutes", locked: true };

/// Must equal the `wasm-bindgen` of Cargo.lock; a test checks that it does. Its own lock file holds yanked
/// packages, so it is resolved anew.
const WASM_BINDGEN: Tool = Tool {
    krate: "wasm-bindgen-cli",
    binary: "wasm-bindgen",
    version: "0.2.130",
    minutes: "about 2 minutes",
    locked: false,
};

/// Installs what is missing and answers the folders to put in front of PATH.
pub fn install() -> anyhow::Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for tool in [&WASM_BINDGEN, &TRUNK] {
        dirs.push(cargo_tool(tool)?);
    }
    npm_packages()?;
    dirs.push(root().join("node_modules/.bin"));
    Ok(dirs)
}

fn cargo_tool(tool: &Tool) -> anyhow::Result<PathBuf> {
    let home = cache_dir()?.join("tools").join(format!("{}-{}", tool.binary, tool.version));
    let bin = home.join("bin");
    if bin.join(tool.binary).is_file() {
        return Ok(bin);
    }
    let mut run = Run::new("cargo");
    run.args(["install", tool.krate, "--version", tool.version, "--root"]).arg(&home);
    if tool.locked {
        run.arg("--locked");
    }
    // A tool that runs for seconds need not be optimised for minutes.
    run.env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_TARGET_DIR", cache_dir()?.join("tools-target"));
    run.step(&format!("installing {} {} ({}, once)", tool.binary, tool.version, tool.minutes))?;
    Ok(bin)
}

/// Installs what package-lock.json names, where that has not been done for this very file.
pub fn npm_packages() -> anyhow::Result<()> {
    let lock = std::fs::read(root().join("package-lock.json")).context("package-lock.json cannot be read")?;
    let stamp = root().join("node_modules/.qgx-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    steps::timed("installing npm packages", || {
        Run::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).foreground()?;
        std::fs::write(&stamp, &lock).context("node_modules cannot be written")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasm_bindgen_is_the_locked_one() {
        let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is read");
        let needle = format!("name = \"wasm-bindgen\"\nversion = \"{}\"", WASM_BINDGEN.version);
        assert!(lock.contains(&needle), "set WASM_BINDGEN.version to what Cargo.lock has");
    }
}
