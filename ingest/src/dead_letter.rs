//! What could not be stored, with its original bytes: the JSON of `qgx.dead-letter.v1`.

use crate::facts;
use crate::protocol::frame::Oversized;
use crate::record::arrival::received_now;
use crate::record::{RecordError, mask};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::masking::Rules;
use domain::{EventId, SourceKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::broker::{NewRecord, Offset, Origin, Partition, Route};
use store::sql::dead_letters::LetterState;
use store::sql::{Letter, LetterRow};

/// Bytes kept of an original that is over a limit.
pub const KEPT_BYTES: usize = 64 * 1024;
/// The largest original kept whole: in base64, with its envelope, it stays below the 8 MiB that topics allow.
pub const WHOLE_BYTES: usize = 6 * 1024 * 1024 - KEPT_BYTES;

pub use domain::api::LetterForm;

/// Where in `qgx.events.v1` it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
}

/// A record that was not stored as an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its own. Letters that were written before there were ids have none: see [`Self::identified`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// When it was given up.
    pub at: Timestamp,
    /// Whose.
    pub tenant: TenantId,
    /// From which source, as far as known.
    pub source: SourceKey,
    /// The source was bound by the token or named by the connection: nothing in the bytes changes it.
    #[serde(default = "bound")]
    pub source_bound: bool,
    /// By which protocol it came.
    pub protocol: String,
    /// From which address, where it never got into the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Why: a stable code.
    pub code: String,
    /// Why, for people, in English.
    pub reason: String,
    /// Where in the log it stood; absent for what never got there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<LogPlace>,
    /// In which form the original is.
    #[serde(default)]
    pub form: LetterForm,
    /// The original bytes in base64, or the first of them.
    pub raw: String,
    /// How long the original was, in bytes, as far as counted.
    pub length: u64,
    /// SHA-256 of the original in hex, where `raw` is not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether `raw` is the original as it came, and may be sent again.
    pub replayable: bool,
    /// Something that must not be stored was overwritten in `raw`.
    pub blanked: bool,
}

/// Where a letter of an earlier version does not say it, its bytes name no other source.
fn bound() -> bool {
    true
}

/// Who sent what could not be read.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Where it would have gone.
    pub route: &'a Route,
    /// Whether its source is bound by the token or named by the connection.
    pub source_bound: bool,
    /// From which address.
    pub peer: &'a str,
    /// What is masked.
    pub rules: &'a Rules,
}

/// Why something becomes a dead letter.
#[derive(Debug, Clone)]
pub struct Cause {
    /// A stable code.
    pub code: String,
    /// For people, in English.
    pub reason: String,
}

impl DeadLetter {
    /// Of a record of the log that the processor or a sink refused for good. One beyond [`WHOLE_BYTES`] is cut.
    pub fn of_record(route: &Route, place: LogPlace, cause: Cause, payload: &[u8]) -> Self {
        let cut = payload.len() > WHOLE_BYTES;
        let mut kept = payload[..if cut { KEPT_BYTES } else { payload.len() }].to_vec();
        let blanked = mask::blank_tokens(&mut kept);
        Self {
            // A record of the log that is read again leaves no second letter.
            id: Some(id_of(&[b"record", &of_place(place), cause.code.as_bytes(), payload])),
            at: Timestamp::now(),
            tenant: route.tenant.clone(),
            source: route.source.clone(),
            source_bound: true,
            protocol: route.protocol.as_ref().to_owned(),
            peer: None,
            code: cause.code,
            reason: cause.reason,
            place: Some(place),
            form: LetterForm::Event,
            raw: STANDARD.encode(&kept),
            length: payload.len() as u64,
            sha256: cut.then(|| hex(&Sha256::digest(payload))),
            replayable: !cut && !blanked,
            blanked,
        }
    }

    /// Of a frame that could not be read.
    pub fn of_frame(sender: &Sender<'_>, frame: &[u8], error: &RecordError, at: Timestamp) -> Self {
        Self::of_input(sender, frame, error, at, None)
    }

    /// Of a frame over the limit, of which only the beginning is kept.
    pub fn of_oversized(sender: &Sender<'_>, over: &Oversized, error: &RecordError, at: Timestamp) -> Self {
        Self::of_input(sender, &over.beginning, error, at, Some(over))
    }

