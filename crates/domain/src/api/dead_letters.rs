//! Dead letters: what could not be stored as an event.

use crate::{Event, EventId, SourceKey, Timestamp};
use serde::{Deserialize, Serialize};

/// In which form a letter's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LetterForm {
    /// A frame as it came, in its protocol.
    #[default]
    Frame,
    /// An event's JSON as ingestion wrote it.
    Event,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Nobody has dealt with it.
    Open,
    /// A replay has begun, and it is not known whether it came to its end: replay it again.
    Replaying,
    /// It is an event now.
    Replayed,
    /// Somebody wants no event of it.
    Discarded,
}

impl LetterState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Replaying, Self::Replayed, Self::Discarded];

    /// The name stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }

    /// Reads [`LetterState::name`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == text)
    }
}

/// Why a letter cannot be replayed as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotReplayable {
    /// Only the beginning of it is kept.
    Cut,
    /// Something in it was overwritten because it must not be stored. Edit it first.
    Blanked,
}

/// A dead letter as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetter {
    /// Its id; also that of the event it becomes, where that has none of its own.
    pub id: EventId,
    /// From which source, as far as known.
    pub source: SourceKey,
    /// By which protocol it came: `ndjson`, `syslog`, …
    pub protocol: String,
    /// From which address, where it never got into the log.
    pub peer: Option<String>,
    /// Why it is no event: a stable code.
    pub code: String,
    /// Why, in English.
    pub reason: String,
    /// When it was given up.
    pub at: Timestamp,
    /// How long the original was, in bytes, as far as counted.
    pub length: u64,
    /// Frame or event.
    pub form: LetterForm,
    /// Open, replayed, discarded.
    pub state: LetterState,
    /// Why it cannot be replayed as it is; `null` where it can.
    pub not_replayable: Option<NotReplayable>,
    /// Who edited it last (e-mail).
    pub edited_by: Option<String>,
    /// And when.
    pub edited_at: Option<Timestamp>,
    /// Who replayed or discarded it, or began to (e-mail).
    pub resolved_by: Option<String>,
    /// And when.
    pub resolved_at: Option<Timestamp>,
    /// The event it became.
    pub event_id: Option<EventId>,
}

/// Bytes for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterBytes {
    /// As text, where they are UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Else in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// And the first 256 of them as a hex dump, 16 a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

/// What a replay would make of a letter: the event, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterPreview {
    /// The event; its id and time of arrival are those of the preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    /// A stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A dead letter with its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterDetail {
    /// What lists show.
    pub letter: DeadLetter,
    /// SHA-256 of the whole original, in hex, where only its beginning is kept.
    pub sha256: Option<String>,
    /// The original, or its beginning. What must not be stored is overwritten.
    pub original: LetterBytes,
    /// What people made of it: this is replayed instead.
    pub edited: Option<LetterBytes>,
    /// What a replay would make of it now.
    pub preview: LetterPreview,
}

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LetterQuery {
    /// With this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// From this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceKey>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LetterState>,
    /// Given up at this instant or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Given up before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// In the reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// Which letters at once: these, or those a filter finds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LetterSelection {
    /// These, at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<EventId>>,
    /// Those this finds, the latest first, about 1000 a call; without a state the open ones, or those discarded where
    /// they are to be opened again. It may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<LetterQuery>,
    /// Where a filter goes on: `next_cursor` of the call before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// New bytes for a letter: one of `text`, `base64` and `original`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LetterEdit {
    /// As text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// The original again.
    #[serde(default)]
    pub original: bool,
    /// Only show what would become of it; nothing is kept, and nothing is refused for what it is.
    #[serde(default)]
    pub preview: bool,
}

/// A letter that stayed as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterFailure {
    /// Which.
    pub id: EventId,
    /// A stable code.
    pub code: String,
    /// Why, for people.
    pub message: String,
}

/// What became of several letters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterReport {
    /// Letters that were replayed, discarded or opened again now.
    pub done: u64,
    /// Letters that were so before.
    pub before: u64,
    /// Letters that could not be.
    pub failed: u64,
    /// The first hundred of those.
    pub failures: Vec<LetterFailure>,
    /// Where the filter goes on; `null` where it finds no more.
    pub next_cursor: Option<String>,
}

/// How many letters of a code there are, by what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LetterCodeCount {
    /// The code.
    pub code: String,
    /// Nobody has dealt with them.
    pub open: u64,
    /// A replay has begun.
    pub replaying: u64,
    /// Events now.
    pub replayed: u64,
    /// Nobody wants them.
    pub discarded: u64,
    /// Bytes kept of all of them.
    pub bytes: u64,
}
