//! What a crash or a damaged disk leaves is opened again, or set aside.

use domain::TimeRange;
use domain::query::Query;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use store::index::conformance::corpus::{entry, plain, tenant};
use store::index::conformance::patient;
use store::index::{EventIndex, IndexEntry, IndexName};
use store_index::{IndexOptions, TantivyIndex};

/// Where the child that is to be killed writes.
const CHILD: &str = "STORE_INDEX_CRASH_TEST";

fn open(dir: &Path) -> Arc<TantivyIndex> {
    let options = IndexOptions { writer_bytes: 15_000_000, ..IndexOptions::default() };
    TantivyIndex::open(dir, options).expect("the index opens")
}

/// The same events in the same batches in every process.
fn batch(number: u64) -> Vec<IndexEntry> {
    let mut offsets = HashMap::new();
    let at = (number * 50)..(number * 50 + 50);
    let mut entries = at
        .map(|i| entry(&plain("t_first", "pump-1", i, "before the crash"), "30d", &mut offsets))
        .collect::<Vec<_>>();
    entries.iter_mut().for_each(|e| e.record.offset += number * 50);
    entries
}

async fn count(index: &dyn EventIndex) -> u64 {
    index.count(&tenant(0), Query::all(), TimeRange::ALL, patient()).await.expect("counts")
}

/// Not a test of its own: the process that [`a_killed_writer_leaves_whole_batches`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let index = open(Path::new(&dir));
    for number in 0.. {
        index.write(batch(number)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_writer_leaves_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 1..=6_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_killed"])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed at some moment after it has gone on from where the last one was.
        let enough = before + round * 40;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while committed(dir.path()) <= enough {
            assert!(std::time::Instant::now() < deadline, "the child writes");
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let index = open(dir.path());
        before = count(&*index).await;
        assert!(before > enough, "what was committed is there");
        assert_eq!(before % 50, 0, "a batch is there whole or not at all");
        let last = batch(before / 50 - 1);
        assert_eq!(index.write(last).await.unwrap().skipped, 50);
        index.close().await.unwrap();
    }
}

/// How many events the last commit speaks of, without opening the index.
fn committed(dir: &Path) -> u64 {
    let meta =
        std::fs::read_to_string(dir.join("qgx-events-30d-g1-2026.11.20/meta.json")).unwrap_or_default();
    let Ok(meta) = serde_json::from_str::<serde_json::Value>(&meta) else { return 0 };
    let segments = meta["segments"].as_array().cloned().unwrap_or_default();
    segments.iter().filter_map(|segment| segment["max_doc"].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_set_aside() {
    let damages: [fn(&Path); 3] = [
        |index| std::fs::write(index.join("meta.json"), "{\"segments\":").unwrap(),
        |index| std::fs::write(index.join("meta.json"), "").unwrap(),
        |index| {
            for file in std::fs::read_dir(index).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_some_and(|e| e == "fast") {
                    std::fs::remove_file(path).unwrap();
                }
            }
        },
    ];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path());
        let mut other = batch(1);
        other.iter_mut().for_each(|e| Arc::make_mut(&mut e.record.route).class = "7d".into());
        index.write([batch(0), other].concat()).await.unwrap();
        index.close().await.unwrap();
        drop(index);
        damage(&dir.path().join("qgx-events-30d-g1-2026.11.20"));

        let index = open(dir.path());
        assert_eq!(count(&*index).await, 50, "the other index answers");
        assert_eq!(index.write(batch(2)).await.unwrap().indexed, 50, "and a new one takes its place");
        assert_eq!(count(&*index).await, 100);
        let names =
            std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        let aside = names.filter(|name| name.starts_with("damaged-")).count();
        assert_eq!(aside, 1, "its files are kept");
        let expires = IndexName::parse("qgx-events-30d-g1-2026.11.20").unwrap().expires_at();
        let dropped = index.drop_expired(expires.plus_nanos(1)).await.unwrap();
        let damaged = dropped.iter().filter(|name| name.starts_with("damaged-qgx-events-30d-")).count();
        assert_eq!((damaged, dropped.len()), (1, 3), "as long as its class keeps events: {dropped:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        index.close().await.unwrap();
    }
}
