//! Writing a backup into an empty data directory.

use super::counts::{Counts, Difference};
use super::manifest::{File, Manifest};
use super::relocate::{Relocated, relocate};
use super::repository::Repository;
use super::seal::hex;
use super::stage::Staging;
use crate::config::Config;
use crate::serve::data_dir;
use anyhow::{Context, Result, bail};
use domain::Timestamp;
use sha2::{Digest, Sha256};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use super::create::Progress;

/// What a restore did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Restored {
    /// Which backup.
    pub id: String,
    /// The moment it holds.
    pub point: Timestamp,
    /// Bytes written.
    pub bytes: u64,
    /// Seconds from beginning to end.
    pub took_secs: f64,
    /// What was counted in the backup.
    pub before: Counts,
    /// What is counted now.
    pub now: Counts,
    /// Whether the sealing keys of the installation came with it.
    pub with_secret_key: bool,
}

impl Restored {
    /// Counts that are not as they were.
    pub fn differences(&self) -> Vec<Difference> {
        self.before.differences(&self.now)
    }
}

/// Which backup is meant.
///
/// # Errors
/// Where there is none.
pub async fn chosen(repository: &Repository, at: Option<&str>) -> Result<Manifest> {
    let Some(at) = at else {
        let newest = repository.newest().await?;
        return newest.with_context(|| format!("there is no finished backup at {}", repository.shown()));
    };
    let ids = repository.ids().await?;
    let mut found = ids.iter().filter(|id| id.starts_with(at));
    match (found.next(), found.next()) {
        (Some(id), None) => repository.manifest(id).await,
        (None, _) => bail!("there is no backup {at} at {}; `qgx backup list` names them", repository.shown()),
        (Some(_), Some(_)) => bail!("{at} is the beginning of several ids; `qgx backup list` names them"),
    }
}

/// Restores a backup.
///
/// # Errors
/// Where the directory is not empty, the backup is damaged or of a newer version, or the file system fails.
pub async fn restore(
    repository: &Repository,
    manifest: &Manifest,
    data_dir: &Path,
    progress: Progress<'_>,
) -> Result<Restored> {
    let started = Instant::now();
    if manifest.data_format > data_dir::FORMAT {
        bail!(
            "backup {} was written by a newer version of qgx ({}): use that version",
            manifest.id,
            manifest.version
        );
    }
    let marker = begin(data_dir)?;
    let mut done = 0;
    for file in &manifest.files {
        write(repository, file, data_dir).await?;
        done += file.len;
        progress(done, manifest.bytes());
    }
    let ends = Counts::ends_of(data_dir).await.context("the restored log cannot be opened")?;
    let now = Counts::of(data_dir, ends).await.context("what was restored could not be counted")?;
    std::fs::remove_file(&marker).with_context(|| marker.display().to_string())?;
    Ok(Restored {
        id: manifest.id.clone(),
        point: manifest.point,
        bytes: manifest.bytes(),
        took_secs: started.elapsed().as_secs_f64(),
        before: manifest.counts.clone(),
        now,
        with_secret_key: manifest.files.iter().any(|file| file.path == data_dir::SECRET_KEY),
    })
}

/// Restores a backup into empty engines: into embedded stores in a folder of the data directory first, and from there by a
/// move.
///
/// # Errors
/// As [`restore`] and [`relocate`].
pub async fn into_engines(
    repository: &Repository,
    manifest: &Manifest,
    config: &Config,
    progress: Progress<'_>,
) -> Result<Relocated> {
    let staging = Staging::claim(&config.data_dir)?;
    let folder = staging.fresh(&manifest.id);
    let restored = restore(repository, manifest, &folder, progress).await?;
    if let Some(difference) = restored.differences().first() {
        bail!("{} is not as it was in the backup", difference.what);
    }
    let embedded =
        Config { data_dir: folder.clone(), database: None, kafka: None, search: None, ..config.clone() };
    let moved = relocate(&embedded, config, &|_| {}).await?;
    let key = config.data_dir.join(data_dir::SECRET_KEY);
    if restored.with_secret_key && config.access.secret_keys.is_empty() && !key.exists() {
        data_dir::write_secret(&key, &std::fs::read(folder.join(data_dir::SECRET_KEY))?)?;
    }
    Ok(moved)
}

/// Takes an empty or absent directory, and marks it as one that is not whole yet.
fn begin(data_dir: &Path) -> Result<PathBuf> {
    let cannot = || format!("{} cannot be made", data_dir.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).with_context(cannot)?;
    let foreign = std::fs::read_dir(data_dir).with_context(cannot)?.flatten().find(|entry| {
        let name = entry.file_name();
        name != "lost+found" && name != "qgx.toml"
    });
    if let Some(foreign) = foreign {
        bail!(
            "the data directory {} is not empty (it holds {}): a backup is restored into an empty one; choose another \
             with --data-dir, or move what is there away",
            data_dir.display(),
            foreign.file_name().display()
        );
    }
    let marker = data_dir.join(data_dir::RESTORING);
    data_dir::write_secret(&marker, b"")?;
    Ok(marker)
}

async fn write(repository: &Repository, file: &File, data_dir: &Path) -> Result<()> {
    let relative = Path::new(&file.path);
    // Who can write manifests must not be able to write elsewhere.
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        bail!("the backup names a file outside of the data directory: {}", file.path);
    }
    let path = data_dir.join(relative);
    let shown = || path.display().to_string();
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(shown)?;
    }
    let mut out =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(shown)?;
    let mut hash = Sha256::new();
    for chunk in &file.chunks {
        let content = repository.chunk(&chunk.name).await?;
        hash.update(&content);
        out.write_all(&content).with_context(shown)?;
    }
    if hex(&hash.finalize()) != file.sha256 {
        bail!("{} is not what was backed up; try an older backup with --at", file.path);
    }
    let synced = telemetry::spawn_blocking_named("restore-sync", move || out.sync_all());
    synced.await?.with_context(shown)
}
