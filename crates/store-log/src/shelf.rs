//! What a topic holds, as its readers see it: segments, where the partitions stand, the newest packs.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use store::broker::{BrokerError, Offset, Partition};

use crate::disk::{AppendFile, Disk};
use crate::frame::Head;
use crate::segment::{Bodies, Segment, Stand, list, look_through};
use crate::tail::{Cached, Tail};

/// The durable content of a topic.
pub struct Shelf {
    /// Oldest first; the last is written to. Never empty.
    pub segments: VecDeque<Segment>,
    /// Where each partition stands.
    pub end: Vec<Stand>,
    /// The newest packs.
    pub tail: Tail,
}

/// A place on a shelf.
pub struct Spot {
    /// The segment.
    pub segment: Segment,
    /// From where in it; `None` where it was not looked through yet.
    pub at: Option<u64>,
    /// The offset with which the next segment goes on; `None` where this is the last.
    pub next: Option<Offset>,
}

impl Shelf {
    /// Where a partition stands, or the error for one that is not there.
    pub fn stand(&self, partition: Partition) -> Result<Stand, BrokerError> {
        let none = || BrokerError::Failed(format!("there is no partition {partition}"));
        self.end.get(partition as usize).copied().ok_or_else(none)
    }

    /// The first offset of a partition that is still there.
    pub fn earliest(&self, partition: Partition) -> Offset {
        self.segments.front().map_or(0, |it| it.begin[partition as usize].offset)
    }

    /// Refuses an offset that was removed.
    pub fn in_range(&self, partition: Partition, asked: Offset) -> Result<(), BrokerError> {
        let earliest = self.earliest(partition);
        if asked < earliest { Err(BrokerError::OutOfRange { asked, earliest }) } else { Ok(()) }
    }

    /// Bytes of all segments.
    pub fn stored(&self) -> u64 {
        self.segments.iter().map(|it| it.len).sum()
    }

    /// Where an offset stands in the files.
    pub fn locate(&self, partition: Partition, offset: Offset) -> Option<Spot> {
        let after = self.segments.partition_point(|it| it.begin[partition as usize].offset <= offset);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let next = self.segments.get(after).map(|it| it.begin[partition as usize].offset);
        let at = segment.marks.place_of(partition, offset);
        // The marks stay: they may be many, and the reader needs the place alone.
        let marks = Default::default();
        let begin = segment.begin.clone();
        let segment = Segment { path: segment.path.clone(), begin, marks, ..*segment };
        Some(Spot { segment, at, next })
    }

    /// The segment with a number.
    pub fn segment(&mut self, id: u64) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|it| it.id == id)
    }

    /// Shows a written commit to the readers: frames at their places in the last segment, and the bodies.
    pub fn publish(&mut self, frames: Vec<(u64, Cached)>) {
        let Some(active) = self.segments.back_mut() else { return };
        for (at, pack) in frames {
            let Head { partition, appended_at, before, .. } = pack.head;
            active.marks.note(at, &self.end);
            active.len = at + pack.head.size();
            active.last_at = active.last_at.max(appended_at);
            self.end[partition as usize] =
                Stand { offset: pack.head.next(), bytes: before + pack.head.size() };
            self.tail.push(pack);
        }
    }
}

/// Opens a topic's folder: the heads of all segments, and of the last one every frame, so that a torn tail goes.
pub fn recover(
    dir: &Path,
    disk: &dyn Disk,
    partitions: u32,
    tail_bytes: usize,
    now: i64,
) -> io::Result<(Shelf, Box<dyn AppendFile>)> {
    fs::create_dir_all(dir)?;
    let mut segments = open_segments(dir)?;
    let Some(active) = segments.back_mut() else {
        let first = Segment::new(dir, 1, now, vec![Stand::default(); partitions as usize]);
        let file = begin_segment(disk, &first)?;
        let end = first.begin.clone();
        return Ok((Shelf { segments: [first].into(), end, tail: Tail::new(partitions, tail_bytes) }, file));
    };
    let mut file = disk.open(&active.path)?;
    let survey = look_through(active, Bodies::Verify)?;
    if survey.damaged > 0 {
        report_damage(&active.path, survey.damaged);
    }
    if survey.whole < active.len {
        let bytes = active.len - survey.whole;
        tracing::warn!(
            bytes,
            segment = active.id,
            "cut a torn tail off the log; nothing of it was acknowledged"
        );
        file.truncate(survey.whole)?;
        file.sync()?;
        active.len = survey.whole;
    }
    active.marks = survey.marks;
    active.last_at = survey.last_at.unwrap_or(active.created_at);
    let tail = Tail::new(active.begin.len() as u32, tail_bytes);
    Ok((Shelf { segments, end: survey.end, tail }, file))
}

fn open_segments(dir: &Path) -> io::Result<VecDeque<Segment>> {
    let mut segments: VecDeque<Segment> = VecDeque::new();
    let files = list(dir)?;
    let last = files.last().map(|(id, _)| *id);
    for (id, path) in files {
        match Segment::open(&path, id)? {
            Some(segment) => {
                if let Some(before) = segments.back_mut() {
                    before.last_at = segment.created_at;
                    if before.begin.len() != segment.begin.len() {
                        return Err(invalid(&path, "has another number of partitions than the one before"));
                    }
                }
                segments.push_back(segment);
            }
            // Nothing is acknowledged before the head is durable.
            None if last == Some(id) => {
                tracing::info!(segment = id, "removed a segment that was never begun");
                fs::remove_file(&path)?;
            }
            None => return Err(invalid(&path, "has a damaged head")),
        }
    }
    Ok(segments)
}

fn invalid(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} {what}; restore it from a backup", path.display()))
}

/// Makes the file of the first segment, durable with its head.
fn begin_segment(disk: &dyn Disk, segment: &Segment) -> io::Result<Box<dyn AppendFile>> {
    let mut file = disk.create(&segment.path)?;
    file.write_at(&segment.head(), 0)?;
    file.sync()?;
    Ok(file)
}

/// Tells about bytes that are no frame, where frames should be.
pub fn report_damage(path: &Path, bytes: u64) {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    metrics::counter!("qgx_broker_damaged_bytes_total").increment(bytes);
    tracing::error!(bytes, file, "a segment of the log is damaged; its records there are lost");
}
