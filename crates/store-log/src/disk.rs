//! The few writes that durability hangs on, behind a trait, so that tests can fill the disk and tear writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Makes files to append to.
pub trait Disk: Send + Sync + 'static {
    /// A new, empty file; one that is there is emptied. Its name is durable when this returns.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;
    /// A file that is there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;
    /// Removes a file, and so makes room.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file written at its end.
pub trait AppendFile: Send {
    /// Writes all bytes at a position. On an error, any part of them may have been written.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Waits until everything written is on the device.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// The file system.
pub struct FileSystem;

impl Disk for FileSystem {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        if let Some(dir) = path.parent() {
            sync_dir(dir)?;
        }
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

impl AppendFile for File {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(at))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether an error means that there is no room, which may come back.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
