//! The tantivy index does what every event index must.

use async_trait::async_trait;
use std::sync::Arc;
use store::index::EventIndex;
use store::index::conformance::{Fixture, run};
use store_index::{IndexOptions, TantivyIndex};

struct InDirectory(tempfile::TempDir);

#[async_trait]
impl Fixture for InDirectory {
    async fn open(&self) -> Arc<dyn EventIndex> {
        let options = IndexOptions { writer_bytes: 15_000_000, max_writers: 3, ..IndexOptions::default() };
        TantivyIndex::open(self.0.path(), options).expect("the index opens")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    run(|| InDirectory(tempfile::tempdir().unwrap())).await;
}
