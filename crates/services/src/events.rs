//! Events: search, one of them, what stands around it, and all of them as a stream.

use crate::check::Check;
use crate::cursor::{Fingerprint, SearchCursor};
use crate::hand_over;
use crate::reads::Line;
use crate::{Ctx, ServiceError, Services};
use bytes::Bytes;
use domain::api::{EventFilter, Order, OutsideWindow, Page, SearchResult, Surroundings};
use domain::event::StoredEvent;
use domain::query::{Expr, Field, Query};
use domain::{Event, EventId, Permission, SourceKey, TenantId, TimeRange, Timestamp};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::time::{Duration, Instant};
use store::index::{EventIndex, PAGE_BYTES, ReadLimit, Search, SortKey};

/// How long an export waits for its reader: it holds one of the few places in the queue.
const READER_PATIENCE: Duration = Duration::from_secs(30);
/// How many bytes of events are shown on one side of an event, about; beyond them there are fewer than asked for.
const SURROUNDING_BYTES: usize = 4 * PAGE_BYTES;
/// How far back an arrival counts as having come just now.
const JUST_NOW_NANOS: i64 = 900_000_000_000;
/// How far from the window an arrival lies that is worth a word.
const BESIDE_NANOS: i64 = 60_000_000_000;
const DAY_NANOS: i64 = 86_400_000_000_000;

impl Services {
    /// A page of the events that match, with their exact total; on the first page also what arrived just now outside
    /// the window. `limit` is 1–1,000. The pages after the first have the first one's window, so that a relative one
    /// does not move under the reader. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `Invalid("q")` with the place of the mistake, `Invalid` for a wrong window, limit or cursor, `Deadline`.
    pub async fn search(
        &self,
        ctx: &Ctx,
        filter: EventFilter,
        order: Order,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<SearchResult, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let mut check = Check::new(ctx.lang);
        check.number("limit", limit.into(), 1..=1_000);
        check.range(filter.range);
        let query = check.query("q", &filter.q);
        check.done()?;
        let question = Fingerprint::of(&[tenant.as_str(), &filter.q, &format!("{order:?}")]);
        let cursor = cursor.map(|text| SearchCursor::read(text, question, ctx.lang)).transpose()?;
        let range = cursor.map_or(filter.range, |cursor| cursor.range);
        let search =
            Search { query: query.clone(), range, order, limit, after: cursor.map(|cursor| cursor.after) };
        let started = Instant::now();
        let index = &self.stores().index;
        let (found, outside) = self
            .read(ctx, tenant, |limit| async move {
                let outside = async {
                    if cursor.is_some() {
                        return Ok(None);
                    }
                    let since = Timestamp::now().plus_nanos(-JUST_NOW_NANOS);
                    // What lies a moment beside it has only come late, or in between.
                    let about = TimeRange {
                        from: range.from.plus_nanos(-BESIDE_NANOS),
                        to: range.to.plus_nanos(BESIDE_NANOS),
                    };
                    index.outside(tenant, query, about, since, limit.clone()).await
                };
                tokio::try_join!(index.search(tenant, search, limit.clone()), outside)
            })
            .await?;
        let next_cursor = found.next.map(|after| SearchCursor { after, range }.write(question));
        Ok(SearchResult {
            page: Page { items: events(&found.events)?, next_cursor, total: found.total },
            took_ms: millis_since(started),
            outside: outside.map(|(count, range)| OutsideWindow { count, range }),
        })
    }

