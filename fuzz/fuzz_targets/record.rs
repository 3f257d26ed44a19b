//! Any frame of any protocol becomes an event that reads back, or is refused by name.
#![no_main]

use domain::event::StoredEvent;
use domain::{SourceKey, TenantId, Zone};
use ingest::access::Masking;
use ingest::protocol::Protocol;
use ingest::record::writer::{Home, Place};
use ingest::record::{Batch, Budgets, Limits, NameBudget, RecordWriter, SourceBudget};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (protocol, names, frame) = input;
    let protocol = Protocol::ALL[usize::from(protocol) % Protocol::ALL.len()];
    let limits = Limits { names_per_day: usize::from(names), ..Limits::default() };
    let home = Home {
        tenant: TenantId::new("t_fuzz").expect("a tenant key"),
        class: "30d".into(),
        group: 1,
        bound: None,
        fallback: SourceKey::new("peer").expect("a source key"),
        protocol: protocol.name().into(),
    };
    let budgets = Budgets {
        names: Arc::new(NameBudget::new(limits.names_per_day)),
        sources: Arc::new(SourceBudget::new(usize::from(names % 2))),
    };
    let mut writer = RecordWriter::new(limits, Zone::utc(), Masking::default().rules, home, budgets);
    let mut batch = Batch::default();
    for _ in 0..2 {
        writer.begin();
        if protocol.read(frame, &mut writer.draft).is_ok() {
            // A record too large for the topics is refused by name as well.
            let _ = writer.finish(Place::Unmarked, &mut batch);
        }
    }
    for record in batch.into_records(0) {
        let event = StoredEvent::parse(&record.payload).expect("what is written reads back");
        assert_eq!(event.source, record.route.source.as_str());
    }
});
