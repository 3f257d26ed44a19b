//! Backups of a running server: online, consistent, restored elsewhere with the same counts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use domain::{Lang, Timestamp};
use harness::{Server, config};
use server::backup::create::{Made, create};
use server::backup::repository::{Absent, Repository};
use server::backup::restore::{Restored, chosen, restore};
use server::backup::upkeep::{self, Keep};
use server::backup::{Folder, Key, Place, S3};
use server::client::{Hello, Reply, Target, connection};
use server::serve::stores::Cost;
use server::serve::{Host, start_as};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

const PASSPHRASE: &str = "correct horse battery";
/// What the fixture's installation sealed with.
const FIXTURE_KEY: &str = "cWd4LWZpeHR1cmUta2V5LW9mLTMyLWJ5dGVzLWxvbmc=\n";

async fn repository(dir: &Path, key: Option<&str>) -> Repository {
    let key = key.map(|key| Key::new(key).unwrap());
    Repository::open(Arc::new(Folder::new(dir)), key.as_ref(), Absent::Make).await.unwrap()
}

async fn back_up(data_dir: &Path, repository: &Repository) -> Made {
    create(&config(data_dir, &[]), repository, Lang::En, &|_, _| {}).await.unwrap()
}

async fn restored(repository: &Repository, at: Option<&str>, into: &Path) -> Restored {
    let manifest = chosen(repository, at).await.unwrap();
    restore(repository, &manifest, into, &|_, _| {}).await.unwrap()
}

async fn server_on(dir: tempfile::TempDir) -> Server {
    let host = Host { password_cost: Cost::Cheap, ..Host::default() };
    let running = start_as(config(dir.path(), &[]), host).await.unwrap();
    Server { running, dir }
}

/// Opens a stream of QGX lines; the halves of the connection, and what was taken before.
async fn stream_to(
    server: &Server,
    token: &str,
    acked: u64,
) -> (connection::Reader, connection::Writer, u64) {
    let target = Target {
        address: server.running.addresses.ingestion.unwrap().to_string(),
        tls_ca: None,
        tls_identity: None,
    };
    let hello = Hello {
        token: Some(token.to_owned()),
        source: Some("pump-1".to_owned()),
        stream: Some("boot".to_owned()),
        acked: Some(acked),
        ..Hello::default()
    };
    let (reader, writer, reply) = connection::greet(&target, &hello).await.unwrap();
    let Reply::Ok { last_seq } = reply else { panic!("not let in") };
    (reader, writer, last_seq)
}

/// Sends lines of numbered events without an end, and notes how many were acknowledged.
async fn send_until(
    server: &Server,
    token: &str,
    acked: &AtomicU64,
    stop: &tokio_util::sync::CancellationToken,
) {
    let (mut reader, mut writer, last) = stream_to(server, token, 0).await;
    let mut sent = last;
    while !stop.is_cancelled() {
        let mut lines = String::new();
        for _ in 0..50 {
            sent += 1;
            lines.push_str(&format!("{{\"message\":\"line\",\"number\":{sent}}}\n"));
        }
        writer.write_all(lines.as_bytes()).await.unwrap();
        while acked.load(Ordering::Acquire) < sent {
            let mut line = String::new();
            assert!(reader.read_line(&mut line).await.unwrap() > 0, "the server left");
            if let Some(sequence) = line.trim().strip_prefix("ACK ") {
                acked.store(sequence.parse().unwrap(), Ordering::Release);
            }
        }
    }
}

async fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !there() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The numbers of all events, with how often each is there.
async fn numbers(server: &Server) -> Vec<u64> {
    let api = server.back().bearer(&server.token("api", None).await);
    let csv = api.get("/api/v1/events/export?from=now-1d&to=now%2B1d&format=ndjson").await.ok().text();
    let number = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"]["number"].as_u64().unwrap()
    };
    let mut numbers: Vec<u64> = csv.lines().map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_backup_under_load_has_every_event_acknowledged_before_it_and_none_twice() {
    let server = Server::start().await;
    let token = server.token("ingest", None).await;
    let backups = tempfile::tempdir().unwrap();
    let repository = repository(backups.path(), Some(PASSPHRASE)).await;
    let (acked, stop) = (AtomicU64::new(0), tokio_util::sync::CancellationToken::new());
    let backing_up = async {
        wait_for("nothing is acknowledged", || acked.load(Ordering::Acquire) >= 500).await;
        let before = acked.load(Ordering::Acquire);
        let first = back_up(server.dir.path(), &repository).await;
        let middle = acked.load(Ordering::Acquire);
        wait_for("it goes on", || acked.load(Ordering::Acquire) > middle + 200).await;
        let second_from = acked.load(Ordering::Acquire);
        let second = back_up(server.dir.path(), &repository).await;
        stop.cancel();
        (before, first, second_from, second)
    };
    let (_, (before, first, second_from, second)) =
        tokio::join!(send_until(&server, &token, &acked, &stop), backing_up);
    assert!(first.with_secret_key && first.since_previous_secs.is_none());
    assert!(second.since_previous_secs.is_some_and(|seconds| seconds > 0.0));
    assert!(!server.dir.path().join("backup-staging").join(&first.id).exists(), "what was staged is gone");
    server.running.shutdown().await;

    for (made, least) in [(first, before), (second, second_from)] {
        let into = tempfile::tempdir().unwrap();
        let restored = restored(&repository, Some(&made.id), into.path()).await;
        assert_eq!(restored.differences(), [], "{:?}", restored.now);
        let again = server_on(into).await;
        // What the log had beyond the processed is processed now; then the sender comes again and goes on after it.
        let (reader, mut writer, last) = stream_to(&again, &token, least).await;
        assert!(last >= least, "{last} of {least} acknowledged before the backup began");
        writer
            .write_all(format!("{{\"message\":\"line\",\"number\":{}}}\n", last + 1).as_bytes())
            .await
            .unwrap();
        let mut line = String::new();
        let mut reader = reader;
        reader.read_line(&mut line).await.unwrap();
        assert_eq!(line.trim(), format!("ACK {}", last + 1));
        // The line is a new one, or one that stood in the log: then it changes nothing.
        let all = (last + 1).max(restored.now.ends.values().sum());
        let api = again.back().bearer(&again.token("api", None).await);
        api.until("/api/v1/events?from=now-1d&to=now%2B1d", |found| found["total"] == all).await;
        assert_eq!(numbers(&again).await, (1..=all).collect::<Vec<_>>(), "all of them, once each");
        let again = server_on_same(again).await;
        assert_eq!(numbers(&again).await.len() as u64, all, "after another start too");
        again.running.shutdown().await;
    }
}

async fn server_on_same(server: Server) -> Server {
    let Server { running, dir } = server;
    running.shutdown().await;
    server_on(dir).await
}

