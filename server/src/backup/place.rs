//! Where a repository's objects lie.

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// An object's name, and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The whole name.
    pub name: String,
    /// By the place's own clock.
    pub written_at: SystemTime,
}

/// Objects by name. Names are of `a-z0-9.-/`.
#[async_trait]
pub trait Place: Send + Sync {
    /// As people write it.
    fn shown(&self) -> String;
    /// Writes an object, durably and as a whole.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<()>;
    /// Reads one; `None` where there is none.
    async fn get(&self, name: &str) -> Result<Option<Bytes>>;
    /// Removes one, or finds it gone.
    async fn delete(&self, name: &str) -> Result<()>;
    /// Those whose names start with a folder such as `chunks/`, in no order.
    async fn list(&self, folder: &str) -> Result<Vec<Listed>>;
}

/// A folder of this machine, or of a disk mounted into it.
pub struct Folder(PathBuf);

impl Folder {
    /// The folder; it is made with the first object.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(PathBuf) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.0.join(name);
        let shown = path.display().to_string();
        telemetry::spawn_blocking_named("backup-folder", move || work(path)).await?.with_context(|| shown)
    }
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[async_trait]
impl Place for Folder {
    fn shown(&self) -> String {
        self.0.display().to_string()
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.blocking(name, move |path| {
            let folder = path.parent().unwrap_or(Path::new("."));
            make_folder(folder)?;
            // Beside, then renamed: a name never stands for half an object.
            let beside = path.with_extension("part");
            let mut file = std::fs::OpenOptions::new();
            let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            std::fs::File::open(folder)?.sync_all()
        })
        .await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.blocking(name, |path| match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.blocking(name, |path| match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    async fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let root = self.0.clone();
        self.blocking(folder, move |path| {
            let (mut found, mut folders) = (Vec::new(), vec![path]);
            while let Some(folder) = folders.pop() {
                let entries = match std::fs::read_dir(&folder) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    entries => entries?,
                };
                for entry in entries {
                    let entry = entry?;
                    let path = entry.path();
                    if entry.file_type()?.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_none_or(|it| it != "part")
                        && let Ok(name) = path.strip_prefix(&root)
                    {
                        let written_at = entry.metadata()?.modified()?;
                        found.push(Listed { name: name.to_string_lossy().into_owned(), written_at });
                    }
                }
            }
            Ok(found)
        })
        .await
    }
}
