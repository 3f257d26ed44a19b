//! The index's files for a backup, taken beside writers and readers; and its events one by one.

use crate::catalog::sync;
use crate::error::failed;
use crate::index::{TantivyIndex, blocking};
use crate::stored::StoredJson;
use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use store::backup::{IndexCopy, IndexSnapshot, SnapshotFile};
use store::index::{IndexError, IndexName};
use tantivy::Directory;
use tantivy::directory::{META_LOCK, MmapDirectory};
use tokio::sync::mpsc;

/// What a commit consists of.
const META: &str = "meta.json";
/// What tantivy may remove once nothing refers to it.
const MANAGED: &str = ".managed.json";
/// Unpacked blocks of the document store that are kept; it is read from front to back.
const STORE_BLOCKS: usize = 2;
/// Events sent together.
const EVENTS_A_CHUNK: usize = 1_000;
/// And their bytes, about.
const BYTES_A_CHUNK: usize = 4 << 20;

/// As much of `meta.json` as says which files belong to the commit.
#[derive(Deserialize)]
struct Meta {
    segments: Vec<Segment>,
}

#[derive(Deserialize)]
struct Segment {
    segment_id: String,
}

impl Meta {
    /// What the names of its files start with.
    fn stems(&self) -> HashSet<String> {
        self.segments.iter().map(|segment| segment.segment_id.replace('-', "")).collect()
    }
}

/// Links the last commit of an index into a folder of its name; nothing where nothing was committed.
fn link_commit(index: &Path, name: &str, into: &Path) -> Result<Vec<SnapshotFile>, IndexError> {
    // As long as this is held tantivy removes no file, whatever is merged or committed meanwhile.
    let directory = MmapDirectory::open(index).map_err(failed)?;
    let _kept = directory.acquire_lock(&META_LOCK).map_err(failed)?;
    let meta = match fs::read(index.join(META)) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let stems = serde_json::from_slice::<Meta>(&meta).map_err(failed)?.stems();
    let dir = into.join(name);
    fs::create_dir_all(&dir).map_err(failed)?;
    let mut files = Vec::new();
    let mut managed = vec![META.to_owned()];
    for found in fs::read_dir(index).map_err(failed)? {
        let found = found.map_err(failed)?;
        let file = found.file_name().to_string_lossy().into_owned();
        if !file.split_once('.').is_some_and(|(stem, _)| stems.contains(stem)) {
            continue;
        }
        let to = dir.join(&file);
        fs::hard_link(found.path(), &to)
            .or_else(|_| fs::copy(found.path(), &to).map(|_| ()))
            .map_err(failed)?;
        let len = fs::metadata(&to).map_err(failed)?.len();
        // Named by a random number, written once.
        files.push(SnapshotFile { path: format!("{name}/{file}"), len, immutable: true });
        managed.push(file);
    }
    let managed = serde_json::to_vec(&managed).map_err(failed)?;
    for (file, bytes) in [(META, meta), (MANAGED, managed)] {
        fs::write(dir.join(file), &bytes).map_err(failed)?;
        files.push(SnapshotFile {
            path: format!("{name}/{file}"),
            len: bytes.len() as u64,
            immutable: false,
        });
    }
    sync(&dir).map_err(failed)?;
    Ok(files)
}

#[async_trait]
impl IndexSnapshot for TantivyIndex {
    async fn snapshot(&self, dir: &Path) -> Result<Vec<SnapshotFile>, IndexError> {
        let (catalog, dir) = (self.catalog().clone(), dir.to_owned());
        blocking(move || {
            fs::create_dir_all(&dir).map_err(failed)?;
            let mut files = Vec::new();
            for entry in catalog.entries() {
                match link_commit(&entry.path, &entry.name.to_string(), &dir) {
                    Ok(linked) => files.extend(linked),
                    // Dropped by retention meanwhile.
                    Err(_) if !entry.path.exists() => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(files)
        })
        .await
    }
}

#[async_trait]
impl IndexCopy for TantivyIndex {
    async fn names(&self) -> Result<Vec<IndexName>, IndexError> {
        Ok(self.catalog().entries().iter().map(|entry| entry.name).collect())
    }

    async fn dump(&self, name: IndexName, into: mpsc::Sender<Vec<Bytes>>) -> Result<(), IndexError> {
        let catalog = self.catalog().clone();
        blocking(move || {
            let Some(entry) = catalog.entries().into_iter().find(|entry| entry.name == name) else {
                return Ok(());
            };
            let Some(snapshot) = catalog.snapshot(&entry, |_| true)? else { return Ok(()) };
            for segment in snapshot.searcher.segment_readers() {
                let store = segment.get_store_reader(STORE_BLOCKS).map_err(failed)?;
                let (mut chunk, mut bytes) = (Vec::new(), 0);
                for doc in 0..segment.max_doc() {
                    if segment.is_deleted(doc) {
                        continue;
                    }
                    let StoredJson(json) = store.get(doc).map_err(failed)?;
                    bytes += json.len();
                    chunk.push(json);
                    if chunk.len() >= EVENTS_A_CHUNK || bytes >= BYTES_A_CHUNK {
                        bytes = 0;
                        if into.blocking_send(std::mem::take(&mut chunk)).is_err() {
                            return Ok(());
                        }
                    }
                }
                if !chunk.is_empty() && into.blocking_send(chunk).is_err() {
                    return Ok(());
                }
            }
            Ok(())
        })
        .await
    }

    async fn load(&self, name: IndexName, events: Vec<Bytes>) -> Result<u64, IndexError> {
        let mut writers = self.writers().clone().lock_owned().await;
        blocking(move || writers.load(name, &events)).await
    }
}
