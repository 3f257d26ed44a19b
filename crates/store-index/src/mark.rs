//! What a commit says of its index: how far each partition is in it, and what times it spans.

use domain::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use store::broker::{Offset, Partition};

/// The payload of a commit. It is durable together with the events it speaks of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The last offset of each partition whose event lies in this index.
    pub offsets: BTreeMap<Partition, Offset>,
    /// How many events.
    pub events: u64,
    /// Least and greatest `ts`, in nanoseconds.
    pub ts: Option<(i64, i64)>,
    /// Least and greatest `received_at`, in nanoseconds.
    pub received_at: Option<(i64, i64)>,
}

impl Mark {
    /// Whether the event at this offset lies in the index already.
    pub fn has(&self, partition: Partition, offset: Offset) -> bool {
        self.offsets.get(&partition).is_some_and(|last| offset <= *last)
    }

    /// Notes one more event.
    pub fn note(&mut self, partition: Partition, offset: Offset, ts: Timestamp, received_at: Timestamp) {
        self.offsets.insert(partition, offset);
        self.note_loaded(ts, received_at);
    }

    /// Notes one more event that did not come from the log.
    pub fn note_loaded(&mut self, ts: Timestamp, received_at: Timestamp) {
        self.events += 1;
        widen(&mut self.ts, ts.as_nanos());
        widen(&mut self.received_at, received_at.as_nanos());
    }

    /// Whether some `ts` may lie in the window.
    pub fn overlaps(&self, range: TimeRange) -> bool {
        self.ts.is_some_and(|(low, high)| low < range.to.as_nanos() && range.from.as_nanos() <= high)
    }

    /// Reads the last commit's mark; `None` where nothing was committed yet.
    ///
    /// # Errors
    /// Where the file cannot be read or is not what a commit writes.
    pub fn read(index: &Path) -> std::io::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Meta {
            #[serde(default)]
            payload: Option<String>,
        }
        let meta = match std::fs::read(index.join("meta.json")) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let meta: Meta = serde_json::from_slice(&meta)?;
        meta.payload.map(|mark| serde_json::from_str(&mark)).transpose().map_err(Into::into)
    }
}

fn widen(span: &mut Option<(i64, i64)>, at: i64) {
    let (low, high) = span.unwrap_or((at, at));
    *span = Some((low.min(at), high.max(at)));
}
