//! Small records and stores for tests.

use domain::api::{Facet, FieldInfo, LiveTotals, Order, SourceState};
use domain::event::StoredEvent;
use domain::query::Query;
use domain::{Event, EventId, SourceKey, TenantId, TimeRange, Timestamp};
use futures::stream::BoxStream;
use parking_lot::Mutex;
use services::{Backlog, Stage, Tail, TailId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::broker::{NewRecord, Offset, Origin, Partition, Record, Route};
use store::index::{
    EventIndex, Found, IndexEntry, IndexError, IndexStats, LevelCounts, NumericAggregation, NumericResult,
    ReadLimit, Rejected, Search, Written,
};
use store::sql::{Accounts, SqlStore};
use store_sql::SqlDatabase;
use tokio::sync::watch;

use crate::processor::ProcessorHooks;

pub(crate) fn tenant() -> TenantId {
    TenantId::new("t_acme").unwrap()
}

pub(crate) fn source(name: &str) -> SourceKey {
    SourceKey::new(name).unwrap()
}

pub(crate) fn new_record(source_name: &str, payload: &str) -> NewRecord {
    let route = Route {
        tenant: tenant(),
        source: source(source_name),
        class: "30d".into(),
        group: 1,
        protocol: "ndjson".into(),
    };
    let payload = payload.to_owned().into();
    NewRecord { route: Arc::new(route), origin: Origin::Unmarked, token: 0, payload }
}

pub(crate) fn read_back(offset: Offset, new: NewRecord) -> Record {
    let NewRecord { route, origin, token, payload } = new;
    Record { offset, route, origin, token, payload }
}

/// Section-5 JSON; `rest` are members from `kind` on.
pub(crate) fn event_at(source_name: &str, ts: &str, received_at: &str, rest: &str) -> String {
    let id = EventId::at(Timestamp::now(), rand());
    format!(
        r#"{{"id":"{id}","tenant":"t_acme","source":"{source_name}","ts":"{ts}","received_at":"{received_at}",{rest}}}"#
    )
}

fn rand() -> [u8; 10] {
    let mut random = [0; 10];
    getrandom::fill(&mut random).unwrap();
    random
}

/// Arrived a second ago.
pub(crate) fn event(source_name: &str, rest: &str) -> String {
    let at = Timestamp::now().plus_nanos(-1_000_000_000).to_string();
    event_at(source_name, &at, &at, rest)
}

pub(crate) fn shown_event() -> Event {
    StoredEvent::parse(event("a", r#""kind":"event""#).as_bytes()).unwrap().to_event()
}

pub(crate) async fn sql() -> Arc<dyn SqlStore> {
    let database = SqlDatabase::connect("sqlite::memory:").await.unwrap();
    database.migrate().await.unwrap();
    database
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not come");
        looks.tick().await;
    }
}

/// An index that keeps its promises about offsets, and fails on request. It answers no reads.
pub(crate) struct FakeIndex {
    state: Mutex<FakeIndexState>,
    open: watch::Sender<bool>,
}

#[derive(Default)]
struct FakeIndexState {
    marks: HashMap<Partition, Offset>,
    written: Vec<(Partition, Offset, String)>,
    skipped: u64,
    failures: usize,
    writes: usize,
}

impl FakeIndex {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), open: watch::Sender::new(true) })
    }
    /// The next writes fail.
    pub fn fail(&self, times: usize) {
        self.state.lock().failures = times;
    }
    /// Writes wait at the gate until it is opened.
    pub fn gate(&self, open: bool) {
        self.open.send_replace(open);
    }
    /// The payloads indexed, in order.
    pub fn payloads(&self) -> Vec<String> {
        self.state.lock().written.iter().map(|it| it.2.clone()).collect()
    }
    pub fn places(&self) -> Vec<(Partition, Offset)> {
        self.state.lock().written.iter().map(|it| (it.0, it.1)).collect()
    }
    pub fn skipped(&self) -> u64 {
        self.state.lock().skipped
    }
    /// Writes begun, those at the gate too.
    pub fn writes(&self) -> usize {
        self.state.lock().writes
    }
}

const UNREAD: &str = "this index answers no reads";

