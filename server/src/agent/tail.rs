//! `--tail`: finds the files, knows them again after rotation and restarts, and keeps a [`Shipper`] on each.

use super::ledger::{Entry, Ledger, Watched, now_secs};
use super::mark::{HEAD, Mark, Place, trail};
use super::rotation::{is_archive, is_aside_of};
use super::shipper::{Habits, Outcome, Shared, Shipper};
use crate::client::{SendError, SenderOptions};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often files are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is kept when they were looked for.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// How long the rest of a file is looked for that is not where it was.
const SEARCH: Duration = Duration::from_secs(60);
/// How long files are remembered that are gone, in seconds.
const REMEMBER_SECS: u64 = 7 * 86_400;
/// How exact times of files are, in seconds.
const CLOCK_SLACK: u64 = 2;
/// Files that have a connection at a time; idle ones need none.
const CONNECTIONS: usize = 64;

/// What to tail.
#[derive(Debug, Clone)]
pub struct TailOptions {
    /// Paths or patterns (`*`, `?`, `[…]`, `**`).
    pub patterns: Vec<String>,
    /// Also what stands already in files that are there at the very first start.
    pub from_start: bool,
    /// How files are tailed.
    pub habits: Habits,
}

/// Tails until stopped.
///
/// # Errors
/// Where the server refuses the credential, or the state directory cannot be used.
pub async fn run(
    options: TailOptions,
    sender: SenderOptions,
    state: PathBuf,
    stop: CancellationToken,
) -> Result<(), TailError> {
    let shared = Arc::new(Shared {
        options: sender,
        ledger: Ledger::open(state)?,
        habits: options.habits.clone(),
        connections: Semaphore::new(CONNECTIONS),
    });
    let mut tails = Tails::new(shared, options)?;
    let mut shippers = JoinSet::new();
    loop {
        // Looking for files blocks for some milliseconds.
        let looked = telemetry::spawn_blocking_named("agent-look", move || {
            let found = tails.look();
            (tails, found)
        });
        let Ok((back, found)) = looked.await else { return Ok(()) };
        tails = back;
        match found {
            Ok(found) => {
                for shipper in found {
                    shippers.spawn(telemetry::spawn("agent-file", shipper.run(stop.clone())));
                }
            }
            Err(error) => tracing::error!(%error, "files cannot be looked for"),
        }
        let pause = tokio::time::sleep(LOOK_EVERY);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    while shippers.join_next().await.is_some() {}
                    return Ok(());
                }
                () = &mut pause => break,
                Some(ended) = shippers.join_next() => match ended.ok().and_then(Result::ok) {
                    Some(Outcome::Finished(entry)) => tails.ended(entry, State::Finished),
                    Some(Outcome::Truncated(entry)) => tails.ended(entry, State::Sought(Instant::now())),
                    Some(Outcome::Failed(error)) => return Err(error.into()),
                    Some(Outcome::Stopped) | None => {}
                },
            }
        }
    }
}

