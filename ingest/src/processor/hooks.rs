//! Whom the processor tells what it did.

use domain::api::{LiveTotals, SourceState};
use domain::{Event, SourceKey, TenantId};
use services::{Backlog, Services, Stage, Tail, TailId};
use std::sync::Arc;
use std::time::Duration;

/// What the processor tells others of this process, and what it asks them: the live hub and the pipeline's figures.
/// Nothing here may wait.
pub trait ProcessorHooks: Send + Sync + 'static {
    /// One second of a tenant.
    fn publish_totals(&self, tenant: &TenantId, totals: LiveTotals);
    /// What new events are matched against; a new `Arc` only when it changed.
    fn tails(&self) -> Arc<Vec<Tail>>;
    /// Events that matched a tail, and how many more did.
    fn publish_tail(&self, id: TailId, events: Vec<Event>, omitted: u64);
    /// A source was heard from for the first time.
    fn publish_source(&self, tenant: &TenantId, source: SourceKey, state: SourceState);
    /// A token's first event since this process started.
    fn publish_token_seen(&self, tenant: &TenantId, token: u64, source: SourceKey);
    /// What a stage just did.
    fn record(&self, stage: Stage, records: u64, bytes: u64);
    /// What waits before a stage.
    fn set_backlog(&self, stage: Stage, backlog: Backlog);
    /// Why a stage stands still; `None` when it goes on.
    fn set_failing(&self, stage: Stage, reason: Option<String>);
    /// How long after arrival events of a tenant became searchable.
    fn record_freshness(&self, tenant: &TenantId, events: u64, delay: Duration);
}

impl ProcessorHooks for Services {
    fn publish_totals(&self, tenant: &TenantId, totals: LiveTotals) {
        self.publish_second(tenant, totals);
    }
    fn tails(&self) -> Arc<Vec<Tail>> {
        self.live().tails()
    }
    fn publish_tail(&self, id: TailId, events: Vec<Event>, omitted: u64) {
        self.live().publish_tail(id, events, omitted);
    }
    fn publish_source(&self, tenant: &TenantId, source: SourceKey, state: SourceState) {
        self.live().publish_source(tenant, source, state);
    }
    fn publish_token_seen(&self, tenant: &TenantId, token: u64, source: SourceKey) {
        self.live().publish_token_seen(tenant, token, source);
    }
    fn record(&self, stage: Stage, records: u64, bytes: u64) {
        self.status().record(stage, records, bytes);
    }
    fn set_backlog(&self, stage: Stage, backlog: Backlog) {
        self.status().set_backlog(stage, backlog);
    }
    fn set_failing(&self, stage: Stage, reason: Option<String>) {
        self.status().set_failing(stage, reason);
    }
    fn record_freshness(&self, tenant: &TenantId, events: u64, delay: Duration) {
        self.status().record_freshness(tenant, events, delay);
    }
}
