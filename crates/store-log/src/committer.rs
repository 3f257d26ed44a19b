//! The committer: one thread a topic that writes what was appended, group by group.

use bytes::Bytes;
use domain::Timestamp;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::broker::{BrokerError, NewRecord};

use crate::disk::{AppendFile, Disk, is_full};
use crate::frame::{HEAD, Head};
use crate::pack::{PackBuilder, Place};
use crate::queue::{Job, Pace, Work};
use crate::segment::{Segment, Stand, path_of};
use crate::tail::Cached;
use crate::topic::TopicLog;

/// Payload bytes after which a pack is closed: what a fetch reads at least, and what a held payload may pin.
const PACK_BYTES: usize = 1024 * 1024;
/// When to try again after the disk was full.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Writes the commits of a topic.
pub struct Committer {
    log: Arc<TopicLog>,
    file: Box<dyn AppendFile>,
    id: u64,
    salt: u64,
    /// Bytes of the segment that are durable, or its head, which the next sync makes so.
    len: u64,
    /// The segment, until its head is durable: only then do readers and retention see it.
    fresh: Option<Segment>,
    /// Whether older segments may be due, after a new one was begun.
    trim: bool,
    next: Arc<Mutex<NextFile>>,
    /// The last segment whose file was asked for.
    asked: u64,
    end: Vec<Stand>,
    builders: Vec<PackBuilder>,
    /// Whether the file may hold bytes beyond `len`, after a write that failed.
    unclean: bool,
    pace: Pace,
}

/// The next segment's file, made in advance: making a name durable takes as long as a commit.
#[derive(Default)]
struct NextFile {
    /// Empty, and the segment it is for.
    made: Option<(u64, Box<dyn AppendFile>)>,
    /// The last segment begun: making its file now would empty it.
    begun: u64,
}

impl NextFile {
    /// Begins a segment, with the file that was made for it or a new one.
    fn begin(&mut self, segment: &Segment, disk: &dyn Disk) -> io::Result<Box<dyn AppendFile>> {
        self.begun = segment.id;
        let made = self.made.take().filter(|(id, _)| *id == segment.id);
        let mut file = made.map_or_else(|| disk.create(&segment.path), |(_, file)| Ok(file))?;
        file.write_at(&segment.head(), 0)?;
        Ok(file)
    }

    /// Makes the file of a segment, unless that was begun meanwhile.
    fn make(&mut self, id: u64, log: &TopicLog) {
        if self.begun < id {
            // On an error there is none, and beginning the segment tells why.
            self.made = log.disk.create(&path_of(&log.dir, id)).ok().map(|file| (id, file));
        }
    }
}

/// Why a commit failed; each appender gets its own error of it.
enum Failure {
    Full(String),
    Failed(String),
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        if is_full(error) { Self::Full(error.to_string()) } else { Self::Failed(error.to_string()) }
    }

    fn to_error(&self) -> BrokerError {
        match self {
            Self::Full(reason) => BrokerError::Busy {
                reason: format!("no room on the disk: {reason}"),
                retry_after: FULL_RETRY,
            },
            Self::Failed(reason) => BrokerError::Failed(reason.clone()),
        }
    }
}

impl Committer {
    /// The committer of a topic whose last segment is `file`.
    pub fn new(log: Arc<TopicLog>, file: Box<dyn AppendFile>) -> Self {
        let (id, salt, len, end) = {
            let shelf = log.shelf.lock();
            let (id, salt, len) = shelf.segments.back().map_or((0, 0, 0), |it| (it.id, it.salt, it.len));
            (id, salt, len, shelf.end.clone())
        };
        let builders = end.iter().map(|_| PackBuilder::default()).collect();
        let enough = log.options.max_batch_bytes;
        let pace = Pace { linger: log.options.linger, enough, most: 4 * enough };
        Self {
            log,
            file,
            id,
            salt,
            len,
            fresh: None,
            trim: false,
            next: Arc::default(),
            asked: id,
            end,
            builders,
            unclean: false,
            pace,
        }
    }

