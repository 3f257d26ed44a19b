//! What is known of each tailed file, kept on disk: its stream, and up to where its lines are acknowledged.
//!
//! A line's sequence follows from the entry and the bytes of the file alone: the entry says which sequence was acknowledged
//! last and where its line ended, and the lines after it are counted. So an entry may be older than the truth, and what is
//! sent again carries the same sequence.

use super::mark::{Mark, Place, trail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The stream of its lines; unique.
    pub stream: String,
    /// Where it was when it was first seen.
    pub path: PathBuf,
    /// The path as records show it.
    pub shown: String,
    /// Where it lies.
    pub place: Place,
    /// Its beginning.
    pub head: Mark,
    /// What stands right before `offset`.
    pub tail: Mark,
    /// The last sequence acknowledged.
    pub acked: u64,
    /// Where the line of that sequence ends.
    pub offset: u64,
    /// Beyond `offset`: where lines end that have no newline.
    pub forced: Vec<u64>,
    /// It is over, and all of it is acknowledged.
    pub finished: bool,
    /// Seconds since 1970 of the last change.
    pub changed_at: u64,
}

impl Entry {
    /// Whether an open file is this one, as far as its content tells.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn fits(&self, file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.len() >= self.offset
            && self.head.stands(file, 0)?
            && self.tail.stands(file, self.offset - self.tail.length as u64)?)
    }

    /// Moves on to an offset that is acknowledged. Changes nothing where the file no longer is what it was.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn remark(&mut self, file: &File) -> io::Result<bool> {
        let before = trail(file, self.offset)?;
        if file.metadata()?.len() < self.offset || !self.head.stands(file, 0)? {
            return Ok(false);
        }
        self.head = Mark::of_head(file, file.metadata()?.len())?;
        self.tail = Mark::of(&before);
        Ok(true)
    }
}

/// Seconds since 1970.
pub fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The folder of the entries.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
}

/// Since when patterns are watched, and when they were looked at last: seconds since 1970, by pattern.
pub type Watched = BTreeMap<String, u64>;

impl Ledger {
    /// Opens or makes it.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// All entries. One that cannot be read is left out, with a word in the log.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match serde_json::from_slice(&fs::read(&path)?) {
                Ok(entry) => found.push(entry),
                Err(error) => tracing::error!(file = %path.display(), %error, "a position cannot be read"),
            }
        }
        Ok(found)
    }

    /// Keeps an entry; it is durable when this returns.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, entry: &Entry) -> io::Result<()> {
        let entry = Entry { changed_at: now_secs(), ..entry.clone() };
        replace(&self.folder, &format!("{}.json", entry.stream), &serde_json::to_vec(&entry)?)
    }

    /// Forgets an entry.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn forget(&self, stream: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(format!("{stream}.json")))
    }

    /// The patterns of earlier runs.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn watched(&self) -> io::Result<Watched> {
        match fs::read(self.folder.join("watched")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Watched::new()),
            Err(error) => Err(error),
        }
    }

    /// Keeps the patterns and when they were looked at.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn save_watched(&self, watched: &Watched) -> io::Result<()> {
        replace(&self.folder, "watched", &serde_json::to_vec(watched)?)
    }
}

/// Puts a file in the place of another at once, durably.
///
/// # Errors
/// Where it cannot be written.
pub fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let fresh = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&fresh, folder.join(name))?;
    File::open(folder)?.sync_all()
}
