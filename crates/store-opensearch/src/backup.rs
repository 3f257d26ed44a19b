//! The index event by event, for backups and moves.

use crate::export::{EVENTS_A_PAGE, Point};
use crate::index::OpenSearchIndex;
use async_trait::async_trait;
use bytes::Bytes;
use domain::event::StoredEvent;
use domain::{SourceKey, TenantId};
use std::sync::Arc;
use store::backup::IndexCopy;
use store::broker::{Origin, Record, Route};
use store::index::{IndexEntry, IndexError, IndexName};
use tokio::sync::mpsc;

#[async_trait]
impl IndexCopy for OpenSearchIndex {
    async fn names(&self) -> Result<Vec<IndexName>, IndexError> {
        self.cluster().indexes().await
    }

    async fn dump(&self, name: IndexName, into: mpsc::Sender<Vec<Bytes>>) -> Result<(), IndexError> {
        let index = format!("{}{name}", self.cluster().options.prefix);
        let mut point = Point::of_index(self.cluster(), &index).await?;
        let (mut after, mut size) = (None, EVENTS_A_PAGE);
        loop {
            let (events, next) = match point.whole_page(after, size).await {
                // Very large events: fewer of them.
                Err(IndexError::TooLarge(_)) if size > 1 => {
                    size = size.div_ceil(8);
                    continue;
                }
                page => page?,
            };
            if into.send(events).await.is_err() {
                return Ok(());
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn load(&self, name: IndexName, events: Vec<Bytes>) -> Result<u64, IndexError> {
        let entries = events.into_iter().map(|event| entry(name, event)).collect::<Result<Vec<_>, _>>()?;
        let written = self.cluster().write(entries).await?;
        match written.rejected.into_iter().next() {
            None => Ok(written.indexed),
            Some(rejected) => Err(IndexError::Failed(format!(
                "OpenSearch refuses an event of {name} for good: {} ({})",
                rejected.reason, rejected.code
            ))),
        }
    }
}

/// An event as if it came by the log; where it came from the index tells.
fn entry(name: IndexName, payload: Bytes) -> Result<IndexEntry, IndexError> {
    let unreadable = |error: String| IndexError::Failed(format!("an event of {name} is unreadable: {error}"));
    let event = StoredEvent::parse(&payload).map_err(|error| unreadable(error.to_string()))?;
    let route = Route {
        tenant: TenantId::new(event.tenant.as_ref()).map_err(|error| unreadable(error.to_string()))?,
        source: SourceKey::new(event.source.as_ref()).map_err(|error| unreadable(error.to_string()))?,
        class: name.class.name().into(),
        group: name.group,
        protocol: "".into(),
    };
    let record = Record { offset: 0, route: Arc::new(route), origin: Origin::Unmarked, token: 0, payload };
    Ok(IndexEntry { partition: 0, record })
}
