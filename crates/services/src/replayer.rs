//! What makes an event of a dead letter. Records are made by ingestion, which stands above the services: it answers this.

use crate::IngestTenant;
use domain::{Event, EventId, Lang};
use std::time::Duration;
use store::broker::NewRecord;
use store::sql::LetterRow;

/// A dead letter as it is to be replayed.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'a> {
    /// Whose, from where, in which protocol and form.
    pub row: &'a LetterRow,
    /// The bytes as they came, or the first of them.
    pub original: &'a [u8],
    /// The bytes to make an event of.
    pub bytes: &'a [u8],
}

/// A dead letter's event, ready to be appended.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The event's id.
    pub id: EventId,
    /// For [`store::broker::Topic::Events`]. Its origin is the letter: appended twice, it is stored once.
    pub record: NewRecord,
}

/// Why there is no event in some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoEvent {
    /// A stable code.
    pub code: String,
    /// For people, in Korean.
    pub ko: String,
    /// For people, in English.
    pub en: String,
}

impl NoEvent {
    /// Why, for people.
    pub fn message(&self, lang: Lang) -> &str {
        lang.pick(&self.ko, &self.en)
    }
}

/// Makes events of dead letters. Nothing here waits.
pub trait Replayer: Send + Sync + 'static {
    /// Bytes that somebody wrote, as they may be kept: without tokens, and without what the tenant's rules name.
    fn hide(&self, tenant: &IngestTenant, bytes: &[u8]) -> Vec<u8>;

    /// The event that a replay would make now.
    ///
    /// # Errors
    /// Why there would be none.
    fn preview(&self, tenant: &IngestTenant, replay: Replay<'_>) -> Result<Event, NoEvent>;

    /// The event, to be appended.
    ///
    /// # Errors
    /// Why there is none.
    fn make(&self, tenant: &IngestTenant, replay: Replay<'_>) -> Result<Replayed, NoEvent>;

    /// Asks the tenant's quota for an event of so many bytes.
    ///
    /// # Errors
    /// When to come again.
    fn admit(&self, tenant: &IngestTenant, bytes: usize) -> Result<(), Duration>;
}
