//! Pages of events in order, over any number of indexes, in bounded memory.

use crate::catalog::Snapshot;
use crate::document::id_halves;
use crate::error::failed;
use crate::scan::{Scan, Window};
use crate::stored::StoredJson;
use bytes::Bytes;
use domain::api::Order;
use domain::query::Query;
use domain::{EventId, TenantId, TimeRange, Timestamp};
use std::collections::BinaryHeap;
use std::collections::hash_map::{Entry, HashMap};
use store::index::{IndexError, PAGE_BYTES, ReadLimit, SortKey};
use tantivy::columnar::Column;
use tantivy::{DocId, SegmentReader};

/// A place in the order: the lesser comes first, whichever way the order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    ts: i64,
    received_at: i64,
    id: (u64, u64),
}

impl Rank {
    fn of(key: SortKey, order: Order) -> Self {
        Self { ts: key.ts.as_nanos(), received_at: key.received_at.as_nanos(), id: id_halves(key.id) }
            .turned(order)
    }

    /// Complements turn the order of whole numbers round, and back.
    fn turned(self, order: Order) -> Self {
        match order {
            Order::Asc => self,
            Order::Desc => {
                Self { ts: !self.ts, received_at: !self.received_at, id: (!self.id.0, !self.id.1) }
            }
        }
    }

    /// Behind all that stands before a (turned) `ts`.
    fn last_before(ts: i64) -> Self {
        Self { ts: ts.saturating_sub(1), received_at: i64::MAX, id: (u64::MAX, u64::MAX) }
    }

    fn key(self, order: Order) -> SortKey {
        let Self { ts, received_at, id } = self.turned(order);
        SortKey {
            ts: Timestamp::from_nanos(ts),
            received_at: Timestamp::from_nanos(received_at),
            id: EventId(uuid::Uuid::from_u64_pair(id.0, id.1)),
        }
    }
}

/// An event's place, in the order and in the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    rank: Rank,
    snapshot: usize,
    segment: u32,
    doc: DocId,
}

/// What a page is of.
pub(crate) struct PageRequest<'a> {
    pub tenant: &'a TenantId,
    pub query: &'a Query,
    pub range: TimeRange,
    pub order: Order,
    pub limit: usize,
    pub after: Option<SortKey>,
}

/// The places of a page's events.
pub(crate) struct Page {
    /// In order.
    pub hits: Vec<Hit>,
    /// Of all that match, on whichever page.
    pub total: u64,
    /// From where on there may be more: the last event's key, or, where the time was up, a place behind it.
    pub next: Option<SortKey>,
}

/// Whether all that match are to be counted, or only the page's own found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// Exact.
    Counted,
    /// Not asked for; [`Page::total`] means nothing.
    Skipped,
}

/// Finds a page. Where nothing is counted and the time is up amid the indexes, the page has what is certain by then,
/// and `next` goes on from there.
///
/// # Errors
/// [`IndexError::Deadline`] where the page could not be found in time, or nothing of it is certain.
pub(crate) fn page(
    snapshots: &[Snapshot],
    request: &PageRequest<'_>,
    total: Total,
    limit: &ReadLimit,
) -> Result<Page, IndexError> {
    let order = request.order;
    let after = request.after.map(|key| Rank::of(key, order));
    let mut scans = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        let window = Window::Inside(request.range);
        scans.push(Scan::new(snapshot, request.tenant, request.query, window, limit)?);
    }
    let mut parts = Vec::new();
    for (snapshot, scan) in scans.iter().enumerate() {
        for (number, segment) in scan.segments().iter().enumerate() {
            parts.push(Part::open(snapshot, number as u32, segment, order)?.within(request.range, order));
        }
    }
    // The segments that may hold the first places come first: the others then need no look at their events.
    parts.sort_by_key(|part| part.best);
    let mut top = Top { size: request.limit + 1, after, worst_first: BinaryHeap::new() };
    let mut counted = 0;
    let mut unread = None;
    for part in &parts {
        let scan = &scans[part.snapshot];
        let segment = &scan.segments()[part.segment as usize];
        if top.has_no_place_from(part.best) || after.is_some_and(|after| part.last < after.ts) {
            if total == Total::Counted {
                counted += scan.count(segment)?;
            }
            continue;
        }
        let read = scan.each(segment, |docs| {
            counted += docs.len() as u64;
            docs.iter().for_each(|doc| top.offer(part, *doc, order));
        });
        match read {
            Err(IndexError::Deadline) if total == Total::Skipped && !limit.cancel.is_cancelled() => {
                unread = Some(part.best);
                break;
            }
            read => read?,
        }
    }
    let mut hits = top.worst_first.into_sorted_vec();
    if let Some(unread) = unread {
        hits.retain(|hit| hit.rank.ts < unread);
    }
    let more = hits.len() > request.limit;
    hits.truncate(request.limit);
    let last = hits.last().map(|hit| hit.rank);
    let next = match unread {
        _ if more => last,
        None => None,
        Some(unread) => {
            let reached = Rank::last_before(unread);
            let from = after.or(parts.first().map(|part| Rank::last_before(part.best)));
            if last.is_none() && from.is_some_and(|from| reached <= from) {
                return Err(IndexError::Deadline);
            }
            Some(reached)
        }
    };
    Ok(Page { hits, total: counted, next: next.map(|rank| rank.key(order)) })
}

