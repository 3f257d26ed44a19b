//! What a machine must have; one clear sentence with the remedy for what it lacks.

use crate::process::{Run, which};
use anyhow::bail;

/// The oldest Node that runs the npm tools.
const NODE_MAJOR: u32 = 20;

/// Checks rustup's target, Node, npm, the C compiler, make and OpenSSL's headers.
pub fn check() -> anyhow::Result<()> {
    let mut missing = Vec::new();
    if which("cc").is_none() && which("clang").is_none() && which("gcc").is_none() {
        missing.push(
            "a C compiler is missing: install one (Debian: apt install gcc; macOS: xcode-select --install)"
                .to_owned(),
        );
    }
    // librdkafka is built from its source.
    if which("make").is_none() {
        missing.push(
            "make is missing: install it (Debian: apt install make; macOS: xcode-select --install)"
                .to_owned(),
        );
    }
    if cfg!(target_os = "linux") && Run::new("pkg-config").args(["--exists", "openssl"]).output().is_err() {
        missing.push(
            "OpenSSL's headers are missing: install them (Debian: apt install libssl-dev pkg-config)"
                .to_owned(),
        );
    }
    match node_major() {
        Some(major) if major >= NODE_MAJOR => {}
        Some(major) => missing
            .push(format!("Node {major} is too old: install Node {NODE_MAJOR} or newer from nodejs.org")),
        None => missing.push(format!("Node is missing: install Node {NODE_MAJOR} or newer from nodejs.org")),
    }
    if which("npm").is_none() {
        missing.push("npm is missing: it comes with Node; install Node from nodejs.org".to_owned());
    }
    if !missing.is_empty() {
        bail!("this machine lacks what the build needs:\n  - {}", missing.join("\n  - "));
    }
    wasm_target()
}

fn node_major() -> Option<u32> {
    let version = Run::new("node").arg("--version").output().ok()?;
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Adds the WASM target where rustup has not installed it.
fn wasm_target() -> anyhow::Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let sysroot = Run::new("rustc").args(["--print", "sysroot"]).output()?;
    if std::path::Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    if which("rustup").is_none() {
        bail!("the Rust target {TARGET} is missing and so is rustup: install rustup from rustup.rs");
    }
    Run::new("rustup").args(["target", "add", TARGET]).step("adding the Rust target for WASM")
}
