//! What the log does when the disk does not: full, failing, slow, torn, damaged.

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::broker::conformance::{drain, numbered, route};
use store::broker::{Broker, BrokerError, NewRecord, Record, Topic};
use tempfile::TempDir;

use crate::disk::{AppendFile, Disk, FileSystem};
use crate::log::EmbeddedLog;
use crate::options::LogOptions;
use crate::segment;

/// What goes wrong from now on.
struct Faults {
    /// Bytes that may still be written.
    room: u64,
    failing_syncs: usize,
    failing_truncates: usize,
    /// Syncs wait while it is set.
    stalled: bool,
}

struct FaultyDisk {
    faults: Mutex<Faults>,
    changed: Condvar,
}

impl FaultyDisk {
    fn new() -> Arc<Self> {
        let faults = Faults { room: u64::MAX, failing_syncs: 0, failing_truncates: 0, stalled: false };
        Arc::new(Self { faults: Mutex::new(faults), changed: Condvar::new() })
    }

    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock());
        self.changed.notify_all();
    }
}

/// The disk is shared with its files.
struct OnFaultyDisk(Arc<FaultyDisk>);

struct FaultyFile(Arc<FaultyDisk>, Box<dyn AppendFile>);

impl Disk for OnFaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(FaultyFile(Arc::clone(&self.0), FileSystem.create(path)?)))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(FaultyFile(Arc::clone(&self.0), FileSystem.open(path)?)))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let len = fs::metadata(path)?.len();
        FileSystem.remove(path)?;
        self.0.set(|it| it.room = it.room.saturating_add(len));
        Ok(())
    }
}

impl AppendFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        let fits = {
            let mut faults = self.0.faults.lock();
            let fits = faults.room.min(bytes.len() as u64);
            faults.room -= if faults.room == u64::MAX { 0 } else { fits };
            fits as usize
        };
        self.1.write_at(&bytes[..fits], at)?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
    fn sync(&mut self) -> io::Result<()> {
        let mut faults = self.0.faults.lock();
        while faults.stalled {
            self.0.changed.wait(&mut faults);
        }
        if faults.failing_syncs > 0 {
            faults.failing_syncs -= 1;
            return Err(io::Error::other("the device failed"));
        }
        drop(faults);
        self.1.sync()
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut faults = self.0.faults.lock();
        if faults.failing_truncates > 0 {
            faults.failing_truncates -= 1;
            return Err(io::Error::other("the device failed"));
        }
        drop(faults);
        self.1.truncate(len)
    }
}

fn one_partition() -> LogOptions {
    LogOptions { partitions: 1, ..LogOptions::default() }
}

fn open(dir: &TempDir, options: LogOptions) -> Arc<EmbeddedLog> {
    EmbeddedLog::open(dir.path(), options).unwrap()
}

fn numbers(records: &[Record]) -> Vec<u64> {
    records.iter().map(|it| std::str::from_utf8(&it.payload).unwrap().parse().unwrap()).collect()
}

async fn append(log: &EmbeddedLog, number: u64) -> Result<(), BrokerError> {
    log.append(Topic::Events, numbered("pump-1", number..number + 1)).await
}

async fn all(log: &EmbeddedLog) -> Vec<u64> {
    numbers(&drain(log, Topic::Events, 0, 0).await)
}

fn last_segment(dir: &TempDir) -> PathBuf {
    segment::list(&dir.path().join("events")).unwrap().pop().unwrap().1
}

/// Appends 0, then 1 under the fault, then 1 again without it.
async fn check_fault(options: LogOptions, fault: impl Fn(&mut Faults), expect: fn(&BrokerError) -> bool) {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let on = Arc::new(OnFaultyDisk(Arc::clone(&disk)));
    let log = EmbeddedLog::open_on(dir.path(), options.clone(), on).unwrap();
    append(&log, 0).await.unwrap();
    disk.set(fault);
    let error = append(&log, 1).await.unwrap_err();
    assert!(expect(&error), "{error:?}");
    assert_eq!(all(&log).await, [0], "nothing half-visible");

    disk.set(|it| *it = Faults { room: u64::MAX, failing_syncs: 0, failing_truncates: 0, stalled: false });
    append(&log, 1).await.unwrap();
    assert_eq!(all(&log).await, [0, 1], "it goes on when the disk does");
    drop(log);
    assert_eq!(all(&open(&dir, options)).await, [0, 1], "and so it is on the disk");
}

