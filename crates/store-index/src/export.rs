//! Everything that matches, as a stream.

use crate::catalog::{Catalog, Snapshot};
use crate::error::failed;
use crate::page::{Hit, Page, PageRequest, Total, events, page};
use bytes::Bytes;
use domain::api::Order;
use domain::query::Query;
use domain::{TenantId, TimeRange, Timestamp};
use futures::stream::{BoxStream, StreamExt};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::index::{IndexError, ReadLimit, SortKey};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many places are found in one pass over the matching documents: about 5 MB of them.
const PLACES_A_PASS: usize = 65_536;
/// How many events are read and handed on together.
const EVENTS_A_CHUNK: usize = 500;
/// How long one pass, or one chunk, may take.
const TIME_A_CHUNK: Duration = Duration::from_secs(30);

/// What to export.
pub(crate) struct ExportRequest {
    pub tenant: TenantId,
    pub query: Query,
    pub range: TimeRange,
    pub order: Order,
}

type Chunk = Result<Vec<Bytes>, IndexError>;

/// The stream. Work stops when it is dropped, or when `cancel` says so.
pub(crate) fn export(
    catalog: Arc<Catalog>,
    request: ExportRequest,
    cancel: CancellationToken,
) -> BoxStream<'static, Result<Bytes, IndexError>> {
    // One chunk waits while the next is read: memory is bounded however slow the reader is.
    let (sender, receiver) = mpsc::channel::<Chunk>(1);
    let started = async move {
        telemetry::spawn_blocking_named("event-export", move || {
            let result = send_all(&catalog, &request, &cancel, &sender);
            if let Err(error) = result {
                // The reader may be gone: then nobody needs to know.
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    };
    futures::stream::once(started)
        .flat_map(|receiver| {
            futures::stream::unfold(receiver, |mut receiver| async {
                Some((receiver.recv().await?, receiver))
            })
        })
        .flat_map(|chunk| {
            futures::stream::iter(match chunk {
                Ok(events) => events.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        })
        .boxed()
}

fn send_all(
    catalog: &Catalog,
    request: &ExportRequest,
    cancel: &CancellationToken,
    sender: &mpsc::Sender<Chunk>,
) -> Result<(), IndexError> {
    let snapshots = catalog.snapshots_in(request.range)?;
    let mut passes = Passes::new(&snapshots, request, cancel, TIME_A_CHUNK);
    while let Some(hits) = passes.next()? {
        let mut left = &hits[..];
        while !left.is_empty() {
            let limit = ReadLimit::within(TIME_A_CHUNK, cancel.clone());
            let events = events(&snapshots, &left[..left.len().min(EVENTS_A_CHUNK)], &limit)?;
            left = &left[events.len()..];
            if sender.blocking_send(Ok(events)).is_err() {
                return Ok(());
            }
        }
        if sender.is_closed() {
            return Ok(());
        }
    }
    Ok(())
}

/// The places of everything that matches, pass by pass. A condition that has events read may find more to read than a
/// pass has time for: then what is certain is handed out, and where nothing is, a pass takes on less of the window.
struct Passes<'a> {
    snapshots: &'a [Snapshot],
    request: &'a ExportRequest,
    cancel: &'a CancellationToken,
    /// What a pass may take.
    time: Duration,
    /// The part of the window not yet gone through; `None` at the end.
    left: Option<TimeRange>,
    after: Option<SortKey>,
    /// How much of the window a pass takes on, in nanoseconds; `None` is all.
    width: Option<i64>,
}

/// By how much a pass takes on less after one that came to nothing.
const NARROWER: i64 = 8;

impl<'a> Passes<'a> {
    fn new(
        snapshots: &'a [Snapshot],
        request: &'a ExportRequest,
        cancel: &'a CancellationToken,
        time: Duration,
    ) -> Self {
        Self { snapshots, request, cancel, time, left: Some(request.range), after: None, width: None }
    }

    /// The next places, perhaps none; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<Hit>>, IndexError> {
        while let Some(left) = self.left {
            let window = self.window(left);
            let started = Instant::now();
            match self.pass(window) {
                Ok(Page { hits, next, .. }) => {
                    self.left = match next {
                        Some(key) => Some(self.behind_key(left, key)),
                        None => self.behind(left, window),
                    };
                    self.after = next.or(self.after);
                    if next.is_none() && started.elapsed() < self.time / 4 {
                        self.width = self.width.map(|width| width.saturating_mul(2));
                    }
                    return Ok(Some(hits));
                }
                Err(IndexError::Deadline) if !self.cancel.is_cancelled() => self.narrow(left)?,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn pass(&self, range: TimeRange) -> Result<Page, IndexError> {
        let ExportRequest { tenant, query, order, .. } = self.request;
        let limit = ReadLimit::within(self.time, self.cancel.clone());
        let request =
            PageRequest { tenant, query, range, order: *order, limit: PLACES_A_PASS, after: self.after };
        page(self.snapshots, &request, Total::Skipped, &limit)
    }

    /// What the next pass takes on.
    fn window(&self, left: TimeRange) -> TimeRange {
        let Some(width) = self.width else { return left };
        match self.request.order {
            Order::Asc => TimeRange { to: left.to.min(left.from.plus_nanos(width)), ..left },
            Order::Desc => TimeRange { from: left.from.max(left.to.plus_nanos(-width)), ..left },
        }
    }

    /// What is left when a window has been gone through.
    fn behind(&self, left: TimeRange, window: TimeRange) -> Option<TimeRange> {
        let left = match self.request.order {
            Order::Asc => TimeRange { from: window.to, ..left },
            Order::Desc => TimeRange { to: window.from, ..left },
        };
        (left.from < left.to).then_some(left)
    }

    /// What is left behind a key: events of its own `ts` may be.
    fn behind_key(&self, left: TimeRange, key: SortKey) -> TimeRange {
        match self.request.order {
            Order::Asc => TimeRange { from: left.from.max(key.ts), ..left },
            Order::Desc => TimeRange { to: left.to.min(key.ts.plus_nanos(1)), ..left },
        }
    }

    fn narrow(&mut self, left: TimeRange) -> Result<(), IndexError> {
        let width = match self.width {
            Some(width) => width,
            None => {
                // Windows are often wider than what there is, such as all time.
                let left = within_events(self.snapshots, left)?.ok_or(IndexError::Deadline)?;
                self.left = Some(left);
                left.nanos()
            }
        };
        if width <= 1 {
            return Err(IndexError::Deadline);
        }
        self.width = Some((width / NARROWER).max(1));
        Ok(())
    }
}

/// The part of a window that events lie in; `None` where there is none.
fn within_events(snapshots: &[Snapshot], window: TimeRange) -> Result<Option<TimeRange>, IndexError> {
    let mut span: Option<TimeRange> = None;
    for segment in snapshots.iter().flat_map(|snapshot| snapshot.searcher.segment_readers()) {
        let ts = segment.fast_fields().i64("ts").map_err(failed)?;
        let from = Timestamp::from_nanos(ts.min_value()).max(window.from);
        let to = Timestamp::from_nanos(ts.max_value()).plus_nanos(1).min(window.to);
        if from < to {
            let known = span.unwrap_or(TimeRange { from, to });
            span = Some(TimeRange { from: from.min(known.from), to: to.max(known.to) });
        }
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IndexOptions, TantivyIndex};
    use std::collections::HashMap;
    use store::index::EventIndex;
    use store::index::conformance::corpus::{entry, plain, tenant};

    /// Reads all events in passes that have a fraction of the time it takes.
    async fn check(dir: &std::path::Path, order: Order, batches: u64) {
        let index = TantivyIndex::open(dir, IndexOptions::default()).unwrap();
        let mut offsets = HashMap::new();
        let message = "a message that no term tells from others ".repeat(10);
        for batch in 0..batches {
            let of_batch = (0..4_000 / batches).map(|i| {
                // Every batch spans all the time there is.
                let number = i * batches + batch;
                let message = format!("{message}n{number:04}");
                entry(&plain("t_first", "pump-1", number, &message), "30d", &mut offsets)
            });
            index.write(of_batch.collect()).await.unwrap();
        }
        index.close().await.unwrap();
        let catalog = Catalog::list(dir, &IndexOptions::default()).unwrap();
        let snapshots = catalog.snapshots_in(TimeRange::ALL).unwrap();
        // The last word may be any of so many that every event is read.
        let query = Query::parse("\"others n\"*").unwrap();
        let request = ExportRequest { tenant: tenant(0), query, range: TimeRange::ALL, order };
        let cancel = CancellationToken::new();
        let places = |time| {
            let mut passes = Passes::new(&snapshots, &request, &cancel, time);
            let (mut all, mut count) = (Vec::new(), 0);
            while let Some(hits) = passes.next().unwrap() {
                all.extend(hits);
                count += 1;
            }
            (all, count)
        };
        let started = Instant::now();
        let (expect, passes) = places(Duration::from_secs(600));
        assert_eq!((expect.len(), passes), (4_000, 1));
        let (found, passes) = places(started.elapsed() / 5);
        assert!(passes > 1, "{passes} passes");
        assert!(found == expect, "the same places in the same order: {} of {}", found.len(), expect.len());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_takes_long_is_handed_out_bit_by_bit() {
        for (order, batches) in [(Order::Asc, 1), (Order::Desc, 1), (Order::Desc, 4)] {
            check(tempfile::tempdir().unwrap().path(), order, batches).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_pass_that_cannot_get_on_ends_the_export() {
        let dir = tempfile::tempdir().unwrap();
        let index = TantivyIndex::open(dir.path(), IndexOptions::default()).unwrap();
        let event = entry(&plain("t_first", "pump-1", 0, "one"), "30d", &mut HashMap::new());
        index.write(vec![event]).await.unwrap();
        index.close().await.unwrap();
        let catalog = Catalog::list(dir.path(), &IndexOptions::default()).unwrap();
        let snapshots = catalog.snapshots_in(TimeRange::ALL).unwrap();
        let request = ExportRequest {
            tenant: tenant(0),
            query: Query::all(),
            range: TimeRange::ALL,
            order: Order::Asc,
        };
        let cancel = CancellationToken::new();
        let mut passes = Passes::new(&snapshots, &request, &cancel, Duration::ZERO);
        assert!(matches!(passes.next(), Err(IndexError::Deadline)));
    }
}
