//! One topic of the log: appending, reading, lag.

use domain::Timestamp;
use futures::FutureExt;
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use store::broker::{Append, BrokerError, Fetched, Lag, NewRecord, Offset, Partition, Topic};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::chores::Chores;
use crate::disk::{AppendFile, Disk};
use crate::frame::Head;
use crate::groups::Groups;
use crate::meters::Meters;
use crate::options::LogOptions;
use crate::pack::{Gathered, decode};
use crate::queue::{Budget, Job, Queue, RECORD_COST};
use crate::segment::{Bodies, look_through};
use crate::shelf::{Shelf, Spot, recover, report_damage};
use crate::wire::Malformed;

/// When to try again while too much waits for its commit: a few commits later.
const PENDING_RETRY: Duration = Duration::from_millis(50);
/// When to try again at the size limit: consumers have to move on first.
const SIZE_RETRY: Duration = Duration::from_secs(1);

/// What the topics of a log share.
#[derive(Clone)]
pub struct Shared {
    /// The settings.
    pub options: LogOptions,
    /// Where it writes.
    pub disk: Arc<dyn Disk>,
    /// What may wait.
    pub budget: Arc<Budget>,
    /// Who has read what.
    pub groups: Arc<Groups>,
    /// How many keep retention off.
    pub held: Arc<AtomicUsize>,
    /// What can wait.
    pub chores: Arc<Chores>,
}

/// A topic.
pub struct TopicLog {
    pub(crate) topic: Topic,
    pub(crate) dir: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) chores: Arc<Chores>,
    pub(crate) meters: Meters,
    pub(crate) queue: Queue,
    pub(crate) shelf: Mutex<Shelf>,
    /// Per partition: something came.
    pub(crate) arrived: Vec<Notify>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) held: Arc<AtomicUsize>,
    stored: AtomicU64,
    closed: AtomicBool,
}

enum Peek {
    Ready(Fetched),
    OnDisk,
    Nothing(Offset),
}

impl TopicLog {
    /// Opens a topic's folder; the file is for its committer.
    pub fn open(topic: Topic, dir: PathBuf, shared: Shared) -> io::Result<(Arc<Self>, Box<dyn AppendFile>)> {
        let Shared { options, disk, budget, groups, held, chores } = shared;
        let now = Timestamp::now().as_nanos();
        let (shelf, file) = recover(&dir, &*disk, options.partitions.max(1), options.tail_bytes, now)?;
        let log = Self {
            topic,
            dir,
            disk,
            budget,
            chores,
            meters: Meters::new(topic),
            queue: Queue::default(),
            arrived: shelf.end.iter().map(|_| Notify::new()).collect(),
            stored: AtomicU64::new(shelf.stored()),
            shelf: Mutex::new(shelf),
            groups,
            held,
            options,
            closed: AtomicBool::new(false),
        };
        Ok((Arc::new(log), file))
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        self.arrived.len() as u32
    }

