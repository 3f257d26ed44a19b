//! Taking engines: by a copy into embedded stores, while everything goes on.
//!
//! The order is another one than that of files, for what is read last is not held back here:
//!
//! 1. the database, as of one moment; its offsets say how far its rollups and stream positions go;
//! 2. the log from those offsets to where it ends then, which is what the restored processor goes on with;
//! 3. the events, without those that come again by that log and without those received after the first moment: they are
//!    in the log as well, or came after the backup.

use super::counts::Counts;
use super::engines::Engines;
use super::stage::Staged;
use super::transfer::{self, Choice};
use crate::config::Config;
use crate::serve::data_dir::DataDir;
use anyhow::{Context, Result};
use domain::Timestamp;
use std::path::Path;
use std::time::Instant;
use store::backup::{Offsets, SnapshotFile, SqlCopy};
use store::broker::Topic;
use store_sql::copy_sql;

/// How far the clocks of ingestion may be ahead of ours: rather an event too many than one too few.
const SKEW_NANOS: i64 = 60_000_000_000;

/// Copies what the settings name into a new folder.
///
/// # Errors
/// As the engines; where some stores are embedded and a server has them.
pub async fn take(config: &Config, into: &Path) -> Result<Staged> {
    let started = Instant::now();
    let all_engines = config.database.is_some() && config.kafka.is_some() && config.search.is_some();
    let _held = match all_engines {
        true => None,
        false => Some(
            DataDir::open(&config.data_dir)
                .context("where only some stores are engines, a backup needs the server stopped")?,
        ),
    };
    let engines = Engines::open(config, &config.data_dir).await?;
    let copy = Engines::embedded(into, engines.broker.partitions(Topic::Events)).await?;
    let point = Timestamp::now();
    let copied = copy_all(&engines, &copy, point).await;
    copy.close().await?;
    engines.close().await?;
    copied?;
    let ends = Counts::ends_of(into).await?;
    let mut files = Vec::new();
    list(into, into, &mut files)?;
    Ok(Staged { point, files, ends, held_secs: started.elapsed().as_secs_f64() })
}

async fn copy_all(engines: &Engines, copy: &Engines, point: Timestamp) -> Result<()> {
    copy_sql(&engines.sql, &copy.sql).await.context("the database cannot be copied")?;
    for topic in Topic::ALL {
        let (from, to) = (&*engines.broker, &*copy.broker);
        let copied = transfer::copy_tail(&copy.sql, from, to, topic, &Offsets::new()).await;
        copied.context("the log cannot be copied")?;
    }
    for topic in Topic::ALL {
        let beginning: Vec<_> = (0..copy.broker.partitions(topic)).map(|partition| (partition, 0)).collect();
        copy.sql.set_offsets(topic.name(), &beginning).await?;
    }
    let choice = Choice {
        before: point.plus_nanos(SKEW_NANOS),
        but: transfer::ids_to_come(&copy.sql, &*copy.broker).await?,
        ..Choice::of(&copy.sql).await?
    };
    for name in engines.events.names().await? {
        let copied = transfer::copy_index(engines, copy, name, &choice, &mut Vec::new()).await;
        copied.with_context(|| format!("the events of {name} cannot be copied"))?;
    }
    Ok(())
}

/// The files below a folder, but for locks and what the log keeps as a reserve.
fn list(root: &Path, dir: &Path, into: &mut Vec<SnapshotFile>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            list(root, &path, into)?;
        } else if !(name == "lock" || name == "reserve" || name.ends_with(".lock")) {
            let below = path.strip_prefix(root)?.to_string_lossy().into_owned();
            into.push(SnapshotFile { path: below, len: entry.metadata()?.len(), immutable: false });
        }
    }
    Ok(())
}
