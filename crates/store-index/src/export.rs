//! Everything that matches, as a stream.

use crate::catalog::{Catalog, Snapshot};
use crate::page::{Page, PageRequest, Total, events, page};
use bytes::Bytes;
use domain::api::Order;
use domain::query::Query;
use domain::{TenantId, TimeRange};
use futures::stream::{BoxStream, StreamExt};
use std::sync::Arc;
use std::time::Duration;
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
        tokio::task::spawn_blocking(move || {
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
    let mut after = None;
    loop {
        let Page { hits, next, .. } = pass(&snapshots, request, after, cancel)?;
        for chunk in hits.chunks(EVENTS_A_CHUNK) {
            let limit = ReadLimit::within(TIME_A_CHUNK, cancel.clone());
            let events = events(&snapshots, chunk, &limit)?;
            if sender.blocking_send(Ok(events)).is_err() {
                return Ok(());
            }
        }
        match next {
            Some(_) if sender.is_closed() => return Ok(()),
            Some(key) => after = Some(key),
            None => return Ok(()),
        }
    }
}

fn pass(
    snapshots: &[Snapshot],
    request: &ExportRequest,
    after: Option<SortKey>,
    cancel: &CancellationToken,
) -> Result<Page, IndexError> {
    let ExportRequest { tenant, query, range, order } = request;
    let limit = ReadLimit::within(TIME_A_CHUNK, cancel.clone());
    let request = PageRequest { tenant, query, range: *range, order: *order, limit: PLACES_A_PASS, after };
    page(snapshots, &request, Total::Skipped, &limit)
}
