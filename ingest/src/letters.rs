//! What could not become an event, with its original bytes, for `qgx.dead-letter.v1`.

use crate::facts;
use crate::protocol::frame::Oversized;
use crate::record::RecordError;
use crate::record::mask;
use base64::Engine;
use domain::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use store::broker::{NewRecord, Origin, Route};

/// Where a letter comes from.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Where it would have gone.
    pub route: &'a Arc<Route>,
    /// By which token; 0 where none.
    pub token: u64,
    /// From which address.
    pub peer: &'a str,
    /// Whether 주민등록번호 are masked.
    pub masks: bool,
}

/// The JSON of a dead letter.
#[derive(Debug, Serialize)]
struct Letter<'a> {
    tenant: &'a str,
    source: &'a str,
    peer: &'a str,
    protocol: &'a str,
    /// When it came.
    at: Timestamp,
    code: &'static str,
    reason: String,
    /// The bytes, or the first of them, in base64.
    raw: String,
    /// Length of the frame, as far as counted.
    length: u64,
    /// Of the whole frame, hex; only where `raw` is not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Whether `raw` is the frame as it came.
    replayable: bool,
    /// Something that must not be stored was overwritten in `raw`.
    blanked: bool,
}

/// A frame that could not be read.
pub fn of_frame(sender: Sender<'_>, frame: &[u8], error: &RecordError, at: Timestamp) -> NewRecord {
    write(sender, frame, error, at, None)
}

/// A frame over the limit, of which only the beginning is kept.
pub fn of_oversized(sender: Sender<'_>, over: &Oversized, error: &RecordError, at: Timestamp) -> NewRecord {
    write(sender, &over.beginning, error, at, Some(over))
}

fn write(
    sender: Sender<'_>,
    bytes: &[u8],
    error: &RecordError,
    at: Timestamp,
    over: Option<&Oversized>,
) -> NewRecord {
    facts::dead_letter(error.code());
    let mut raw = bytes.to_vec();
    let mut blanked = mask::blank_tokens(&mut raw);
    if sender.masks
        && let (std::borrow::Cow::Owned(masked), _) = mask::resident_numbers_in(&raw)
    {
        raw = masked;
        blanked = true;
    }
    let letter = Letter {
        tenant: sender.route.tenant.as_str(),
        source: sender.route.source.as_str(),
        peer: sender.peer,
        protocol: &sender.route.protocol,
        at,
        code: error.code(),
        reason: error.to_string(),
        raw: base64::engine::general_purpose::STANDARD.encode(&raw),
        length: over.map_or(bytes.len() as u64, |over| over.length),
        sha256: over.map(|over| over.sha256.iter().map(|byte| format!("{byte:02x}")).collect()),
        replayable: over.is_none() && !blanked,
        blanked,
    };
    NewRecord {
        route: Arc::clone(sender.route),
        origin: Origin::Unmarked,
        token: sender.token,
        // Strings and numbers cannot fail to serialise.
        payload: serde_json::to_vec(&letter).unwrap_or_default().into(),
    }
}
