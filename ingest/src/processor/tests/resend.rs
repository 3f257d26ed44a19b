//! Lines from a socket to the index: sent again or new, after restarts, with what was acknowledged and what was not.

use super::World;
use super::fixture::{eventually, source, tenant};
use crate::access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode, StoredStreams};
use crate::{Intake, IntakeConfig, TcpConfig, TcpIngest};
use async_trait::async_trait;
use domain::api::Refusal;
use domain::{TenantId, Zone};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// `qgx_bound` is bound to source `p-1`, `qgx_free` to none.
struct Anybody(watch::Sender<Arc<HashSet<u64>>>);

#[async_trait]
impl IngestAccess for Anybody {
    async fn identify(&self, secret: &str, _: IpAddr) -> Result<Identity, RefusalCode> {
        let tenant = IngestTenant {
            key: tenant(),
            zone: Zone::utc(),
            class: "30d".into(),
            group: 1,
            events_per_sec: None,
            bytes_per_sec: None,
            bytes_per_day: None,
            masking: Masking::default(),
        };
        let bound = (secret == "qgx_bound").then(|| source("p-1"));
        let token = if bound.is_some() { 2 } else { 1 };
        Ok(Identity { tenant: Arc::new(tenant), source: bound, token, name: None })
    }

    async fn identify_loopback(&self, _: IpAddr) -> Result<Identity, RefusalCode> {
        Err(RefusalCode::NoCredential)
    }

    fn revocations(&self) -> watch::Receiver<Arc<HashSet<u64>>> {
        self.0.subscribe()
    }

    fn refused(&self, _: Refusal, _: Option<TenantId>) {}

    fn token_used(&self, _: u64, _: IpAddr) {}
}

impl World {
    /// An ingestion process on these stores, which knows of the others what the stores tell.
    async fn ingestion(&self) -> TcpIngest {
        let positions = StoredStreams::new(self.sql.clone(), self.broker.clone());
        let intake = Intake::new(
            self.broker.clone(),
            Arc::new(Anybody(watch::Sender::default())),
            Arc::new(positions),
            IntakeConfig::default(),
        );
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        TcpIngest::bind(any, intake, TcpConfig::default()).await.unwrap()
    }

    /// Lets a processor of its own come to the end of the log.
    async fn processed(&self) {
        let processor = self.start();
        self.drained().await;
        processor.shutdown().await;
    }

    /// How often each line of a run stands in the index, by its number.
    fn lines(&self, run: &str) -> BTreeMap<u64, usize> {
        let mut lines = BTreeMap::new();
        for payload in self.index.payloads() {
            let event: Value = serde_json::from_str(&payload).unwrap();
            if event["s"]["run"] == run {
                *lines.entry(event["n"]["line"].as_u64().unwrap()).or_default() += 1;
            }
        }
        lines
    }

    fn check_once(&self, run: &str, expect: RangeInclusive<u64>) {
        assert_eq!(
            self.lines(run),
            expect.map(|line| (line, 1)).collect(),
            "lines of the {run} run, each once"
        );
    }
}

/// Who sends, and what names the source of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// The token.
    Bound,
    /// `HELLO`.
    Named,
    /// Each line.
    Mixed,
}

