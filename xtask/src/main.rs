//! Automation of the repository: `cargo xtask run|test|build|dev|pictures`.
//!
//! Everything a fresh machine lacks beyond rustup, Node and a C compiler is installed here, with progress, into
//! the user's cache folder, where every clone finds it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on the terminal")]

mod browser;
mod chaos;
mod clients;
#[cfg(test)]
mod deploy;
mod dev;
mod fuzz;
mod prerequisites;
mod process;
mod services;
mod split;
mod steps;
mod suite;
#[cfg(test)]
mod tidy;
mod tools;
mod web;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Automation of the QGX repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set everything up, build the release binary, start it, and print where to look.
    Run {
        /// Passed on to `qgx serve`, such as `--port-offset 1000`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        serve: Vec<String>,
    },
    /// Set up what tests need and run them all; closes with `N passed, N failed`.
    Test {
        /// Also what takes too long for every change: more kills, longer fuzzing.
        #[arg(long)]
        all: bool,
        /// Only the steps whose name contains one of these words.
        only: Vec<String>,
    },
    /// Build the release binary with its web assets: `target/release/qgx`.
    Build,
    /// Build quickly, start, and rebuild on change.
    Dev {
        /// Passed on to `qgx serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        serve: Vec<String>,
    },
    /// Real Kafka, OpenSearch, MySQL and PostgreSQL on this machine.
    Services {
        #[command(subcommand)]
        command: services::Command,
    },
    /// Break things on purpose under load, and count what was acknowledged and is missing, or there twice.
    Chaos(chaos::Args),
    /// Make the pictures of the README anew from the running product.
    Pictures,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run { serve } => run(&serve),
        Command::Test { all, only } => suite::run(suite::Extent { long: all, only }),
        Command::Build => build().map(|path| println!("{}", path.display())),
        Command::Dev { serve } => dev::run(&serve),
        Command::Services { command } => services::run(command),
        Command::Chaos(args) => chaos::run(&args),
        Command::Pictures => browser::pictures(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the release binary with its web assets and answers its path.
fn build() -> anyhow::Result<std::path::PathBuf> {
    prerequisites::check()?;
    web::build(web::Profile::Release)?;
    process::cargo(&["build", "--release", "--locked", "--package", "server", "--bin", "qgx"])
        .step("building the server (release)")?;
    Ok(process::target_dir().join("release/qgx"))
}

fn run(serve: &[String]) -> anyhow::Result<()> {
    serving(&build()?, serve).foreground()
}

/// `qgx serve`, in the folder `data` where nobody names another.
fn serving(binary: &std::path::Path, serve: &[String]) -> process::Run {
    let mut command = process::Run::new(binary);
    command.arg("serve");
    if !serve.iter().any(|arg| arg.starts_with("--data-dir")) {
        command.args(["--data-dir", "data"]);
    }
    command.args(serve);
    command
}
