//! One tailed file: read, cut into lines, sent on a stream of its own, and noted as far as it is acknowledged.
//!
//! The file is the buffer: while the server is away nothing is read, and the position waits.

use super::ledger::{Entry, Ledger};
use super::lines::{Line, Lines};
use super::mark::{Mark, Place, read_at, trail};
use crate::client::{Progress, SendError, SenderOptions, sender};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Read at a time.
const CHUNK: usize = 256 << 10;
/// How often a file is looked at that had nothing new.
const POLL: Duration = Duration::from_millis(250);
/// How often positions are kept, while they change.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// After so long without a line a connection is given to other files.
const IDLE: Duration = Duration::from_secs(10);

/// How files are tailed.
#[derive(Debug, Clone)]
pub struct Habits {
    /// How long a line without a newline is waited for.
    pub partial: Duration,
    /// How long a file is read on after rotation has put it aside, since its last line: its writer may not know yet.
    pub aside: Duration,
}

/// What all files share.
pub struct Shared {
    /// How to send; the stream and its position are each file's own.
    pub options: SenderOptions,
    /// Positions.
    pub ledger: Ledger,
    /// How files are tailed.
    pub habits: Habits,
    /// Connections at a time.
    pub connections: Semaphore,
}

/// How it ended with a file.
pub enum Outcome {
    /// It is over, and all of it is acknowledged.
    Finished(Entry),
    /// It was truncated: what was left of it may stand in a copy.
    Truncated(Entry),
    /// Told to stop.
    Stopped,
    /// The server will not have it.
    Failed(SendError),
}

/// See the module.
pub struct Shipper {
    shared: Arc<Shared>,
    entry: Entry,
    file: Arc<File>,
    /// Nobody writes to it any more.
    is_copy: bool,
    lines: Lines,
    /// Cut and not yet handed to the sender.
    pending: VecDeque<Line>,
    /// Sequence and end of each line cut and not yet acknowledged.
    in_flight: VecDeque<(u64, u64)>,
    /// The sequence of the last line cut.
    last: u64,
    /// Size and time of the last change, when nothing new was found.
    seen: Option<(u64, SystemTime)>,
    /// When something new was found last.
    grown_at: Instant,
    /// Since when another file has its place.
    aside_since: Option<Instant>,
    kept_at: Instant,
    is_dirty: bool,
    truncated: bool,
    refused: u64,
}

/// What was found in the file.
enum Found {
    /// More of it.
    More,
    /// Nothing new.
    Nothing,
    /// It is no longer what it was.
    Truncated,
}

enum Read {
    Bytes(Vec<u8>),
    Nothing(u64, SystemTime),
    Truncated,
}

