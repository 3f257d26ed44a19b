//! Browser tests: Playwright on Debian's Chromium, against the real binary.

use crate::process::{root, target_dir};
use crate::suite::{self, Extent, Tally};
use crate::{process, tools, web};
use anyhow::bail;

/// Where pictures of the last run lie.
fn pictures_dir() -> std::path::PathBuf {
    root().join("target/pictures")
}

fn chromium() -> Option<std::path::PathBuf> {
    std::env::var_os("QGX_CHROMIUM").map(Into::into).or_else(|| {
        ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| process::which(name))
    })
}

/// Runs the browser tests.
pub fn test(extent: &Extent) -> anyhow::Result<Tally> {
    test_with(extent, &[])
}

/// As [`test`], with more in the environment.
pub fn test_with(extent: &Extent, more: &[(&'static str, String)]) -> anyhow::Result<Tally> {
    let Some(chromium) = chromium() else {
        eprintln!(
            "skipped: browser tests need Chromium (Debian: apt install chromium fonts-noto-cjk), or QGX_CHROMIUM with its path"
        );
        return Ok(Tally { skipped: 1, ..Tally::default() });
    };
    run(&chromium, "", extent.long, more)
}

fn run(
    chromium: &std::path::Path,
    pictures_for: &str,
    all: bool,
    more: &[(&'static str, String)],
) -> anyhow::Result<Tally> {
    tools::install()?;
    if !web::site("app").join("index.html").is_file() {
        web::build(web::Profile::Release)?;
    }
    let server = suite::test_server()?;
    std::fs::create_dir_all(pictures_dir())?;
    let mut env = more.to_vec();
    env.extend([
        ("QGX_BIN", server.display().to_string()),
        ("QGX_CHROMIUM", chromium.display().to_string()),
        ("QGX_PICTURES", pictures_dir().display().to_string()),
        ("QGX_E2E_DATA", target_dir().join("e2e-data").display().to_string()),
        ("QGX_README_PICTURES", pictures_for.to_owned()),
        ("QGX_ALL_COMBINATIONS", if all { "1" } else { "" }.to_owned()),
    ]);
    suite::node_tests("e2e/browser", &env)
}

/// Makes the README's pictures anew.
pub fn pictures() -> anyhow::Result<()> {
    let Some(chromium) = chromium() else {
        bail!("pictures need Chromium (Debian: apt install chromium fonts-noto-cjk)");
    };
    let tally = run(&chromium, &root().join("docs/pictures").display().to_string(), true, &[])?;
    if tally.failed > 0 {
        bail!("the browser tests failed, so the pictures are not to be trusted");
    }
    Ok(())
}
