//! The data directory: one process at a time, its keys and its layout.

use anyhow::{Context, Result, bail};
use base64::Engine;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A data directory that this process holds.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held for as long as the directory is in use; the system lets go of it however the process ends.
    _lock: File,
}

/// Who has the directory.
#[derive(Debug)]
pub enum Claim {
    /// This process, from now on.
    Ours(DataDir),
    /// Another one; its process id, where the lock file tells.
    Taken(Option<u32>),
}

const LOCK: &str = "lock";
const SECRET_KEY: &str = "secret-key";

impl DataDir {
    /// Makes the directory where it is not there, and takes it.
    ///
    /// # Errors
    /// Where it cannot be made or written.
    pub fn claim(path: &Path) -> Result<Claim> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
            format!("the data directory {} cannot be made; choose another with --data-dir", path.display())
        })?;
        let file = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .with_context(|| {
                format!("{} cannot be written; check who owns the data directory", file.display())
            })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                return Ok(Claim::Taken(holder.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", file.display()));
            }
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Claim::Ours(Self { path: path.to_owned(), _lock: lock }))
    }

    /// Takes it, or says who has it.
    ///
    /// # Errors
    /// As [`DataDir::claim`], and where another process has it.
    pub fn open(path: &Path) -> Result<Self> {
        match Self::claim(path)? {
            Claim::Ours(dir) => Ok(dir),
            Claim::Taken(holder) => {
                let who = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                bail!(
                    "the data directory {} is in use by {who}; stop it, or choose another with --data-dir",
                    path.display()
                )
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sealing keys: those of the settings, else one kept here, made at the first start.
    ///
    /// # Errors
    /// Where the kept key cannot be read or written.
    pub fn secret_keys(&self, given: &[[u8; 32]]) -> Result<Vec<[u8; 32]>> {
        if !given.is_empty() {
            return Ok(given.to_vec());
        }
        let file = self.path.join(SECRET_KEY);
        let engine = base64::engine::general_purpose::STANDARD;
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let key = engine.decode(text.trim()).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
                let key = key.with_context(|| {
                    format!("{} is no key of 32 bytes in base64; restore it from a backup", file.display())
                })?;
                Ok(vec![key])
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).context("the system gives no random bytes")?;
                write_secret(&file, engine.encode(key).as_bytes())?;
                Ok(vec![key])
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
        }
    }
}

/// The control socket of a data directory.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("qgx.sock")
}

/// The SQLite file of a data directory.
pub fn database_path(data_dir: &Path) -> PathBuf {
    data_dir.join("qgx.db")
}

/// Writes a file that only its owner reads.
///
/// # Errors
/// Where it cannot be written.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        // A fresh file: an old one may be readable for others.
        let _ = std::fs::remove_file(path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_is_held_once_and_freed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        let message = DataDir::open(&path).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(held);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn the_key_is_made_once_and_kept_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let key = data.secret_keys(&[]).unwrap();
        assert_eq!(data.secret_keys(&[]).unwrap(), key);
        assert_eq!(data.secret_keys(&[[1; 32]]).unwrap(), [[1; 32]]);
        let mode = std::fs::metadata(dir.path().join(SECRET_KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(dir.path().join(SECRET_KEY), "short").unwrap();
        assert!(data.secret_keys(&[]).is_err());
    }
}
