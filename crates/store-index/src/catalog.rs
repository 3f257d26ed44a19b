//! The indexes on storage: found at start by their directories' names, opened when first needed.

use crate::error::{cannot_open, failed, is_damage};
use crate::mark::Mark;
use crate::options::IndexOptions;
use crate::schema::layout;
use crate::tokenizer::{NAME, TextTokenizer};
use domain::{TimeRange, Timestamp};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::index::{IndexError, IndexName};
use tantivy::directory::MmapDirectory;
use tantivy::index::IndexSettings;
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};
use tantivy::{Index, IndexReader, ReloadPolicy, Searcher};

/// A directory that is on its way out; what a crash left of it is removed at the next start.
const DROPPED: &str = "dropped-";
/// A directory that could not be opened, kept for people to look at.
const DAMAGED: &str = "damaged-";

/// All indexes.
pub(crate) struct Catalog {
    dir: PathBuf,
    max_readers: usize,
    entries: RwLock<BTreeMap<IndexName, Arc<Entry>>>,
    /// Counts uses, to know the longest unused reader.
    clock: AtomicU64,
}

/// One index. Its state is locked before the list of entries where both are, never the other way round.
pub(crate) struct Entry {
    pub name: IndexName,
    pub path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mark: Option<Arc<Mark>>,
    reader: Option<IndexReader>,
    used: u64,
    /// Dropped or set aside: reads that listed it before find nothing in it, and its name may be another's.
    gone: bool,
}

/// An index as a read sees it: it stays as it is, whatever is written or merged meanwhile.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub searcher: Searcher,
}

impl Catalog {
    /// Lists the indexes; opens none.
    pub fn list(dir: &Path, options: &IndexOptions) -> Result<Self, IndexError> {
        std::fs::create_dir_all(dir).map_err(failed)?;
        remove_dropped(dir)?;
        let mut entries = BTreeMap::new();
        for found in std::fs::read_dir(dir).map_err(failed)? {
            let found = found.map_err(failed)?;
            let file_name = found.file_name();
            let Some(file_name) = file_name.to_str() else { continue };
            if let Some(name) = IndexName::parse(file_name) {
                entries.insert(name, Arc::new(Entry::new(name, found.path())));
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            max_readers: options.max_readers.max(1),
            entries: RwLock::new(entries),
            clock: AtomicU64::new(0),
        })
    }

