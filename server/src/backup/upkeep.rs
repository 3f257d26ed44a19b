//! Looking through a repository: what there is, whether it is whole, what may go.

use super::create::Progress;
use super::manifest::Manifest;
use super::repository::Repository;
use super::seal::hex;
use anyhow::{Result, bail};
use domain::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// All finished backups, oldest first.
///
/// # Errors
/// As the repository.
pub async fn list(repository: &Repository) -> Result<Vec<Manifest>> {
    let mut found = Vec::new();
    for id in repository.ids().await? {
        found.push(repository.manifest(&id).await?);
    }
    Ok(found)
}

/// Which backups stay: those that either rule keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// The newest so many.
    pub newest: Option<usize>,
    /// Those of the last so many days.
    pub days: Option<u32>,
}

/// What a prune did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Backups that stay.
    pub kept: Vec<String>,
    /// Backups that went.
    pub removed: Vec<String>,
    /// Chunks that went with them, or were left by a backup that never finished.
    pub chunks: u64,
}

const DAY_NANOS: i64 = 86_400_000_000_000;

/// Removes backups that no rule keeps, and then every chunk that no backup needs. The newest always stays.
///
/// # Errors
/// Where no rule is given, another writer is at work, or as the repository.
pub async fn prune(repository: &Repository, keep: Keep, now: Timestamp) -> Result<Pruned> {
    if keep.newest.is_none() && keep.days.is_none() {
        bail!("say what is to be kept: --keep N, --keep-days DAYS, or both");
    }
    let lock = repository.lock().await?;
    let pruned = prune_alone(repository, keep, now).await;
    lock.release().await?;
    pruned
}

async fn prune_alone(repository: &Repository, keep: Keep, now: Timestamp) -> Result<Pruned> {
    let all = list(repository).await?;
    let since = keep.days.map(|days| now.plus_nanos(i64::from(days).saturating_mul(-DAY_NANOS)));
    let mut pruned = Pruned::default();
    let mut needed = HashSet::new();
    for (age, manifest) in all.iter().rev().enumerate() {
        let stays = age == 0
            || keep.newest.is_some_and(|newest| age < newest)
            || since.is_some_and(|since| manifest.point >= since);
        if stays {
            needed.extend(manifest.files.iter().flat_map(|it| &it.chunks).map(|it| it.name.as_str()));
            pruned.kept.push(manifest.id.clone());
        } else {
            // First the manifest: a backup without all its chunks must not look like one.
            repository.delete_manifest(&manifest.id).await?;
            pruned.removed.push(manifest.id.clone());
        }
    }
    for chunk in repository.chunks().await?.iter().filter(|chunk| !needed.contains(chunk.as_str())) {
        repository.delete_chunk(chunk).await?;
        pruned.chunks += 1;
    }
    Ok(pruned)
}

/// Reads a whole backup and compares every file with its hash; answers what is wrong, a line each.
///
/// # Errors
/// Where the manifest cannot be read.
pub async fn verify(
    repository: &Repository,
    manifest: &Manifest,
    progress: Progress<'_>,
) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut done = 0;
    for file in &manifest.files {
        let mut hash = Sha256::new();
        let mut whole = true;
        for chunk in &file.chunks {
            match repository.chunk(&chunk.name).await {
                Ok(content) => hash.update(&content),
                Err(error) => {
                    wrong.push(format!("{}: {error:#}", file.path));
                    whole = false;
                }
            }
            done += chunk.len;
            progress(done, manifest.bytes());
        }
        if whole && hex(&hash.finalize()) != file.sha256 {
            wrong.push(format!("{}: is not what was backed up", file.path));
        }
    }
    Ok(wrong)
}
