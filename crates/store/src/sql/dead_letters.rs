//! Dead letters as people deal with them: what could not be stored as an event, and what became of it.
//!
//! ```text
//!            ┌────────────── refused again ──────────────┐
//!            ▼                                           │
//! kept ─▶ open ─▶ replaying ── its event is durable ─▶ replayed
//!            │ ▲
//!            ▼ │
//!         discarded
//! ```

use super::SqlResult;
use crate::broker::{Offset, Partition};
use async_trait::async_trait;
use domain::{EventId, SourceKey, TenantId, Timestamp};

pub use domain::api::{LetterForm, LetterState};

/// A letter without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct LetterRow {
    /// Its id: also that of the event it becomes, where that has none of its own.
    pub id: EventId,
    /// Whose.
    pub tenant: TenantId,
    /// From which source, as far as known when it was given up.
    pub source: SourceKey,
    /// The source was bound by the token or named by the connection: nothing in the bytes changes it.
    pub source_bound: bool,
    /// By which protocol it came.
    pub protocol: String,
    /// From which address.
    pub peer: Option<String>,
    /// Why: a stable code.
    pub code: String,
    /// Why, for people, in English.
    pub reason: String,
    /// When it was given up.
    pub at: Timestamp,
    /// How long the original was, in bytes, as far as counted.
    pub length: u64,
    /// SHA-256 of the original in hex, where less than all of it is kept.
    pub sha256: Option<String>,
    /// In which form the bytes are.
    pub form: LetterForm,
    /// Something that must not be stored was overwritten in the original.
    pub blanked: bool,
    /// Bytes kept, of the original and of what people made of it.
    pub kept_bytes: u64,
    /// What became of it.
    pub state: LetterState,
    /// How often it was edited.
    pub revision: u32,
    /// Who edited it last, and when.
    pub edited: Option<(String, Timestamp)>,
    /// Who replayed or discarded it, or began to, and when.
    pub resolved: Option<(String, Timestamp)>,
    /// The event it became.
    pub event_id: Option<EventId>,
}

impl LetterRow {
    /// Less than the whole original is kept.
    pub fn is_cut(&self) -> bool {
        self.sha256.is_some()
    }
}

/// A letter with its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// All but the bytes.
    pub row: LetterRow,
    /// The original, or its beginning.
    pub original: Vec<u8>,
    /// What people made of it.
    pub edited: Option<Vec<u8>>,
}

impl Letter {
    /// What a replay would send.
    pub fn bytes(&self) -> &[u8] {
        self.edited.as_deref().unwrap_or(&self.original)
    }
}

/// Letters of a partition of the dead-letter topic, in order.
#[derive(Debug, Clone, Default)]
pub struct LetterBatch {
    /// Which.
    pub partition: Partition,
    /// The offset the batch begins at, as stored before. Where something else is stored, another writer has the partition.
    pub start: Offset,
    /// The next offset to read.
    pub next: Offset,
    /// What stands between; their state is taken as it is.
    pub letters: Vec<Letter>,
}

/// Which letters of a tenant.
#[derive(Debug, Clone, Default)]
pub struct LetterFilter {
    /// With this code.
    pub code: Option<String>,
    /// From this source.
    pub source: Option<SourceKey>,
    /// In this state.
    pub state: Option<LetterState>,
    /// Given up at this instant or later.
    pub from: Option<Timestamp>,
    /// Given up before this instant.
    pub to: Option<Timestamp>,
    /// In the reason, in whatever case (of ASCII letters).
    pub text: String,
    /// Those after this one in the order of the list.
    pub after: Option<(Timestamp, EventId)>,
    /// At most so many.
    pub limit: u32,
}

/// What is to become of a letter.
#[derive(Debug, Clone, PartialEq)]
pub struct LetterMove {
    /// Which.
    pub id: EventId,
    /// Only where it is in one of these.
    pub from: &'static [LetterState],
    /// Only where it was edited so often.
    pub revision: Option<u32>,
    /// What it is from then on.
    pub to: LetterState,
    /// Who does it, and when; `None` leaves nobody.
    pub by: Option<(String, Timestamp)>,
    /// The event it became.
    pub event_id: Option<EventId>,
    /// Another code and reason.
    pub cause: Option<(String, String)>,
}

/// How many letters of a code are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterCount {
    /// The code.
    pub code: String,
    /// The state.
    pub state: LetterState,
    /// How many.
    pub letters: u64,
    /// Bytes kept of them.
    pub bytes: u64,
}

/// What a tenant's letters may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetterCap {
    /// How many.
    pub letters: u64,
    /// Bytes kept of them.
    pub bytes: u64,
}

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LettersGone {
    /// By age.
    pub aged: u64,
    /// Beyond the cap, replayed or discarded before.
    pub resolved: u64,
    /// Beyond the cap, though nobody had dealt with them.
    pub open: u64,
}

/// Dead letters.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps a batch and its offset in one transaction, and answers how many letters were not known. Letters that are
    /// known stay as they are. A batch whose offset is stored was kept before, and changes nothing;
    /// `Conflict("offset")` where another writer moved it.
    async fn keep_letters(&self, topic: &str, batch: &LetterBatch) -> SqlResult<u64>;
    /// Latest first, and how many there are in all, whatever `after` and `limit` say.
    async fn letters(&self, tenant: &TenantId, filter: &LetterFilter) -> SqlResult<(Vec<LetterRow>, u64)>;
    /// These, as far as the tenant has them, with their bytes, in no order.
    async fn letters_by_id(&self, tenant: &TenantId, ids: &[EventId]) -> SqlResult<Vec<Letter>>;
    /// By code and state.
    async fn letter_counts(&self, tenant: &TenantId) -> SqlResult<Vec<LetterCount>>;
    /// Takes other bytes, or the original again (`None`), where the letter is open and of this revision. Answers whether
    /// it was.
    async fn edit_letter(
        &self,
        tenant: &TenantId,
        id: EventId,
        revision: u32,
        bytes: Option<&[u8]>,
        by: &(String, Timestamp),
    ) -> SqlResult<bool>;
    /// Moves letters, each where it may be moved, all in one transaction. Answers which were moved.
    async fn move_letters(&self, tenant: &TenantId, moves: &[LetterMove]) -> SqlResult<Vec<EventId>>;
    /// Drops letters given up before an instant; then, of each tenant beyond the cap, the oldest of those that were
    /// replayed or discarded, then the oldest of the others.
    async fn expire_letters(&self, before: Timestamp, cap: LetterCap) -> SqlResult<LettersGone>;
}
