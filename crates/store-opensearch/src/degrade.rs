//! Events that OpenSearch cannot index as they are: a name it cannot map, or more names than an index may have.
//!
//! They are not lost and not dead letters. Their strings stay full text, their fields go where names beyond the budget
//! go (`x`: equality, prefix, exists), and the original lies beside, not indexed; it is what readers get. Only comparing,
//! charting and counting their fields is not possible.

use bytes::Bytes;
use domain::event::StoredEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// How a degraded event starts; no event does.
const START: &[u8] = b"{\"doc\":";

#[derive(Serialize)]
struct Degraded<'a> {
    doc: &'a RawValue,
    id: domain::EventId,
    tenant: &'a str,
    source: &'a str,
    ts: domain::Timestamp,
    received_at: domain::Timestamp,
    kind: domain::EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<domain::Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    text: Vec<&'a str>,
    x: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'static str>,
}

/// The degraded form of an event; `None` where it is no event.
pub(crate) fn degraded(json: &[u8]) -> Option<Bytes> {
    let event = StoredEvent::parse(json).ok()?;
    let doc = serde_json::from_slice::<&RawValue>(json).ok()?;
    let mut x: Vec<Cow<'_, str>> = event.x.iter().map(|pair| Cow::Borrowed(&*pair.0)).collect();
    for (name, values) in &event.n.0 {
        x.extend(values.as_slice().iter().map(|value| Cow::Owned(format!("{}={value}", name.0))));
    }
    for (name, values) in &event.b.0 {
        x.extend(values.as_slice().iter().map(|value| Cow::Owned(format!("{}={value}", name.0))));
    }
    let mut text = Vec::new();
    for (name, values) in &event.s.0 {
        x.extend(values.as_slice().iter().map(|value| Cow::Owned(format!("{}={}", name.0, value.0))));
        text.extend(values.as_slice().iter().map(|value| &*value.0));
    }
    let degraded = Degraded {
        doc,
        id: event.id,
        tenant: &event.tenant,
        source: &event.source,
        ts: event.ts,
        received_at: event.received_at,
        kind: event.kind,
        level: event.level,
        message: event.message.as_deref(),
        text,
        x,
        raw: event.raw.as_ref().map(|_| "there"),
    };
    serde_json::to_vec(&degraded).ok().map(Bytes::from)
}

/// The event behind what OpenSearch holds.
pub(crate) fn original(source: Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct Held<'a> {
        #[serde(borrow)]
        doc: &'a RawValue,
    }
    if !source.starts_with(START) {
        return source;
    }
    match serde_json::from_slice::<Held<'_>>(&source) {
        Ok(held) => source.slice_ref(held.doc.get().as_bytes()),
        Err(_) => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_comes_back() {
        let json = r#"{"id":"01900000-0000-7000-8000-000000000001","tenant":"t_a","source":"pump-1","ts":"2026-11-22T01:02:03.000000004Z","received_at":"2026-11-22T01:02:04.000000000Z","kind":"log","n":{"":1.5},"s":{" ":["a","b"]},"b":{"ok":true},"x":["rare=1"]}"#;
        let degraded = degraded(json.as_bytes()).unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&degraded).unwrap();
        assert_eq!(shown["x"], serde_json::json!(["rare=1", "=1.5", "ok=true", " =a", " =b"]));
        assert_eq!(shown["text"], serde_json::json!(["a", "b"]));
        assert_eq!(original(degraded), json);
        assert_eq!(original(json.into()), json);
    }
}
