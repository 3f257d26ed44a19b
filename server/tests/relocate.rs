//! Moving from embedded stores: to engines where there are some, and in any case the parts that a move is made of.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use domain::Lang;
use harness::{EMAIL, Server, config};
use server::backup::engines::Engines;
use server::backup::relocate::relocate;
use server::backup::transfer::{self, Choice, Days};
use server::client::{Hello, Reply, Target, connection};
use server::config::Config;
use server::serve::stores::Cost;
use server::serve::{Host, start_as};
use std::collections::BTreeSet;
use std::path::Path;
use store::backup::{Offsets, SqlCopy};
use store::broker::Topic;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

/// Sends numbered lines on a stream; answers what the server had of it before.
async fn send(server: &Server, token: &str, numbers: std::ops::RangeInclusive<u64>) -> u64 {
    let target = Target {
        address: server.running.addresses.ingestion.unwrap().to_string(),
        tls_ca: None,
        tls_identity: None,
    };
    let hello = Hello {
        token: Some(token.to_owned()),
        source: Some("pump-1".to_owned()),
        stream: Some("boot".to_owned()),
        ..Hello::default()
    };
    let (mut reader, mut writer, reply) = connection::greet(&target, &hello).await.unwrap();
    let Reply::Ok { last_seq } = reply else { panic!("not let in: {reply:?}") };
    let last = *numbers.end();
    let lines: String =
        numbers.map(|it| format!("{{\"message\":\"펌프 line\",\"number\":{it}}}\n")).collect();
    writer.write_all(lines.as_bytes()).await.unwrap();
    let mut line = String::new();
    while line.trim() != format!("ACK {last}") {
        line.clear();
        assert!(reader.read_line(&mut line).await.unwrap() > 0, "the server left");
    }
    last_seq
}

async fn start(config: Config, dir: tempfile::TempDir) -> Server {
    let host = Host { password_cost: Cost::Cheap, ..Host::default() };
    Server { running: start_as(config, host).await.unwrap(), dir }
}

async fn shows(server: &Server, events: u64) {
    let api = server.back().bearer(&server.token("api", None).await);
    api.until("/api/v1/events?from=now-1d&to=now%2B1d", |found| found["total"] == events).await;
}

