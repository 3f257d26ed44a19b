//! The command line.
//!
//! Exit codes: 0 done; 1 it failed, the message says what to do; 2 wrong usage or settings; 3 `doctor` found something.

mod admin;
mod agent;
mod args;
mod backup;
mod dead_letter;
mod doctor;
mod move_to;
mod print;
mod send;
mod serve;
mod settings;
mod trust;

use crate::config::ConfigError;
use crate::rest;
use anyhow::Result;
use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use print::{Output, say};
use std::process::ExitCode;

/// Wrong usage or settings.
const USAGE: u8 = 2;
/// `doctor` found something.
const FOUND: u8 = 3;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            let code = if error.is::<ConfigError>() { USAGE } else { 1 };
            complain(&error);
            ExitCode::from(code)
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is the command line's voice")]
fn complain(error: &anyhow::Error) {
    eprintln!("qgx: {error:#}");
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(&args)?,
        Command::Agent(args) => agent::run(args)?,
        Command::Send(args) => return send::run(args),
        Command::Migrate(common) => admin::migrate(&common)?,
        Command::Backup(args) => return backup::run(args),
        Command::Restore(args) => return backup::restore(args),
        Command::Move(args) => return move_to::run(args),
        Command::Doctor(args) => return doctor::run(&args),
        Command::Config(args) => settings::run(&args)?,
        Command::Openapi => say(&rest::openapi().to_pretty_json()?),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "qgx", &mut std::io::stdout());
        }
        Command::Tenant(args) => admin::tenant(args)?,
        Command::User(args) => admin::user(args)?,
        Command::Source(args) => admin::source(args)?,
        Command::Token(args) => admin::token(args)?,
        Command::AddressRule(args) => trust::address_rule(args)?,
        Command::DeadLetter(args) => dead_letter::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A runtime for a command that is no server.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

impl Output {
    /// JSON for programs, text for people.
    fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contract_s_example_is_understood() {
        let line = "qgx token create --data-dir D --tenant default --kind ingest --source pump-1 --json";
        Cli::try_parse_from(line.split(' ')).unwrap();
    }
}