/// The bytes of every file below a folder.
fn everything(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            all.extend(everything(&entry.path()));
        } else {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_sealed_incremental_pruned_and_checked() {
    let server = Server::start().await;
    server.send(b"{\"message\":\"a very particular message\"}\n").await;
    let api = server.back().bearer(&server.token("api", None).await);
    api.until("/api/v1/events", |found| found["total"] == 1).await;
    let data_dir = server.dir.path().to_owned();
    let secret = std::fs::read(data_dir.join("secret-key")).unwrap();
    server.running.shutdown().await;

    let backups = tempfile::tempdir().unwrap();
    let sealed = repository(backups.path(), Some(PASSPHRASE)).await;
    let first = back_up(&data_dir, &sealed).await;
    assert_eq!((first.counts.events, first.counts.tenants["default"]), (1, 1));
    let second = back_up(&data_dir, &sealed).await;
    assert!(second.new_bytes < first.new_bytes / 2, "{} then {}", first.new_bytes, second.new_bytes);
    let third = back_up(&data_dir, &sealed).await;
    let bytes = everything(backups.path());
    for clear in [&b"a very particular message"[..], b"owner@localhost", secret.trim_ascii()] {
        assert!(!bytes.windows(clear.len()).any(|it| it == clear), "{}", clear.escape_ascii());
    }

    // Another key, no key, and none where one is needed.
    let place = || Arc::new(Folder::new(backups.path()));
    let other = Key::new("another passphrase").unwrap();
    let refused = Repository::open(place(), Some(&other), Absent::Refuse).await.err().unwrap().to_string();
    assert!(refused.contains("not the key"), "{refused}");
    let refused = Repository::open(place(), None, Absent::Refuse).await.err().unwrap().to_string();
    assert!(refused.contains("are encrypted"), "{refused}");

    let keep = Keep { newest: Some(1), days: None };
    let pruned = upkeep::prune(&sealed, keep, Timestamp::now()).await.unwrap();
    assert_eq!((pruned.kept, pruned.removed), (vec![third.id.clone()], vec![second.id, first.id.clone()]));
    let needed: BTreeSet<_> = chosen(&sealed, None)
        .await
        .unwrap()
        .files
        .iter()
        .flat_map(|file| file.chunks.iter().map(|chunk| chunk.name.clone()))
        .collect();
    assert_eq!(
        sealed.chunks().await.unwrap().into_iter().collect::<BTreeSet<_>>(),
        needed,
        "no more, no less"
    );
    let kept_by_age = Keep { newest: None, days: Some(1) };
    assert!(upkeep::prune(&sealed, kept_by_age, Timestamp::now()).await.unwrap().removed.is_empty());
    assert!(upkeep::prune(&sealed, Keep::default(), Timestamp::now()).await.is_err(), "no rule, no prune");

    let manifest = chosen(&sealed, Some(&third.id[..23])).await.unwrap();
    assert_eq!(upkeep::verify(&sealed, &manifest, &|_, _| {}).await.unwrap(), Vec::<String>::new());
    let into = tempfile::tempdir().unwrap();
    assert_eq!(restored(&sealed, None, into.path()).await.differences(), []);
    assert_eq!(std::fs::read(into.path().join("secret-key")).unwrap(), secret);
    let again = restore(&sealed, &manifest, into.path(), &|_, _| {}).await.unwrap_err().to_string();
    assert!(again.contains("is not empty"), "{again}");

    // A chunk that is gone is told by name, and nothing is restored of it.
    sealed.delete_chunk(needed.first().unwrap()).await.unwrap();
    assert_eq!(upkeep::verify(&sealed, &manifest, &|_, _| {}).await.unwrap().len(), 1);
    let into = tempfile::tempdir().unwrap();
    let cut = restore(&sealed, &manifest, into.path(), &|_, _| {}).await.unwrap_err().to_string();
    assert!(cut.contains("is missing"), "{cut}");
    let half = server::start(config(into.path(), &[])).await.err().unwrap().to_string();
    assert!(half.contains("was not finished"), "{half}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_clear_the_secret_key_stays_at_home() {
    let server = Server::start().await;
    let data_dir = server.dir.path().to_owned();
    let backups = tempfile::tempdir().unwrap();
    let clear = repository(backups.path(), None).await;
    // While a server has the directory, and afterwards.
    let made = back_up(&data_dir, &clear).await;
    assert!(!made.with_secret_key);
    server.running.shutdown().await;
    assert!(!back_up(&data_dir, &clear).await.with_secret_key);
    let into = tempfile::tempdir().unwrap();
    restored(&clear, None, into.path()).await;
    assert!(!into.path().join("secret-key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writer_at_a_time() {
    let backups = tempfile::tempdir().unwrap();
    let first = repository(backups.path(), None).await;
    let lock = first.lock().await.unwrap();
    let refused = first.lock().await.err().unwrap().to_string();
    assert!(refused.contains("is at work"), "{refused}");
    lock.release().await.unwrap();
    first.lock().await.unwrap().release().await.unwrap();
}

/// A bucket of its own on a real server of the S3 API, by `QGX_TEST_S3`: its address; the account is `qgx`, `qgx-secret`.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_as_good_as_a_folder() {
    let what = "the address of a server of the S3 API that lets qgx in with qgx-secret";
    let Some(endpoint) = store::testing::wanted("QGX_TEST_S3", what) else { return };
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_ACCESS_KEY_ID" => Some("qgx".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("qgx-secret".to_owned()),
        _ => None,
    };
    let name = format!("qgx-{}-{}", std::process::id(), Timestamp::now().as_nanos() % 1_000_000_000);
    let s3 = S3::new(&format!("s3://{name}/a b/backups"), variable).unwrap();
    let missing = format!("{:#}", s3.put("x", bytes::Bytes::new()).await.unwrap_err());
    assert!(missing.contains("NoSuchBucket"), "{missing}");
    s3.make_bucket().await.unwrap();
    for number in 0..1_005 {
        s3.put(&format!("many/{number}"), bytes::Bytes::from_static(b"1")).await.unwrap();
    }
    assert_eq!(s3.list("many/").await.unwrap().len(), 1_005, "more than a page");
    assert_eq!(s3.get("many/7").await.unwrap().as_deref(), Some(&b"1"[..]));
    s3.delete("many/7").await.unwrap();
    s3.delete("many/7").await.unwrap();
    assert_eq!(s3.get("many/7").await.unwrap(), None);

    let server = Server::start().await;
    server.send(b"{\"message\":\"to the bucket\"}\n").await;
    let api = server.back().bearer(&server.token("api", None).await);
    api.until("/api/v1/events", |found| found["total"] == 1).await;
    let key = Key::new(PASSPHRASE).unwrap();
    let repository = Repository::open(Arc::new(s3), Some(&key), Absent::Make).await.unwrap();
    let first = back_up(server.dir.path(), &repository).await;
    let second = back_up(server.dir.path(), &repository).await;
    assert!(second.new_bytes < first.new_bytes);
    server.running.shutdown().await;
    let pruned =
        upkeep::prune(&repository, Keep { newest: Some(1), days: None }, Timestamp::now()).await.unwrap();
    assert_eq!(pruned.removed, vec![first.id]);
    let into = tempfile::tempdir().unwrap();
    assert_eq!(restored(&repository, None, into.path()).await.differences(), []);
}

/// A backup made by layout 1, schema 6: see `fixtures/README.md`.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/layout-1");

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_an_earlier_version_opens_with_its_events() {
    let fixture =
        Repository::open(Arc::new(Folder::new(Path::new(FIXTURE))), None, Absent::Refuse).await.unwrap();
    let into = tempfile::tempdir().unwrap();
    let manifest = chosen(&fixture, None).await.unwrap();
    assert_eq!(manifest.data_format, 1);
    assert_eq!(restore(&fixture, &manifest, into.path(), &|_, _| {}).await.unwrap().differences(), []);
    std::fs::write(into.path().join("secret-key"), FIXTURE_KEY).unwrap();
    let server = server_on(into).await;
    let token = std::fs::read_to_string(Path::new(FIXTURE).join("token")).unwrap();
    let api = server.back().bearer(&token);
    let window = "from=2026-11-21T00:00:00Z&to=2026-11-23T00:00:00Z";
    api.until(&format!("/api/v1/events?{window}"), |found| found["total"] == 60).await;
    let found = api.get(&format!("/api/v1/events?{window}&q=펌프%20level:error")).await.ok().json();
    assert!(found["total"].as_u64() > Some(0), "{found}");
    server.back().sign_in(harness::EMAIL).await;
    server.running.shutdown().await;
}

/// Makes the fixture anew: `cargo test -p server --test backup -- --ignored makes_the_fixture`. Only ever for a new
/// layout, into a folder of its number; the old one stays as it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the fixture of a new layout"]
async fn makes_the_fixture() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret-key"), FIXTURE_KEY).unwrap();
    let server = server_on(folder).await;
    let token = server.token("api", None).await;
    let mut lines = String::new();
    for number in 0..60 {
        let level = if number % 7 == 0 { "error" } else { "info" };
        lines.push_str(&format!(
            "{{\"ts\":\"2026-11-22T01:{number:02}:00Z\",\"source\":\"pump-{}\",\"level\":\"{level}\",\"message\":\"펌프 \
             pump line {number}\",\"temperature\":{}.5,\"site\":\"부산\",\"ok\":true}}\n",
            number % 3,
            40 + number
        ));
    }
    server.send(lines.as_bytes()).await;
    let api = server.back().bearer(&token);
    let window = "from=2026-11-21T00:00:00Z&to=2026-11-23T00:00:00Z";
    api.until(&format!("/api/v1/events?{window}"), |found| found["total"] == 60).await;
    let fixture = Folder::new(Path::new(FIXTURE));
    let repository = Repository::open(Arc::new(fixture), None, Absent::Make).await.unwrap();
    let Server { running, dir } = server;
    running.shutdown().await;
    back_up(dir.path(), &repository).await;
    std::fs::write(Path::new(FIXTURE).join("token"), token).unwrap();
}