#[tokio::test]
async fn a_full_disk_is_busy_and_recovers() {
    let busy = |error: &BrokerError| matches!(error, BrokerError::Busy { .. });
    for room in [0, 1, 47, 48, 60] {
        check_fault(one_partition(), move |it| it.room = room, busy).await;
    }
    // The same where a new segment was due.
    let rolls = LogOptions { segment_bytes: 1, ..one_partition() };
    let long = |it: &mut Faults| it.room = 20;
    check_fault(rolls, long, busy).await;
}

#[tokio::test]
async fn a_full_disk_gives_up_what_is_consumed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let on = Arc::new(OnFaultyDisk(Arc::clone(&disk)));
    // A segment an append.
    let options = LogOptions { segment_bytes: 1, ..one_partition() };
    let log = EmbeddedLog::open_on(dir.path(), options, on).unwrap();
    for number in 0..10 {
        append(&log, number).await.unwrap();
    }
    log.append(Topic::DeadLetters, numbered("pump-1", 0..1)).await.unwrap();
    log.append(Topic::DeadLetters, numbered("pump-1", 1..2)).await.unwrap();
    let full = |it: &mut Faults| it.room = 0;
    disk.set(full);
    let refused = append(&log, 10).await;
    assert!(matches!(refused, Err(BrokerError::Busy { .. })), "nobody has read anything: {refused:?}");

    // What the group has done is noted although the disk is full, or nothing could go.
    log.commit("processor", Topic::Events, 0, 5).await.unwrap();
    assert_eq!(log.enforce_retention(domain::Timestamp::now()).await.unwrap(), 0, "all of it is young");
    disk.set(full);
    append(&log, 10).await.unwrap();
    let gone = log.fetch(Topic::Events, 0, 0, 1, Duration::ZERO).await;
    assert!(matches!(gone, Err(BrokerError::OutOfRange { earliest: 5, .. })), "{gone:?}");
    assert_eq!(numbers(&drain(&*log, Topic::Events, 0, 5).await), [5, 6, 7, 8, 9, 10]);

    disk.set(full);
    let refused = append(&log, 11).await;
    assert!(matches!(refused, Err(BrokerError::Busy { .. })), "the rest is needed: {refused:?}");
    let refused = log.append(Topic::DeadLetters, numbered("pump-1", 2..3)).await;
    assert!(matches!(refused, Err(BrokerError::Busy { .. })), "letters wait for a person: {refused:?}");
    assert_eq!(drain(&*log, Topic::DeadLetters, 0, 0).await.len(), 2);
}

#[tokio::test]
async fn dead_letters_have_an_age_of_their_own() {
    let days = |days: i64| domain::Timestamp::now().plus_nanos(days * 24 * 3600 * 1_000_000_000);
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, one_partition());
    append(&log, 0).await.unwrap();
    log.append(Topic::DeadLetters, numbered("pump-1", 0..1)).await.unwrap();
    assert_eq!(log.enforce_retention(days(29)).await.unwrap(), 0);
    assert_eq!(drain(&*log, Topic::DeadLetters, 0, 0).await.len(), 1);
    assert_eq!(log.enforce_retention(days(31)).await.unwrap(), 1);
    assert_eq!(drain(&*log, Topic::DeadLetters, 0, 1).await.len(), 0);
    assert_eq!(all(&log).await, [0], "an event that no group has read yet");
}