    /// Bytes of its files.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Acquire)
    }

    /// Counts written bytes.
    pub(crate) fn grew(&self, bytes: u64) {
        self.stored.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Counts bytes that go.
    pub(crate) fn shrank(&self, bytes: u64) {
        self.stored.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Takes no more; ends waiting fetches. What is queued is still written.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.queue.close();
        for arrived in &self.arrived {
            arrived.notify_waiters();
        }
    }

    /// An error once the log is closed.
    pub fn open_still(&self) -> Result<(), BrokerError> {
        if self.closed.load(Ordering::Acquire) { Err(BrokerError::Closed) } else { Ok(()) }
    }

    /// Queues records; see [`store::broker::Broker::append`].
    pub fn append(&self, records: Vec<NewRecord>) -> Append {
        match self.enqueue(records) {
            Ok(Some(done)) => async move {
                let stopped = || BrokerError::Failed("the committer of the log stopped".to_owned());
                done.await.unwrap_or_else(|_| Err(stopped()))
            }
            .boxed(),
            Ok(None) => std::future::ready(Ok(())).boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn enqueue(
        &self,
        records: Vec<NewRecord>,
    ) -> Result<Option<oneshot::Receiver<Result<(), BrokerError>>>, BrokerError> {
        self.open_still()?;
        if records.is_empty() {
            return Ok(None);
        }
        if self.stored() >= self.options.retention_bytes {
            self.queue.trim();
            self.meters.busy("size");
            let limit = self.options.retention_bytes;
            let reason = format!("the log has reached its {limit} bytes and not all of it is processed yet");
            return Err(BrokerError::Busy { reason, retry_after: SIZE_RETRY });
        }
        let cost = records.iter().map(|it| it.payload.len() + RECORD_COST).sum();
        if !self.budget.take(cost) {
            self.meters.busy("pending");
            let reason = "too much is waiting to be written".to_owned();
            return Err(BrokerError::Busy { reason, retry_after: PENDING_RETRY });
        }
        let (done, outcome) = oneshot::channel();
        match self.queue.push(Job { records, cost, done }) {
            Ok(()) => Ok(Some(outcome)),
            Err(refused) => {
                self.budget.release(refused.cost);
                Err(BrokerError::Closed)
            }
        }
    }

    /// Reads; see [`store::broker::Broker::fetch`].
    pub async fn fetch(
        self: &Arc<Self>,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Fetched, BrokerError> {
        let deadline = Instant::now() + max_wait;
        self.shelf.lock().stand(partition)?;
        loop {
            let mut arrived = std::pin::pin!(self.arrived[partition as usize].notified());
            arrived.as_mut().enable();
            self.open_still()?;
            let end = match self.peek(partition, from, max_bytes)? {
                Peek::Ready(fetched) => return Ok(fetched),
                Peek::Nothing(end) => end,
                Peek::OnDisk => {
                    let fetched = self.fetch_from_files(partition, from, max_bytes).await?;
                    if !fetched.records.is_empty() {
                        return Ok(fetched);
                    }
                    // Damage ate all there was: what comes next is behind it.
                    fetched.end
                }
            };
            if timeout_at(deadline, arrived).await.is_err() {
                return Ok(Fetched { records: Vec::new(), end });
            }
        }
    }

    async fn fetch_from_files(
        self: &Arc<Self>,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Fetched, BrokerError> {
        let log = Arc::clone(self);
        let read = move || log.read(partition, from, max_bytes);
        let read = telemetry::spawn_blocking_named("log-read", read).await;
        read.unwrap_or_else(|error| Err(BrokerError::Failed(error.to_string())))
    }

    /// Reads from memory where that is enough.
    fn peek(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Peek, BrokerError> {
        let (packs, end) = {
            let shelf = self.shelf.lock();
            let end = shelf.stand(partition)?.offset;
            if from >= end {
                return Ok(Peek::Nothing(end));
            }
            shelf.in_range(partition, from)?;
            let Some(packs) = shelf.tail.from(partition, from) else { return Ok(Peek::OnDisk) };
            let mut bytes = 0;
            // The first may hold little behind `from`: it does not count.
            let wanted = packs.take_while(|pack| {
                let more = bytes <= max_bytes;
                bytes += if pack.head.first <= from { 0 } else { pack.body.len() };
                more
            });
            (wanted.cloned().collect::<Vec<_>>(), end)
        };
        let mut gathered = Gathered::new(from, max_bytes);
        for pack in packs {
            decode(&pack.body, pack.head.first, &mut gathered).map_err(malformed)?;
            if gathered.full {
                break;
            }
        }
        Ok(Peek::Ready(Fetched { records: gathered.records, end }))
    }

    /// Reads from the files. Blocks.
    fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Fetched, BrokerError> {
        let mut gathered = Gathered::new(from, max_bytes);
        let mut next = Some(from);
        while let Some(offset) = next.filter(|_| gathered.records.is_empty()) {
            let Some(spot) = self.locate(partition, offset)? else { break };
            self.read_segment(&spot, partition, &mut gathered)
                .or_else(|error| self.unless_removed(partition, from, error))?;
            next = spot.next;
        }
        let end = self.shelf.lock().stand(partition)?.offset;
        Ok(Fetched { records: gathered.records, end })
    }

    fn read_segment(&self, spot: &Spot, partition: Partition, gathered: &mut Gathered) -> io::Result<()> {
        let mut frames = spot.segment.frames(spot.at.unwrap_or(spot.segment.body_at()))?;
        while let Some(found) = frames.advance()? {
            if found.head.partition != partition || found.head.next() <= gathered.from {
                continue;
            }
            if let Some(body) = frames.body(&found)? {
                decode(&body, found.head.first, gathered)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            if gathered.full {
                break;
            }
        }
        if frames.damaged > 0 {
            report_damage(&spot.segment.path, frames.damaged);
        }
        Ok(())
    }

    /// Where an offset stands in the files, its segment looked through. Blocks.
    fn locate(&self, partition: Partition, offset: Offset) -> Result<Option<Spot>, BrokerError> {
        let spot = {
            let shelf = self.shelf.lock();
            shelf.in_range(partition, offset)?;
            shelf.locate(partition, offset)
        };
        let Some(mut spot) = spot else { return Ok(None) };
        if spot.at.is_some() {
            return Ok(Some(spot));
        }
        let survey = match look_through(&spot.segment, Bodies::Trust) {
            Ok(survey) => survey,
            Err(error) => return self.unless_removed(partition, offset, error).map(|()| None),
        };
        spot.at = survey.marks.place_of(partition, offset);
        if let Some(segment) = self.shelf.lock().segment(spot.segment.id) {
            segment.marks = survey.marks;
        }
        Ok(Some(spot))
    }

    /// A file that is gone was removed by retention while it was being read.
    fn unless_removed(
        &self,
        partition: Partition,
        asked: Offset,
        error: io::Error,
    ) -> Result<(), BrokerError> {
        if error.kind() == io::ErrorKind::NotFound {
            self.shelf.lock().in_range(partition, asked)?;
        }
        Err(BrokerError::Failed(error.to_string()))
    }

    /// Where a group stands. Blocks.
    pub fn lag(&self, group: &str) -> Result<Vec<Lag>, BrokerError> {
        (0..self.partitions()).map(|partition| self.lag_of(group, partition)).collect()
    }

    fn lag_of(&self, group: &str, partition: Partition) -> Result<Lag, BrokerError> {
        let committed = self.groups.committed(group, self.topic, partition);
        let (stand, from, cached) = {
            let shelf = self.shelf.lock();
            let from = committed.max(shelf.earliest(partition));
            let cached =
                shelf.tail.from(partition, from).and_then(|mut packs| packs.next().map(|it| it.head));
            (shelf.stand(partition)?, from, cached)
        };
        let done = Lag { partition, committed, end: stand.offset, oldest_uncommitted: None, bytes: 0 };
        if from >= stand.offset {
            return Ok(done);
        }
        let head = match cached {
            Some(head) => Some(head),
            None => self.head_of(partition, from)?,
        };
        Ok(head.map_or(done, |head| Lag {
            oldest_uncommitted: Some(Timestamp::from_nanos(head.appended_at)),
            bytes: stand.bytes.saturating_sub(head.before + share_before(&head, from)),
            ..done
        }))
    }

    fn head_of(&self, partition: Partition, offset: Offset) -> Result<Option<Head>, BrokerError> {
        let mut next = Some(offset);
        while let Some(from) = next {
            let Some(spot) = self.locate(partition, from)? else { return Ok(None) };
            let find = || {
                let mut frames = spot.segment.frames(spot.at.unwrap_or(spot.segment.body_at()))?;
                while let Some(found) = frames.advance()? {
                    if found.head.partition == partition && found.head.next() > offset {
                        return Ok(Some(found.head));
                    }
                }
                Ok(None)
            };
            match find() {
                Ok(Some(head)) => return Ok(Some(head)),
                Ok(None) => next = spot.next,
                Err(error) => self.unless_removed(partition, offset, error)?,
            }
        }
        Ok(None)
    }
}

fn malformed(error: Malformed) -> BrokerError {
    BrokerError::Failed(error.to_string())
}

/// About how many of a frame's bytes are before an offset in it.
fn share_before(head: &Head, offset: Offset) -> u64 {
    let passed = offset.saturating_sub(head.first);
    let share = u128::from(head.size()) * u128::from(passed) / u128::from(head.count.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}
