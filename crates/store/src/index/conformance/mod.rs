//! What every event index must do. An implementation runs [`run`] in its tests.
//!
//! Most checks compare an index with [`oracle`], which asks every event one by one with `domain`'s own matcher.

pub mod corpus;
pub mod oracle;
mod reads;
mod real;
mod writes;

use crate::index::{EventIndex, IndexEntry, ReadLimit, Written};
use async_trait::async_trait;
use corpus::Corpus;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A storage to test on, of its own for each check.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens the index on the storage; after a close, the same again.
    async fn open(&self) -> Arc<dyn EventIndex>;
}

/// Runs every check, each on a storage of its own.
///
/// # Panics
/// Where the index does not do what it must.
pub async fn run<F: Fixture>(make: impl Fn() -> F) {
    reads::answers_as_the_oracle(&make()).await;
    reads::messages_are_searched_by_themselves(&make()).await;
    reads::pages_walk_everything_once(&make()).await;
    reads::tenants_are_apart(&make()).await;
    reads::ended_reads_stop(&make()).await;
    writes::a_write_is_visible_at_once(&make()).await;
    writes::rereads_change_nothing(&make()).await;
    writes::bad_records_are_rejected(&make()).await;
    writes::a_batch_may_span_indexes(&make()).await;
    writes::everything_survives_reopening(&make()).await;
    writes::expired_indexes_are_dropped(&make()).await;
    real::counts_equal_a_plain_scan(&make()).await;
}

/// A limit that no check should reach.
pub fn patient() -> ReadLimit {
    ReadLimit::within(Duration::from_secs(120), CancellationToken::new())
}

/// Writes a corpus in batches of this many, and expects all of it to be indexed.
pub(crate) async fn fill(index: &dyn EventIndex, corpus: &Corpus, batch: usize) {
    for entries in corpus.entries.chunks(batch) {
        let written = write(index, entries.to_vec()).await;
        assert_eq!(written.indexed, entries.len() as u64);
    }
}

/// Writes a batch and expects no record to be refused.
pub(crate) async fn write(index: &dyn EventIndex, batch: Vec<IndexEntry>) -> Written {
    let written = index.write(batch).await.expect("the batch is written");
    assert!(written.rejected.is_empty(), "{:?}", written.rejected);
    written
}
