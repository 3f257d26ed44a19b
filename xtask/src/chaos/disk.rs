//! A small disk that can be filled: a file system in memory, mounted over the folder of the embedded log.

use crate::process::Run;
use anyhow::Context;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const MEBIBYTES: u32 = 96;

/// A mounted disk; unmounted when dropped.
pub struct SmallDisk {
    mount: PathBuf,
}

impl SmallDisk {
    /// Mounts it.
    ///
    /// # Errors
    /// Where this user may not mount.
    pub fn mount(at: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(at)?;
        Run::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={MEBIBYTES}m,mode=0700"), "qgx-chaos"])
            .arg(at)
            .output()
            .context("a small disk cannot be mounted (root on Linux can)")?;
        Ok(Self { mount: at.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }

    /// Takes all room that is left.
    ///
    /// # Errors
    /// Where writing fails for another reason than a full disk.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut filler = File::options().create(true).append(true).open(self.filler())?;
        for size in [256 * 1024, 4096] {
            let block = vec![0x2e; size];
            loop {
                match filler.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("the small disk cannot be filled"),
                }
            }
        }
        Ok(())
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// As the system.
    pub fn free(&self) -> anyhow::Result<()> {
        fs::remove_file(self.filler()).context("the small disk cannot be freed")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = Run::new("umount").arg(&self.mount).output() {
            eprintln!("error: {error:#}");
        }
    }
}
