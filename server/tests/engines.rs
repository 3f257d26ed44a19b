//! A process whose engines are away, not prepared, or of another version. `QGX_TEST_MYSQL`, `QGX_TEST_KAFKA` and
//! `QGX_TEST_OPENSEARCH` name real ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use base64::Engine;
use harness::{Client, config};
use http::StatusCode;
use server::serve::stores::{self, Cost};
use server::serve::{Host, start_as};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use store::testing::wanted;

/// A port that nobody listens on, for a moment.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn key() -> String {
    base64::engine::general_purpose::STANDARD.encode([7; 32])
}

/// A process of some roles on these engines, and its management port.
struct Starting {
    management: Client,
    _dir: tempfile::TempDir,
    task: tokio::task::JoinHandle<anyhow::Result<server::Running>>,
}

fn start(more: &[(&str, &str)]) -> Starting {
    let dir = tempfile::tempdir().unwrap();
    let management = free_port();
    let address = management.to_string();
    let own: Vec<_> = more.iter().copied().chain([("QGX_MANAGEMENT", address.as_str())]).collect();
    let config = config(dir.path(), &own);
    let host = Host { password_cost: Cost::Cheap, ..Host::default() };
    Starting {
        management: Client::to(management),
        _dir: dir,
        task: telemetry::spawn("starting", start_as(config, host)),
    }
}

impl Starting {
    /// What it says of its readiness, once that has all the parts.
    async fn says(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(!self.task.is_finished(), "it waits, and does not end");
            let answer = self.management.try_get("/readyz").await;
            if let Some(answer) = &answer
                && parts.iter().all(|part| answer.1.contains(part))
            {
                return answer.1.clone();
            }
            assert!(Instant::now() < deadline, "{parts:?} is not said, but {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_are_away_are_waited_for_and_named() {
    let away = free_port();
    let (mysql, kafka, search) =
        (format!("mysql://qgx:hush@{away}/qgx"), format!("kafka://{away}"), format!("http://{away}"));
    let key = key();
    let engines = [
        ("QGX_DATABASE_URL", mysql.as_str()),
        ("QGX_BROKER_URL", &kafka),
        ("QGX_SEARCH_URL", &search),
        ("QGX_SECRET_KEYS", &key),
    ];
    let starting = start(&[&engines[..], &[("QGX_ROLES", "processor")]].concat());
    let said = starting
        .says(&[
            "waiting for the database: the database cannot be used",
            "waiting for the broker",
            "waiting for the event index",
        ])
        .await;
    assert!(!said.contains("hush"), "{said}");
    assert_eq!(starting.management.try_get("/livez").await.unwrap(), (StatusCode::OK, "ok\n".to_owned()));
    let metrics = starting.management.try_get("/metrics").await.unwrap().1;
    assert!(metrics.contains("qgx_engine_attempts_failed_total{engine=\"database\"}"), "{metrics}");
    starting.task.abort();

    // Ingestion has no use for the event index, and the user web none for the broker.
    let ingestion = start(&[&engines[..], &[("QGX_ROLES", "ingestion")]].concat());
    let said = ingestion.says(&["the database", "the broker"]).await;
    assert!(!said.contains("event index"), "{said}");
    ingestion.task.abort();
    let front = start(&[&engines[..], &[("QGX_ROLES", "front")]].concat());
    let said = front.says(&["the database", "the event index"]).await;
    assert!(!said.contains("broker"), "{said}");
    front.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_are_not_prepared_are_waited_for_until_they_are() {
    let Some(mysql) = wanted("QGX_TEST_MYSQL", "the mysql:// URL of a server") else { return };
    let Some(kafka) = wanted("QGX_TEST_KAFKA", "servers of a Kafka, as host:port") else { return };
    let Some(search) = wanted("QGX_TEST_OPENSEARCH", "the URL of an OpenSearch") else { return };
    let name = format!("engines{}", uuid::Uuid::new_v4().simple());
    let (base, _) = mysql.rsplit_once('/').expect("an URL with a database");
    let (database, broker, prefix, key) =
        (format!("{base}/{name}"), format!("kafka://{kafka}"), format!("{name}-"), key());
    let engines = [
        ("QGX_DATABASE_URL", database.as_str()),
        ("QGX_BROKER_URL", &broker),
        ("QGX_KAFKA_PREFIX", &prefix),
        ("QGX_KAFKA_REPLICATION", "1"),
        ("QGX_KAFKA_PARTITIONS", "2"),
        ("QGX_SEARCH_URL", &search),
        ("QGX_SEARCH_PREFIX", &prefix),
        ("QGX_SEARCH_REPLICAS", "0"),
        ("QGX_SECRET_KEYS", &key),
        ("QGX_ROLES", "processor"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let settings = config(dir.path(), &engines);

    // The wrong password, then no database, then no schema: one line each.
    let wrong = database.replacen("qgx:qgx@", "qgx:wrong-password@", 1);
    let refused = start(&[&engines[1..], &[("QGX_DATABASE_URL", wrong.as_str())]].concat());
    let said = refused.says(&["waiting for the database", "Access denied"]).await;
    assert!(!said.contains("wrong-password"), "{said}");
    refused.task.abort();
    let starting = start(&engines);
    starting
        .says(&[
            "waiting for the database",
            "Unknown database",
            "the topic",
            "run `qgx migrate`",
            "the index template is missing on OpenSearch: run `qgx migrate`",
        ])
        .await;
    store_sql::SqlDatabase::make(&database).await.unwrap();
    starting.says(&["at schema 0", "it was not brought up to this version yet: run `qgx migrate`"]).await;

    stores::prepare(&settings).await.unwrap();
    let running =
        tokio::time::timeout(Duration::from_secs(60), starting.task).await.expect("soon").unwrap().unwrap();
    let ready = starting.management.try_get("/readyz").await.unwrap();
    assert_eq!(ready, (StatusCode::OK, "ready\n".to_owned()));
    assert!(running.addresses.front.is_none() && running.addresses.ingestion.is_none());
    running.shutdown().await;

    // Again changes nothing; and what a later version wrote is refused.
    stores::prepare(&settings).await.unwrap();
    let later = "INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'later', 0)";
    store_sql::testing::execute(&database, later).await;
    let newer = start(&engines);
    let refused = tokio::time::timeout(Duration::from_secs(60), newer.task).await.expect("soon").unwrap();
    let message = format!("{:#}", refused.err().expect("it is refused"));
    assert!(message.contains("at schema 999") && message.contains("newer version of qgx"), "{message}");
    store_sql::testing::execute(&database, &format!("DROP DATABASE {name}")).await;
}
