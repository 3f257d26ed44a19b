//! The log's files for a backup, taken beside appenders and readers.

use crate::disk::sync_dir;
use crate::log::EmbeddedLog;
use crate::segment::{Segment, Stand};
use crate::topic::TopicLog;
use async_trait::async_trait;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::backup::{Hold, LogFiles, LogSnapshot, Offsets, SnapshotFile};
use store::broker::{BrokerError, Topic};

fn failed(error: impl std::fmt::Display) -> BrokerError {
    BrokerError::Failed(format!("the log could not be taken for a backup: {error}"))
}

/// The folder of a topic, below that of its log.
pub(crate) fn folder(topic: Topic) -> &'static str {
    match topic {
        Topic::Events => "events",
        Topic::DeadLetters => "dead-letters",
    }
}

impl TopicLog {
    /// The segments that hold something at or after `from`, and the last one; with where each partition ends.
    fn segments_from(&self, from: &Offsets) -> (Vec<Segment>, Vec<Stand>) {
        let needed = |partition: usize| {
            u32::try_from(partition).ok().and_then(|it| from.get(&(self.topic, it)).copied()).unwrap_or(0)
        };
        let shelf = self.shelf.lock();
        let before = |next: &Segment| {
            next.begin.iter().enumerate().all(|(partition, stand)| stand.offset <= needed(partition))
        };
        let passed = shelf.segments.iter().skip(1).take_while(|next| before(next)).count();
        (shelf.segments.iter().skip(passed).cloned().collect(), shelf.end.clone())
    }

    /// Links them; what is written to the last one from here on lies beyond its length.
    fn link(&self, dir: &Path, from: &Offsets, into: &mut LogFiles) -> io::Result<()> {
        let dir = dir.join(folder(self.topic));
        fs::create_dir_all(&dir)?;
        let (segments, ends) = self.segments_from(from);
        for (partition, stand) in (0..).zip(ends) {
            into.ends.insert((self.topic, partition), stand.offset);
        }
        for segment in segments {
            let name = segment.path.file_name().unwrap_or_default();
            link(&segment.path, &dir.join(name))?;
            let path = format!("{}/{}", folder(self.topic), name.to_string_lossy());
            // Another log may have a segment of the same name and length.
            into.files.push(SnapshotFile { path, len: segment.len, immutable: false });
        }
        sync_dir(&dir)
    }
}

/// A link, or a copy where the file system has none.
fn link(from: &Path, to: &PathBuf) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

#[async_trait]
impl LogSnapshot for EmbeddedLog {
    fn hold(&self) -> Hold {
        let held = Arc::clone(self.held());
        held.fetch_add(1, Ordering::AcqRel);
        Hold::new(move || {
            held.fetch_sub(1, Ordering::AcqRel);
        })
    }

    async fn snapshot_groups(&self, dir: &Path) -> Result<Vec<SnapshotFile>, BrokerError> {
        fs::create_dir_all(dir).map_err(failed)?;
        let text = self.groups().durable_text();
        fs::write(dir.join("groups"), &text).map_err(failed)?;
        Ok(vec![SnapshotFile { path: "groups".to_owned(), len: text.len() as u64, immutable: false }])
    }

    async fn snapshot(&self, dir: &Path, from: &Offsets) -> Result<LogFiles, BrokerError> {
        let (dir, from) = (dir.to_owned(), from.clone());
        let topics = Topic::ALL.map(|topic| Arc::clone(self.topic(topic)));
        let link = move || {
            let mut taken = LogFiles::default();
            topics.iter().try_for_each(|log| log.link(&dir, &from, &mut taken))?;
            Ok::<_, io::Error>(taken)
        };
        telemetry::spawn_blocking_named("log-backup", link).await.map_err(failed)?.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::LogOptions;
    use bytes::Bytes;
    use domain::Timestamp;
    use std::time::Duration;
    use store::broker::conformance::route;
    use store::broker::{Broker, NewRecord, Origin};

    fn options() -> LogOptions {
        let (segment_bytes, retention_age) = (20_000, Duration::ZERO);
        LogOptions { partitions: 1, segment_bytes, retention_age, ..LogOptions::default() }
    }

    async fn append(log: &EmbeddedLog, topic: Topic, count: usize) {
        for number in 0..count {
            let record = NewRecord {
                route: route("pump-1"),
                origin: Origin::Unmarked,
                token: 0,
                payload: Bytes::from(format!("{number:0>1000}")),
            };
            log.append(topic, vec![record]).await.unwrap();
        }
    }

    /// How far the copy of a log goes, from where it starts.
    async fn bounds(log: &EmbeddedLog) -> (u64, u64) {
        let all = log.fetch(Topic::Events, 0, 0, 1, Duration::ZERO).await;
        let first = match all {
            Ok(_) => 0,
            Err(BrokerError::OutOfRange { earliest, .. }) => earliest,
            Err(error) => panic!("{error}"),
        };
        (first, log.fetch(Topic::Events, 0, first, 1, Duration::ZERO).await.unwrap().end)
    }

    #[tokio::test]
    async fn a_snapshot_has_all_from_the_offsets_on_while_retention_waits() {
        let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let log = EmbeddedLog::open(dir.path(), options()).unwrap();
        append(&log, Topic::Events, 100).await;
        append(&log, Topic::DeadLetters, 3).await;
        log.commit("processor", Topic::Events, 0, 50).await.unwrap();
        let hold = log.hold();
        let groups = log.snapshot_groups(copy.path()).await.unwrap();
        log.commit("processor", Topic::Events, 0, 90).await.unwrap();
        let late = Timestamp::now().plus_nanos(3_600_000_000_000);
        assert_eq!(log.enforce_retention(late).await.unwrap(), 0, "nothing goes while it is held");
        let from = Offsets::from([((Topic::Events, 0), 50)]);
        let LogFiles { files, ends } = log.snapshot(copy.path(), &from).await.unwrap();
        assert_eq!(ends[&(Topic::Events, 0)], 100);
        drop(hold);
        assert!(log.enforce_retention(late).await.unwrap() > 0, "and then it goes");
        append(&log, Topic::Events, 5).await;
        log.close().await.unwrap();

        // Written on meanwhile: only the length that was told counts.
        for file in groups.iter().chain(&files) {
            let whole = fs::read(copy.path().join(&file.path)).unwrap();
            let apart = copy.path().join(format!("{}.apart", file.path));
            fs::write(&apart, &whole[..usize::try_from(file.len).unwrap()]).unwrap();
            fs::rename(&apart, copy.path().join(&file.path)).unwrap();
        }
        let restored = EmbeddedLog::open(copy.path(), options()).unwrap();
        let (first, end) = bounds(&restored).await;
        assert!((1..=50).contains(&first), "{first}: without what lies before as a whole");
        assert_eq!(end, 100);
        assert_eq!(
            restored.committed("processor", Topic::Events, 0).await.unwrap() / 51,
            0,
            "as it was then"
        );
        let letters = restored.fetch(Topic::DeadLetters, 0, 0, 1 << 20, Duration::ZERO).await.unwrap();
        assert_eq!(letters.records.len(), 3);
    }
}
