//! Pages of events, in order.

use crate::client::LONGEST_ANSWER;
use crate::degrade;
use crate::error::unreadable;
use crate::index::Cluster;
use crate::scope::{Answer, Ask, Hit, Scope, Window};
use bytes::Bytes;
use domain::api::Order;
use domain::event::StoredEvent;
use domain::{EventId, TenantId, TimeRange, Timestamp};
use serde_json::{Value, json};
use store::index::{Found, IndexError, IndexName, PAGE_BYTES, ReadLimit, Search, SortKey};

/// The order of events: (`ts`, `received_at`, `id`).
pub(crate) fn sort(order: Order) -> Value {
    let order = match order {
        Order::Asc => "asc",
        Order::Desc => "desc",
    };
    json!([
        { "ts": { "order": order } },
        { "received_at": { "order": order } },
        { "id": { "order": order } },
    ])
}

/// Where a search goes on. Times are nanoseconds: as text they would be read as milliseconds.
pub(crate) fn search_after(key: SortKey) -> Value {
    json!([key.ts.as_nanos(), key.received_at.as_nanos(), key.id.to_string()])
}

/// An instant among the sort keys of an event.
pub(crate) fn instant(hit: &Hit<'_>, at: usize) -> Option<Timestamp> {
    hit.sort.get(at)?.as_i64().map(Timestamp::from_nanos)
}

/// The sort key of an event.
pub(crate) fn key(hit: &Hit<'_>) -> Option<SortKey> {
    let id = EventId::parse(hit.sort.get(2)?.as_str()?).ok()?;
    Some(SortKey { ts: instant(hit, 0)?, received_at: instant(hit, 1)?, id })
}

/// The event of a hit, as it was received.
pub(crate) fn event(body: &Bytes, hit: &Hit<'_>) -> Result<Bytes, IndexError> {
    let source = hit.source.ok_or_else(|| unreadable("an event has no source"))?;
    Ok(degrade::original(body.slice_ref(source.get().as_bytes())))
}

/// As many of an answer's events as [`PAGE_BYTES`] allow, at least one, and the key of the last.
pub(crate) fn events(
    body: &Bytes,
    hits: &[Hit<'_>],
    most: usize,
) -> Result<(Vec<Bytes>, Option<SortKey>), IndexError> {
    let mut events = Vec::with_capacity(hits.len().min(most));
    let (mut bytes, mut last) = (0, None);
    for hit in hits.iter().take(most) {
        let event = event(body, hit)?;
        bytes += event.len();
        if bytes > PAGE_BYTES && !events.is_empty() {
            break;
        }
        events.push(event);
        last = Some(key(hit).ok_or_else(|| unreadable("an event has no place in the order"))?);
    }
    Ok((events, last))
}

impl Cluster {
    /// One page.
    pub async fn page(
        &self,
        tenant: &TenantId,
        search: &Search,
        limit: &ReadLimit,
    ) -> Result<Found, IndexError> {
        let scope = Scope { tenant, query: &search.query, window: Window::Inside(search.range) };
        let wanted = search.limit.clamp(1, 1_000) as usize;
        let mut size = wanted;
        loop {
            let mut body = json!({ "size": size + 1, "sort": sort(search.order), "track_total_hits": true });
            if let Some(after) = search.after {
                body["search_after"] = search_after(after);
            }
            let indexes = self.all_indexes();
            let ask = Ask { operation: "search", indexes: &indexes, body, longest: LONGEST_ANSWER };
            let body = match self.ask(&scope, ask, limit).await {
                // Very large events: fewer of them.
                Err(IndexError::TooLarge(_)) if size > 1 => {
                    size = size.div_ceil(8);
                    continue;
                }
                answer => answer?,
            };
            let answer = Answer::parse(&body)?;
            let (events, last) = events(&body, &answer.hits.hits, size)?;
            let next = last.filter(|_| events.len() < answer.hits.hits.len());
            return Ok(Found { events, total: answer.total(), next });
        }
    }

    /// One event. Where its id tells when it arrived, the indexes of that time are asked first.
    pub async fn one(
        &self,
        tenant: &TenantId,
        id: EventId,
        limit: &ReadLimit,
    ) -> Result<Option<Bytes>, IndexError> {
        use domain::query::{Expr, Field, Query};
        let is_it = Expr::Equals { field: Field::Id, value: id.to_string() };
        let query = Query { text: String::new(), expr: is_it };
        let scope = Scope { tenant, query: &query, window: Window::Inside(TimeRange::ALL) };
        let mut asked = Vec::new();
        asked.extend(arrival(id).map(|at| self.indexes_of(at)));
        asked.push(self.all_indexes());
        for indexes in &asked {
            let ask = Ask { operation: "get", indexes, body: json!({ "size": 1 }), longest: LONGEST_ANSWER };
            let body = self.ask(&scope, ask, limit).await?;
            if let Some(hit) = Answer::parse(&body)?.hits.hits.first() {
                let json = event(&body, hit)?;
                // The id of one event may not serve for another.
                let own = StoredEvent::parse(&json).map_err(unreadable)?.id;
                return Ok((own == id).then_some(json));
            }
        }
        Ok(None)
    }

    /// The indexes of every class and group for arrivals at an instant.
    fn indexes_of(&self, at: Timestamp) -> String {
        use store::index::layout::Class;
        let period = |class| {
            let name = IndexName::of(class, 0, at).to_string();
            let start = format!("{}{}-g0-", IndexName::PREFIX, class.name());
            let period = name.strip_prefix(&start).unwrap_or_default().to_owned();
            format!("{}{}{}-*-{period}", self.options.prefix, IndexName::PREFIX, class.name())
        };
        Class::ALL.map(period).join(",")
    }
}

/// When an event with a UUIDv7 (RFC 9562) arrived, to the millisecond; other ids do not tell.
fn arrival(id: EventId) -> Option<Timestamp> {
    let (seconds, nanos) = (id.0.get_version_num() == 7).then(|| id.0.get_timestamp())??.to_unix();
    let nanos = i64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(i64::from(nanos))?;
    Some(Timestamp::from_nanos(nanos))
}
