//! The embedded log passes the broker's suite, reading from memory and reading from files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use store::broker::Broker;
use store::broker::conformance::{self, Abilities, Setup};
use store_log::{EmbeddedLog, LogOptions};
use tempfile::TempDir;

struct OnDisk {
    options: LogOptions,
    /// The folder of each log, by its address.
    folders: Mutex<HashMap<usize, TempDir>>,
}

impl OnDisk {
    fn open(&self, folder: TempDir) -> Arc<dyn Broker> {
        let log = EmbeddedLog::open(folder.path(), self.options.clone()).unwrap();
        self.folders.lock().insert(Arc::as_ptr(&log).addr(), folder);
        log
    }
}

#[async_trait]
impl Setup for OnDisk {
    fn abilities(&self) -> Abilities {
        Abilities { retention: true }
    }

    async fn fresh(&self) -> Arc<dyn Broker> {
        self.open(tempfile::tempdir().unwrap())
    }

    async fn reopen(&self, broker: Arc<dyn Broker>) -> Option<Arc<dyn Broker>> {
        let folder = self.folders.lock().remove(&Arc::as_ptr(&broker).addr()).unwrap();
        Some(self.open(folder))
    }
}

async fn check(options: LogOptions) {
    conformance::run(&OnDisk { options, folders: Mutex::default() }).await;
}

#[tokio::test]
async fn conforms() {
    check(LogOptions::default()).await;
}

#[tokio::test]
async fn conforms_with_one_partition() {
    check(LogOptions { partitions: 1, ..LogOptions::default() }).await;
}

#[tokio::test]
async fn conforms_reading_from_files_and_rolling_always() {
    check(LogOptions { tail_bytes: 0, segment_bytes: 1, ..LogOptions::default() }).await;
}
