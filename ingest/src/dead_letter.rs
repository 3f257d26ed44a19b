//! What could not be stored, with its original bytes: the JSON of `qgx.dead-letter.v1`.

use crate::facts;
use crate::protocol::frame::Oversized;
use crate::record::{RecordError, mask};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::masking::Rules;
use domain::{SourceKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::broker::{NewRecord, Offset, Origin, Partition, Route};

/// Bytes kept of an original that is over a limit.
pub const KEPT_BYTES: usize = 64 * 1024;
/// The largest original kept whole: in base64, with its envelope, it stays below the 8 MiB that topics allow.
pub const WHOLE_BYTES: usize = 6 * 1024 * 1024 - KEPT_BYTES;

/// In which form the original bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginalForm {
    /// A frame as it came, in its protocol.
    #[default]
    Frame,
    /// The event's JSON as ingestion wrote it.
    Event,
}

/// Where in `qgx.events.v1` it stood. A record of the log that is read again may leave a second letter: this tells.
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
    /// When it was given up.
    pub at: Timestamp,
    /// Whose.
    pub tenant: TenantId,
    /// From which source, as far as known.
    pub source: SourceKey,
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
    pub form: OriginalForm,
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

/// Who sent what could not be read.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Where it would have gone.
    pub route: &'a Route,
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
            at: Timestamp::now(),
            tenant: route.tenant.clone(),
            source: route.source.clone(),
            protocol: route.protocol.as_ref().to_owned(),
            peer: None,
            code: cause.code,
            reason: cause.reason,
            place: Some(place),
            form: OriginalForm::Event,
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
            at,
            tenant: sender.route.tenant.clone(),
            source: sender.route.source.clone(),
            protocol: sender.route.protocol.as_ref().to_owned(),
            peer: Some(sender.peer.to_owned()),
            code: error.code().to_owned(),
            reason: error.to_string(),
            place: None,
            form: OriginalForm::Frame,
            raw: STANDARD.encode(&kept.bytes),
            length: over.map_or(bytes.len() as u64, |over| over.length),
            sha256: over.map(|over| hex(&over.sha256)),
            replayable: over.is_none() && !blanked,
            blanked,
        }
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
        assert_eq!((read.place, read.form), (Some(PLACE), OriginalForm::Event));
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
    fn frames_that_could_not_be_read_are_kept() {
        let route = route();
        let rules = Masking::default().rules;
        let sender = Sender { route: &route, peer: "::1", rules: &rules };
        let letter =
            DeadLetter::of_frame(&sender, b"{\xff", &RecordError::NotAnObject, Timestamp::from_secs(5));
        let letter = DeadLetter::parse(&letter.to_record(Arc::clone(&route), 7).payload).unwrap();
        assert_eq!(letter.original().unwrap(), b"{\xff");
        assert_eq!(
            (letter.peer.as_deref(), letter.form, letter.place),
            (Some("::1"), OriginalForm::Frame, None)
        );
        assert_eq!((letter.code.as_str(), letter.replayable), ("not_an_object", true));
        let frame = b"{\"a\":\"\\n900101-1234567\"";
        let letter = DeadLetter::of_frame(&sender, frame, &RecordError::NotAnObject, Timestamp::from_secs(5));
        assert_eq!(letter.original().unwrap(), b"{\"a\":\"\\n900101-*******\"");
        assert_eq!((letter.blanked, letter.replayable), (true, false));
    }
}
