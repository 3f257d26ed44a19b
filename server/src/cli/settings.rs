//! `qgx config`, and the settings of every other command.

use super::args::{Common, ConfigArgs};
use super::print::{say, say_json};
use crate::config::{Config, ConfigError, Given, Layers, reference};
use anyhow::Result;

/// The settings of a command that has no flags of its own.
pub fn load(common: &Common) -> Result<Config> {
    load_with(common, common.flags())
}

/// The settings, with flags.
pub fn load_with(common: &Common, flags: Vec<(String, String)>) -> Result<Config> {
    Ok(Config::load(&Given::from_process(common.config.clone(), flags))?)
}

/// `qgx config`: what holds is printed even where it is wrong, and then what is wrong.
pub fn run(args: &ConfigArgs) -> Result<()> {
    if args.reference {
        say(&reference::markdown());
        return Ok(());
    }
    if args.example {
        say(&reference::toml_example());
        return Ok(());
    }
    let given = Given::from_process(args.common.config.clone(), args.common.flags());
    let mut problems = Vec::new();
    let layers = Layers::read(&given, &mut problems);
    if args.json {
        say_json(&reference::effective_json(&layers));
    } else {
        say(&reference::effective(&layers));
    }
    match Config::load(&given) {
        Ok(_) => Ok(()),
        Err(ConfigError(problems)) => Err(ConfigError(problems).into()),
    }
}
