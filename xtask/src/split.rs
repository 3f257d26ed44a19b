//! Eight processes with one role each, on the engines of production: what only they can get wrong, and, in the long run,
//! the same tests of pages and clients that pass with all roles in one process.

use crate::process::target_dir;
use crate::suite::{self, Extent, Tally};
use crate::{browser, clients, services};

/// The engines that they need, by the variables that name them.
const ENGINES: [&str; 3] = ["QGX_TEST_KAFKA", "QGX_TEST_MYSQL", "QGX_TEST_OPENSEARCH"];

/// Runs `split/*.test.mjs`, and with `--all` the browser and client tests on split roles too.
pub fn run(extent: &Extent) -> anyhow::Result<Tally> {
    let engines = services::for_tests();
    let mut env: Vec<(&'static str, String)> =
        engines.urls().iter().filter(|(name, _)| ENGINES.contains(name)).cloned().collect();
    let given = |name: &&str| env.iter().any(|(known, _)| known == name) || std::env::var_os(name).is_some();
    if let Some(missing) = ENGINES.iter().find(|name| !given(name)) {
        eprintln!(
            "skipped: split roles need Kafka, MySQL and OpenSearch; {missing} is not set and could not be started"
        );
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    let server = suite::test_server()?;
    env.push(("QGX_BIN", server.display().to_string()));
    env.push(("QGX_CLIENT_DATA", target_dir().join("split-data").display().to_string()));
    let mut tally = suite::node_tests("e2e/split", &env)?;
    if extent.long {
        env.push(("QGX_E2E_SPLIT", "1".to_owned()));
        tally.add(clients::run_with(extent, &env)?);
        tally.add(browser::test_with(extent, &env)?);
    }
    Ok(tally)
}
