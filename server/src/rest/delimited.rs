//! Events as lines: NDJSON, and CSV that a spreadsheet opens without running anything.

use bytes::Bytes;
use domain::{Event, event::FieldValue};

/// How events are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A JSON object a line.
    Ndjson,
    /// The envelope's columns, then these fields; without any named, all fields as JSON in one column.
    Csv {
        /// Names with dots.
        fields: Vec<String>,
    },
}

const ENVELOPE: [&str; 7] = ["id", "ts", "received_at", "source", "kind", "level", "message"];

impl Layout {
    /// The media type.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv { .. } => "text/csv; charset=utf-8; header=present",
        }
    }

    /// The file's extension.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv { .. } => "csv",
        }
    }

    /// What stands before the first event.
    pub fn head(&self) -> Bytes {
        match self {
            Self::Ndjson => Bytes::new(),
            Self::Csv { fields } => {
                let own: Vec<String> =
                    if fields.is_empty() { vec!["fields".to_owned()] } else { fields.clone() };
                row(ENVELOPE
                    .iter()
                    .map(|name| (*name).to_owned())
                    .chain(own.iter().map(|name| harmless(name))))
            }
        }
    }

    /// One event's line.
    pub fn line(&self, event: &Event) -> Bytes {
        match self {
            Self::Ndjson => {
                let mut line = serde_json::to_vec(event).unwrap_or_default();
                line.push(b'\n');
                line.into()
            }
            Self::Csv { fields } => {
                let envelope = [
                    event.id.to_string(),
                    event.ts.to_string(),
                    event.received_at.to_string(),
                    harmless(event.source.as_str()),
                    event.kind.name().to_owned(),
                    event.level.map(|level| level.name().to_owned()).unwrap_or_default(),
                    harmless(event.message.as_deref().unwrap_or_default()),
                ];
                let own = if fields.is_empty() {
                    vec![serde_json::to_string(&event.fields).unwrap_or_default()]
                } else {
                    fields.iter().map(|name| event.fields.get(name).map(cell).unwrap_or_default()).collect()
                };
                row(envelope.into_iter().chain(own))
            }
        }
    }
}

fn cell(value: &FieldValue) -> String {
    match value {
        // A number starts no formula, whatever its sign.
        FieldValue::Number(_) | FieldValue::Bool(_) => value.to_string(),
        FieldValue::Text(_) | FieldValue::Many(_) => harmless(&value.to_string()),
    }
}

/// Spreadsheets take a text that starts so for a formula, in East Asia full-width signs too; an apostrophe before it
/// keeps it a text.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn row(cells: impl Iterator<Item = String>) -> Bytes {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{EventId, EventKind, SourceKey, Timestamp};

    fn check(layout: Layout, message: &str, text: &str, number: f64, expect: &str) {
        let event = Event {
            id: EventId::parse("0190b5e1-0000-7000-8000-000000000000").unwrap(),
            source: SourceKey::new("=pump").unwrap(),
            ts: Timestamp::from_secs(0),
            received_at: Timestamp::from_secs(0),
            kind: EventKind::Log,
            level: None,
            message: Some(message.to_owned()),
            fields: [
                ("site".to_owned(), FieldValue::Text(text.to_owned())),
                ("t".to_owned(), FieldValue::Number(number)),
            ]
            .into(),
            raw: None,
        };
        let line = layout.line(&event);
        let line = std::str::from_utf8(&line).unwrap();
        assert!(line.ends_with(expect), "{line:?} does not end in {expect:?}");
    }

    #[test]
    fn cells_run_no_formula_and_lines_stay_lines() {
        let csv = Layout::Csv { fields: vec!["site".to_owned(), "t".to_owned(), "none".to_owned()] };
        check(csv.clone(), "ok", "부산", -1.5, "'=pump,log,,ok,부산,-1.5,\r\n");
        check(csv.clone(), "=1+1", "@x", 2.0, "log,,'=1+1,'@x,2,\r\n");
        check(csv.clone(), "＝1+1", "\n=1+1", 2.0, "log,,'＝1+1,\"'\n=1+1\",2,\r\n");
        check(csv, "a,\"b\"\nc", "+x", 0.0, "\"a,\"\"b\"\"\nc\",'+x,0,\r\n");
        check(
            Layout::Csv { fields: vec![] },
            "x",
            "y",
            1.0,
            "x,\"{\"\"site\"\":\"\"y\"\",\"\"t\"\":1}\"\r\n",
        );
        check(Layout::Ndjson, "=x", "y", 1.0, "\"message\":\"=x\",\"fields\":{\"site\":\"y\",\"t\":1}}\n");
    }
}
