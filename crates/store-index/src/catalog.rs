//! The indexes on storage: found at start by their directories' names, opened when first needed.

use crate::error::{failed, is_damage};
use crate::mark::Mark;
use crate::options::IndexOptions;
use crate::schema::layout;
use crate::tokenizer::{NAME, TextTokenizer};
use domain::TimeRange;
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

/// One index.
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
}

/// An index as a read sees it: it stays as it is, whatever is written or merged meanwhile.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub name: IndexName,
    pub searcher: Searcher,
}

impl Catalog {
    /// Lists the indexes; opens none.
    pub fn list(dir: &Path, options: &IndexOptions) -> Result<Self, IndexError> {
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut entries = BTreeMap::new();
        for found in std::fs::read_dir(dir).map_err(failed)? {
            let found = found.map_err(failed)?;
            let file_name = found.file_name();
            let Some(file_name) = file_name.to_str() else { continue };
            if file_name.starts_with(DROPPED) {
                std::fs::remove_dir_all(found.path()).map_err(failed)?;
            } else if let Some(name) = IndexName::parse(file_name) {
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
        let entry = self.entry(name);
        match open_or_make(&entry.path).and_then(|index| Ok((index, Mark::read(&entry.path)?))) {
            Ok((index, mark)) => Ok((entry, index, mark.unwrap_or_default())),
            Err(error) if is_damage(&error) => {
                self.set_aside(&entry, &error);
                let entry = self.entry(name);
                let index = open_or_make(&entry.path).map_err(failed)?;
                Ok((entry, index, Mark::default()))
            }
            Err(error) => Err(failed(error)),
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
        if state.mark.is_none() {
            match Mark::read(&entry.path) {
                Ok(mark) => state.mark = mark.map(Arc::new),
                Err(error) => {
                    let error = tantivy::TantivyError::from(error);
                    if !is_damage(&error) {
                        return Err(failed(error));
                    }
                    drop(state);
                    self.set_aside(entry, &error);
                    return Ok(None);
                }
            }
        }
        Ok(state.mark.clone())
    }

    /// Snapshots of the indexes that may hold what a read asks for.
    pub fn snapshots(&self, wanted: impl Fn(&Mark) -> bool) -> Result<Vec<Snapshot>, IndexError> {
        let mut snapshots = Vec::new();
        for entry in self.entries() {
            let Some(mark) = self.mark(&entry)? else { continue };
            if wanted(&mark)
                && let Some(searcher) = self.searcher(&entry)?
            {
                snapshots.push(Snapshot { name: entry.name, searcher });
            }
        }
        self.close_unused_readers();
        Ok(snapshots)
    }

    /// Snapshots of the indexes whose events may lie in the window.
    pub fn snapshots_in(&self, range: TimeRange) -> Result<Vec<Snapshot>, IndexError> {
        self.snapshots(|mark| mark.overlaps(range))
    }

    fn searcher(&self, entry: &Arc<Entry>) -> Result<Option<Searcher>, IndexError> {
        let mut state = entry.state.lock();
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
                drop(state);
                self.set_aside(entry, &error);
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn close_unused_readers(&self) {
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
    fn set_aside(&self, entry: &Entry, error: &tantivy::TantivyError) {
        self.entries.write().remove(&entry.name);
        let nanos = domain::Timestamp::now().as_nanos();
        let aside = self.dir.join(format!("{DAMAGED}{}-{nanos}", entry.name));
        let moved = std::fs::rename(&entry.path, &aside);
        tracing::error!(
            index = %entry.name,
            %error,
            moved_to = %aside.display(),
            move_failed = moved.err().map(tracing::field::display),
            "an event index is damaged and was set aside: its events are not found; restore it from a backup",
        );
        metrics::counter!("qgx_index_damaged_total").increment(1);
    }

    /// Forgets an index and removes its files.
    pub fn drop_index(&self, name: IndexName) -> Result<(), IndexError> {
        let Some(entry) = self.entries.write().remove(&name) else { return Ok(()) };
        // Renamed first: a crash amid the removal must not leave half an index under its name.
        let gone = self.dir.join(format!("{DROPPED}{name}-{}", domain::Timestamp::now().as_nanos()));
        std::fs::rename(&entry.path, &gone).map_err(failed)?;
        std::fs::remove_dir_all(&gone).map_err(failed)
    }
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

fn open_or_make(path: &Path) -> tantivy::Result<Index> {
    if !path.exists() {
        std::fs::create_dir_all(path)?;
        if let Some(parent) = path.parent() {
            // The new name must be as durable as what will stand under it.
            std::fs::File::open(parent)?.sync_all()?;
        }
    }
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
    index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(32).try_into()
}