impl Sender {
    fn hello(self, acked: Option<u64>) -> String {
        let who = match self {
            Self::Bound => r#""token":"qgx_bound""#,
            Self::Named => r#""token":"qgx_free","source":"p-1""#,
            Self::Mixed => r#""token":"qgx_free""#,
        };
        let acked = acked.map_or_else(String::new, |acked| format!(r#","acked":{acked}"#));
        format!("HELLO {{{who},\"stream\":\"boot\"{acked}}}\n")
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Opens the stream; answers the first line of the server.
    async fn open(port: &TcpIngest, sender: Sender, acked: Option<u64>) -> (Self, String) {
        let mut client = Self(BufReader::new(TcpStream::connect(port.local_addr()).await.unwrap()));
        client.say(&sender.hello(acked)).await;
        let answer = client.answer().await;
        (client, answer)
    }

    /// The same where it is let in; answers the last sequence the server has.
    async fn enter(port: &TcpIngest, sender: Sender, acked: Option<u64>) -> (Self, u64) {
        let (client, answer) = Self::open(port, sender, acked).await;
        let ok: Value = serde_json::from_str(answer.strip_prefix("OK ").expect(&answer)).unwrap();
        (client, ok["last_seq"].as_u64().unwrap())
    }

    async fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line));
        read.await.expect("an answer").unwrap();
        line.trim_end().to_owned()
    }

    /// Sends lines of a run; several sources where they are its own.
    async fn send(&mut self, run: &str, lines: RangeInclusive<u64>) {
        for line in lines {
            let source = line % 3;
            self.say(&format!("{{\"device\":\"p-{source}\",\"run\":\"{run}\",\"line\":{line}}}\n")).await;
        }
    }

    async fn acked(&mut self, sequence: u64) {
        while self.answer().await != format!("ACK {sequence}") {}
    }
}

/// What happens between two connections of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Processing,
    Restart,
    ProcessingAndRestart,
}

