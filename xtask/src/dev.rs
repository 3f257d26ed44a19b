//! `cargo xtask dev`: quick builds, restarted on change.

use crate::process::{Run, cargo, root, target_dir};
use crate::{prerequisites, web};
use notify_debouncer_mini::{new_debouncer, notify::RecursiveMode};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

/// What a change to rebuilds.
const WATCHED: [&str; 8] =
    ["app", "crates", "ingest", "server", "style", "public", "Cargo.toml", "package-lock.json"];

/// Builds, starts, and does both again whenever a source changes; ends with Ctrl-C.
pub fn run(serve: &[String]) -> anyhow::Result<()> {
    prerequisites::check()?;
    let (changed, changes) = mpsc::channel();
    let mut watcher = new_debouncer(Duration::from_millis(300), changed)?;
    for part in WATCHED {
        watcher.watcher().watch(&root().join(part), RecursiveMode::Recursive)?;
    }
    let mut running: Option<Child> = None;
    loop {
        let built = state();
        match build() {
            Ok(()) => {
                stop(running.take())?;
                running = Some(start(serve)?);
            }
            Err(error) => eprintln!("error: {error:#} (the last good build goes on running)"),
        }
        // What changed while building is built at once; otherwise wait for the next change. A file that was only read is
        // told of too.
        while state() == built {
            if changes.recv().is_err() {
                return stop(running.take());
            }
            while changes.try_recv().is_ok() {}
        }
        println!("── a source changed");
    }
}

/// A digest of which sources there are and when each changed: a file that goes, or takes another's name, counts too.
fn state() -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in WATCHED {
        web::each_file(&root().join(part), &mut |path, changed| (path, changed).hash(&mut hasher));
    }
    hasher.finish()
}

fn build() -> anyhow::Result<()> {
    web::build(web::Profile::Dev)?;
    cargo(&["build", "--package", "server", "--bin", "qgx"]).step("building the server (dev)")
}

fn start(serve: &[String]) -> anyhow::Result<Child> {
    crate::serving(&target_dir().join("debug/qgx"), serve).spawn()
}

/// Asks the server to stop by SIGTERM, so that it drains as in production.
fn stop(child: Option<Child>) -> anyhow::Result<()> {
    let Some(mut child) = child else { return Ok(()) };
    if Run::new("kill").arg(child.id().to_string()).foreground().is_err() {
        child.kill()?;
    }
    child.wait()?;
    Ok(())
}
