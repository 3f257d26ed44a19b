//! Dead letters between a broker that fails and people who are in each other's way. What is made of their bytes is
//! ingestion's, and tested there.

use super::fixture::{Fixture, key};
use crate::replayer::{NoEvent, Replay, Replayed, Replayer};
use crate::*;
use bytes::Bytes;
use domain::api::{LetterEdit, LetterForm, LetterQuery, LetterSelection, LetterState};
use domain::{Event, EventId, Timestamp};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use store::broker::memory::AppendFault;
use store::broker::{NewRecord, Origin, Route, Topic};
use store::sql::{DeadLetters, Letter, LetterBatch, LetterRow};

/// Makes an event of anything but `bad`, as long as the quota lasts.
struct Maker {
    quota: Mutex<usize>,
}

impl Replayer for Maker {
    fn hide(&self, _: &IngestTenant, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
    fn preview(&self, tenant: &IngestTenant, replay: Replay<'_>) -> Result<Event, NoEvent> {
        let made = self.make(tenant, replay)?;
        Ok(Event {
            id: made.id,
            source: replay.row.source.clone(),
            ts: replay.row.at,
            received_at: replay.row.at,
            kind: domain::EventKind::Event,
            level: None,
            message: None,
            fields: Default::default(),
            raw: None,
        })
    }
    fn make(&self, tenant: &IngestTenant, replay: Replay<'_>) -> Result<Replayed, NoEvent> {
        if replay.bytes == b"bad" {
            let (ko, en) = ("나쁩니다".to_owned(), "it is bad".to_owned());
            return Err(NoEvent { code: "bad".to_owned(), ko, en });
        }
        let route = Route {
            tenant: tenant.key.clone(),
            source: replay.row.source.clone(),
            class: "30d".into(),
            group: 1,
            protocol: "ndjson".into(),
        };
        let record = NewRecord {
            route: Arc::new(route),
            origin: Origin::Given(replay.row.id.to_string().into()),
            token: 0,
            payload: Bytes::copy_from_slice(replay.bytes),
        };
        Ok(Replayed { id: replay.row.id, record })
    }
    fn admit(&self, _: &IngestTenant, _: usize) -> Result<(), Duration> {
        let mut left = self.quota.lock();
        *left = left.checked_sub(1).ok_or(Duration::from_secs(7))?;
        Ok(())
    }
}

struct Letters {
    fixture: Fixture,
    maker: Arc<Maker>,
}

fn id(number: u8) -> EventId {
    EventId::at(Timestamp::from_secs(1_700_000_000), [number; 10])
}

impl Letters {
    /// Letters with these bytes, numbered from 1.
    async fn of(bytes: &[&[u8]]) -> Self {
        let fixture = Fixture::new().await;
        let maker = Arc::new(Maker { quota: Mutex::new(1_000) });
        fixture.services.set_replayer(maker.clone());
        let letter = |(number, bytes): (u8, &&[u8])| Letter {
            row: LetterRow {
                id: id(number),
                tenant: fixture.tenant.clone(),
                source: key("pump-1"),
                source_bound: false,
                protocol: "ndjson".to_owned(),
                peer: None,
                code: "invalid_json".to_owned(),
                reason: "not JSON".to_owned(),
                at: Timestamp::from_secs(1_700_000_000 + i64::from(number)),
                length: bytes.len() as u64,
                sha256: None,
                form: LetterForm::Frame,
                blanked: false,
                kept_bytes: bytes.len() as u64,
                state: LetterState::Open,
                revision: 0,
                edited: None,
                resolved: None,
                event_id: None,
            },
            original: bytes.to_vec(),
            edited: None,
        };
        let letters: Vec<_> = (1..).zip(bytes).map(letter).collect();
        let batch = LetterBatch { partition: 0, start: 0, next: letters.len() as u64, letters };
        fixture.sql.keep_letters("qgx.dead-letter.v1", &batch).await.unwrap();
        Self { fixture, maker }
    }

    fn services(&self) -> &Services {
        &self.fixture.services
    }

    async fn state(&self, number: u8) -> LetterState {
        let shown = self.services().dead_letter(&self.fixture.local(), id(number)).await.unwrap();
        shown.letter.state
    }

    async fn replay(&self, number: u8) -> Result<LetterState, ServiceError> {
        let ctx = self.fixture.local();
        Ok(self.services().replay_dead_letter(&ctx, id(number)).await?.state)
    }

    /// Origins of the events appended.
    fn appended(&self) -> Vec<Origin> {
        self.fixture.broker.records(Topic::Events).into_iter().map(|record| record.origin).collect()
    }
}

#[track_caller]
fn unfit<T>(result: Result<T, ServiceError>) -> &'static str {
    match result {
        Err(error @ ServiceError::Unfit { .. }) => error.code(),
        Err(other) => panic!("{other}"),
        Ok(_) => "fit",
    }
}

