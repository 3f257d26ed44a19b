//! Makes events of dead letters, by the rules of every other record.

use crate::dead_letter::LetterForm;
use crate::intake::Intake;
use crate::protocol::Protocol;
use crate::quota::{Tenants, TokenLimits, Verdict};
use crate::record::writer::{Home, Place};
use crate::record::{
    Batch, Budgets, Limits, NameBudget, RecordError, RecordWriter, SourceBudget, event, mask,
};
use domain::event::StoredEvent;
use domain::{Event, EventId, Lang};
use serde::Deserialize;
use services::IngestTenant;
use services::replayer::{NoEvent, Replay, Replayed, Replayer};
use std::sync::Arc;
use std::time::Duration;
use store::broker::NewRecord;
use store::sql::LetterRow;

/// See the module.
pub struct LetterReplay {
    limits: Limits,
    tenants: Arc<Tenants>,
}

impl LetterReplay {
    /// Where nothing else takes records: with quotas of its own.
    pub fn new(limits: Limits) -> Self {
        Self { limits, tenants: Arc::new(Tenants::new(limits)) }
    }

    /// Beside other doors: the tenants' quotas and budgets are theirs.
    pub fn beside(intake: &Intake) -> Self {
        Self { limits: intake.limits, tenants: Arc::clone(&intake.tenants) }
    }

    fn write(
        &self,
        tenant: &IngestTenant,
        replay: Replay<'_>,
        budgets: Budgets,
    ) -> Result<(EventId, NewRecord), RecordError> {
        let row = replay.row;
        let rules = Arc::clone(&tenant.masking.rules);
        let mut writer =
            RecordWriter::new(self.limits, tenant.zone.clone(), rules, home(tenant, row), budgets);
        writer.begin();
        let id = match row.form {
            LetterForm::Frame => {
                self.read_frame(row, replay.bytes, &mut writer)?;
                row.id
            }
            LetterForm::Event => {
                event::read(&mut writer.draft, replay.bytes)?;
                own_id(replay.original).unwrap_or(row.id)
            }
        };
        let letter: Arc<str> = row.id.to_string().into();
        let mut batch = Batch::default();
        writer.finish(Place::Letter { id, letter: &letter }, &mut batch)?;
        let record = batch.into_records(0).pop();
        // One record was written.
        record.map(|record| (id, record)).ok_or(RecordError::Empty)
    }

    fn read_frame(
        &self,
        row: &LetterRow,
        frame: &[u8],
        writer: &mut RecordWriter,
    ) -> Result<(), RecordError> {
        let (limit, length) = (self.limits.frame_bytes, frame.len() as u64);
        if frame.len() > limit {
            return Err(RecordError::FrameTooLarge { limit, length });
        }
        let protocol = Protocol::named(&row.protocol)
            .ok_or_else(|| RecordError::Framing("its protocol is not known any more".into()))?;
        protocol.read(frame, &mut writer.draft)?;
        // It did not happen when somebody replays it.
        writer.draft.otherwise_at(row.at);
        Ok(())
    }
}

/// Where a letter's event belongs.
fn home(tenant: &IngestTenant, row: &LetterRow) -> Home {
    Home {
        tenant: tenant.key.clone(),
        class: Arc::clone(&tenant.class),
        group: tenant.group,
        bound: row.source_bound.then(|| row.source.clone()),
        fallback: row.source.clone(),
        protocol: row.protocol.as_str().into(),
    }
}

/// The id that ingestion gave an event, as far as it can be read.
fn own_id(json: &[u8]) -> Option<EventId> {
    #[derive(Deserialize)]
    struct Identified {
        id: EventId,
    }
    serde_json::from_slice::<Identified>(json).ok().map(|it| it.id)
}

fn no_event(error: &RecordError) -> NoEvent {
    NoEvent { code: error.code().to_owned(), ko: error.message(Lang::Ko), en: error.message(Lang::En) }
}

impl Replayer for LetterReplay {
    fn hide(&self, tenant: &IngestTenant, bytes: &[u8]) -> Vec<u8> {
        mask::original(&tenant.masking.rules, bytes).bytes
    }