    /// Works until the queue is closed and empty.
    pub fn run(mut self) {
        let mut last = Instant::now();
        let log = Arc::clone(&self.log);
        while let Some(work) = log.queue.next(self.pace, last) {
            match work {
                Work::Commit(jobs) => {
                    last = Instant::now();
                    self.commit(jobs);
                    self.look_after_segments();
                }
                Work::Roll(done) => {
                    if let Err(Failure::Full(reason) | Failure::Failed(reason)) = self.roll() {
                        tracing::error!(reason, "no new segment of the log could be begun");
                    }
                    self.look_after_segments();
                    // Whoever asked may have left.
                    let _ = done.send(());
                }
                Work::Trim => {
                    log.trim(Timestamp::now());
                }
            }
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        let started = Instant::now();
        let cost: usize = jobs.iter().map(|it| it.cost).sum();
        let (records, waiting): (Vec<_>, Vec<_>) = jobs.into_iter().map(|it| (it.records, it.done)).unzip();
        let count: usize = records.iter().map(Vec::len).sum();
        let outcome = self.write(records, cost as u64);
        self.log.budget.release(cost);
        match &outcome {
            Ok(bytes) => self.log.meters.committed(count, *bytes, started.elapsed()),
            Err(Failure::Full(reason)) => tracing::error!(reason, "the disk of the log is full"),
            Err(Failure::Failed(reason)) => tracing::error!(reason, "a commit to the log failed"),
        }
        self.log.meters.gauges(self.log.budget.used(), self.log.stored());
        for done in waiting {
            // Whoever appended may have left.
            let _ = done.send(outcome.as_ref().map(|_| ()).map_err(Failure::to_error));
        }
    }

    /// Makes records durable and visible; on an error neither, as far as that can be known.
    fn write(&mut self, records: Vec<Vec<NewRecord>>, cost: u64) -> Result<u64, Failure> {
        self.with_room(|it| it.ready(cost))?;
        let (buffer, frames) = self.encode(records);
        self.with_room(|it| it.store(&buffer))?;
        self.publish(Bytes::from(buffer), frames)
    }

    /// Does something that takes room on the disk; where there is none, once more after making some.
    fn with_room(&mut self, work: impl Fn(&mut Self) -> io::Result<()>) -> Result<(), Failure> {
        let done = match work(self) {
            Err(error) if is_full(&error) && self.log.make_room() => work(self),
            done => done,
        };
        done.map_err(|error| Failure::of(&error))
    }

    /// The file is clean and has room for `cost` more, as far as the segments' size goes.
    fn ready(&mut self, cost: u64) -> io::Result<()> {
        if self.unclean {
            self.clean()?;
        }
        if self.len + cost > self.log.options.segment_limit() && self.holds_frames() {
            self.begin_segment()?;
        }
        Ok(())
    }

    /// Makes bytes durable at the end of the file. An error that says the disk is full leaves nothing of them.
    fn store(&mut self, buffer: &[u8]) -> io::Result<()> {
        let written = self.file.write_at(buffer, self.len).and_then(|()| self.file.sync());
        written.map_err(|error| {
            self.unclean = true;
            // Cutting off and syncing again tells whether anything of it could come back.
            match self.clean() {
                Ok(()) => error,
                Err(_) => io::Error::other(error),
            }
        })
    }

    /// Packs records by partition; the heads come with their places in the buffer.
    fn encode(&mut self, records: Vec<Vec<NewRecord>>) -> (Vec<u8>, Vec<(usize, Head)>) {
        let bytes: usize = records.iter().flatten().map(|it| it.payload.len() + 8).sum();
        let mut out = Writing {
            buffer: Vec::with_capacity(bytes + self.builders.len() * 512),
            frames: Vec::new(),
            end: self.end.clone(),
            salt: self.salt,
            appended_at: Timestamp::now().as_nanos(),
        };
        let count = self.builders.len() as u32;
        let mut route = None;
        let mut partition = 0;
        for record in records.into_iter().flatten() {
            // Neighbours mostly share their route; hashing its key a record would cost as much as the copying.
            if route.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &record.route)) {
                partition = record.route.partition(count);
                route = Some(Arc::clone(&record.route));
            }
            let builder = &mut self.builders[partition as usize];
            if !builder.is_empty() && builder.payload_bytes() + record.payload.len() > PACK_BYTES {
                out.finish(partition, builder);
            }
            builder.push(record);
        }
        for (builder, partition) in self.builders.iter_mut().zip(0..) {
            if !builder.is_empty() {
                out.finish(partition, builder);
            }
        }
        (out.buffer, out.frames)
    }

    fn publish(&mut self, buffer: Bytes, frames: Vec<(usize, Head)>) -> Result<u64, Failure> {
        let packs = frames.iter().map(|(at, head)| {
            let body = at + HEAD..at + HEAD + head.body_len as usize;
            (self.len + *at as u64, Cached { head: *head, body: buffer.slice(body) })
        });
        let packs: Vec<_> = packs.collect();
        self.show_segment();
        {
            let mut shelf = self.log.shelf.lock();
            shelf.publish(packs);
            self.end.clone_from(&shelf.end);
        }
        self.len += buffer.len() as u64;
        self.log.grew(buffer.len() as u64);
        for (_, head) in &frames {
            self.log.arrived[head.partition as usize].notify_waiters();
        }
        Ok(buffer.len() as u64)
    }

    /// Cuts off what a failed write may have left.
    fn clean(&mut self) -> io::Result<()> {
        self.file.truncate(self.len)?;
        self.file.sync()?;
        self.unclean = false;
        Ok(())
    }

    fn holds_frames(&self) -> bool {
        self.fresh.is_none() && self.log.shelf.lock().segments.back().is_some_and(|it| !it.is_empty())
    }

    /// Goes on in a new segment, whose head is durable.
    fn roll(&mut self) -> Result<(), Failure> {
        self.with_room(|it| it.ready(u64::MAX - it.len).and_then(|()| it.file.sync()))?;
        self.show_segment();
        Ok(())
    }

    /// Writes the head of a new segment. Nothing sees the segment before the next sync.
    fn begin_segment(&mut self) -> io::Result<()> {
        let segment = Segment::new(&self.log.dir, self.id + 1, Timestamp::now().as_nanos(), self.end.clone());
        match self.next.lock().begin(&segment, &*self.log.disk) {
            Ok(file) => self.file = file,
            Err(error) => {
                // It has no frames; should it stay, opening the log passes over it.
                let _ = std::fs::remove_file(&segment.path);
                return Err(error);
            }
        }
        self.id = segment.id;
        self.salt = segment.salt;
        self.len = segment.len;
        self.fresh = Some(segment);
        Ok(())
    }

    /// After a sync: the new segment, if there is one, is there for good.
    fn show_segment(&mut self) {
        let Some(segment) = self.fresh.take() else { return };
        self.log.grew(segment.len);
        self.log.shelf.lock().segments.push_back(segment);
        self.trim = true;
    }

    /// What nobody waits for: removes old segments after a new one, and has the next file made in time.
    fn look_after_segments(&mut self) {
        if std::mem::take(&mut self.trim) {
            self.log.trim(Timestamp::now());
        }
        let id = self.id + 1;
        if self.asked < id && self.len > self.log.options.segment_limit() / 2 {
            self.asked = id;
            let (log, next) = (Arc::clone(&self.log), Arc::clone(&self.next));
            self.log.chores.push(move || next.lock().make(id, &log));
        }
    }
}

/// A commit being packed.
struct Writing {
    buffer: Vec<u8>,
    frames: Vec<(usize, Head)>,
    end: Vec<Stand>,
    salt: u64,
    appended_at: i64,
}

impl Writing {
    fn finish(&mut self, partition: u32, builder: &mut PackBuilder) {
        let stand = &mut self.end[partition as usize];
        let place =
            Place { partition, first: stand.offset, appended_at: self.appended_at, before: stand.bytes };
        let at = self.buffer.len();
        let head = builder.finish(place, self.salt, &mut self.buffer);
        *stand = Stand { offset: head.next(), bytes: stand.bytes + head.size() };
        self.frames.push((at, head));
    }
}