#[tokio::test]
async fn a_broker_that_takes_nothing_leaves_the_letter_open() {
    let letters = Letters::of(&[b"a"]).await;
    letters.fixture.broker.inject(AppendFault::Busy { retry_after: Duration::from_secs(3) });
    assert!(matches!(letters.replay(1).await, Err(ServiceError::Busy { .. })));
    assert_eq!(letters.state(1).await, LetterState::Open);
    assert_eq!(letters.replay(1).await.unwrap(), LetterState::Replayed);
    assert_eq!(letters.replay(1).await.unwrap(), LetterState::Replayed);
    assert_eq!(letters.appended().len(), 1, "once");
}

#[tokio::test]
async fn a_replay_cut_short_is_done_again_and_nothing_else() {
    let letters = Letters::of(&[b"a"]).await;
    let ctx = letters.fixture.local();
    letters.fixture.broker.inject(AppendFault::Lost { stored: 1 });
    assert!(matches!(letters.replay(1).await, Err(ServiceError::Internal(_))));
    assert_eq!(letters.state(1).await, LetterState::Replaying);
    let edit = LetterEdit { text: Some("b".to_owned()), ..LetterEdit::default() };
    assert_eq!(unfit(letters.services().edit_dead_letter(&ctx, id(1), edit).await), "replaying");
    assert_eq!(unfit(letters.services().discard_dead_letter(&ctx, id(1)).await), "replaying");
    // Nothing is taken now either: it is still not known what became of the first attempt.
    letters.fixture.broker.inject(AppendFault::Busy { retry_after: Duration::from_secs(3) });
    assert!(letters.replay(1).await.is_err());
    assert_eq!(letters.state(1).await, LetterState::Replaying);
    assert_eq!(letters.replay(1).await.unwrap(), LetterState::Replayed);
    let origin = Origin::Given(id(1).to_string().into());
    assert_eq!(letters.appended(), [origin.clone(), origin], "the processor knows it by this");
}

#[tokio::test]
async fn a_letter_that_fails_again_has_the_new_reason() {
    let letters = Letters::of(&[b"bad"]).await;
    assert_eq!(unfit(letters.replay(1).await), "not_replayable");
    let shown = letters.services().dead_letter(&letters.fixture.local(), id(1)).await.unwrap();
    assert_eq!((shown.letter.code.as_str(), shown.letter.reason.as_str()), ("bad", "it is bad"));
    assert_eq!(shown.preview.code.as_deref(), Some("bad"));
    assert_eq!(shown.letter.state, LetterState::Open);
}

#[tokio::test]
async fn a_quota_ends_a_call_after_what_it_had_room_for() {
    let letters = Letters::of(&[&b"a"[..]; 40]).await;
    let ctx = letters.fixture.local();
    let all = || LetterSelection { filter: Some(LetterQuery::default()), ..LetterSelection::default() };
    *letters.maker.quota.lock() = 20;
    let report = letters.services().replay_dead_letters(&ctx, all()).await.unwrap();
    assert_eq!((report.done, report.failed), (20, 0));
    let refused = letters.services().replay_dead_letters(&ctx, all()).await;
    assert!(matches!(refused, Err(ServiceError::RateLimited { retry_after }) if retry_after.as_secs() == 7));
    *letters.maker.quota.lock() = 100;
    let report = letters.services().replay_dead_letters(&ctx, all()).await.unwrap();
    assert_eq!((report.done, report.next_cursor), (20, None));
    assert_eq!(letters.appended().len(), 40);
}

#[tokio::test]
async fn selections_and_cursors_are_checked() {
    let letters = Letters::of(&[&b"a"[..]; 3]).await;
    let (services, ctx) = (letters.services(), letters.fixture.local());
    let wrong = |selection: LetterSelection| {
        let ctx = ctx.clone();
        async move { super::fixture::wrong_fields(services.replay_dead_letters(&ctx, selection).await) }
    };
    assert_eq!(wrong(LetterSelection::default()).await, ["ids"]);
    let many = LetterSelection { ids: Some(vec![id(1); 1_001]), ..LetterSelection::default() };
    assert_eq!(wrong(many).await, ["ids"]);
    let page = services.dead_letters(&ctx, LetterQuery::default(), None, 2).await.unwrap();
    let other = LetterQuery { code: Some("framing".to_owned()), ..LetterQuery::default() };
    let cursor = page.next_cursor.as_deref();
    assert_eq!(super::fixture::wrong_fields(services.dead_letters(&ctx, other, cursor, 2).await), ["cursor"]);
    let rest = services.dead_letters(&ctx, LetterQuery::default(), cursor, 2).await.unwrap();
    assert_eq!((rest.items.len(), rest.total, rest.next_cursor), (1, 3, None));
}