/// Why tailing ended.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The server will not have it.
    #[error(transparent)]
    Refused(#[from] SendError),
    /// The state directory cannot be used.
    #[error("the state directory cannot be used: {0}")]
    State(#[from] io::Error),
    /// A pattern is wrong.
    #[error("{0:?} is no pattern: {1}")]
    Pattern(String, String),
}

struct Tails {
    shared: Arc<Shared>,
    options: TailOptions,
    /// By stream.
    known: BTreeMap<String, Known>,
    watched: Watched,
    kept_at: Option<Instant>,
}

struct Known {
    /// As it was when its shipper began, or ended.
    entry: Entry,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A shipper has it.
    Tailed,
    /// It is not where it was, since then.
    Sought(Instant),
    /// It is over.
    Finished,
}

/// A file that an entry goes on in.
struct GoesOn {
    file: File,
    place: Place,
    is_copy: bool,
}

impl Tails {
    fn new(shared: Arc<Shared>, options: TailOptions) -> Result<Self, TailError> {
        for pattern in &options.patterns {
            glob::Pattern::new(pattern)
                .map_err(|error| TailError::Pattern(pattern.clone(), error.to_string()))?;
        }
        let watched = shared.ledger.watched()?;
        let mut known = BTreeMap::new();
        for entry in shared.ledger.entries()? {
            if entry.finished && entry.changed_at + REMEMBER_SECS < now_secs() && is_gone(&entry) {
                shared.ledger.forget(&entry.stream)?;
                continue;
            }
            let state = if entry.finished { State::Finished } else { State::Sought(Instant::now()) };
            known.insert(entry.stream.clone(), Known { entry, state });
        }
        Ok(Self { shared, options, known, watched, kept_at: None })
    }

    fn ended(&mut self, entry: Entry, state: State) {
        self.known.insert(entry.stream.clone(), Known { entry, state });
    }

    /// Looks for files; answers those to be read from now on.
    fn look(&mut self) -> io::Result<Vec<Shipper>> {
        let mut found = self.seek()?;
        let now = now_secs();
        for pattern in self.options.patterns.clone() {
            let before = self.watched.get(&pattern).copied();
            let at_end = before.is_none() && !self.options.from_start;
            // Checked at the start.
            for path in glob::glob(&pattern).into_iter().flatten().flatten() {
                self.consider(&path, at_end, &mut found);
            }
            if let Some(before) = before
                && !pattern.contains(['*', '?', '['])
            {
                for path in put_aside_since(Path::new(&pattern), before.saturating_sub(CLOCK_SLACK)) {
                    self.consider(&path, false, &mut found);
                }
            }
            self.watched.insert(pattern, now);
        }
        if self.kept_at.is_none_or(|at| at.elapsed() >= KEEP_EVERY) {
            self.shared.ledger.save_watched(&self.watched)?;
            self.kept_at = Some(Instant::now());
        }
        Ok(found)
    }

    /// Looks for what is not where it was.
    fn seek(&mut self) -> io::Result<Vec<Shipper>> {
        let mut found = Vec::new();
        let sought = self.known.iter().filter_map(|(stream, known)| match known.state {
            State::Sought(since) => Some((stream.clone(), since)),
            _ => None,
        });
        for (stream, since) in sought.collect::<Vec<_>>() {
            let Some(Known { entry, .. }) = self.known.get(&stream) else { continue };
            let mut entry = entry.clone();
            if let Some(goes_on) = self.locate(&entry) {
                if entry.place != goes_on.place {
                    tracing::info!(file = entry.shown, "the rest of the file is read from a copy of it");
                    entry.place = goes_on.place;
                    self.shared.ledger.save(&entry)?;
                }
                found.extend(self.tail(entry, goes_on.file, goes_on.is_copy));
            } else if since.elapsed() >= SEARCH {
                tracing::warn!(
                    file = entry.shown,
                    offset = entry.offset,
                    "the file is gone, or was truncated, and no copy of it is there: what was not read of it is lost"
                );
                metrics::counter!("qgx_agent_lost_files_total").increment(1);
                entry.finished = true;
                self.shared.ledger.save(&entry)?;
                self.ended(entry, State::Finished);
            }
        }
        Ok(found)
    }

    /// Where an entry goes on: in its file, wherever that is now, or in a copy of it.
    fn locate(&self, entry: &Entry) -> Option<GoesOn> {
        let others = entry.path.parent().and_then(|folder| fs::read_dir(folder).ok());
        let others = others.into_iter().flatten().flatten().map(|other| other.path());
        let mut copies: Vec<(u64, GoesOn)> = Vec::new();
        for path in std::iter::once(entry.path.clone()).chain(others) {
            let Ok(meta) = fs::metadata(&path) else { continue };
            let place = Place::of(&meta);
            let is_copy = place != entry.place;
            let may_be_copy = entry.head.length > 0
                && is_aside_of(&path, &entry.path)
                && !is_archive(&path)
                && !self.is_tailed(place);
            if !meta.is_file() || (is_copy && !may_be_copy) {
                continue;
            }
            let Ok(file) = File::open(&path) else { continue };
            if !entry.fits(&file).unwrap_or(false) {
                continue;
            }
            if !is_copy {
                return Some(GoesOn { file, place, is_copy });
            }
            copies.push((meta.len(), GoesOn { file, place, is_copy }));
        }
        copies.into_iter().max_by_key(|(length, _)| *length).map(|(_, copy)| copy)
    }

    fn is_tailed(&self, place: Place) -> bool {
        self.known.values().any(|known| known.state == State::Tailed && known.entry.place == place)
    }

    /// A file that a pattern names.
    fn consider(&mut self, path: &Path, at_end: bool, found: &mut Vec<Shipper>) {
        if let Err(error) = self.try_consider(path, at_end, found)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %path.display(), %error, "the file cannot be read");
        }
    }

    fn try_consider(&mut self, path: &Path, at_end: bool, found: &mut Vec<Shipper>) -> io::Result<()> {
        let real = fs::canonicalize(path)?;
        let meta = fs::metadata(&real)?;
        let place = Place::of(&meta);
        if !meta.is_file() || meta.len() == 0 || is_archive(&real) || self.is_tailed(place) {
            return Ok(());
        }
        let Some(shown) = path.to_str().filter(|_| real.to_str().is_some()) else { return Ok(()) };
        let file = File::open(&real)?;
        let same_place = self.known.values().filter(|known| known.entry.place == place);
        for known in same_place.map(|known| (known.entry.clone(), known.state)).collect::<Vec<_>>() {
            let (mut entry, state) = known;
            if !entry.fits(&file)? {
                continue;
            }
            if state == State::Finished && meta.len() > entry.offset {
                entry.finished = false;
                self.shared.ledger.save(&entry)?;
                found.extend(self.tail(entry, file, false));
            }
            return Ok(());
        }
        if self.is_copy_of_known(&real, &file, meta.len())? {
            return Ok(());
        }
        let offset = if at_end { meta.len() } else { 0 };
        let entry = Entry {
            stream: super::new_stream("tail"),
            path: real,
            shown: shown.to_owned(),
            place,
            head: Mark::of_head(&file, meta.len().min(HEAD as u64))?,
            tail: Mark::of(&trail(&file, offset)?),
            acked: 0,
            offset,
            forced: Vec::new(),
            finished: false,
            changed_at: 0,
        };
        // Before the first line of its stream is sent: another run must go on with the same stream.
        self.shared.ledger.save(&entry)?;
        tracing::info!(file = entry.shown, offset, "tailing");
        found.extend(self.tail(entry, file, false));
        Ok(())
    }

    /// Whether a new file is what copying and truncating has put aside: its lines are, or will be, read as those of the
    /// file that they were written to.
    fn is_copy_of_known(&mut self, path: &Path, file: &File, length: u64) -> io::Result<bool> {
        let mut revived = None;
        let mut is_copy = false;
        for (stream, Known { entry, state }) in &self.known {
            let related = entry.head.length > 0
                && entry.path.parent() == path.parent()
                && is_aside_of(path, &entry.path)
                && length >= entry.head.length as u64;
            if !related || !entry.head.stands(file, 0)? {
                continue;
            }
            if length < entry.offset {
                is_copy = true;
            } else if entry.tail.stands(file, entry.offset - entry.tail.length as u64)? {
                is_copy = true;
                if *state == State::Finished && length > entry.offset {
                    revived = Some(stream.clone());
                }
            }
        }
        if let Some(known) = revived.and_then(|stream| self.known.get_mut(&stream)) {
            known.entry.finished = false;
            known.state = State::Sought(Instant::now());
        }
        Ok(is_copy)
    }

    fn tail(&mut self, entry: Entry, file: File, is_copy: bool) -> Option<Shipper> {
        let shipper = Shipper::new(Arc::clone(&self.shared), entry.clone(), file, is_copy);
        match shipper {
            Ok(shipper) => {
                self.ended(entry, State::Tailed);
                Some(shipper)
            }
            Err(error) => {
                tracing::warn!(file = entry.shown, %error, "the file cannot be read");
                self.ended(entry, State::Sought(Instant::now()));
                None
            }
        }
    }
}

/// Whether no file lies where the entry says, as far as its folder tells.
fn is_gone(entry: &Entry) -> bool {
    let others = entry.path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let mut others = others.into_iter().flatten().flatten();
    !others.any(|other| other.metadata().is_ok_and(|meta| Place::of(&meta) == entry.place))
}

/// Files that rotation put aside under a name of this file, and that were written to since an instant: more than one
/// rotation may pass between two looks.
fn put_aside_since(path: &Path, since: u64) -> Vec<PathBuf> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let others = real.parent().and_then(|folder| fs::read_dir(folder).ok());
    let others = others.into_iter().flatten().flatten().filter(|other| {
        let changed = other.metadata().and_then(|meta| meta.modified()).ok();
        let changed = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |at| at.as_secs());
        changed >= since && is_aside_of(&other.path(), &real)
    });
    others.map(|other| other.path()).collect()
}

#[cfg(test)]
mod tests;