#[tokio::test]
async fn a_failing_device_leaves_nothing_half_done() {
    let failed = |error: &BrokerError| matches!(error, BrokerError::Failed(_));
    check_fault(one_partition(), |it| it.failing_syncs = 1, failed).await;
    check_fault(one_partition(), |it| it.failing_syncs = 2, failed).await;
    let both = |it: &mut Faults| (it.failing_syncs, it.failing_truncates) = (1, 1);
    check_fault(one_partition(), both, failed).await;
    let full_and_stuck = |it: &mut Faults| (it.room, it.failing_truncates) = (60, 1);
    check_fault(one_partition(), full_and_stuck, failed).await;
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let on = Arc::new(OnFaultyDisk(Arc::clone(&disk)));
    let options = LogOptions { pending_bytes: 1000, ..one_partition() };
    let log = EmbeddedLog::open_on(dir.path(), options, on).unwrap();
    disk.set(|it| it.stalled = true);
    let record = |bytes| {
        let mut records = numbered("pump-1", 0..1);
        records[0].payload = Bytes::from(vec![b'x'; bytes]);
        records
    };
    // Alone, even what is larger than the budget passes.
    let first = log.append(Topic::Events, record(2000));
    let refused = log.append(Topic::DeadLetters, record(1)).await;
    assert!(matches!(refused, Err(BrokerError::Busy { .. })), "{refused:?}");
    disk.set(|it| it.stalled = false);
    first.await.unwrap();
    log.append(Topic::DeadLetters, record(1)).await.unwrap();
}

#[tokio::test]
async fn a_torn_tail_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, one_partition());
    let mut ends = Vec::new();
    for number in 0..3 {
        append(&log, number).await.unwrap();
        ends.push(fs::metadata(last_segment(&dir)).unwrap().len());
    }
    drop(log);
    let whole = fs::read(last_segment(&dir)).unwrap();
    for cut in (ends[0]..=ends[2]).rev() {
        fs::write(last_segment(&dir), &whole[..cut as usize]).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count() as u64;
        let log = open(&dir, one_partition());
        append(&log, kept).await.unwrap();
        assert_eq!(all(&log).await, (0..=kept).collect::<Vec<_>>(), "cut at {cut}");
    }
}

/// A device writes the packs of a commit in any order.
#[tokio::test]
async fn a_hole_in_the_last_commit_is_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { partitions: 2, ..LogOptions::default() };
    let log = open(&dir, options.clone());
    let partition_of = |source: &str| route(source).partition(2);
    let other = (2..).map(|it| format!("pump-{it}")).find(|it| partition_of(it) != partition_of("pump-1"));
    let other = other.unwrap();
    let both = |number: u64| {
        let mut records = numbered("pump-1", number..number + 1);
        records.extend(numbered(&other, number..number + 1));
        records
    };
    let len = || fs::metadata(last_segment(&dir)).unwrap().len() as usize;
    log.append(Topic::Events, both(0)).await.unwrap();
    let begin = len();
    log.append(Topic::Events, both(1)).await.unwrap();
    log.close().await.unwrap();
    drop(log);
    let whole = fs::read(last_segment(&dir)).unwrap();
    // Both packs are of about the same size; the first is all in the first half.
    let first = begin..begin + (whole.len() - begin) / 2;
    for hole in [first.clone(), first.start..first.start + 1, first.end - 8..first.end - 4] {
        let mut torn = whole.clone();
        torn[hole.clone()].fill(0);
        fs::write(last_segment(&dir), &torn).unwrap();
        let log = open(&dir, options.clone());
        assert_eq!(len(), begin, "cut back to before the hole {hole:?}");
        for partition in 0..2 {
            assert_eq!(numbers(&drain(&*log, Topic::Events, partition, 0).await), [0]);
        }
        log.append(Topic::Events, both(2)).await.unwrap();
        drop(log);
        let log = open(&dir, options.clone());
        for partition in 0..2 {
            assert_eq!(numbers(&drain(&*log, Topic::Events, partition, 0).await), [0, 2]);
        }
    }
}

#[tokio::test]
async fn a_segment_torn_at_its_birth_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, one_partition());
    append(&log, 0).await.unwrap();
    drop(log);
    fs::write(dir.path().join("events/00000000000000000002.seg"), b"QGXS").unwrap();
    let log = open(&dir, one_partition());
    append(&log, 1).await.unwrap();
    assert_eq!(all(&log).await, [0, 1]);
}