async fn open(dir: &Path, partitions: u32) -> Engines {
    Engines::embedded(dir, partitions).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_events_and_the_log_come_over_whatever_the_number_of_partitions() {
    let server = Server::start().await;
    let token = server.token("ingest", None).await;
    send(&server, &token, 1..=700).await;
    server.send(b"<34>1 2026-11-22T01:02:03Z box app - - - syslog\n").await;
    shows(&server, 701).await;
    let Server { running, dir } = server;
    running.shutdown().await;

    let elsewhere = tempfile::tempdir().unwrap();
    let (from, to) = (open(dir.path(), 4).await, open(elsewhere.path(), 7).await);
    // As if the processor had been killed before its last flushes: the index is ahead of SQL.
    for topic in Topic::ALL {
        from.sql.set_offsets(topic.name(), &[]).await.unwrap();
    }
    let copied = store_sql::copy_sql(&from.sql, &to.sql).await.unwrap();
    assert!(copied["users"] == 1 && copied["streams"] >= 1, "{copied:?}");
    let mut starts = Offsets::new();
    for (partition, end) in transfer::ends(&*to.broker, Topic::Events).await.unwrap() {
        starts.insert((Topic::Events, partition), end);
    }
    let tail = || transfer::copy_tail(&from.sql, &*from.broker, &*to.broker, Topic::Events, &starts);
    assert_eq!(tail().await.unwrap(), 701);
    assert_eq!(tail().await.unwrap(), 0, "a second attempt appends nothing twice");
    let partitions: BTreeSet<u32> = transfer::ends(&*to.broker, Topic::Events)
        .await
        .unwrap()
        .into_iter()
        .filter(|(_, end)| *end > 0)
        .map(|(partition, _)| partition)
        .collect();
    assert!(!partitions.is_empty() && partitions.iter().all(|it| *it < 7));

    // What the processor will recognise as sent before is not waited for: the stream's lines stand in SQL.
    let to_come = transfer::ids_to_come(&from.sql, &*from.broker).await.unwrap();
    assert_eq!(to_come.len(), 1, "the line without a stream");
    let choice = Choice { but: to_come, ..Choice::of(&from.sql).await.unwrap() };
    let (mut days, mut samples, mut events) = (Days::new(), Vec::new(), 0);
    for name in from.events.names().await.unwrap() {
        let copied = transfer::copy_index(&from, &to, name, &choice, &mut samples).await.unwrap();
        transfer::add(&mut days, &copied.days);
        events += copied.events;
    }
    assert_eq!(events, 700);
    assert!(!samples.is_empty());
    assert_eq!(transfer::compare(&*to.index, &days, &samples).await.unwrap(), Vec::<String>::new());
    let tenant = days.keys().next().unwrap().clone();
    days.get_mut(&tenant).unwrap().insert(3, 5);
    let differences = transfer::compare_now(&*to.index, &days).await.unwrap();
    assert!(differences.len() == 1 && differences[0].contains("1970-01-04: 5 events before, 0 now"));
    from.close().await.unwrap();
    to.close().await.unwrap();

    // The copy serves: what stands in its log is processed, each event is there once, and the stream goes on.
    std::fs::copy(dir.path().join("secret-key"), elsewhere.path().join("secret-key")).unwrap();
    let server = start(config(elsewhere.path(), &[]), elsewhere).await;
    shows(&server, 701).await;
    assert_eq!(send(&server, &token, 701..=702).await, 700);
    shows(&server, 703).await;
    server.back().sign_in(EMAIL).await;
    server.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_says_what_it_needs() {
    let server = Server::start().await;
    let from = config(server.dir.path(), &[]);
    let refused = relocate(&from, &from, &|_| {}).await.unwrap_err().to_string();
    assert!(refused.contains("name no engine"), "{refused}");
    let to = config(server.dir.path(), &[("QGX_SEARCH_URL", "http://127.0.0.1:9")]);
    let refused = format!("{:#}", relocate(&from, &to, &|_| {}).await.unwrap_err());
    assert!(refused.contains("needs the server stopped"), "{refused}");
    let refused = relocate(&to, &from, &|_| {}).await.unwrap_err().to_string();
    assert!(refused.contains("a move goes to engines"), "{refused}");
    server.running.shutdown().await;
    // What was moved is not started by mistake.
    std::fs::write(server.dir.path().join("moved"), "database broker\n").unwrap();
    let refused = format!("{:#}", server::start(config(server.dir.path(), &[])).await.err().unwrap());
    assert!(refused.contains("was moved to an engine"), "{refused}");
}

/// A fresh database on a server; gone databases are left to the server's own folder.
async fn fresh_database(url: &str) -> String {
    let name = format!("qgx_move_{}_{}", std::process::id(), domain::Timestamp::now().as_nanos() % 1_000_000);
    store_sql::testing::execute(url, &format!("CREATE DATABASE {name}")).await;
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_moves_to_real_engines_and_back_by_a_backup() {
    use store::testing::wanted;
    let (Some(kafka), Some(search), Some(mysql)) = (
        wanted("QGX_TEST_KAFKA", "the bootstrap servers of a Kafka"),
        wanted("QGX_TEST_OPENSEARCH", "the URL of an OpenSearch"),
        wanted("QGX_TEST_MYSQL", "the mysql:// URL of a server"),
    ) else {
        return;
    };
    let database = fresh_database(&mysql).await;
    let prefix = format!("move{}-", std::process::id());
    let engines = [
        ("QGX_DATABASE_URL", database),
        ("QGX_BROKER_URL", format!("kafka://{kafka}")),
        ("QGX_KAFKA_PREFIX", prefix.clone()),
        ("QGX_KAFKA_REPLICATION", "1".to_owned()),
        ("QGX_KAFKA_PARTITIONS", "6".to_owned()),
        ("QGX_SEARCH_URL", search),
        ("QGX_SEARCH_PREFIX", prefix),
        ("QGX_SEARCH_REPLICAS", "0".to_owned()),
        ("QGX_SEARCH_SHARDS", "1".to_owned()),
    ];
    let engines: Vec<(&str, &str)> = engines.iter().map(|(name, value)| (*name, value.as_str())).collect();

    let server = Server::start().await;
    let token = server.token("ingest", None).await;
    send(&server, &token, 1..=500).await;
    shows(&server, 500).await;
    let Server { running, dir } = server;
    running.shutdown().await;
    let (from, to) = (config(dir.path(), &[]), config(dir.path(), &engines));
    let moved = relocate(&from, &to, &|_| {}).await.unwrap();
    assert_eq!(moved.differences, Vec::<String>::new());
    assert_eq!((moved.events, moved.tenants["default"]), (500, 500));
    assert!(moved.sampled > 0 && moved.rows.values().all(|(before, now)| before == now));

    // Nothing but the addresses changed: token, password and stream are the same.
    let server = start(to.clone(), dir).await;
    shows(&server, 500).await;
    assert_eq!(send(&server, &token, 501..=600).await, 500);
    shows(&server, 600).await;
    server.back().sign_in(EMAIL).await;

    // A backup of the engines, beside the running server, comes back as embedded stores.
    let backups = tempfile::tempdir().unwrap();
    let place = std::sync::Arc::new(server::backup::Folder::new(backups.path()));
    let absent = server::backup::repository::Absent::Make;
    let repository = server::backup::Repository::open(place, None, absent).await.unwrap();
    let made = server::backup::create::create(&to, &repository, Lang::En, &|_, _| {}).await.unwrap();
    assert_eq!(made.counts.tenants["default"], 600);
    server.running.shutdown().await;
    let into = tempfile::tempdir().unwrap();
    let manifest = server::backup::restore::chosen(&repository, None).await.unwrap();
    let restored =
        server::backup::restore::restore(&repository, &manifest, into.path(), &|_, _| {}).await.unwrap();
    assert_eq!(restored.differences(), []);
    let server = start(config(into.path(), &[]), into).await;
    shows(&server, 600).await;
    assert_eq!(send(&server, &token, 601..=601).await, 600);
    shows(&server, 601).await;
    server.running.shutdown().await;
}