impl Shipper {
    /// Goes on where the entry says.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn new(shared: Arc<Shared>, entry: Entry, file: File, is_copy: bool) -> io::Result<Self> {
        let lines = Lines::new(entry.offset, entry.forced.iter().copied(), trail(&file, entry.offset)?);
        let now = Instant::now();
        Ok(Self {
            shared,
            lines,
            last: entry.acked,
            entry,
            file: Arc::new(file),
            is_copy,
            pending: VecDeque::new(),
            in_flight: VecDeque::new(),
            seen: None,
            grown_at: now,
            aside_since: None,
            kept_at: now,
            is_dirty: false,
            truncated: false,
            refused: 0,
        })
    }

    /// Tails it until it is over.
    pub async fn run(mut self, stop: CancellationToken) -> Outcome {
        loop {
            match self.wait_for_lines(&stop).await {
                Ok(None) => {}
                Ok(Some(outcome)) => return outcome,
                Err(error) => {
                    tracing::warn!(file = self.entry.shown, %error, "the file cannot be read; trying again");
                    if stop.run_until_cancelled(tokio::time::sleep(KEEP_EVERY)).await.is_none() {
                        return Outcome::Stopped;
                    }
                    continue;
                }
            }
            let shared = Arc::clone(&self.shared);
            let Some(Ok(_connection)) = stop.run_until_cancelled(shared.connections.acquire()).await else {
                return Outcome::Stopped;
            };
            match self.converse(&stop).await {
                Ok(()) => {}
                Err(SendError::Stopped) => return Outcome::Stopped,
                Err(error) => return Outcome::Failed(error),
            }
            if self.truncated {
                return self.cut_off().await;
            }
        }
    }

    /// Waits until there is a line to send; an outcome where there will be none.
    async fn wait_for_lines(&mut self, stop: &CancellationToken) -> io::Result<Option<Outcome>> {
        while self.pending.is_empty() {
            match self.look().await? {
                Found::More => {}
                Found::Truncated => return Ok(Some(self.cut_off().await)),
                Found::Nothing if self.is_over() => {
                    self.entry.finished = true;
                    self.keep().await;
                    return Ok(Some(Outcome::Finished(self.entry.clone())));
                }
                Found::Nothing => {
                    if stop.run_until_cancelled(tokio::time::sleep(POLL)).await.is_none() {
                        return Ok(Some(Outcome::Stopped));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Sends lines on a connection until there are none for a while and all are acknowledged.
    async fn converse(&mut self, stop: &CancellationToken) -> Result<(), SendError> {
        let options = SenderOptions {
            stream: self.entry.stream.clone(),
            acked: self.entry.acked,
            fields: [("file".to_owned(), self.entry.shown.clone())].into(),
            ..self.shared.options.clone()
        };
        let (feed, taken) = mpsc::channel(64);
        let mut feed = Some(feed);
        let progress = Arc::new(Progress::default());
        let (its_progress, its_stop) = (Arc::clone(&progress), stop.clone());
        let sending = telemetry::spawn("agent-tail", async move {
            sender::run(&options, taken, &its_progress, &its_stop).await
        });
        let mut sending = AbortOnDropHandle::new(sending);
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut look_at, mut line_at) = (Instant::now(), Instant::now());
        let outcome = loop {
            let can_look = feed.is_some() && self.pending.is_empty();
            let can_feed = !self.pending.is_empty();
            let mut is_done = false;
            tokio::select! {
                biased;
                outcome = &mut sending => break outcome,
                _ = ticks.tick() => {
                    self.note(&progress);
                    if self.is_dirty && self.kept_at.elapsed() >= KEEP_EVERY {
                        self.keep().await;
                    }
                }
                Some(Ok(permit)) = reserve(feed.as_ref()), if can_feed => {
                    if let Some(line) = self.pending.pop_front() {
                        permit.send(line.bytes);
                        line_at = Instant::now();
                    }
                }
                () = tokio::time::sleep_until(look_at), if can_look => match self.look().await {
                    Ok(Found::More) => look_at = Instant::now(),
                    Ok(Found::Nothing) => {
                        look_at = Instant::now() + POLL;
                        self.note(&progress);
                        let others_wait = self.shared.connections.available_permits() == 0;
                        let patience = if others_wait { POLL } else { IDLE };
                        // One that is over has nothing to wait for.
                        let over = self.is_over();
                        is_done = self.in_flight.is_empty() && (over || line_at.elapsed() >= patience);
                    }
                    Ok(Found::Truncated) => {
                        self.truncated = true;
                        is_done = true;
                    }
                    Err(error) => {
                        tracing::warn!(file = self.entry.shown, %error, "the file cannot be read; trying again");
                        look_at = Instant::now() + KEEP_EVERY;
                    }
                },
            }
            if is_done {
                // The sender ends once the last line is acknowledged.
                feed = None;
            }
        };
        self.note(&progress);
        if self.is_dirty {
            self.keep().await;
        }
        outcome.unwrap_or(Err(SendError::Stopped))
    }

    /// Takes in what the server has acknowledged.
    fn note(&mut self, progress: &Progress) {
        let acked = progress.acked.load(Ordering::Relaxed);
        while let Some((sequence, end)) = self.in_flight.front().copied()
            && sequence <= acked
        {
            self.in_flight.pop_front();
            (self.entry.acked, self.entry.offset) = (sequence, end);
            self.is_dirty = true;
        }
        if self.is_dirty && self.in_flight.is_empty() {
            // Blank lines behind the last have no sequence.
            self.entry.offset = self.lines.start();
        }
        let refused = progress.refused.swap(0, Ordering::Relaxed);
        if refused > 0 {
            self.refused += refused;
            metrics::counter!("qgx_agent_refused_lines_total").increment(refused);
            tracing::warn!(
                file = self.entry.shown,
                lines = self.refused,
                "lines were refused for good and are passed over"
            );
        }
    }

    /// Keeps the position, where the file is still what it was: else the older one finds the copy.
    async fn keep(&mut self) {
        let (mut entry, file, ledger) =
            (self.entry.clone(), Arc::clone(&self.file), self.shared.ledger.clone());
        entry.forced.retain(|at| *at > entry.offset);
        let kept = telemetry::spawn_blocking_named("agent-ledger", move || {
            if entry.remark(&file)? {
                ledger.save(&entry)?;
            }
            io::Result::Ok(entry)
        });
        self.kept_at = Instant::now();
        match kept.await {
            Ok(Ok(entry)) => (self.entry, self.is_dirty) = (entry, false),
            Ok(Err(error)) => {
                tracing::error!(file = self.entry.shown, %error, "the position cannot be kept");
            }
            Err(_) => {}
        }
    }

    /// The file was truncated, and all that was read of it is acknowledged.
    async fn cut_off(&mut self) -> Outcome {
        if self.in_flight.is_empty() {
            self.entry.offset = self.lines.start();
            self.entry.tail = Mark::of(self.lines.trail_at_start());
            let (entry, ledger) = (self.entry.clone(), self.shared.ledger.clone());
            let kept = telemetry::spawn_blocking_named("agent-ledger", move || ledger.save(&entry));
            if let Ok(Err(error)) = kept.await {
                tracing::error!(file = self.entry.shown, %error, "the position cannot be kept");
            }
        }
        Outcome::Truncated(self.entry.clone())
    }

    /// Whether nothing more will come: it is a copy, or was put aside, and has been quiet.
    fn is_over(&self) -> bool {
        if !self.pending.is_empty() || !self.in_flight.is_empty() || self.lines.is_partial() {
            return false;
        }
        self.is_copy || self.is_left()
    }

    /// It was put aside, and its writer has left it.
    fn is_left(&self) -> bool {
        let quiet = self.shared.habits.aside;
        self.aside_since.is_some_and(|since| since.elapsed() >= quiet && self.grown_at.elapsed() >= quiet)
    }

    /// Reads on.
    async fn look(&mut self) -> io::Result<Found> {
        let (file, position, seen) = (Arc::clone(&self.file), self.lines.position(), self.seen);
        let (head, before) = (self.entry.head.clone(), self.lines.trail().to_vec());
        let path = self.entry.path.clone();
        let place = self.entry.place;
        let looked = telemetry::spawn_blocking_named("agent-read", move || {
            let aside = fs::metadata(&path).map_or(true, |meta| Place::of(&meta) != place);
            io::Result::Ok((read(&file, position, seen, &head, &before)?, aside))
        });
        let Ok(looked) = looked.await else { return Err(io::ErrorKind::Interrupted.into()) };
        let (read, aside): (Read, bool) = looked?;
        match (aside, self.aside_since) {
            (true, None) => self.aside_since = Some(Instant::now()),
            (false, Some(_)) => self.aside_since = None,
            _ => {}
        }
        match read {
            Read::Truncated => Ok(Found::Truncated),
            Read::Bytes(bytes) => {
                self.grown_at = Instant::now();
                self.seen = None;
                let mut cut = Vec::new();
                self.lines.push(&bytes, &mut cut);
                self.number(cut);
                Ok(Found::More)
            }
            Read::Nothing(size, changed) => {
                self.seen = Some((size, changed));
                let patience = if self.is_copy { POLL } else { self.shared.habits.partial };
                if self.lines.is_partial() && self.grown_at.elapsed() >= patience {
                    self.force().await?;
                }
                Ok(Found::Nothing)
            }
        }
    }

    /// Ends a line that has no newline. Where it ends is kept before it is sent, so that it is cut there again.
    async fn force(&mut self) -> io::Result<()> {
        self.entry.forced.push(self.lines.position());
        let (entry, ledger) = (self.entry.clone(), self.shared.ledger.clone());
        let kept = telemetry::spawn_blocking_named("agent-ledger", move || ledger.save(&entry));
        if let Ok(Err(error)) = kept.await {
            self.entry.forced.pop();
            return Err(error);
        }
        let line = self.lines.force();
        self.number(line);
        Ok(())
    }

    fn number(&mut self, cut: impl IntoIterator<Item = Line>) {
        for line in cut {
            self.last += 1;
            self.in_flight.push_back((self.last, line.end));
            self.pending.push_back(line);
        }
    }
}

async fn reserve(
    feed: Option<&mpsc::Sender<bytes::Bytes>>,
) -> Option<Result<mpsc::Permit<'_, bytes::Bytes>, mpsc::error::SendError<()>>> {
    Some(feed?.reserve().await)
}

/// Reads on from a position, unless the file is no longer what it was. What it was is looked at after reading: it may be
/// truncated and written anew meanwhile.
fn read(
    file: &File,
    position: u64,
    seen: Option<(u64, SystemTime)>,
    head: &Mark,
    before: &[u8],
) -> io::Result<Read> {
    let meta = file.metadata()?;
    let (size, changed) = (meta.len(), meta.modified()?);
    if size == position && seen == Some((size, changed)) {
        return Ok(Read::Nothing(size, changed));
    }
    let bytes = if size > position { read_at(file, position, CHUNK)? } else { Vec::new() };
    let from = position - before.len() as u64;
    let is_same = size >= position && head.stands(file, 0)? && read_at(file, from, before.len())? == before;
    if !is_same || file.metadata()?.len() < position + bytes.len() as u64 {
        return Ok(Read::Truncated);
    }
    Ok(if bytes.is_empty() { Read::Nothing(size, changed) } else { Read::Bytes(bytes) })
}
