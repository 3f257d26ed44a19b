//! Segment files: a head that says where each partition stands, then frames.
//!
//! `00000000000000000007.seg`, numbers little-endian: magic `QGXSEG1\n` (8 bytes), salt (8), created at, epoch
//! nanoseconds (8), partitions (4), per partition the first offset (8) and the bytes of all its earlier frames (8),
//! CRC32C of all that (4). Because the head says where the partitions stand, opening a log reads the heads, and the
//! frames of the last segment alone.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::frame::Frames;

const MAGIC: &[u8; 8] = b"QGXSEG1\n";
/// What the heads of all versions start with.
const FAMILY: &[u8] = b"QGXSEG";
/// More partitions than anyone has on one machine; a bound for what a damaged head may say.
const MOST_PARTITIONS: u32 = 4096;
/// Distance of the marks in a segment: what a reader looks through at most to find an offset.
const MARK_EVERY: u64 = 256 * 1024;

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stand {
    /// The next offset.
    pub offset: u64,
    /// Bytes of all earlier frames.
    pub bytes: u64,
}

/// A place in a segment from which reading may start.
#[derive(Debug, Clone)]
struct Mark {
    at: u64,
    /// The next offset of each partition there.
    next: Box<[u64]>,
}

/// A segment, as known in memory.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its number, from 1.
    pub id: u64,
    /// Its file.
    pub path: PathBuf,
    /// What seeds the checksums of its heads.
    pub salt: u64,
    /// Epoch nanoseconds.
    pub created_at: i64,
    /// No record in it is younger, epoch nanoseconds.
    pub last_at: i64,
    /// Bytes that are durable.
    pub len: u64,
    /// Where each partition stood when it began.
    pub begin: Vec<Stand>,
    /// Empty where the file was not looked through yet.
    pub marks: Marks,
}

/// Places in a segment from which reading may start, in order.
#[derive(Debug, Clone, Default)]
pub struct Marks(Vec<Mark>);

impl Marks {
    /// Notes that a frame may start at `at`, with the partitions standing as given.
    pub fn note(&mut self, at: u64, stands: &[Stand]) {
        if self.0.last().is_none_or(|last| at >= last.at + MARK_EVERY) {
            self.0.push(Mark { at, next: stands.iter().map(|it| it.offset).collect() });
        }
    }

    /// From where to read to come to an offset of a partition; `None` where nothing is noted.
    pub fn place_of(&self, partition: u32, offset: u64) -> Option<u64> {
        let before = self.0.partition_point(|mark| mark.next[partition as usize] <= offset);
        self.0.get(before.max(1) - 1).map(|mark| mark.at)
    }
}

impl Segment {
    /// A new one. `last_at` starts at `created_at`.
    pub fn new(dir: &Path, id: u64, created_at: i64, begin: Vec<Stand>) -> Self {
        let len = head_len(begin.len());
        let mut marks = Marks::default();
        marks.note(len, &begin);
        let path = path_of(dir, id);
        Self { id, path, salt: fresh_salt(), created_at, last_at: created_at, len, begin, marks }
    }

    /// The bytes of its head.
    pub fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(head_len(self.begin.len()) as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.created_at.to_le_bytes());
        out.extend_from_slice(&(self.begin.len() as u32).to_le_bytes());
        for stand in &self.begin {
            out.extend_from_slice(&stand.offset.to_le_bytes());
            out.extend_from_slice(&stand.bytes.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the head of a file; `None` where it has none that is whole.
    pub fn open(path: &Path, id: u64) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut fixed = [0; 28];
        if len < fixed.len() as u64 {
            return Ok(None);
        }
        file.read_exact(&mut fixed)?;
        if fixed.starts_with(FAMILY) && (b'2'..=b'9').contains(&fixed[6]) && fixed[7] == b'\n' {
            let newer = "was written by a newer version of qgx: start that version again, or restore a backup made \
                         before the upgrade";
            return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{} {newer}", path.display())));
        }
        let partitions = u32_at(&fixed, 24);
        if &fixed[..8] != MAGIC || partitions > MOST_PARTITIONS || len < head_len(partitions as usize) {
            return Ok(None);
        }
        let mut rest = vec![0; head_len(partitions as usize) as usize - fixed.len()];
        file.read_exact(&mut rest)?;
        let (stands, crc) = rest.split_at(rest.len() - 4);
        if crc32c::crc32c_append(crc32c::crc32c(&fixed), stands) != u32_at(crc, 0) {
            return Ok(None);
        }
        let stand = |it: &[u8]| Stand { offset: u64_at(it, 0), bytes: u64_at(it, 8) };
        let created_at = u64_at(&fixed, 16).cast_signed();
        Ok(Some(Self {
            id,
            path: path.to_owned(),
            salt: u64_at(&fixed, 8),
            created_at,
            last_at: created_at,
            len,
            begin: stands.chunks_exact(16).map(stand).collect(),
            marks: Marks::default(),
        }))
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.len <= self.body_at()
    }

    /// Where the frames start.
    pub fn body_at(&self) -> u64 {
        head_len(self.begin.len())
    }

    /// Its frames from a place on.
    pub fn frames(&self, from: u64) -> io::Result<Frames> {
        Ok(Frames::new(File::open(&self.path)?, self.salt, from, self.len))
    }
}

/// What a look through all frames of a segment shows.
#[derive(Clone)]
pub struct Survey {
    /// Places to start reading from.
    pub marks: Marks,
    /// Where each partition stands after it.
    pub end: Vec<Stand>,
    /// The end of the last whole frame.
    pub whole: u64,
    /// When the last frame was appended, epoch nanoseconds.
    pub last_at: Option<i64>,
    /// Bytes that are no frame of this log, before the end of the last whole frame.
    pub damaged: u64,
}

/// Whether a survey reads the bodies too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Heads alone: for finding offsets.
    Trust,
    /// A frame with a wrong body is none: for the last segment after a crash.
    Verify,
}

