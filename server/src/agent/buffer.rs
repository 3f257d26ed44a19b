//! A bounded queue of lines on disk, for what cannot be read a second time: this machine's own figures.
//!
//! Lines are numbered as on their stream: the n-th line ever appended has sequence n. They lie in segments, named by the
//! first sequence in them; a line is its length and CRC32C (each four bytes, little-endian), then its bytes. A line is
//! synced before it is read: a number must not stand for another line after a power loss. Where the limit is passed, the
//! oldest segment goes.

use super::ledger::replace;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Length and checksum before each line.
const HEADER: usize = 8;
/// The longest line.
const LONGEST: usize = 4 << 20;
/// A segment is so much of the limit.
const SEGMENTS: u64 = 16;
const SMALLEST_SEGMENT: u64 = 64 << 10;
const LARGEST_SEGMENT: u64 = 4 << 20;

/// See the module.
#[derive(Debug)]
pub struct Buffer {
    folder: PathBuf,
    stream: String,
    limit: u64,
    /// The oldest first; never empty.
    segments: VecDeque<Segment>,
    /// The newest segment, to append to.
    open: File,
    acked: u64,
    kept: u64,
}

#[derive(Debug, Clone)]
struct Segment {
    /// Sequence of its first line.
    first: u64,
    /// Lines in it.
    count: u64,
    bytes: u64,
}

impl Segment {
    fn next(&self) -> u64 {
        self.first + self.count
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}.lines", self.first))
    }
}

/// Lines read, with the sequence of the first.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Of the first.
    pub first: u64,
    /// In order.
    pub lines: Vec<Bytes>,
}

