//! Other people's clients against the real binary: rsyslog, Telegraf, go-lumber, nc.

use crate::process::{Run, cache_dir, root, target_dir, which};
use crate::suite::{self, Extent, Tally};
use std::path::PathBuf;

const TELEGRAF_VERSION: &str = "v1.39.3";

/// Runs `clients/*.test.mjs` with what is there of rsyslog and Telegraf.
pub fn run(extent: &Extent) -> anyhow::Result<Tally> {
    run_with(extent, &[])
}

/// As [`run`], with more in the environment.
pub fn run_with(extent: &Extent, more: &[(&'static str, String)]) -> anyhow::Result<Tally> {
    let server = suite::test_server()?;
    let mut env = more.to_vec();
    env.extend([
        ("QGX_BIN", server.display().to_string()),
        ("QGX_CLIENT_DATA", target_dir().join("client-data").display().to_string()),
        ("QGX_KILLS", if extent.long { "50" } else { "6" }.to_owned()),
    ]);
    if let Some(rsyslogd) = which("rsyslogd") {
        env.push(("QGX_RSYSLOGD", rsyslogd.display().to_string()));
    }
    if let Some(telegraf) = telegraf()? {
        env.push(("QGX_TELEGRAF", telegraf.display().to_string()));
    }
    if let Some(lumberjack) = lumberjack()? {
        env.push(("QGX_LUMBERJACK", lumberjack.display().to_string()));
    }
    if let Some(nc) = which("nc") {
        env.push(("QGX_NC", nc.display().to_string()));
    }
    suite::node_tests("e2e/clients", &env)
}

/// Builds Telegraf with only what the test uses, once; `None` where Go is missing.
fn telegraf() -> anyhow::Result<Option<PathBuf>> {
    let bin = cache_dir()?.join("tools").join(format!("telegraf-{}", &TELEGRAF_VERSION[1..])).join("bin");
    let program = bin.join("telegraf");
    if program.is_file() {
        return Ok(Some(program));
    }
    if which("go").is_none() {
        eprintln!("Telegraf's test is skipped: it needs Go (go.dev) to build Telegraf, or telegraf on PATH");
        return Ok(which("telegraf"));
    }
    std::fs::create_dir_all(&bin)?;
    Run::new("go")
        .args(["install", "-tags"])
        .arg("custom,inputs.mem,inputs.cpu,inputs.file,outputs.socket_writer,serializers.influx,parsers.influx")
        .arg(format!("github.com/influxdata/telegraf/cmd/telegraf@{TELEGRAF_VERSION}"))
        .env("GOBIN", &bin)
        .env("CGO_ENABLED", "0")
        .dir(root())
        .step("building Telegraf (about 5 minutes, once)")?;
    Ok(Some(program))
}

/// Builds the small program around go-lumber; `None` where Go is missing.
fn lumberjack() -> anyhow::Result<Option<PathBuf>> {
    if which("go").is_none() {
        eprintln!("go-lumber's test is skipped: it needs Go (go.dev)");
        return Ok(None);
    }
    let program = target_dir().join("client-data/lumberjack");
    Run::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .dir(root().join("e2e/clients/lumberjack"))
        .step("building the Lumberjack client")?;
    Ok(Some(program))
}
