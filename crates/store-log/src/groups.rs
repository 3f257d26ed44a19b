//! What the consumer groups have committed: a small file, written anew within a fraction of a second of a change.
//!
//! `groups` is text: a line `group TAB topic TAB partition TAB next offset` each, then `crc TAB` and the CRC32C of the
//! lines before in hexadecimal. It is written beside and renamed, so that it is old or new, never torn. `reserve` is
//! room kept for that: on a full disk it is given up, because only what is noted as consumed may be removed.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use store::broker::{BrokerError, Offset, Partition, Topic};

use crate::disk::{Disk, is_full, sync_dir};

/// How long changes are gathered; well within the second that the contract gives.
const GATHER: Duration = Duration::from_millis(200);
/// Bytes of the reserve: the file is a few lines a group.
const RESERVE: usize = 64 * 1024;

type Offsets = BTreeMap<(String, Topic, Partition), Offset>;

/// The committed offsets of all groups.
pub struct Groups {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while the file is written, so that an older state never replaces a newer one.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    now: Offsets,
    /// What the file says: retention goes by this.
    durable: Offsets,
    dirty: bool,
    closing: bool,
}

impl Groups {
    /// Reads the file of a log's folder; none is no groups.
    pub fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Arc<Self>, BrokerError> {
        let path = dir.join("groups");
        let now = match fs::read_to_string(&path) {
            Ok(text) => parse(&text).ok_or_else(|| {
                BrokerError::Failed(format!(
                    "{} is damaged; move it away to start groups at 0",
                    path.display()
                ))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Offsets::new(),
            Err(error) => return Err(BrokerError::Failed(format!("{}: {error}", path.display()))),
        };
        let state = State { durable: now.clone(), now, ..State::default() };
        let groups =
            Self { path, disk, state: Mutex::new(state), changed: Condvar::new(), writing: Mutex::new(()) };
        groups.keep_reserve();
        Ok(Arc::new(groups))
    }

    /// Notes what a group has done.
    pub fn commit(
        &self,
        group: &str,
        topic: Topic,
        partition: Partition,
        next: Offset,
    ) -> Result<(), BrokerError> {
        if group.is_empty() || group.chars().any(char::is_control) {
            return Err(BrokerError::Failed(format!("not a name of a group: {group:?}")));
        }
        let mut state = self.state.lock();
        let known = state.now.insert((group.to_owned(), topic, partition), next);
        if known != Some(next) && !state.dirty {
            state.dirty = true;
            self.changed.notify_one();
        }
        Ok(())
    }

    /// What a group has committed; 0 where it never did.
    pub fn committed(&self, group: &str, topic: Topic, partition: Partition) -> Offset {
        self.state.lock().now.get(&(group.to_owned(), topic, partition)).copied().unwrap_or(0)
    }

    /// The first offset of each partition that some group may still read after a crash. Without groups all events are
    /// needed, by one that is still to come, and dead letters by nobody: `None`.
    pub fn needed(&self, topic: Topic, partitions: u32) -> Option<Vec<Offset>> {
        let state = self.state.lock();
        // A group that only the memory knows is one as well; it has nothing durable yet.
        let mut names: Vec<&str> =
            state.now.keys().filter(|(_, of, _)| *of == topic).map(|(group, ..)| group.as_str()).collect();
        names.dedup();
        let needed = |partition| {
            let durable = |group: &&str| {
                state.durable.get(&((*group).to_owned(), topic, partition)).copied().unwrap_or(0)
            };
            names.iter().map(durable).min().unwrap_or(0)
        };
        let read = topic == Topic::Events || !names.is_empty();
        read.then(|| (0..partitions).map(needed).collect())
    }

    /// What the file says.
    pub fn durable_text(&self) -> String {
        render(&self.state.lock().durable)
    }

    /// Makes everything committed so far durable.
    pub fn flush(&self) -> io::Result<()> {
        let _writing = self.writing.lock();
        let now = {
            let mut state = self.state.lock();
            if !state.dirty {
                return Ok(());
            }
            state.dirty = false;
            state.now.clone()
        };
        let written = self.write(&now);
        let mut state = self.state.lock();
        match &written {
            Ok(()) => state.durable = now,
            Err(_) => state.dirty = true,
        }
        written
    }

    fn write(&self, offsets: &Offsets) -> io::Result<()> {
        let written = match self.replace(offsets) {
            Err(error) if is_full(&error) && self.disk.remove(&self.reserve()).is_ok() => {
                self.replace(offsets)
            }
            written => written,
        };
        if written.is_ok() {
            self.keep_reserve();
        }
        written
    }

    fn reserve(&self) -> PathBuf {
        self.path.with_file_name("reserve")
    }

    /// Makes the reserve where it is not there. Without room for it there is none until the next write.
    fn keep_reserve(&self) {
        let path = self.reserve();
        if path.exists() {
            return;
        }
        let made = self.disk.create(&path).and_then(|mut file| {
            file.write_at(&[0; RESERVE], 0)?;
            file.sync()
        });
        if let Err(error) = made {
            tracing::warn!(%error, "no room could be reserved for the offsets of consumer groups");
            // Half a reserve would stop it from being made later.
            let _ = self.disk.remove(&path);
        }
    }

    fn replace(&self, offsets: &Offsets) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = self.disk.create(&beside)?;
        file.write_at(render(offsets).as_bytes(), 0)?;
        file.sync()?;
        fs::rename(&beside, &self.path)?;
        self.path.parent().map_or(Ok(()), sync_dir)
    }

    /// Writes changes until [`Self::close`].
    pub fn keep(self: Arc<Self>) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new().name("log-groups".to_owned()).spawn(move || {
            while self.wait_for_change() {
                if let Err(error) = self.flush() {
                    tracing::error!(%error, "the offsets of consumer groups could not be written");
                }
            }
        })
    }