impl Buffer {
    /// Opens or makes it. What a crash left half written at the end is cut off.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn open(folder: PathBuf, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let stream = match fs::read_to_string(folder.join("stream")) {
            Ok(stream) if !stream.is_empty() => stream,
            Ok(_) => super::new_stream("figures"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => super::new_stream("figures"),
            Err(error) => return Err(error),
        };
        replace(&folder, "stream", stream.as_bytes())?;
        let acked = fs::read_to_string(folder.join("acked")).ok().and_then(|text| text.trim().parse().ok());
        let mut firsts: Vec<u64> = fs::read_dir(&folder)?
            .flatten()
            .filter_map(|file| file.file_name().to_str()?.strip_suffix(".lines")?.parse().ok())
            .collect();
        firsts.sort_unstable();
        let mut segments = VecDeque::new();
        for first in firsts {
            segments.push_back(recover(&folder, first)?);
        }
        let acked: u64 = acked.unwrap_or(0);
        // Sequences that were acknowledged are never given again, whatever became of their lines.
        let next = segments.back().map_or(1, Segment::next).max(acked + 1);
        if segments.back().is_none_or(|newest| newest.next() < next) {
            segments.push_back(Segment { first: next, count: 0, bytes: 0 });
        }
        let newest = segments.back().cloned().unwrap_or(Segment { first: next, count: 0, bytes: 0 });
        let open = append_to(&newest.path(&folder))?;
        let oldest = segments.front().map_or(next, |oldest| oldest.first);
        let acked = acked.max(oldest - 1);
        Ok(Self { folder, stream, limit, segments, open, acked, kept: acked })
    }

    /// The stream of its lines.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The last sequence that needs not be sent: acknowledged, or dropped.
    pub fn settled(&self) -> u64 {
        self.acked.max(self.oldest() - 1)
    }

    fn oldest(&self) -> u64 {
        self.segments.front().map_or(1, |oldest| oldest.first)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Appends lines, durably; answers how many of the oldest were dropped for them.
    ///
    /// # Errors
    /// Where they cannot be written; then none of them is there.
    pub fn append(&mut self, lines: &[Bytes]) -> io::Result<u64> {
        let mut block = Vec::new();
        let mut count = 0;
        for line in lines.iter().filter(|line| line.len() <= LONGEST) {
            let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
            block.extend_from_slice(&length.to_le_bytes());
            block.extend_from_slice(&crc32c::crc32c(line).to_le_bytes());
            block.extend_from_slice(line);
            count += 1;
        }
        let size = (self.limit / SEGMENTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT);
        if let Some(newest) = self.segments.back().cloned()
            && newest.count > 0
            && newest.bytes + block.len() as u64 > size
        {
            let fresh = Segment { first: newest.next(), count: 0, bytes: 0 };
            self.open = append_to(&fresh.path(&self.folder))?;
            File::open(&self.folder)?.sync_all()?;
            self.segments.push_back(fresh);
        }
        let Some(newest) = self.segments.back_mut() else { return Ok(0) };
        let written = self.open.write_all(&block).and_then(|()| self.open.sync_data());
        if let Err(error) = written {
            // What was written of it would be taken for lines.
            self.open.set_len(newest.bytes)?;
            return Err(error);
        }
        newest.count += count;
        newest.bytes += block.len() as u64;
        self.drop_oldest()
    }

    fn drop_oldest(&mut self) -> io::Result<u64> {
        let mut dropped = 0;
        while self.bytes() > self.limit && self.segments.len() > 1 {
            let Some(oldest) = self.segments.pop_front() else { break };
            fs::remove_file(oldest.path(&self.folder))?;
            dropped += oldest.next().saturating_sub(oldest.first.max(self.acked + 1));
        }
        Ok(dropped)
    }

    /// Lines from a sequence on, at most so many bytes of them but for one line; from the oldest where that is later.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn read(&self, from: u64, bytes: usize) -> io::Result<Batch> {
        let from = from.max(self.oldest());
        let Some(segment) = self.segments.iter().find(|segment| segment.next() > from) else {
            return Ok(Batch { first: from, lines: Vec::new() });
        };
        let first = from.max(segment.first);
        let content = fs::read(segment.path(&self.folder))?;
        let skip = usize::try_from(first - segment.first).unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        let mut size = 0;
        for line in whole_lines(&content).skip(skip) {
            if !lines.is_empty() && size + line.len() > bytes {
                break;
            }
            size += line.len();
            lines.push(Bytes::copy_from_slice(line));
        }
        Ok(Batch { first, lines })
    }

    /// Lines up to a sequence are acknowledged: their segments go.
    ///
    /// # Errors
    /// Where they cannot be removed.
    pub fn settle(&mut self, acked: u64) -> io::Result<()> {
        self.acked = self.acked.max(acked);
        if self.acked == self.kept {
            return Ok(());
        }
        replace(&self.folder, "acked", self.acked.to_string().as_bytes())?;
        self.kept = self.acked;
        while self.segments.len() > 1 && self.oldest_next() <= self.acked + 1 {
            let Some(oldest) = self.segments.pop_front() else { break };
            fs::remove_file(oldest.path(&self.folder))?;
        }
        Ok(())
    }

    fn oldest_next(&self) -> u64 {
        self.segments.front().map_or(u64::MAX, Segment::next)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Counts the whole lines of a segment, and cuts off what follows them.
fn recover(folder: &Path, first: u64) -> io::Result<Segment> {
    let mut segment = Segment { first, count: 0, bytes: 0 };
    let path = segment.path(folder);
    let content = fs::read(&path)?;
    for line in whole_lines(&content) {
        segment.count += 1;
        segment.bytes += (HEADER + line.len()) as u64;
    }
    if segment.bytes < content.len() as u64 {
        tracing::warn!(file = %path.display(), "the end of the buffer was half written, and is cut off");
        OpenOptions::new().write(true).open(&path)?.set_len(segment.bytes)?;
    }
    Ok(segment)
}

/// The lines of a segment up to the first that is not whole.
fn whole_lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (checksum, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let line = after.get(..length)?;
        if crc32c::crc32c(line) != u32::from_le_bytes(*checksum) {
            return None;
        }
        rest = &after[length..];
        Some(line)
    })
}

#[cfg(test)]
mod tests;
