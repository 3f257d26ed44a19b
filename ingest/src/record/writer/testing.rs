//! What a frame becomes, as text.

use super::*;
use crate::protocol::Protocol;
use crate::record::{NameBudget, RecordError};
use domain::masking::Rules;
use serde_json::{Value, json};

/// A writer for records of a tenant in Seoul.
pub fn writer(limits: Limits, bound: Option<&str>) -> RecordWriter {
    writer_by(services::ingest_access::Masking::default().rules, limits, bound)
}

/// As [`writer`], by other masking rules.
pub fn writer_by(rules: Arc<Rules>, limits: Limits, bound: Option<&str>) -> RecordWriter {
    let home = Home {
        tenant: TenantId::new("t_test").unwrap(),
        class: "30d".into(),
        group: 1,
        bound: bound.map(|source| SourceKey::new(source).unwrap()),
        fallback: SourceKey::new("peer").unwrap(),
        protocol: "test".into(),
    };
    let budgets = Budgets {
        names: Arc::new(NameBudget::new(limits.names_per_day)),
        sources: Arc::new(SourceBudget::new(limits.sources_per_day)),
    };
    RecordWriter::new(limits, Zone::named("Asia/Seoul").unwrap(), rules, home, budgets)
}

/// The event a frame becomes, arrived on 2026-11-22T04:00:00Z, checked for what every event has.
pub fn event(writer: &mut RecordWriter, protocol: Protocol, frame: &[u8]) -> Result<Value, RecordError> {
    let received_at = Timestamp::parse("2026-11-22T04:00:00Z").unwrap();
    writer.begin_at(received_at);
    protocol.read(frame, &mut writer.draft)?;
    let mut batch = Batch::default();
    writer.finish(Place::Unmarked, &mut batch)?;
    let record = batch.into_records(7).remove(0);
    let stored = domain::event::StoredEvent::parse(&record.payload)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&record.payload)));
    assert_eq!((&*stored.tenant, &*stored.source), ("t_test", record.route.source.as_str()));
    assert_eq!(stored.received_at, received_at);
    Ok(serde_json::from_slice(&record.payload).unwrap())
}

/// Compares without what every event has: id, tenant, arrival, and where they are the default, time and source.
#[track_caller]
pub fn compare(mut got: Value, expect: &str) {
    let arrival = got["received_at"].clone();
    let object = got.as_object_mut().unwrap();
    for name in ["id", "tenant", "received_at"] {
        object.remove(name).unwrap();
    }
    if object["ts"] == arrival {
        object.remove("ts");
    }
    if object["source"] == json!("peer") {
        object.remove("source");
    }
    let expect: Value = serde_json::from_str(expect).unwrap();
    assert_eq!(got, expect, "\n   got {got}\nexpect {expect}");
}

/// A frame, and the event it becomes.
#[track_caller]
pub fn check(protocol: Protocol, frame: impl AsRef<[u8]>, expect: &str) {
    let got = event(&mut writer(Limits::default(), None), protocol, frame.as_ref());
    compare(got.unwrap(), expect);
}