/// Five lines, acknowledged or not, then another connection: from where it goes on, and what is there in the end.
async fn check(sender: Sender, acked: Option<u64>, between: Between, expect: u64) {
    let what = format!("{sender:?}, acked {acked:?}, {between:?}");
    let world = World::new().await;
    let mut port = world.ingestion().await;
    let (mut client, last_seq) = Client::enter(&port, sender, Some(0)).await;
    assert_eq!(last_seq, 0, "{what}");
    client.send("first", 1..=5).await;
    client.acked(5).await;
    drop(client);
    if matches!(between, Between::Processing | Between::ProcessingAndRestart) {
        world.processed().await;
    }
    if matches!(between, Between::Restart | Between::ProcessingAndRestart) {
        port = world.ingestion().await;
    }
    let (mut client, last_seq) = Client::enter(&port, sender, acked).await;
    assert_eq!(last_seq, expect, "{what}");
    match acked {
        Some(_) => {
            client.send("first", last_seq + 1..=8).await;
            client.acked(8).await;
        }
        None => {
            client.send("second", 1..=3).await;
            client.acked(last_seq + 3).await;
        }
    }
    world.processed().await;
    match acked {
        Some(_) => world.check_once("first", 1..=8),
        None => {
            world.check_once("first", 1..=5);
            world.check_once("second", 1..=3);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resumes_stores_nothing_twice() {
    for acked in [0, 2] {
        for sender in [Sender::Bound, Sender::Named, Sender::Mixed] {
            // What this process made durable it knows.
            check(sender, Some(acked), Between::Nothing, 5).await;
            check(sender, Some(acked), Between::Processing, 5).await;
            // What is not processed is recognised later.
            check(sender, Some(acked), Between::Restart, acked).await;
        }
        for sender in [Sender::Bound, Sender::Named] {
            check(sender, Some(acked), Between::ProcessingAndRestart, 5).await;
        }
        check(Sender::Mixed, Some(acked), Between::ProcessingAndRestart, acked).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_memory_loses_nothing() {
    for sender in [Sender::Bound, Sender::Named, Sender::Mixed] {
        for between in
            [Between::Nothing, Between::Processing, Between::Restart, Between::ProcessingAndRestart]
        {
            check(sender, None, between, 5).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_is_recognised_while_its_first_copy_is_on_its_way() {
    /// `killed`: the processor is, with its batch neither in the index nor in SQL.
    async fn check(sender: Sender, killed: bool) {
        let world = World::new().await;
        let port = world.ingestion().await;
        let (mut client, _) = Client::enter(&port, sender, Some(0)).await;
        client.send("first", 1..=5).await;
        client.acked(5).await;
        world.index.gate(false);
        let processor = world.start();
        eventually("the first write", async || world.index.writes() == 1).await;
        let port = world.ingestion().await;
        let (mut client, last_seq) = Client::enter(&port, sender, Some(0)).await;
        assert_eq!(last_seq, 0);
        client.send("first", 1..=8).await;
        client.acked(8).await;
        if killed {
            processor.shutdown_within(Duration::from_millis(100)).await;
            world.index.gate(true);
            world.processed().await;
        } else {
            world.index.gate(true);
            world.drained().await;
            processor.shutdown().await;
        }
        world.check_once("first", 1..=8);
    }
    for sender in [Sender::Bound, Sender::Mixed] {
        check(sender, false).await;
        check(sender, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_lines_never_take_numbers_that_are_under_way() {
    /// `gone`: the first connection breaks off while its append hangs.
    async fn check(sender: Sender, gone: bool) {
        let world = World::new().await;
        let port = world.ingestion().await;
        let (mut first, _) = Client::enter(&port, sender, None).await;
        world.broker.hang_appends();
        first.send("first", 1..=3).await;
        eventually("the append", async || world.broker.hung() >= 1).await;
        let first = (!gone).then_some(first);
        let opening = Client::enter(&port, sender, None);
        let mut opening = std::pin::pin!(opening);
        let early = tokio::time::timeout(Duration::from_millis(100), &mut opening).await;
        assert!(early.is_err(), "it is not known yet where the stream goes on");
        world.broker.end_hanging();
        let (mut second, last_seq) = opening.await;
        second.send("second", 1..=4).await;
        second.acked(last_seq + 4).await;
        drop(first);
        world.processed().await;
        // A part of the first run may have been refused when the stream was taken, and then it was not acknowledged.
        let stored = world.lines("first");
        assert!(!stored.is_empty() && stored.values().all(|times| *times == 1), "{stored:?}");
        assert!(last_seq >= stored.len() as u64);
        world.check_once("second", 1..=4);
    }
    for sender in [Sender::Named, Sender::Mixed] {
        check(sender, false).await;
        check(sender, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_resumes_waits_for_nobody() {
    let world = World::new().await;
    let port = world.ingestion().await;
    let (mut first, _) = Client::enter(&port, Sender::Mixed, Some(0)).await;
    world.broker.hang_appends();
    first.send("first", 1..=3).await;
    eventually("the append", async || world.broker.hung() >= 1).await;
    // Nor for the log, which cannot be read.
    world.broker.fail_fetches(usize::MAX);
    let (mut second, last_seq) = Client::enter(&port, Sender::Mixed, Some(0)).await;
    assert_eq!(last_seq, 0);
    world.broker.fail_fetches(0);
    second.send("first", 1..=5).await;
    world.broker.end_hanging();
    second.acked(5).await;
    world.processed().await;
    world.check_once("first", 1..=5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_end_is_not_known_is_refused_for_now() {
    let world = World::new().await;
    let port = world.ingestion().await;
    let check = async |sender: Sender| {
        let (_, answer) = Client::open(&port, sender, None).await;
        let error: Value = serde_json::from_str(answer.strip_prefix("ERR ").expect(&answer)).unwrap();
        assert_eq!(error["code"], "busy");
        assert!(error["retry_after"].as_u64().is_some_and(|seconds| seconds > 0), "{answer}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("acked") && !message.contains("token"), "{message}");
    };
    world.broker.fail_fetches(usize::MAX);
    check(Sender::Named).await;
    check(Sender::Mixed).await;
    world.broker.fail_fetches(0);
    let (mut first, _) = Client::enter(&port, Sender::Mixed, None).await;
    world.broker.hang_appends();
    first.send("first", 1..=3).await;
    eventually("the append", async || world.broker.hung() >= 1).await;
    check(Sender::Mixed).await;
}