    fn of_input(
        sender: &Sender<'_>,
        bytes: &[u8],
        error: &RecordError,
        at: Timestamp,
        over: Option<&Oversized>,
    ) -> Self {
        let kept = mask::original(sender.rules, bytes);
        facts::masked(kept.found);
        let blanked = kept.token || kept.found.total() > 0;
        Self {
            id: Some(EventId::at(at, random())),
            at,
            tenant: sender.route.tenant.clone(),
            source: sender.route.source.clone(),
            source_bound: sender.source_bound,
            protocol: sender.route.protocol.as_ref().to_owned(),
            peer: Some(sender.peer.to_owned()),
            code: error.code().to_owned(),
            reason: error.to_string(),
            place: None,
            form: LetterForm::Frame,
            raw: STANDARD.encode(&kept.bytes),
            length: over.map_or(bytes.len() as u64, |over| over.length),
            sha256: over.map(|over| hex(&over.sha256)),
            replayable: over.is_none() && !blanked,
            blanked,
        }
    }

    /// Of a record of the topic of dead letters that is none.
    pub fn of_unreadable(route: &Route, reason: &str, payload: &[u8]) -> Self {
        let place = LogPlace { partition: 0, offset: 0 };
        let cause = Cause { code: "unreadable".to_owned(), reason: reason.to_owned() };
        let letter = Self::of_record(route, place, cause, payload);
        Self { id: None, place: None, form: LetterForm::Frame, ..letter }
    }

    /// With an id in any case: where it has none, one that follows from where in the topic of dead letters it stands.
    #[must_use]
    pub fn identified(self, partition: Partition, offset: Offset) -> Self {
        let place = of_place(LogPlace { partition, offset });
        let id = self.id.unwrap_or_else(|| id_of(&[b"letter", &place, self.raw.as_bytes()]));
        Self { id: Some(id), ..self }
    }

    /// As people find it. A letter whose bytes are damaged has none.
    pub fn to_kept(&self) -> Letter {
        let original = self.original().unwrap_or_default();
        let row = LetterRow {
            id: self.id.unwrap_or(EventId(uuid::Uuid::nil())),
            tenant: self.tenant.clone(),
            source: self.source.clone(),
            source_bound: self.source_bound,
            protocol: self.protocol.clone(),
            peer: self.peer.clone(),
            code: self.code.clone(),
            reason: self.reason.clone(),
            at: self.at,
            length: self.length,
            sha256: self.sha256.clone(),
            form: self.form,
            blanked: self.blanked,
            kept_bytes: original.len() as u64,
            state: LetterState::Open,
            revision: 0,
            edited: None,
            resolved: None,
            event_id: None,
        };
        Letter { row, original, edited: None }
    }

    /// The original bytes, as far as kept; `None` where the letter itself is damaged.
    pub fn original(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.raw).ok()
    }

    /// The record for [`store::broker::Topic::DeadLetters`].
    pub fn to_record(&self, route: Arc<Route>, token: u64) -> NewRecord {
        // Strings and numbers cannot fail to serialise.
        let payload = serde_json::to_vec(self).unwrap_or_default().into();
        NewRecord { route, origin: Origin::Unmarked, token, payload }
    }

    /// Reads a record of [`store::broker::Topic::DeadLetters`].
    ///
    /// # Errors
    /// Where it is not that shape.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

/// A UUIDv8 (RFC 9562 §5.8) of some parts: the same ones have the same.
fn id_of(parts: &[&[u8]]) -> EventId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    EventId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

fn of_place(place: LogPlace) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&place.partition.to_be_bytes());
    bytes[4..].copy_from_slice(&place.offset.to_be_bytes());
    bytes
}

