//! By what a file is known again: device, inode, and what stands in it. An inode alone may be another file's by now, and
//! a copy has another inode.

use super::lines::TRAIL;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Bytes of the beginning that count.
pub const HEAD: usize = 1_024;

/// Where a file lies: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
}

impl Place {
    /// Of a file.
    pub fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino() }
    }
}

/// Some bytes of a file: how many, and their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// How many.
    pub length: usize,
    /// SHA-256, hex; empty of no bytes.
    pub hash: String,
}

impl Mark {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = if bytes.is_empty() { String::new() } else { hex::encode(Sha256::digest(bytes)) };
        Self { length: bytes.len(), hash }
    }

    /// Of the beginning of a file, at most so many bytes of it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn of_head(file: &File, most: u64) -> io::Result<Self> {
        let length = usize::try_from(most).unwrap_or(HEAD).min(HEAD);
        Ok(Self::of(&read_at(file, 0, length)?))
    }

    /// Whether these bytes stand in a file from an offset on.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn stands(&self, file: &File, offset: u64) -> io::Result<bool> {
        Ok(self.length == 0 || Self::of(&read_at(file, offset, self.length)?) == *self)
    }
}

/// The bytes right before an offset that are remembered.
///
/// # Errors
/// Where they cannot be read.
pub fn trail(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(offset).unwrap_or(TRAIL).min(TRAIL);
    read_at(file, offset - length as u64, length)
}

/// As many bytes as there are, at most so many.
///
/// # Errors
/// Where they cannot be read.
pub fn read_at(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut got) = (vec![0; most], 0);
    while got < most {
        match file.read_at(&mut bytes[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(got);
    Ok(bytes)
}
