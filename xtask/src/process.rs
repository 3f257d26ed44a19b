//! Child processes: how they are started, watched and reported.

use crate::steps;
use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's root.
pub fn root() -> PathBuf {
    // As Cargo says when it runs this: with a target folder outside, another clone may have built the program.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().expect("xtask lies in the root").to_owned()
}

/// Cargo's target folder.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The user's cache folder for QGX's tools; every clone finds what another installed.
pub fn cache_dir() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(base.context("neither HOME nor XDG_CACHE_HOME is set: set one of them")?.join("qgx"))
}

/// A command about to run in the repository's root.
pub struct Run(Command);

/// A cargo command of the pinned toolchain.
pub fn cargo(args: &[&str]) -> Run {
    let mut run = Run::new("cargo");
    run.args(args);
    run
}

impl Run {
    /// A command that runs in the root.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root());
        Self(command)
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.0.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        self.0.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.env(name, value);
        self
    }

    /// Runs in another folder.
    pub fn dir(&mut self, dir: impl AsRef<Path>) -> &mut Self {
        self.0.current_dir(dir);
        self
    }

    /// Puts folders in front of PATH.
    pub fn path(&mut self, dirs: &[PathBuf]) -> anyhow::Result<&mut Self> {
        let old = std::env::var_os("PATH").unwrap_or_default();
        let all = dirs.iter().cloned().chain(std::env::split_paths(&old));
        let joined = std::env::join_paths(all).context("PATH cannot be joined")?;
        self.0.env("PATH", joined);
        Ok(self)
    }

    /// Runs as a step: announced, its output shown, timed; a failure is an error.
    pub fn step(&mut self, title: &str) -> anyhow::Result<()> {
        steps::timed(title, || self.foreground())
    }

    /// Runs with the terminal and waits.
    pub fn foreground(&mut self) -> anyhow::Result<()> {
        let status = self.0.status().with_context(|| self.cannot_start())?;
        if !status.success() {
            bail!("{} ended with {status}", self.line());
        }
        Ok(())
    }

    /// Runs and answers what it printed on standard output; a failure is an error with what it said.
    pub fn output(&mut self) -> anyhow::Result<String> {
        let output = self.0.stdin(Stdio::null()).output().with_context(|| self.cannot_start())?;
        if !output.status.success() {
            bail!(
                "{} ended with {}\n{}",
                self.line(),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs, passes every line of both outputs on to the terminal and to `see`, and answers whether it succeeded.
    pub fn watch(&mut self, mut see: impl FnMut(&str)) -> anyhow::Result<bool> {
        use std::io::{BufRead, BufReader};
        // One pipe for both outputs keeps their order.
        let (reader, writer) = std::io::pipe()?;
        let mut child = self
            .0
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .with_context(|| self.cannot_start())?;
        // The command keeps the write ends open until it is dropped or replaced.
        self.0.stdout(Stdio::null()).stderr(Stdio::null());
        for line in BufReader::new(reader).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            see(&line);
        }
        Ok(child.wait()?.success())
    }

    /// Starts in the background.
    pub fn spawn(&mut self) -> anyhow::Result<std::process::Child> {
        self.0.spawn().with_context(|| self.cannot_start())
    }

    fn cannot_start(&self) -> String {
        format!("{} cannot be started", self.0.get_program().to_string_lossy())
    }

    fn line(&self) -> String {
        let args: Vec<_> = self.0.get_args().map(OsStr::to_string_lossy).collect();
        format!("{} {}", self.0.get_program().to_string_lossy(), args.join(" "))
    }
}

/// Where a program of this name stands on PATH.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}
