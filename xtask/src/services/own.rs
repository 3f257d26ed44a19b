//! Engines of somebody's own in another folder, which may be killed and started again without a loss to anyone else.

use super::daemon::Daemon;
use super::{Service, Urls, chosen};
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// Engines that end with this value.
pub struct OwnEngines {
    base: PathBuf,
    services: Vec<Box<dyn Service>>,
}

impl OwnEngines {
    /// Starts those of these names in folders below this one.
    ///
    /// # Errors
    /// Where one is not known or does not start.
    pub fn start(base: &Path, names: &[&str], kafka_nodes: u16) -> anyhow::Result<Self> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let engines = Self { base: base.to_owned(), services: chosen(&names, Some(kafka_nodes))? };
        for service in &engines.services {
            engines.up(service.name())?;
        }
        Ok(engines)
    }

    fn service(&self, name: &str) -> anyhow::Result<(&dyn Service, PathBuf)> {
        let service = self.services.iter().find(|service| service.name() == name);
        let service = service.with_context(|| format!("{name} is none of these engines"))?;
        Ok((&**service, self.base.join(name)))
    }

    /// Where they are found.
    pub fn urls(&self) -> Urls {
        self.services.iter().flat_map(|service| service.urls(&self.base.join(service.name()))).collect()
    }

    /// How many processes one of them has.
    ///
    /// # Errors
    /// Where it is none of these.
    pub fn nodes(&self, name: &str) -> anyhow::Result<usize> {
        let (service, home) = self.service(name)?;
        Ok(service.daemons(&home).len())
    }

    /// Starts what does not run of one of them, and waits until all of it answers.
    ///
    /// # Errors
    /// Where it does not.
    pub fn up(&self, name: &str) -> anyhow::Result<()> {
        let (service, home) = self.service(name)?;
        fs::create_dir_all(&home)?;
        service.up(&home).with_context(|| format!("{name} is not up"))
    }

    /// Ends one of its processes without a warning; all of them where none is named.
    ///
    /// # Errors
    /// Where it cannot be ended.
    pub fn kill(&self, name: &str, node: Option<usize>) -> anyhow::Result<()> {
        let (service, home) = self.service(name)?;
        let daemons = service.daemons(&home);
        let chosen = daemons.iter().enumerate().filter(|(at, _)| node.is_none_or(|node| node == *at));
        chosen.into_iter().try_for_each(|(_, daemon)| daemon.kill())
    }
}

impl Drop for OwnEngines {
    fn drop(&mut self) {
        // What they keep is nobody's.
        for service in &self.services {
            let daemons = service.daemons(&self.base.join(service.name()));
            if let Err(error) = daemons.iter().try_for_each(Daemon::kill) {
                eprintln!("error: {error:#}");
            }
        }
    }
}
