//! An event's own JSON (DESIGN section 5) into a [`Draft`], so that a dead letter that was an event once becomes one by
//! the rules of every other record.

use super::draft::{Draft, Scalar};
use super::refuse::RecordError;
use super::wall::Moment;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use domain::event::StoredEvent;

/// Reads one. Its id, tenant, source and time of arrival are the caller's business.
///
/// # Errors
/// Where it is none, or breaks a limit.
pub fn read(draft: &mut Draft, json: &[u8]) -> Result<(), RecordError> {
    let event = StoredEvent::parse(json).map_err(|error| RecordError::NotAnEvent(error.to_string()))?;
    draft.kind = Some(event.kind);
    draft.ts(moment(event.ts), &event.ts.to_string())?;
    if let Some(level) = event.level {
        draft.level(level);
    }
    if let Some(message) = &event.message {
        draft.message(message)?;
    }
    for (name, values) in &event.n.0 {
        // What was read from JSON is a number of JSON.
        let texts: Vec<_> =
            values.as_slice().iter().map(|n| serde_json::to_string(n).unwrap_or_default()).collect();
        draft.many(&name.0, texts.iter().map(|text| Scalar::Number(text)))?;
    }
    for (name, values) in &event.s.0 {
        draft.many(&name.0, values.as_slice().iter().map(|text| Scalar::Text(&text.0)))?;
    }
    for (name, values) in &event.b.0 {
        draft.many(&name.0, values.as_slice().iter().map(|value| Scalar::Bool(*value)))?;
    }
    for pair in &event.x {
        let (name, value) = pair.0.split_once('=').unwrap_or((&pair.0, ""));
        draft.text(name, value)?;
    }
    if let Some(raw) = event.raw.as_deref().and_then(|raw| STANDARD.decode(raw).ok()) {
        draft.put_raw(&raw);
    }
    Ok(())
}

/// An instant as a point in time that is not checked yet.
pub(super) fn moment(at: Timestamp) -> Moment {
    let nanos = at.as_nanos();
    Moment {
        secs: nanos.div_euclid(1_000_000_000),
        nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}
