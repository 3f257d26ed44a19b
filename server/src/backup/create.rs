//! Making a backup.

use super::copies;
use super::counts::Counts;
use super::manifest::{Chunk, FORMAT, File, Manifest, new_id};
use super::repository::Repository;
use super::seal::hex;
use super::stage::{Staged, Staging};
use crate::config::Config;
use crate::control::{Command, client};
use crate::serve::data_dir;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use domain::{Lang, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;
use std::time::Instant;
use store::backup::{SnapshotFile, SqlCopy};
use store_sql::SqlDatabase;

/// Bytes of a chunk: small enough for memory, large enough that objects are few.
pub const CHUNK: usize = 4 << 20;

/// Hears how many bytes of how many are done.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// What a backup did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// The moment it holds.
    pub point: Timestamp,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that were not there before, compressed and sealed.
    pub new_bytes: u64,
    /// Seconds from beginning to end.
    pub took_secs: f64,
    /// Seconds during which retention was kept off and the stores were taken.
    pub held_secs: f64,
    /// Seconds between its moment and that of the backup before: what a loss just before this one would have cost. None
    /// for the first.
    pub since_previous_secs: Option<f64>,
    /// Whether the sealing keys of the installation are in it.
    pub with_secret_key: bool,
    /// What was counted.
    pub counts: Counts,
}

/// Backs up what the settings name: embedded stores as files, beside a server that has them open or without one; engines
/// by copies into embedded stores.
///
/// # Errors
/// Where the stores cannot be taken, or the repository cannot be written.
pub async fn create(
    config: &Config,
    repository: &Repository,
    lang: Lang,
    progress: Progress<'_>,
) -> Result<Made> {
    let started = Instant::now();
    let lock = repository.lock().await?;
    let staging = Staging::claim(&config.data_dir)?;
    let made = staged(config, repository, &staging, lang, progress).await;
    drop(staging);
    lock.release().await?;
    let (manifest, previous, new_bytes, held_secs) = made?;
    let seconds = |from: Timestamp| (manifest.point.as_nanos() - from.as_nanos()) as f64 / 1e9;
    Ok(Made {
        bytes: manifest.bytes(),
        new_bytes,
        took_secs: started.elapsed().as_secs_f64(),
        held_secs,
        since_previous_secs: previous.map(seconds),
        with_secret_key: manifest.files.iter().any(|file| file.path == data_dir::SECRET_KEY),
        id: manifest.id,
        point: manifest.point,
        counts: manifest.counts,
    })
}

type Outcome = (Manifest, Option<Timestamp>, u64, f64);

async fn staged(
    config: &Config,
    repository: &Repository,
    staging: &Staging,
    lang: Lang,
    progress: Progress<'_>,
) -> Result<Outcome> {
    let previous = repository.newest().await?;
    let id = new_id(Timestamp::now())?;
    let folder = staging.fresh(&id);
    let Staged { point, mut files, ends, held_secs } = if config.is_embedded() {
        let staged = client::run(config, Command::BackupStage { into: folder.clone() }, lang).await?;
        serde_json::from_value(staged)
            .context("the server took the stores in a way unknown to this program")?
    } else {
        copies::take(config, &folder).await?
    };
    files.extend(small_files(config, &folder, repository.is_sealed())?);
    let mut writer = Writer::new(repository, previous.as_ref(), progress, &files).await?;
    let mut written = Vec::with_capacity(files.len());
    for file in &files {
        written.push(writer.file(&folder, file).await?);
    }
    let counts = Counts::of(&folder, ends).await.context("what was taken could not be counted")?;
    let sql = SqlDatabase::open(&data_dir::database_path(&folder)).await?;
    let schema = sql.schema_version().await?;
    sql.close().await;
    let manifest = Manifest {
        format: FORMAT,
        id,
        point,
        finished_at: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        data_format: data_dir::FORMAT,
        schema,
        counts,
        files: written,
    };
    let new_bytes = writer.new_bytes;
    repository.put_manifest(&manifest).await?;
    Ok((manifest, previous.map(|it| it.point), new_bytes, held_secs))
}