    /// `false` where it is time to stop.
    fn wait_for_change(&self) -> bool {
        let mut state = self.state.lock();
        while !state.dirty && !state.closing {
            self.changed.wait(&mut state);
        }
        self.gather(&mut state);
        !state.closing
    }

    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        let until = Instant::now() + GATHER;
        while !state.closing && !self.changed.wait_until(state, until).timed_out() {}
    }

    /// Ends the thread of [`Self::keep`].
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_one();
    }
}

fn render(offsets: &Offsets) -> String {
    let mut text = String::new();
    for ((group, topic, partition), next) in offsets {
        text.push_str(&format!("{group}\t{}\t{partition}\t{next}\n", topic.name()));
    }
    let crc = crc32c::crc32c(text.as_bytes());
    text.push_str(&format!("crc\t{crc:08x}\n"));
    text
}

fn parse(text: &str) -> Option<Offsets> {
    let (lines, crc) = text.strip_suffix('\n')?.rsplit_once("crc\t")?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(lines.as_bytes()) {
        return None;
    }
    let line = |line: &str| {
        let mut parts = line.split('\t');
        let group = parts.next()?.to_owned();
        let topic = parts.next()?;
        let topic = Topic::ALL.into_iter().find(|it| it.name() == topic)?;
        Some(((group, topic, parts.next()?.parse().ok()?), parts.next()?.parse().ok()?))
    };
    lines.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FileSystem;

    #[test]
    fn the_file_is_whole_or_refused() {
        let offsets: Offsets = [
            (("처리 1".to_owned(), Topic::Events, 3), 42),
            (("crc".to_owned(), Topic::DeadLetters, 0), u64::MAX),
        ]
        .into();
        let text = render(&offsets);
        assert_eq!(parse(&text), Some(offsets));
        assert_eq!(parse(&render(&Offsets::new())), Some(Offsets::new()));
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(parse(&text[..at]), None, "torn at {at}");
        }
        assert_eq!(parse(&text.replace("42", "43")), None);
    }

    #[test]
    fn retention_goes_by_what_is_durable() {
        let dir = tempfile::tempdir().unwrap();
        let groups = Groups::open(dir.path(), Arc::new(FileSystem)).unwrap();
        assert_eq!(groups.needed(Topic::Events, 2), Some(vec![0, 0]), "for a group that is still to come");
        groups.commit("processor", Topic::Events, 0, 10).unwrap();
        groups.commit("processor", Topic::Events, 1, 20).unwrap();
        assert_eq!(groups.committed("processor", Topic::Events, 0), 10);
        assert_eq!(groups.needed(Topic::Events, 2), Some(vec![0, 0]));
        groups.flush().unwrap();
        groups.commit("late", Topic::Events, 1, 15).unwrap();
        groups.flush().unwrap();
        assert_eq!(groups.needed(Topic::Events, 2), Some(vec![0, 15]));
        assert_eq!(groups.needed(Topic::DeadLetters, 2), None);

        let again = Groups::open(dir.path(), Arc::new(FileSystem)).unwrap();
        assert_eq!(again.needed(Topic::Events, 2), Some(vec![0, 15]));
        assert!(groups.commit("a\tb", Topic::Events, 0, 1).is_err());
    }
}