#[async_trait::async_trait]
impl EventIndex for FakeIndex {
    async fn write(&self, batch: Vec<IndexEntry>) -> Result<Written, IndexError> {
        self.state.lock().writes += 1;
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.map_err(|it| IndexError::Failed(it.to_string()))?;
        let mut state = self.state.lock();
        if state.failures > 0 {
            state.failures -= 1;
            return Err(IndexError::Failed("injected".to_owned()));
        }
        let mut written = Written::default();
        let places: HashSet<_> = batch.iter().map(|it| (it.partition, it.record.offset)).collect();
        assert_eq!(places.len(), batch.len(), "an entry stands in a batch once");
        for IndexEntry { partition, record } in batch {
            let payload = String::from_utf8(record.payload.to_vec()).unwrap();
            let mark = state.marks.entry(partition).or_default();
            if record.offset < *mark {
                state.skipped += 1;
                written.skipped += 1;
                continue;
            }
            *mark = record.offset + 1;
            if payload.contains("\"refuse\"") {
                let (offset, reason) = (record.offset, "the fake index refuses it".to_owned());
                written.rejected.push(Rejected { partition, offset, code: "refused", reason });
                continue;
            }
            written.indexed += 1;
            state.written.push((partition, record.offset, payload));
        }
        Ok(written)
    }
    async fn search(&self, _: &TenantId, _: Search, _: ReadLimit) -> Result<Found, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    async fn count(&self, _: &TenantId, _: Query, _: TimeRange, _: ReadLimit) -> Result<u64, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    async fn outside(
        &self,
        _: &TenantId,
        _: Query,
        _: TimeRange,
        _: Timestamp,
        _: ReadLimit,
    ) -> Result<Option<(u64, TimeRange)>, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    async fn histogram(
        &self,
        _: &TenantId,
        _: Query,
        _: Vec<Timestamp>,
        _: ReadLimit,
    ) -> Result<LevelCounts, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    async fn facets(
        &self,
        _: &TenantId,
        _: Query,
        _: TimeRange,
        _: Vec<String>,
        _: u32,
        _: ReadLimit,
    ) -> Result<Vec<Facet>, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    async fn fields(&self, _: &TenantId, _: TimeRange, _: ReadLimit) -> Result<Vec<FieldInfo>, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    async fn get(&self, _: &TenantId, _: EventId, _: ReadLimit) -> Result<Option<bytes::Bytes>, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    fn export(
        &self,
        _: &TenantId,
        _: Query,
        _: TimeRange,
        _: Order,
        _: ReadLimit,
    ) -> BoxStream<'static, Result<bytes::Bytes, IndexError>> {
        Box::pin(futures::stream::empty())
    }
    async fn aggregate(
        &self,
        _: &TenantId,
        _: NumericAggregation,
        _: ReadLimit,
    ) -> Result<NumericResult, IndexError> {
        Err(IndexError::Failed(UNREAD.to_owned()))
    }
    async fn drop_expired(&self, _: Timestamp) -> Result<Vec<String>, IndexError> {
        Ok(vec![])
    }
    async fn stats(&self) -> Result<IndexStats, IndexError> {
        Ok(IndexStats::default())
    }
    async fn close(&self) -> Result<(), IndexError> {
        Ok(())
    }
}

/// Remembers what it was told.
#[derive(Default)]
pub(crate) struct FakeHooks {
    pub tails: Mutex<Arc<Vec<Tail>>>,
    pub totals: Mutex<Vec<(TenantId, LiveTotals)>>,
    pub tailed: Mutex<Vec<(TailId, Vec<Event>, u64)>>,
    pub sources: Mutex<Vec<(TenantId, SourceKey, SourceState)>>,
    pub tokens: Mutex<Vec<(TenantId, u64, SourceKey)>>,
    pub recorded: Mutex<HashMap<Stage, (u64, u64)>>,
    pub backlog: Mutex<Option<Backlog>>,
    pub failing: Mutex<Vec<(Stage, Option<String>)>>,
    pub fresh: Mutex<u64>,
}

impl FakeHooks {
    /// All that totals said of a tenant: events, bytes.
    pub fn total(&self) -> (u64, u64) {
        self.totals.lock().iter().fold((0, 0), |sum, (_, it)| (sum.0 + it.events, sum.1 + it.bytes))
    }
    /// Whether a stage was said to stand still.
    pub fn failed(&self, stage: Stage) -> bool {
        self.failing.lock().iter().any(|it| it.0 == stage && it.1.is_some())
    }
    /// Whether every stage goes on, as last said.
    pub fn goes_on(&self) -> bool {
        let failing = self.failing.lock();
        let last: HashMap<_, _> = failing.iter().map(|it| (it.0, it.1.is_some())).collect();
        !last.values().any(|it| *it)
    }
}

impl ProcessorHooks for FakeHooks {
    fn publish_totals(&self, tenant: &TenantId, totals: LiveTotals) {
        self.totals.lock().push((tenant.clone(), totals));
    }
    fn tails(&self) -> Arc<Vec<Tail>> {
        self.tails.lock().clone()
    }
    fn publish_tail(&self, id: TailId, events: Vec<Event>, omitted: u64) {
        self.tailed.lock().push((id, events, omitted));
    }
    fn publish_source(&self, tenant: &TenantId, source: SourceKey, state: SourceState) {
        self.sources.lock().push((tenant.clone(), source, state));
    }
    fn publish_token_seen(&self, tenant: &TenantId, token: u64, source: SourceKey) {
        self.tokens.lock().push((tenant.clone(), token, source));
    }
    fn record(&self, stage: Stage, records: u64, bytes: u64) {
        let mut recorded = self.recorded.lock();
        let sum = recorded.entry(stage).or_default();
        *sum = (sum.0 + records, sum.1 + bytes);
    }
    fn set_backlog(&self, _: Stage, backlog: Backlog) {
        *self.backlog.lock() = Some(backlog);
    }
    fn set_failing(&self, stage: Stage, reason: Option<String>) {
        self.failing.lock().push((stage, reason));
    }
    fn record_freshness(&self, _: &TenantId, events: u64, _: Duration) {
        *self.fresh.lock() += events;
    }
}