    /// Every index, oldest first within class and group.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.read().values().cloned().collect()
    }

    /// Opens an index for writing; makes it where there is none.
    pub fn open_for_writing(&self, name: IndexName) -> Result<(Arc<Entry>, Index, Mark), IndexError> {
        loop {
            let entry = self.entry(name);
            let mut state = entry.state.lock();
            if state.gone {
                continue;
            }
            match open_or_make(&entry.path).and_then(|index| Ok((index, Mark::read(&entry.path)?))) {
                Ok((index, mark)) => {
                    drop(state);
                    return Ok((entry, index, mark.unwrap_or_default()));
                }
                Err(error) if is_damage(&error) => {
                    self.set_aside(&entry, &mut state, &error).map_err(failed)?
                }
                Err(error) => return Err(cannot_open(&entry.path, &error)),
            }
        }
    }

    fn entry(&self, name: IndexName) -> Arc<Entry> {
        let path = self.dir.join(name.to_string());
        self.entries.write().entry(name).or_insert_with(|| Arc::new(Entry::new(name, path))).clone()
    }

    /// Notes a commit, so that the next read sees it.
    pub fn committed(&self, entry: &Entry, mark: Mark) -> Result<(), IndexError> {
        let mut state = entry.state.lock();
        if let Some(reader) = &state.reader {
            reader.reload().map_err(failed)?;
        }
        state.mark = Some(Arc::new(mark));
        Ok(())
    }

    /// What the last commit of an index says; `None` where there is none, or the index is damaged.
    pub fn mark(&self, entry: &Arc<Entry>) -> Result<Option<Arc<Mark>>, IndexError> {
        let mut state = entry.state.lock();
        if state.mark.is_none() && !state.gone {
            match Mark::read(&entry.path) {
                Ok(mark) => state.mark = mark.map(Arc::new),
                Err(error) => {
                    let error = tantivy::TantivyError::from(error);
                    if !is_damage(&error) {
                        return Err(failed(error));
                    }
                    // Moved or not, the other indexes are read; what failed is in the log.
                    let _ = self.set_aside(entry, &mut state, &error);
                    return Ok(None);
                }
            }
        }
        Ok(state.mark.clone())
    }

    /// How many segments an index has; `None` where it is gone or nothing was committed.
    pub fn segments(&self, entry: &Entry) -> Result<Option<u64>, IndexError> {
        let state = entry.state.lock();
        if state.gone || !entry.path.join("meta.json").exists() {
            return Ok(None);
        }
        let directory = MmapDirectory::open(&entry.path).map_err(failed)?;
        let index = Index::open(directory).map_err(|error| cannot_open(&entry.path, &error))?;
        Ok(Some(index.searchable_segment_ids().map_err(failed)?.len() as u64))
    }

    /// Snapshots of the indexes that may hold what a read asks for.
    pub fn snapshots(&self, wanted: impl Fn(&Mark) -> bool) -> Result<Vec<Snapshot>, IndexError> {
        let mut snapshots = Vec::new();
        for entry in self.entries() {
            snapshots.extend(self.snapshot(&entry, &wanted)?);
        }
        self.close_unused_readers();
        Ok(snapshots)
    }

    /// A snapshot of one index; `None` where it is not wanted, gone, or empty.
    pub fn snapshot(
        &self,
        entry: &Arc<Entry>,
        wanted: impl Fn(&Mark) -> bool,
    ) -> Result<Option<Snapshot>, IndexError> {
        if !self.mark(entry)?.is_some_and(|mark| wanted(&mark)) {
            return Ok(None);
        }
        Ok(self.searcher(entry)?.map(|searcher| Snapshot { searcher }))
    }

    /// Snapshots of the indexes whose events may lie in the window.
    pub fn snapshots_in(&self, range: TimeRange) -> Result<Vec<Snapshot>, IndexError> {
        self.snapshots(|mark| mark.overlaps(range))
    }

    fn searcher(&self, entry: &Arc<Entry>) -> Result<Option<Searcher>, IndexError> {
        let mut state = entry.state.lock();
        if state.gone {
            return Ok(None);
        }
        state.used = self.clock.fetch_add(1, Ordering::Relaxed);
        if let Some(reader) = &state.reader {
            return Ok(Some(reader.searcher()));
        }
        match open_reader(&entry.path) {
            Ok(reader) => {
                let searcher = reader.searcher();
                state.reader = Some(reader);
                Ok(Some(searcher))
            }
            Err(error) if is_damage(&error) => {
                // Moved or not, the other indexes are read; what failed is in the log.
                let _ = self.set_aside(entry, &mut state, &error);
                Ok(None)
            }
            Err(error) => Err(cannot_open(&entry.path, &error)),
        }
    }

    /// Closes the longest unused readers above the allowed number.
    pub fn close_unused_readers(&self) {
        let mut open = Vec::new();
        for entry in self.entries() {
            let state = entry.state.lock();
            if state.reader.is_some() {
                open.push((state.used, entry.clone()));
            }
        }
        if open.len() > self.max_readers {
            open.sort_by_key(|(used, _)| *used);
            for (_, entry) in &open[..open.len() - self.max_readers] {
                entry.state.lock().reader = None;
            }
        }
    }

    /// Takes an index that cannot be opened out of the way and says so; the others go on.
    fn set_aside(
        &self,
        entry: &Entry,
        state: &mut State,
        error: &tantivy::TantivyError,
    ) -> std::io::Result<()> {
        self.forget(entry, state);
        let nanos = Timestamp::now().as_nanos();
        let aside = self.dir.join(format!("{DAMAGED}{}-{nanos}", entry.name));
        let moved = std::fs::rename(&entry.path, &aside);
        tracing::error!(
            index = %entry.name,
            %error,
            moved_to = %aside.display(),
            move_failed = moved.as_ref().err().map(tracing::field::display),
            "an event index is damaged and was set aside: its events are not found; restore it from a backup",
        );
        metrics::counter!("qgx_index_damaged_total").increment(1);
        moved
    }

    /// Those who hold the entry find it gone; its name is free.
    fn forget(&self, entry: &Entry, state: &mut State) {
        *state = State { gone: true, ..State::default() };
        self.entries.write().remove(&entry.name);
    }

    /// Forgets an index and takes its directory out of the way, for [`Self::remove_dropped`]; whether there was one.
    pub fn drop_index(&self, name: IndexName) -> Result<bool, IndexError> {
        let Some(entry) = self.entries.read().get(&name).cloned() else { return Ok(false) };
        let mut state = entry.state.lock();
        if state.gone {
            return Ok(false);
        }
        // Renamed first: a crash amid the removal must not leave half an index under its name.
        match std::fs::rename(&entry.path, self.dropped(&name.to_string())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => self.forget(&entry, &mut state),
        }
        Ok(true)
    }

    /// Takes damaged indexes out of the way whose class keeps nothing of their period any more; returns their names.
    pub fn drop_damaged(&self, now: Timestamp) -> Result<Vec<String>, IndexError> {
        let mut dropped = Vec::new();
        for found in std::fs::read_dir(&self.dir).map_err(failed)? {
            let found = found.map_err(failed)?;
            let file_name = found.file_name().to_string_lossy().into_owned();
            if damaged_index(&file_name).is_some_and(|name| name.expires_at() < now) {
                std::fs::rename(found.path(), self.dropped(&file_name)).map_err(failed)?;
                dropped.push(file_name);
            }
        }
        Ok(dropped)
    }

    fn dropped(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{DROPPED}{name}-{}", Timestamp::now().as_nanos()))
    }

    /// Removes the files of what was dropped.
    pub fn remove_dropped(&self) -> Result<(), IndexError> {
        remove_dropped(&self.dir)
    }
}

