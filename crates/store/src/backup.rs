//! What a backup, a restore and a move need of the stores.
//!
//! Embedded stores are taken as files ([`SqlSnapshot`], [`IndexSnapshot`], [`LogSnapshot`]): at one moment, beside a
//! running process, by links where files never change. Any store is copied row by row and event by event
//! ([`SqlCopy`], [`IndexCopy`]; a log is read and appended to as always), so that a copy may go from one engine to
//! another.
//!
//! **The order of taking.** First the groups of the log, then SQL, then the index, the log's records last:
//!
//! - SQL's offsets say where the processor goes on. The index, taken later, holds everything before them, and what it
//!   holds beyond them it skips when it comes again.
//! - The log, taken last, ends at or after whatever the index has seen: no later record gets an offset that the index
//!   believes to have.
//! - What groups have committed was taken before SQL, so that retention after a restore removes nothing that SQL's
//!   offsets still need. A [`LogSnapshot::hold`] keeps retention off while this goes on.

use crate::broker::{BrokerError, Offset, Partition, Topic};
use crate::index::{IndexError, IndexName};
use crate::sql::SqlResult;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use tokio::sync::mpsc;

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SnapshotFile {
    /// Below the snapshot's folder, parts divided by `/`.
    pub path: String,
    /// So many of its bytes belong to the snapshot: a log's last file goes on growing.
    pub len: u64,
    /// A file of this name and length has these bytes for ever.
    pub immutable: bool,
}

/// SQL as a file.
#[async_trait]
pub trait SqlSnapshot: Send + Sync {
    /// Writes the whole database, as of one moment, into a new file. Writers go on meanwhile.
    async fn snapshot(&self, file: &Path) -> SqlResult<()>;
}

/// The event index as files.
#[async_trait]
pub trait IndexSnapshot: Send + Sync {
    /// Links every index, as of its last commit, into a folder of the same file system.
    async fn snapshot(&self, dir: &Path) -> Result<Vec<SnapshotFile>, IndexError>;
}

/// Keeps retention off until it is dropped.
pub struct Hold(Option<Box<dyn FnOnce() + Send>>);

impl Hold {
    /// Lets go by calling this.
    pub fn new(release: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(release)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}

/// Where a topic's partitions are to be read from.
pub type Offsets = BTreeMap<(Topic, Partition), Offset>;

/// The log's part of a snapshot.
#[derive(Debug, Clone, Default)]
pub struct LogFiles {
    /// Its files.
    pub files: Vec<SnapshotFile>,
    /// The offset that the next record of each partition gets.
    pub ends: Offsets,
}

/// The log as files.
#[async_trait]
pub trait LogSnapshot: Send + Sync {
    /// From now on nothing is removed, until the hold is dropped.
    fn hold(&self) -> Hold;

    /// Writes what the consumer groups have committed into the folder of a log.
    async fn snapshot_groups(&self, dir: &Path) -> Result<Vec<SnapshotFile>, BrokerError>;

    /// Links what is durable into the folder of a log, without segments that lie before `from` as a whole; all of a
    /// topic where it names none of its partitions.
    async fn snapshot(&self, dir: &Path, from: &Offsets) -> Result<LogFiles, BrokerError>;
}

/// What a column holds, whatever the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// A signed number of 64 bits.
    Integer,
    /// A double.
    Real,
    /// UTF-8.
    Text,
    /// Bytes.
    Blob,
}

/// A table's name and columns.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableShape {
    /// The table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<(String, ColumnKind)>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// None.
    Null,
    /// A number.
    Integer(i64),
    /// A double.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Some rows of a table.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Whose; the columns are in the order of the cells.
    pub shape: std::sync::Arc<TableShape>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// SQL, row by row, in any dialect. The tables are whatever the schema has.
#[async_trait]
pub trait SqlCopy: Send + Sync {
    /// The schema's version; 0 where there is none yet.
    async fn schema_version(&self) -> SqlResult<i64>;

    /// Rows of each table.
    async fn counts(&self) -> SqlResult<BTreeMap<String, u64>>;

    /// Sends every row of every table, all as of one moment. A table comes after those that it refers to. Ends early
    /// where nobody takes them any more.
    async fn dump(&self, into: mpsc::Sender<Rows>) -> SqlResult<()>;

    /// Brings an empty database to the schema of a dump's version, and removes the rows that an earlier attempt left.
    async fn prepare(&self, version: i64) -> SqlResult<()>;

    /// Adds rows, in one transaction.
    async fn load(&self, rows: Rows) -> SqlResult<u64>;

    /// Replaces the offsets of a topic, in one transaction.
    async fn set_offsets(&self, topic: &str, offsets: &[(Partition, Offset)]) -> SqlResult<()>;
}

/// The event index, event by event.
#[async_trait]
pub trait IndexCopy: Send + Sync {
    /// The indexes there are.
    async fn names(&self) -> Result<Vec<IndexName>, IndexError>;

    /// Sends the JSON of every event of an index, of all tenants, as of one moment, in no order. Ends early where nobody
    /// takes them any more.
    async fn dump(&self, name: IndexName, into: mpsc::Sender<Vec<Bytes>>) -> Result<(), IndexError>;

    /// Adds events to an index, durably; answers how many. An index that knows its events by id leaves out those it
    /// has, another takes them once more.
    async fn load(&self, name: IndexName, events: Vec<Bytes>) -> Result<u64, IndexError>;
}