    fn preview(&self, tenant: &IngestTenant, replay: Replay<'_>) -> Result<Event, NoEvent> {
        // A look takes nothing from the tenant's budgets.
        let budgets = Budgets {
            names: Arc::new(NameBudget::new(self.limits.names_per_day)),
            sources: Arc::new(SourceBudget::new(self.limits.sources_per_day)),
        };
        let (_, record) = self.write(tenant, replay, budgets).map_err(|error| no_event(&error))?;
        let event = StoredEvent::parse(&record.payload);
        event
            .map(|event| event.to_event())
            .map_err(|error| no_event(&RecordError::NotAnEvent(error.to_string())))
    }

    fn make(&self, tenant: &IngestTenant, replay: Replay<'_>) -> Result<Replayed, NoEvent> {
        let budgets = self.tenants.state(&tenant.key).budgets.clone();
        let (id, record) = self.write(tenant, replay, budgets).map_err(|error| no_event(&error))?;
        Ok(Replayed { id, record })
    }

    fn admit(&self, tenant: &IngestTenant, bytes: usize) -> Result<(), Duration> {
        match self.tenants.state(&tenant.key).ask(tenant, 0, TokenLimits::default(), bytes) {
            Verdict::Go => Ok(()),
            Verdict::Wait(time) => Err(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{SourceKey, TenantId, Timestamp, Zone};
    use serde_json::{Value, json};
    use services::Masking;
    use store::broker::Origin;
    use store::sql::dead_letters::LetterState;

    fn tenant() -> IngestTenant {
        IngestTenant {
            key: TenantId::new("t_acme").unwrap(),
            zone: Zone::named("Asia/Seoul").unwrap(),
            class: "30d".into(),
            group: 1,
            events_per_sec: Some(1),
            bytes_per_sec: None,
            bytes_per_day: None,
            masking: Masking::default(),
        }
    }

    fn row(protocol: &str, form: LetterForm) -> LetterRow {
        LetterRow {
            id: EventId::at(Timestamp::from_secs(1_700_000_000), [7; 10]),
            tenant: tenant().key,
            source: SourceKey::new("line 1").unwrap(),
            source_bound: false,
            protocol: protocol.to_owned(),
            peer: None,
            code: "invalid_json".to_owned(),
            reason: String::new(),
            at: Timestamp::from_secs(1_700_000_000),
            length: 0,
            sha256: None,
            form,
            blanked: false,
            kept_bytes: 0,
            state: LetterState::Open,
            revision: 0,
            edited: None,
            resolved: None,
            event_id: None,
        }
    }

    fn made(row: &LetterRow, original: &[u8], bytes: &[u8]) -> Result<(Value, NewRecord), String> {
        let maker = LetterReplay::new(Limits::default());
        let replay = Replay { row, original, bytes };
        let shown = maker.preview(&tenant(), replay).map_err(|refused| refused.code);
        let made = maker.make(&tenant(), replay).map_err(|refused| refused.code);
        assert_eq!(shown.as_ref().err(), made.as_ref().err(), "the preview says what will be");
        let made = made?;
        assert_eq!(made.record.origin, Origin::Given(row.id.to_string().into()));
        let event: Value = serde_json::from_slice(&made.record.payload).unwrap();
        assert_eq!(event["id"], json!(made.id));
        Ok((event, made.record))
    }

    /// A frame becomes an event of its protocol, with the letter's id, and what it says.
    #[test]
    fn frames_are_read_in_their_protocol() {
        let at = json!("2023-11-14T22:13:20.000000000Z");
        let check = |protocol: &str, frame: &str, expect: Value| {
            let row = row(protocol, LetterForm::Frame);
            let (event, record) = made(&row, b"", frame.as_bytes()).unwrap();
            assert_eq!(event["id"], json!(row.id));
            assert_eq!(event["tenant"], "t_acme");
            assert_eq!(&*record.route.protocol, protocol);
            for (name, value) in expect.as_object().unwrap() {
                assert_eq!(&event[name], value, "{name} of {event}");
            }
        };
        check(
            "ndjson",
            r#"{"source":"pump-1","temp":5}"#,
            json!({"source": "pump-1", "n": {"temp": 5}, "ts": at}),
        );
        check("ndjson", r#"{"message":"m","qgx_token":"qgx_****"}"#, json!({"source": "line 1", "s": null}));
        check("gelf", r#"{"short_message":"m","_a":"b"}"#, json!({"message": "m", "s": {"a": "b"}}));
        check("lumberjack", r#"{"message":"m","host":{"name":"h"}}"#, json!({"source": "h"}));
        check("lines", "cpu,host=a value=1 1700000000000000000", json!({"kind": "metric", "source": "a"}));
        check("lines", "900101-1234567 plain", json!({"message": "900101-******* plain"}));
        let syslog = "<34>1 2023-11-14T01:02:03Z h su - - - gone";
        for protocol in ["syslog", "relp"] {
            check(protocol, syslog, json!({"source": "h", "ts": "2023-11-14T01:02:03.000000000Z"}));
        }
    }

    #[test]
    fn what_is_no_event_says_why() {
        let check = |protocol: &str, form: LetterForm, bytes: &[u8], code: &str| {
            assert_eq!(made(&row(protocol, form), b"", bytes).err().as_deref(), Some(code));
        };
        check("ndjson", LetterForm::Frame, b"{", "invalid_json");
        check("ndjson", LetterForm::Frame, b"  ", "empty_line");
        check("ndjson", LetterForm::Frame, &vec![b'x'; (1 << 20) + 1], "frame_too_large");
        check("carrier pigeon", LetterForm::Frame, b"{}", "framing");
        check("ndjson", LetterForm::Event, b"{\"a\":1}", "undecodable");
    }

    /// A bound source stays, whatever the bytes say.
    #[test]
    fn a_bound_source_cannot_be_changed() {
        let row = LetterRow { source_bound: true, ..row("ndjson", LetterForm::Frame) };
        let (event, _) = made(&row, b"", br#"{"source":"pump-1","x":1}"#).unwrap();
        assert_eq!((&event["source"], &event["s"]["source"]), (&json!("line 1"), &json!("pump-1")));
    }

    /// An event keeps its id, not its tenant, source or arrival; what rules name is hidden.
    #[test]
    fn events_become_events_again() {
        let row = LetterRow { source_bound: true, ..row("qgx", LetterForm::Event) };
        let id = "01900000-0000-7000-8000-000000000001";
        let original = format!(r#"{{"id":"{id}","level":"loud"}}"#);
        let edited = r#"{"id":"01900000-0000-7000-8000-00000000dead","tenant":"t_other","source":"s",
            "ts":"2023-11-14T01:02:03.000000004Z","received_at":"2020-01-01T00:00:00.000000000Z","kind":"metric",
            "level":"warn","message":"900101-1234567","n":{"t":81.5,"many":[1,2]},"s":{"a/b":["c","d"]},
            "b":{"ok":true},"x":["rare=1"],"raw":"/w=="}"#;
        let (mut event, _) = made(&row, original.as_bytes(), edited.as_bytes()).unwrap();
        let received: Timestamp = serde_json::from_value(event["received_at"].take()).unwrap();
        assert!(received.as_secs() > 1_700_000_000, "it arrives now");
        event.as_object_mut().unwrap().remove("received_at");
        assert_eq!(
            event,
            json!({
                "id": id, "tenant": "t_acme", "source": "line 1", "ts": "2023-11-14T01:02:03.000000004Z",
                "kind": "metric", "level": "warn", "message": "900101-*******",
                "n": {"t": 81.5, "many": [1.0, 2.0]}, "s": {"a/b": ["c", "d"], "rare": "1"}, "b": {"ok": true},
                "raw": "/w==",
            })
        );
        let (again, _) = made(&row, b"no JSON", edited.as_bytes()).unwrap();
        assert_eq!(again["id"], json!(row.id), "there is no other");
    }

    #[tokio::test(start_paused = true)]
    async fn replays_count_against_the_quota() {
        let maker = LetterReplay::new(Limits::default());
        assert!(maker.admit(&tenant(), 100).is_ok());
        assert!(maker.admit(&tenant(), 100).is_err());
    }

    #[test]
    fn edits_are_hidden_as_originals_are() {
        let maker = LetterReplay::new(Limits::default());
        let token = format!("900101-1234567 qgx_{}", "a".repeat(40));
        let hidden = maker.hide(&tenant(), token.as_bytes());
        let expect = format!("900101-******* qgx_{}", "*".repeat(40));
        assert_eq!(String::from_utf8(hidden).unwrap(), expect);
    }
}