fn remove_dropped(dir: &Path) -> Result<(), IndexError> {
    for found in std::fs::read_dir(dir).map_err(failed)? {
        let found = found.map_err(failed)?;
        if found.file_name().to_string_lossy().starts_with(DROPPED) {
            match std::fs::remove_dir_all(found.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Which index a directory that was set aside was.
fn damaged_index(file_name: &str) -> Option<IndexName> {
    let (name, _set_aside_at) = file_name.strip_prefix(DAMAGED)?.rsplit_once('-')?;
    IndexName::parse(name)
}

impl Entry {
    fn new(name: IndexName, path: PathBuf) -> Self {
        Self { name, path, state: Mutex::default() }
    }
}

fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(NAME, TextAnalyzer::from(TextTokenizer::default()));
    tokenizers
}

/// Makes the names in a directory durable.
pub(crate) fn sync(dir: &Path) -> std::io::Result<()> {
    std::fs::File::open(dir)?.sync_all()
}

fn open_or_make(path: &Path) -> tantivy::Result<Index> {
    if !path.exists() {
        std::fs::create_dir_all(path)?;
        if let Some(parent) = path.parent() {
            // The new name must be as durable as what will stand under it.
            sync(parent)?;
        }
    }
    // What is read as committed is gone on from, so it must stay: the process may have ended before it synced.
    sync(path)?;
    let settings = IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
    Index::builder()
        .schema(layout().schema.clone())
        .settings(settings)
        .tokenizers(tokenizers())
        .open_or_create(MmapDirectory::open(path)?)
}

fn open_reader(path: &Path) -> tantivy::Result<IndexReader> {
    let mut index = Index::open(MmapDirectory::open(path)?)?;
    if index.schema() != layout().schema {
        return Err(tantivy::TantivyError::SchemaError("made by another version".to_owned()));
    }
    index.set_tokenizers(tokenizers());
    // Reads cache blocks of their own: a block holds at least one event, which may be large.
    index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(0).try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aside(dir: &Path) -> usize {
        let names = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(DAMAGED)).count()
    }

    #[test]
    fn a_read_that_listed_an_index_before_it_went_finds_it_gone() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::list(dir.path(), &IndexOptions::default()).unwrap();
        let name = IndexName::parse("qgx-events-30d-g1-2026.11.20").unwrap();
        let (old, index, _) = catalog.open_for_writing(name).unwrap();
        drop(index);
        catalog.committed(&old, Mark { events: 1, ts: Some((0, 1)), ..Mark::default() }).unwrap();
        assert!(catalog.drop_index(name).unwrap());
        assert!(!catalog.drop_index(name).unwrap(), "it went once");

        // While the read is under way, the name is taken again.
        let (new, _index, _) = catalog.open_for_writing(name).unwrap();
        assert!(!Arc::ptr_eq(&old, &new));
        assert!(catalog.mark(&old).unwrap().is_none());
        assert!(catalog.searcher(&old).unwrap().is_none());
        assert!(catalog.snapshot(&old, |_| true).unwrap().is_none());
        assert_eq!(catalog.segments(&old).unwrap(), None);
        assert_eq!(aside(dir.path()), 0, "nothing is taken for damaged");
        assert!(new.path.join("meta.json").exists());
        catalog.remove_dropped().unwrap();
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "only the new index is left");
    }

    #[test]
    fn damaged_indexes_go_when_their_class_would_have_dropped_them() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::list(dir.path(), &IndexOptions::default()).unwrap();
        let damaged = "damaged-qgx-events-7d-g1-2026.11.20-1795176000000000000";
        for name in [damaged, "damaged-qgx-events-1y-g1-2026.11-1795176000000000000", "damaged-something"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let expires = IndexName::parse("qgx-events-7d-g1-2026.11.20").unwrap().expires_at();
        assert!(catalog.drop_damaged(expires).unwrap().is_empty());
        assert_eq!(catalog.drop_damaged(expires.plus_nanos(1)).unwrap(), [damaged]);
        assert_eq!(aside(dir.path()), 2);
    }
}