/// The columns that order a segment's events.
struct Part {
    snapshot: usize,
    segment: u32,
    ts: Column<i64>,
    received_at: Column<i64>,
    id_high: Column<u64>,
    id_low: Column<u64>,
    /// The first place, by `ts`, that one of its events may have.
    best: i64,
    /// The last.
    last: i64,
}

impl Part {
    fn open(snapshot: usize, number: u32, segment: &SegmentReader, order: Order) -> Result<Self, IndexError> {
        let columns = segment.fast_fields();
        let ts = columns.i64("ts").map_err(failed)?;
        let (best, last) = match order {
            Order::Asc => (ts.min_value(), ts.max_value()),
            Order::Desc => (!ts.max_value(), !ts.min_value()),
        };
        Ok(Self {
            snapshot,
            segment: number,
            received_at: columns.i64("received_at").map_err(failed)?,
            id_high: columns.u64("id_high").map_err(failed)?,
            id_low: columns.u64("id_low").map_err(failed)?,
            ts,
            best,
            last,
        })
    }

    /// A place before the window is none that its events have.
    fn within(mut self, range: TimeRange, order: Order) -> Self {
        let first = match order {
            Order::Asc => range.from.as_nanos(),
            Order::Desc => !range.to.as_nanos(),
        };
        self.best = self.best.max(first);
        self
    }

    fn rank(&self, doc: DocId, order: Order) -> Rank {
        Rank {
            ts: self.ts.first(doc).unwrap_or_default(),
            received_at: self.received_at.first(doc).unwrap_or_default(),
            id: (self.id_high.first(doc).unwrap_or_default(), self.id_low.first(doc).unwrap_or_default()),
        }
        .turned(order)
    }
}

/// The first places seen so far.
struct Top {
    size: usize,
    after: Option<Rank>,
    worst_first: BinaryHeap<Hit>,
}

impl Top {
    fn has_no_place_from(&self, best: i64) -> bool {
        self.worst_first.len() >= self.size
            && self.worst_first.peek().is_some_and(|worst| worst.rank.ts < best)
    }

    fn offer(&mut self, part: &Part, doc: DocId, order: Order) {
        let ts = part.ts.first(doc).unwrap_or_default();
        let place = match order {
            Order::Asc => ts,
            Order::Desc => !ts,
        };
        // Most events are told apart by `ts` alone; the other columns are read only for the rest.
        if self.after.is_some_and(|after| place < after.ts) || self.has_no_place_from(place) {
            return;
        }
        let rank = part.rank(doc, order);
        if self.after.is_some_and(|after| rank <= after) {
            return;
        }
        let hit = Hit { rank, snapshot: part.snapshot, segment: part.segment, doc };
        if self.worst_first.len() < self.size {
            self.worst_first.push(hit);
        } else if let Some(mut worst) = self.worst_first.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }
}

impl Page {
    /// The events themselves, as far as [`PAGE_BYTES`] go, and where the next page starts.
    pub fn events(
        self,
        snapshots: &[Snapshot],
        order: Order,
        limit: &ReadLimit,
    ) -> Result<(Vec<Bytes>, Option<SortKey>), IndexError> {
        let events = events(snapshots, &self.hits, limit)?;
        let cut_short = events.len() < self.hits.len();
        let last = self.hits[..events.len()].last().filter(|_| cut_short);
        Ok((events, last.map(|hit| hit.rank.key(order)).or(self.next)))
    }
}

/// Unpacked blocks that each segment keeps while events are read: events that stand together in time do so on storage.
const BLOCKS: usize = 8;

/// The events of some places, in their order: the first of them, no more than [`PAGE_BYTES`], but at least one.
pub(crate) fn events(
    snapshots: &[Snapshot],
    hits: &[Hit],
    limit: &ReadLimit,
) -> Result<Vec<Bytes>, IndexError> {
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut stores = HashMap::new();
    for (i, hit) in hits.iter().enumerate() {
        if i % 64 == 0 && limit.ended() {
            return Err(IndexError::Deadline);
        }
        let store = match stores.entry((hit.snapshot, hit.segment)) {
            Entry::Occupied(store) => store.into_mut(),
            Entry::Vacant(slot) => {
                let segment = snapshots[hit.snapshot].searcher.segment_reader(hit.segment);
                slot.insert(segment.get_store_reader(BLOCKS).map_err(failed)?)
            }
        };
        let StoredJson(json) = store.get(hit.doc).map_err(failed)?;
        bytes += json.len();
        if bytes > PAGE_BYTES && !events.is_empty() {
            break;
        }
        events.push(json);
    }
    Ok(events)
}