/// Looks through all frames of a segment.
///
/// With [`Bodies::Verify`], damage that may be of the last commit is a torn tail: the device may write the packs of a
/// commit in any order, and none of them was acknowledged. What there is behind the damage would leave a hole in the
/// offsets, and make re-sent lines of a stream look like known ones. So the survey then ends before the damage.
pub fn look_through(segment: &Segment, bodies: Bodies) -> io::Result<Survey> {
    let mut frames = segment.frames(segment.body_at())?;
    let whole = segment.body_at();
    let mut seen =
        Survey { marks: Marks::default(), end: segment.begin.clone(), whole, last_at: None, damaged: 0 };
    seen.marks.note(whole, &seen.end);
    // What was seen before the first damage in a commit, and when that commit was made.
    let mut cut: Option<(Survey, i64)> = None;
    let mut last_commit = None;
    // Since the last frame that counts: the commit of a body that is wrong.
    let mut broken = None;
    // Bytes of whole frames that were never part of this log.
    let mut strange = 0;
    let mut edge = whole;
    while let Some(found) = frames.advance()? {
        let commit = found.head.appended_at;
        let gap = found.at > edge;
        edge = found.at + found.head.size();
        let goes_on = |stand: &Stand| found.head.first >= stand.offset && found.head.count > 0;
        if !seen.end.get(found.head.partition as usize).is_some_and(goes_on) {
            strange += found.head.size();
            continue;
        }
        if bodies == Bodies::Verify && frames.body(&found)?.is_none() {
            broken = Some(commit);
            continue;
        }
        let broken = broken.take() == Some(commit);
        let torn = gap || broken;
        if torn && cut.as_ref().is_none_or(|(_, of)| *of != commit) {
            cut = Some((seen.clone(), commit));
        }
        let Some(stand) = seen.end.get_mut(found.head.partition as usize) else { continue };
        let bytes = found.head.before + found.head.size();
        *stand = Stand { offset: found.head.next(), bytes };
        seen.whole = found.at + found.head.size();
        seen.last_at = Some(seen.last_at.unwrap_or(i64::MIN).max(commit));
        seen.damaged = frames.damaged + strange;
        seen.marks.note(seen.whole, &seen.end);
        last_commit = Some(commit);
    }
    Ok(match cut {
        Some((before, commit)) if bodies == Bodies::Verify && last_commit == Some(commit) => before,
        _ => seen,
    })
}

/// The file of a segment.
pub fn path_of(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:020}.seg"))
}

/// The segment files of a folder by number; other files are left alone.
pub fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|it| it.to_str());
        if path.extension().is_some_and(|it| it == "seg")
            && let Some(id) = stem.and_then(|it| it.parse().ok())
        {
            found.push((id, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn head_len(partitions: usize) -> u64 {
    8 + 8 + 8 + 4 + 16 * partitions as u64 + 4
}

/// Random, by the keys that the standard library draws for its hash maps.
fn fresh_salt() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RandomState::new().hash_one(since.as_nanos())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|it| it.first_chunk()).map_or(0, |it| u32::from_le_bytes(*it))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|it| it.first_chunk()).map_or(0, |it| u64::from_le_bytes(*it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_or_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let begin = vec![Stand { offset: 5, bytes: 500 }, Stand { offset: u64::MAX, bytes: 0 }];
        let segment = Segment::new(dir.path(), 7, -3, begin.clone());
        let head = segment.head();
        assert_eq!(head.len() as u64, segment.body_at());
        fs::write(&segment.path, &head).unwrap();
        assert_eq!(list(dir.path()).unwrap(), [(7, segment.path.clone())]);

        let seen = Segment::open(&segment.path, 7).unwrap().expect("a whole head");
        assert_eq!((seen.salt, seen.created_at, seen.begin), (segment.salt, -3, begin));
        assert_ne!(segment.salt, Segment::new(dir.path(), 8, -3, Vec::new()).salt);

        for at in 0..head.len() {
            let mut damaged = head.clone();
            damaged[at] ^= 0x10;
            fs::write(&segment.path, &damaged).unwrap();
            assert!(Segment::open(&segment.path, 7).unwrap().is_none(), "byte {at}");
            fs::write(&segment.path, &head[..at]).unwrap();
            assert!(Segment::open(&segment.path, 7).unwrap().is_none(), "torn at {at}");
        }
        let mut later = head.clone();
        later[6] = b'2';
        fs::write(&segment.path, &later).unwrap();
        let refused = Segment::open(&segment.path, 7).unwrap_err().to_string();
        assert!(refused.contains("newer version"), "{refused}");
    }
}