#[tokio::test]
async fn damage_costs_the_damaged_pack_only() {
    for tail_bytes in [0, 1 << 20] {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { tail_bytes, ..one_partition() };
        let log = open(&dir, options.clone());
        let mut ends = Vec::new();
        for number in 0..5 {
            append(&log, number).await.unwrap();
            ends.push(fs::metadata(last_segment(&dir)).unwrap().len());
        }
        drop(log);
        let mut bytes = fs::read(last_segment(&dir)).unwrap();
        bytes[ends[1] as usize + 10] ^= 1;
        bytes[ends[3] as usize - 1] ^= 1;
        fs::write(last_segment(&dir), bytes).unwrap();

        let log = open(&dir, options);
        let fetch = |from| log.fetch(Topic::Events, 0, from, usize::MAX, Duration::from_secs(30));
        assert_eq!(numbers(&fetch(0).await.unwrap().records), [0, 1, 4]);
        assert_eq!(fetch(2).await.unwrap().records[0].offset, 4);
        append(&log, 5).await.unwrap();
        assert_eq!(numbers(&fetch(3).await.unwrap().records), [4, 5]);
    }
}

#[tokio::test]
async fn at_the_size_limit_it_waits_for_consumers() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        LogOptions { retention_bytes: 1 << 20, segment_bytes: 64 << 10, tail_bytes: 0, ..one_partition() };
    let log = open(&dir, options.clone());
    log.commit("processor", Topic::Events, 0, 0).await.unwrap();
    let record = || NewRecord {
        route: route("pump-1"),
        origin: store::broker::Origin::Unmarked,
        token: 0,
        payload: Bytes::from(vec![b'x'; 10_000]),
    };
    let mut stored = 0;
    let busy = loop {
        match log.append(Topic::Events, vec![record()]).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 200, "the limit was passed");
    };
    assert!(matches!(busy, BrokerError::Busy { .. }), "{busy:?}");
    assert!(stored > 90, "{stored} records of 10 kB in 1 MiB");
    assert_eq!(log.enforce_retention(domain::Timestamp::now()).await.unwrap(), 0);
    assert_eq!(drain(&*log, Topic::Events, 0, 0).await.len(), stored);

    log.commit("processor", Topic::Events, 0, stored as u64 / 2).await.unwrap();
    let removed = log.enforce_retention(domain::Timestamp::now()).await.unwrap();
    assert!(removed > 0 && removed <= stored as u64 / 2, "{removed} of {stored}");
    log.append(Topic::Events, vec![record()]).await.unwrap();
    drop(log);

    let log = open(&dir, options);
    let gone = log.fetch(Topic::Events, 0, 0, 1, Duration::ZERO).await;
    assert!(matches!(gone, Err(BrokerError::OutOfRange { earliest, .. }) if earliest == removed), "{gone:?}");
    assert_eq!(drain(&*log, Topic::Events, 0, removed).await.len(), stored + 1 - removed as usize);
}

#[tokio::test]
async fn the_number_of_partitions_stays() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir, LogOptions { partitions: 3, ..LogOptions::default() }));
    let log = open(&dir, LogOptions { partitions: 5, ..LogOptions::default() });
    assert_eq!(Topic::ALL.map(|topic| log.partitions(topic)), [3, 3]);
    let beyond = log.fetch(Topic::Events, 3, 0, 1, Duration::ZERO).await;
    assert!(matches!(beyond, Err(BrokerError::Failed(_))), "{beyond:?}");
}

#[tokio::test]
async fn closing_again_waits_for_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let on = Arc::new(OnFaultyDisk(Arc::clone(&disk)));
    let log = EmbeddedLog::open_on(dir.path(), one_partition(), on).unwrap();
    disk.set(|it| it.stalled = true);
    let appended = log.append(Topic::Events, numbered("pump-1", 0..1));
    let (mut first, mut second) = (log.close(), log.close());
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending(), "a record still waits for the disk");
    drop(first);
    disk.set(|it| it.stalled = false);
    second.await.unwrap();
    appended.await.unwrap();
    log.close().await.unwrap();
}

#[tokio::test]
async fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, one_partition());
    let second = EmbeddedLog::open(dir.path(), one_partition());
    assert!(matches!(second, Err(BrokerError::Failed(_))));
    log.close().await.unwrap();
    open(&dir, one_partition());
}