/// The format of the data directory, and its sealing key where nobody else reads it.
fn small_files(config: &Config, folder: &Path, sealed: bool) -> Result<Vec<SnapshotFile>> {
    let mut files = Vec::new();
    let mut add = |name: &str, content: &[u8]| -> Result<()> {
        data_dir::write_secret(&folder.join(name), content)?;
        files.push(SnapshotFile { path: name.to_owned(), len: content.len() as u64, immutable: false });
        Ok(())
    };
    add(data_dir::FORMAT_FILE, format!("{}\n", data_dir::FORMAT).as_bytes())?;
    match std::fs::read(config.data_dir.join(data_dir::SECRET_KEY)) {
        Ok(key) if sealed => add(data_dir::SECRET_KEY, &key)?,
        _ => {}
    }
    Ok(files)
}

/// Carries files into a repository.
struct Writer<'a> {
    repository: &'a Repository,
    progress: Progress<'a>,
    known: HashSet<String>,
    /// Of the backup before: files that never change, by path and length.
    unchanged: HashMap<(String, u64), File>,
    done: u64,
    total: u64,
    new_bytes: u64,
}

impl<'a> Writer<'a> {
    async fn new(
        repository: &'a Repository,
        previous: Option<&Manifest>,
        progress: Progress<'a>,
        files: &[SnapshotFile],
    ) -> Result<Self> {
        let known = repository.chunks().await?;
        let whole = |file: &&File| file.immutable && file.chunks.iter().all(|it| known.contains(&it.name));
        let unchanged = previous.iter().flat_map(|it| &it.files).filter(whole);
        let unchanged = unchanged.map(|file| ((file.path.clone(), file.len), file.clone())).collect();
        let total = files.iter().map(|file| file.len).sum();
        Ok(Self { repository, progress, known, unchanged, done: 0, total, new_bytes: 0 })
    }

    /// Writes what is not there yet of a file. A file that never changes and is known is not even read.
    async fn file(&mut self, folder: &Path, file: &SnapshotFile) -> Result<File> {
        if let Some(known) = self.unchanged.get(&(file.path.clone(), file.len)).filter(|_| file.immutable) {
            self.done += file.len;
            (self.progress)(self.done, self.total);
            return Ok(known.clone());
        }
        let path = folder.join(&file.path);
        let mut reader = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
        let (mut left, mut hash, mut chunks) = (file.len, Sha256::new(), Vec::new());
        while left > 0 {
            let want = left.min(CHUNK as u64);
            let read = move || {
                let mut chunk = Vec::with_capacity(CHUNK);
                let got = Read::by_ref(&mut reader).take(want).read_to_end(&mut chunk);
                got.map(|_| (reader, hash.chain_update(&chunk), Bytes::from(chunk)))
            };
            let chunk: Bytes;
            (reader, hash, chunk) = telemetry::spawn_blocking_named("backup-read", read)
                .await?
                .with_context(|| path.display().to_string())?;
            if chunk.len() as u64 != want {
                bail!("{} became shorter while it was read", path.display());
            }
            left -= want;
            chunks.push(self.chunk(&chunk).await?);
        }
        let sha256 = hex(&hash.finalize());
        Ok(File { path: file.path.clone(), len: file.len, sha256, immutable: file.immutable, chunks })
    }

    async fn chunk(&mut self, content: &[u8]) -> Result<Chunk> {
        let name = self.repository.name(content);
        if self.known.insert(name.clone()) {
            self.new_bytes += self.repository.put_chunk(&name, content).await?;
        }
        self.done += content.len() as u64;
        (self.progress)(self.done, self.total);
        Ok(Chunk { name, len: content.len() as u64 })
    }
}
