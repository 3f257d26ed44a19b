//! Taking the stores at one moment, in the process that has them open.

use super::counts::named;
use anyhow::{Context, Result, bail};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use services::Stores;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;
use store::backup::{Offsets, SnapshotFile};
use store::broker::Topic;

/// Below a data directory: on the same file system, so that files can be linked.
const FOLDER: &str = "backup-staging";

/// What was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Staged {
    /// The moment: everything acknowledged before it is in it.
    pub point: Timestamp,
    /// The files.
    pub files: Vec<SnapshotFile>,
    /// Where the log ends in it, by topic and partition.
    pub ends: BTreeMap<String, u64>,
    /// How long retention was kept off.
    pub held_secs: f64,
}

/// Takes embedded stores into a new folder on their own file system: see [`store::backup`] for the order.
///
/// # Errors
/// Where a store is not embedded, or cannot be taken.
pub async fn take(stores: &Stores, into: &Path) -> Result<Staged> {
    let (Some(sql), Some(index), Some(log)) =
        (stores.sql.snapshots(), stores.index.snapshots(), stores.broker.snapshots())
    else {
        bail!("only embedded stores are taken as files");
    };
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(into)
        .with_context(|| format!("{} cannot be made", into.display()))?;
    let started = Instant::now();
    let hold = log.hold();
    let mut files = within("log", log.snapshot_groups(&into.join("log")).await?);
    // Read before the database is taken, so that the log has at least what the copy still needs.
    let mut from = Offsets::new();
    for (partition, next) in stores.sql.offsets(Topic::Events.name()).await? {
        from.insert((Topic::Events, partition), next);
    }
    let point = Timestamp::now();
    let database = into.join("qgx.db");
    sql.snapshot(&database).await?;
    let len = std::fs::metadata(&database)?.len();
    files.push(SnapshotFile { path: "qgx.db".to_owned(), len, immutable: false });
    files.extend(within("index", index.snapshot(&into.join("index")).await?));
    let taken = log.snapshot(&into.join("log"), &from).await?;
    drop(hold);
    files.extend(within("log", taken.files));
    Ok(Staged { point, files, ends: named(&taken.ends), held_secs: started.elapsed().as_secs_f64() })
}

fn within(folder: &str, files: Vec<SnapshotFile>) -> Vec<SnapshotFile> {
    files.into_iter().map(|file| SnapshotFile { path: format!("{folder}/{}", file.path), ..file }).collect()
}

/// The staging folder of a data directory, held by one backup at a time; what is in it goes with the hold.
pub struct Staging {
    folder: PathBuf,
    _lock: File,
}

impl Staging {
    /// Takes it, and removes what a backup that was killed left there: links keep removed files on the disk.
    ///
    /// # Errors
    /// Where another backup has it, or it cannot be made.
    pub fn claim(data_dir: &Path) -> Result<Self> {
        let folder = std::path::absolute(data_dir)?.join(FOLDER);
        let cannot = || format!("{} cannot be made", folder.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(cannot)?;
        let mut lock = OpenOptions::new();
        let lock = lock.write(true).create(true).truncate(false).mode(0o600);
        let lock = lock.open(folder.join("lock")).with_context(cannot)?;
        if lock.try_lock().is_err() {
            bail!("another backup of {} is at work", data_dir.display());
        }
        let staging = Self { folder, _lock: lock };
        staging.clear();
        Ok(staging)
    }

    /// A folder in it that is not there yet.
    pub fn fresh(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn clear(&self) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir()
                && let Err(error) = std::fs::remove_dir_all(&path)
            {
                tracing::warn!(path = %path.display(), %error, "what a backup left could not be removed");
            }
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.clear();
    }
}
