//! Records on their way to the broker.

use bytes::BytesMut;
use std::sync::Arc;
use store::broker::{NewRecord, Origin, Route};

/// Bytes of memory a record takes beside its JSON.
pub const RECORD_OVERHEAD: usize = 128;

/// Records on their way to the broker, their JSON in one buffer.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) json: BytesMut,
    pub(super) marks: Vec<Mark>,
}

#[derive(Debug)]
pub(super) struct Mark {
    /// Where its JSON ends.
    pub end: usize,
    pub route: Arc<Route>,
    pub origin: Origin,
}

impl Batch {
    /// How many records.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Bytes of memory it takes.
    pub fn weight(&self) -> usize {
        self.json.len() + self.marks.len() * RECORD_OVERHEAD
    }

    /// Makes room for about this many bytes of JSON.
    pub fn reserve(&mut self, bytes: usize) {
        self.json.reserve(bytes);
    }

    /// The records, each sharing the one buffer.
    pub fn into_records(self, token: u64) -> Vec<NewRecord> {
        let mut json = self.json.freeze();
        let mut start = 0;
        self.marks
            .into_iter()
            .map(|mark| {
                let payload = json.split_to(mark.end - start);
                start = mark.end;
                NewRecord { route: mark.route, origin: mark.origin, token, payload }
            })
            .collect()
    }
}