    /// The tenant's day that is nearest to a window and has a match; `None` where nothing matches outside it. Needs
    /// [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// As [`Services::search`].
    pub async fn nearest(&self, ctx: &Ctx, filter: EventFilter) -> Result<Option<TimeRange>, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let mut check = Check::new(ctx.lang);
        check.range(filter.range);
        let query = check.query("q", &filter.q);
        check.done()?;
        let TimeRange { from, to } = filter.range;
        let one = |order, range| Search { query: query.clone(), range, order, limit: 1, after: None };
        let ahead = Timestamp::now().plus_nanos(2 * DAY_NANOS).max(to);
        let before = one(Order::Desc, TimeRange { from: Timestamp::from_nanos(0).min(from), to: from });
        let after = one(Order::Asc, TimeRange { from: to, to: ahead });
        let index = &self.stores().index;
        let (before, after) = self
            .read(ctx, tenant, |limit| async move {
                tokio::try_join!(
                    index.search(tenant, before, limit.clone()),
                    index.search(tenant, after, limit)
                )
            })
            .await?;
        let times = |page: &[Bytes]| Ok::<_, ServiceError>(events(page)?.first().map(|event| event.ts));
        let gap = |at: &Timestamp| {
            from.as_nanos().saturating_sub(at.as_nanos()).max(at.as_nanos().saturating_sub(to.as_nanos()))
        };
        let found = [times(&before.events)?, times(&after.events)?].into_iter().flatten().min_by_key(gap);
        let zone = self.zone_of(tenant).await?;
        let midnight = |at: Timestamp| zone.instant(zone.civil(at).midnight()).unwrap_or(at);
        Ok(found.map(|at| {
            let from = midnight(at);
            // A day has 25 hours at most, and the next one more than two.
            TimeRange { from, to: midnight(from.plus_nanos(DAY_NANOS + DAY_NANOS / 12)) }
        }))
    }

    /// One event. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `NotFound("event")`.
    pub async fn event(&self, ctx: &Ctx, id: EventId) -> Result<Event, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        self.event_of(ctx, tenant, id).await
    }

    async fn event_of(&self, ctx: &Ctx, tenant: &TenantId, id: EventId) -> Result<Event, ServiceError> {
        let index = &self.stores().index;
        let found = self.read(ctx, tenant, |limit| index.get(tenant, id, limit)).await?;
        event(&found.ok_or(ServiceError::NotFound { what: "event" })?)
    }

    /// An event and what its source sent before and after: at most `limit` (1–200) on either side, fewer where they
    /// are over 64 MiB, at most `around` (up to a day) away. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `NotFound("event")`, `Invalid("limit")`, `Invalid("seconds")`.
    pub async fn surroundings(
        &self,
        ctx: &Ctx,
        id: EventId,
        around: Duration,
        limit: u32,
    ) -> Result<Surroundings, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let mut check = Check::new(ctx.lang);
        check.number("limit", limit.into(), 1..=200);
        check.number("seconds", around.as_secs(), 1..=86_400);
        check.done()?;
        let event = self.event_of(ctx, tenant, id).await?;
        let nanos = i64::try_from(around.as_nanos()).unwrap_or(i64::MAX);
        let range =
            TimeRange { from: event.ts.plus_nanos(-nanos), to: event.ts.plus_nanos(nanos).plus_nanos(1) };
        let side = |order: Order| Search {
            query: of_source(event.source.as_str()),
            range,
            order,
            limit,
            after: Some(SortKey { ts: event.ts, received_at: event.received_at, id: event.id }),
        };
        let (index, source) = (&*self.stores().index, &event.source);
        let (mut before, after) = self
            .read(ctx, tenant, |limit| async move {
                tokio::try_join!(
                    of_one_source(index, tenant, source, side(Order::Desc), &limit),
                    of_one_source(index, tenant, source, side(Order::Asc), &limit)
                )
            })
            .await?;
        before.reverse();
        Ok(Surroundings { before, event, after })
    }

    /// Everything that matches, as a stream in bounded memory; what is wrong with the question is its first and only
    /// item. Ends when the context is cancelled; its deadline is not looked at, but a reader who takes nothing for 30 s
    /// is left behind, with [`ServiceError::Deadline`] as the last item. Needs [`Permission::ReadEvents`].
    pub fn export(
        &self,
        ctx: &Ctx,
        filter: EventFilter,
        order: Order,
    ) -> BoxStream<'static, Result<Event, ServiceError>> {
        let (services, ctx, cancel) = (self.clone(), ctx.clone(), ctx.cancel.clone());
        let stream = async_stream::try_stream! {
            let tenant = ctx.require(Permission::ReadEvents)?.clone();
            let mut check = Check::new(ctx.lang);
            check.range(filter.range);
            let query = check.query("q", &filter.q);
            check.done()?;
            let turn = services.inner.reads.turn(&ctx, &tenant, Line::Export).await?;
            let mut found =
                services.stores().index.export(&tenant, query, filter.range, order, turn.limit());
            loop {
                let next = tokio::select! {
                    biased;
                    () = ctx.cancel.cancelled() => Some(Err(ServiceError::Deadline)),
                    next = found.next() => next.map(|json| event(&json?)),
                };
                let Some(next) = next else { break };
                yield next?;
            }
            drop(turn);
        };
        hand_over::within(READER_PATIENCE, cancel, stream.boxed()).boxed()
    }
}

/// The first `search.limit` events of a source. The store's pages end early where their bytes are many, and its
/// comparison folds case, so that events of `PUMP-1` stand among those of `pump-1`: only its `next` says whether
/// there are more.
async fn of_one_source(
    index: &dyn EventIndex,
    tenant: &TenantId,
    source: &SourceKey,
    mut search: Search,
    limit: &ReadLimit,
) -> Result<Vec<Event>, ServiceError> {
    let wanted = search.limit as usize;
    let (mut own, mut bytes) = (Vec::new(), 0);
    loop {
        let page = index.search(tenant, search.clone(), limit.clone()).await?;
        for json in &page.events {
            let event = event(json)?;
            if event.source == *source && own.len() < wanted {
                bytes += json.len();
                own.push(event);
            }
        }
        match page.next {
            Some(next) if own.len() < wanted && bytes < SURROUNDING_BYTES => search.after = Some(next),
            _ => return Ok(own),
        }
    }
}

/// Exactly what one source sent, but for case.
fn of_source(source: &str) -> Query {
    Query { text: String::new(), expr: Expr::Equals { field: Field::Source, value: source.to_owned() } }
}

/// The shape people see, from the stored one.
pub(crate) fn event(json: &Bytes) -> Result<Event, ServiceError> {
    StoredEvent::parse(json)
        .map(|stored| stored.to_event())
        .map_err(|error| ServiceError::internal("stored event", error.to_string()))
}

/// As [`event`], for a page.
pub(crate) fn events(page: &[Bytes]) -> Result<Vec<Event>, ServiceError> {
    page.iter().map(event).collect()
}

/// Milliseconds since an instant.
pub(crate) fn millis_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}
