//! The data directory: one process at a time, its keys and its layout.

use anyhow::{Context, Result, bail};
use base64::Engine;
use rustix::fs::Mode;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
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
/// The sealing key, where the settings give none.
pub const SECRET_KEY: &str = "secret-key";
/// Says which layout a data directory has.
pub const FORMAT_FILE: &str = "format";
/// The layout that this program reads and writes: `qgx.db`, `index/`, `log/`, `secret-key`.
pub const FORMAT: u32 = 1;
/// There while a restore into the directory goes on.
pub const RESTORING: &str = "restoring";
/// There once everything was moved to engines.
pub const MOVED: &str = "moved";

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
        expect_own_format(path)?;
        Ok(Claim::Ours(Self { path: path.to_owned(), _lock: lock }))
    }

    /// Takes it, or says who has it.
    ///
    /// # Errors
    /// As [`DataDir::claim`], and where another process has it.
    pub fn open(path: &Path) -> Result<Self> {
        match Self::claim(path)? {
            Claim::Ours(dir) => {
                // What the stores write from here on is the owner's alone, whatever the shell's umask.
                rustix::process::umask(Mode::RWXG | Mode::RWXO);
                tighten(path);
                Ok(dir)
            }
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

/// Refuses a directory of a later layout, or one that a restore has not finished; marks one that is not marked.
fn expect_own_format(path: &Path) -> Result<()> {
    if path.join(RESTORING).exists() {
        bail!(
            "a restore into the data directory {} was not finished: empty it, and restore again",
            path.display()
        );
    }
    let file = path.join(FORMAT_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(found) if found <= FORMAT => Ok(()),
            Ok(found) => bail!(
                "the data directory {} was written by a newer version of qgx (layout {found}, this one knows {FORMAT}): \
                 start that version again, or restore a backup made before the upgrade into another directory",
                path.display()
            ),
            Err(_) => bail!("{} is damaged: it should hold {FORMAT}", file.display()),
        },
        // Before layouts were numbered they were this one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write_secret(&file, format!("{FORMAT}\n").as_bytes())
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// Refuses to open stores of these kinds (`database`, `broker`, `search`) that were moved to engines.
///
/// # Errors
/// Where one was.
pub fn expect_not_moved(path: &Path, kinds: &[&str]) -> Result<()> {
    let file = path.join(MOVED);
    let Ok(text) = std::fs::read_to_string(&file) else { return Ok(()) };
    let moved = text.lines().next().unwrap_or_default();
    match moved.split(' ').find(|kind| kinds.contains(kind)) {
        None => Ok(()),
        Some(kind) => bail!(
            "the {kind} of {} was moved to an engine: start with the settings given to `qgx move --to`, or remove {} \
             to go back to what it held then",
            path.display(),
            file.display()
        ),
    }
}

/// What this program keeps in a data directory.
const OWN: [&str; 12] = [
    LOCK,
    SECRET_KEY,
    FORMAT_FILE,
    MOVED,
    "move.json",
    "backup-staging",
    "qgx.sock",
    "log",
    "index",
    "owner-password",
    "self-signed.crt",
    "self-signed.key",
];

fn is_own(name: &str) -> bool {
    OWN.contains(&name) || name.starts_with("qgx.db")
}

/// Permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// What of a data directory other people on this machine may read: itself, or things of ours within; empty where
/// nothing. The directory closes off everything below it, so that what lies deeper is not looked at.
pub fn open_to_others(path: &Path) -> Vec<PathBuf> {
    let is_open = |path: &Path| {
        std::fs::symlink_metadata(path)
            .is_ok_and(|meta| !meta.is_symlink() && meta.permissions().mode() & OTHERS != 0)
    };
    let within = std::fs::read_dir(path).into_iter().flatten().flatten();
    let within = within.filter(|entry| entry.file_name().to_str().is_some_and(is_own));
    let mut found: Vec<PathBuf> = std::iter::once(path.to_owned())
        .chain(within.map(|entry| entry.path()))
        .filter(|path| is_open(path))
        .collect();
    found.sort();
    found
}

/// Takes other people's rights from an existing data directory and from what is ours in it. A directory that also holds
/// what is not ours stays as it is: others may need it.
fn tighten(path: &Path) {
    let foreign = std::fs::read_dir(path).into_iter().flatten().flatten().find(|entry| {
        let name = entry.file_name();
        !name.to_str().is_some_and(|name| is_own(name) || name == "lost+found" || name == "qgx.toml")
    });
    for open in open_to_others(path) {
        if open == path
            && let Some(foreign) = &foreign
        {
            tracing::warn!(
                directory = %path.display(),
                foreign = %foreign.file_name().display(),
                "others on this machine can enter the data directory, which also holds what is not of QGX: give it one of its own"
            );
            continue;
        }
        let tightened = std::fs::metadata(&open).and_then(|meta| {
            let mut permissions = meta.permissions();
            permissions.set_mode(permissions.mode() & !OTHERS);
            std::fs::set_permissions(&open, permissions)
        });
        match tightened {
            Ok(()) => {
                tracing::warn!(path = %open.display(), "others on this machine could read it; now the owner alone can")
            }
            Err(error) => {
                tracing::warn!(path = %open.display(), %error, "others on this machine can read it, and that cannot be changed")
            }
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

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// A directory that everybody may read, with a database and one thing more.
    fn existing(more: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["qgx.db", more] {
            std::fs::write(dir.path().join(name), "").unwrap();
            std::fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(0o644)).unwrap();
        }
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        dir
    }

    #[test]
    fn what_others_could_read_is_closed_but_a_shared_directory_stays() {
        fn check(more: &str, directory: u32, file: u32) {
            let dir = existing(more);
            assert!(open_to_others(dir.path()).contains(&dir.path().join("qgx.db")));
            let held = DataDir::open(dir.path()).unwrap();
            assert_eq!(mode(dir.path()), directory, "{more}");
            assert_eq!(mode(&dir.path().join("qgx.db")), 0o600, "{more}");
            assert_eq!(mode(&dir.path().join(more)), file, "{more}");
            std::fs::write(dir.path().join("new"), "").unwrap();
            assert_eq!(mode(&dir.path().join("new")), 0o600, "whatever the umask was");
            drop(held);
        }
        check("secret-key", 0o700, 0o600);
        check("family-photos", 0o755, 0o644);
    }

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
        assert_eq!(mode(&dir.path().join(SECRET_KEY)), 0o600);
        std::fs::write(dir.path().join(SECRET_KEY), "short").unwrap();
        assert!(data.secret_keys(&[]).is_err());
    }

    #[test]
    fn a_later_layout_and_half_a_restore_are_refused_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataDir::open(dir.path()).unwrap());
        assert_eq!(std::fs::read_to_string(dir.path().join(FORMAT_FILE)).unwrap(), "1\n");
        drop(DataDir::open(dir.path()).unwrap());
        let check = |file: &str, content: &str, expect: &str| {
            std::fs::write(dir.path().join(file), content).unwrap();
            let refused = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(refused.contains(expect), "{refused}");
        };
        check(FORMAT_FILE, "2\n", "newer version of qgx");
        check(FORMAT_FILE, "?", "is damaged");
        check(RESTORING, "", "was not finished");
    }
}