fn random() -> [u8; 10] {
    let mut random = [0; 10];
    if getrandom::fill(&mut random).is_err() {
        // No entropy source: what arrives has an instant of its own in this process.
        random[..8].copy_from_slice(&received_now().as_nanos().to_ne_bytes());
    }
    random
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use services::ingest_access::Masking;

    fn route() -> Arc<Route> {
        Arc::new(Route {
            tenant: TenantId::new("t_acme").unwrap(),
            source: SourceKey::new("pump-1").unwrap(),
            class: "30d".into(),
            group: 1,
            protocol: "syslog".into(),
        })
    }

    fn cause() -> Cause {
        Cause { code: "undecodable".to_owned(), reason: "not JSON".to_owned() }
    }

    const PLACE: LogPlace = LogPlace { partition: 3, offset: 5 };

    /// Makes a dead letter, sends it through its record, and looks at what was kept.
    fn check(payload: &[u8], kept: &[u8], cut: bool, blanked: bool) {
        let letter = DeadLetter::of_record(&route(), PLACE, cause(), payload);
        let record = letter.to_record(route(), 7);
        assert!(record.payload.len() < 8 * 1024 * 1024, "it fits the topic");
        let read = DeadLetter::parse(&record.payload).unwrap();
        assert_eq!(read, letter);
        assert_eq!(read.original().unwrap(), kept);
        assert_eq!((read.length, read.blanked), (payload.len() as u64, blanked));
        assert_eq!((read.sha256.is_some(), read.replayable), (cut, !cut && !blanked));
        assert_eq!((read.place, read.form), (Some(PLACE), LetterForm::Event));
    }

    #[test]
    fn originals_are_kept() {
        check(b"\0\xff not UTF-8", b"\0\xff not UTF-8", false, false);
        check(b"", b"", false, false);
        let secret = format!("token=qgx_{}!", "a".repeat(40));
        check(secret.as_bytes(), format!("token=qgx_{}!", "*".repeat(40)).as_bytes(), false, true);
        let large = vec![b'x'; WHOLE_BYTES + 1];
        check(&large, &large[..KEPT_BYTES], true, false);
        check(&large[1..], &large[1..], false, false);
    }

    #[test]
    fn a_record_has_one_letter_however_often_it_is_read() {
        let of = |offset, code: &str, payload: &[u8]| {
            let place = LogPlace { partition: 3, offset };
            let cause = Cause { code: code.to_owned(), reason: "whatever".to_owned() };
            DeadLetter::of_record(&route(), place, cause, payload).id.unwrap()
        };
        assert_eq!(of(5, "refused", b"x"), of(5, "refused", b"x"));
        for other in [of(6, "refused", b"x"), of(5, "too_long", b"x"), of(5, "refused", b"y")] {
            assert_ne!(of(5, "refused", b"x"), other);
        }
        assert_eq!(of(5, "refused", b"x").0.get_version_num(), 8);
    }

    #[test]
    fn letters_of_earlier_versions_are_read() {
        let json =
            br#"{"at":"2026-11-22T01:02:03.000000000Z","tenant":"t_a","source":"s","protocol":"ndjson",
            "code":"invalid_json","reason":"r","raw":"ew==","length":1,"replayable":true,"blanked":false}"#;
        let letter = DeadLetter::parse(json).unwrap();
        assert_eq!((letter.id, letter.source_bound, letter.form), (None, true, LetterForm::Frame));
        let found = |partition, offset| letter.clone().identified(partition, offset).to_kept();
        assert_eq!(found(1, 2), found(1, 2));
        assert_ne!(found(1, 2).row.id, found(1, 3).row.id);
        assert_eq!((found(1, 2).original, found(1, 2).row.kept_bytes), (b"{".to_vec(), 1));
        let strange = DeadLetter::of_unreadable(&route(), "no", b"\xff").identified(1, 2).to_kept();
        assert_eq!((strange.row.code.as_str(), strange.original), ("unreadable", b"\xff".to_vec()));
    }

    #[test]
    fn frames_that_could_not_be_read_are_kept() {
        let route = route();
        let rules = Masking::default().rules;
        let sender = Sender { route: &route, source_bound: false, peer: "::1", rules: &rules };
        let letter =
            DeadLetter::of_frame(&sender, b"{\xff", &RecordError::NotAnObject, Timestamp::from_secs(5));
        let letter = DeadLetter::parse(&letter.to_record(Arc::clone(&route), 7).payload).unwrap();
        assert_eq!(letter.original().unwrap(), b"{\xff");
        assert_eq!(
            (letter.peer.as_deref(), letter.form, letter.place),
            (Some("::1"), LetterForm::Frame, None)
        );
        assert_eq!((letter.code.as_str(), letter.replayable), ("not_an_object", true));
        assert_eq!(letter.id.unwrap().0.get_version_num(), 7);
        let frame = b"{\"a\":\"\\n900101-1234567\"";
        let letter = DeadLetter::of_frame(&sender, frame, &RecordError::NotAnObject, Timestamp::from_secs(5));
        assert_eq!(letter.original().unwrap(), b"{\"a\":\"\\n900101-*******\"");
        assert_eq!((letter.blanked, letter.replayable), (true, false));
    }
}
