//! What a backup consists of.

use super::counts::Counts;
use super::seal::hex;
use anyhow::{Context, Result};
use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// The format of manifests and chunks that this program writes.
pub const FORMAT: u32 = 1;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// By its content.
    pub name: String,
    /// Its bytes, unpacked.
    pub len: u64,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Below the data directory, parts divided by `/`.
    pub path: String,
    /// Its bytes.
    pub len: u64,
    /// SHA-256 of the whole, hexadecimal.
    pub sha256: String,
    /// A file of this path and length has this content for ever.
    pub immutable: bool,
    /// Its content, in order.
    pub chunks: Vec<Chunk>,
}

/// A backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: u32,
    /// Its name; later ones sort after earlier ones.
    pub id: String,
    /// The moment it holds: everything acknowledged before it.
    pub point: Timestamp,
    /// When it was complete.
    pub finished_at: Timestamp,
    /// The program that made it.
    pub version: String,
    /// The layout of the data directory.
    pub data_format: u32,
    /// The database's schema.
    pub schema: i64,
    /// What was counted in it.
    pub counts: Counts,
    /// Its files.
    pub files: Vec<File>,
}

impl Manifest {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }
}

/// A name for a backup of this moment, to the millisecond: `20261122T010203.042Z-4f2a`.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn new_id(at: Timestamp) -> Result<String> {
    let mut tail = [0; 2];
    getrandom::fill(&mut tail).context("the system gives no random bytes")?;
    let text = at.to_string();
    let seconds = text.split(['.', 'Z']).next().unwrap_or_default();
    let millis = at.as_nanos().rem_euclid(1_000_000_000) / 1_000_000;
    Ok(format!("{}.{millis:03}Z-{}", seconds.replace(['-', ':'], ""), hex(&tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_when() {
        let id = new_id(Timestamp::parse("2026-11-22T01:02:03.5Z").unwrap()).unwrap();
        assert!(id.starts_with("20261122T010203.500Z-") && id.len() == 25, "{id}");
    }
}
