//! A port on a broker in memory, and clients on real sockets.

use async_trait::async_trait;
use domain::api::Refusal;
use domain::{SourceKey, TenantId, Zone};
use ingest::access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode, StreamPositions, Unknown};
use ingest::budget::ByteBudget;
use ingest::streams::StoredStream;
use ingest::{Intake, IntakeConfig, TcpConfig, TcpIngest};
use parking_lot::Mutex;
use serde_json::Value;
use services::StreamTaken;
use services::trusted::TrustSet;
use std::collections::HashSet;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store::broker::memory::MemoryBroker;
use store::broker::{Record, Topic};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{broadcast, watch};

/// The longest anything may take.
pub const SOON: Duration = Duration::from_secs(20);

/// Waits for something that must come soon.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("it takes too long")
}

/// Tokens: `qgx_good` (its own name), `qgx_bound` (source pump-1), `qgx_limited` (10 events a second), `qgx_spent`
/// (no bytes left today); every other is bad. Loopback needs none unless switched off.
pub struct Access {
    pub loopback: bool,
    pub revoked: watch::Sender<Arc<HashSet<u64>>>,
    pub refusals: Mutex<Vec<Refusal>>,
    pub masking: Mutex<Masking>,
    pub trust: watch::Sender<Arc<TrustSet>>,
    /// What processes tell each other.
    pub taken: broadcast::Sender<StreamTaken>,
}

impl Access {
    fn tenant(&self, events_per_sec: Option<u64>, bytes_per_day: Option<u64>) -> Arc<IngestTenant> {
        Arc::new(IngestTenant {
            key: TenantId::new(if bytes_per_day.is_some() { "t_spent" } else { "t_one" }).unwrap(),
            zone: Zone::named("Asia/Seoul").unwrap(),
            class: "30d".into(),
            group: 1,
            events_per_sec,
            bytes_per_sec: None,
            bytes_per_day,
            masking: self.masking.lock().clone(),
        })
    }
}

#[async_trait]
impl IngestAccess for Access {
    async fn identify(&self, secret: &str, _peer: IpAddr) -> Result<Identity, RefusalCode> {
        let source = (secret == "qgx_bound").then(|| SourceKey::new("pump-1").unwrap());
        let (token, tenant) = match secret {
            "qgx_good" => (1, self.tenant(None, None)),
            "qgx_bound" => (2, self.tenant(None, None)),
            "qgx_limited" => (3, self.tenant(Some(10), None)),
            "qgx_spent" => (4, self.tenant(None, Some(0))),
            "qgx_expired" => return Err(RefusalCode::ExpiredToken),
            _ => return Err(RefusalCode::BadToken),
        };
        Ok(Identity { tenant, source, token, name: Some("my token".into()) })
    }

    async fn identify_loopback(&self, peer: IpAddr) -> Result<Identity, RefusalCode> {
        assert!(peer.is_loopback());
        if !self.loopback {
            return Err(RefusalCode::NoCredential);
        }
        Ok(Identity { tenant: self.tenant(None, None), source: None, token: 0, name: None })
    }

    fn trust(&self) -> watch::Receiver<Arc<TrustSet>> {
        self.trust.subscribe()
    }

    async fn identify_trusted(
        &self,
        tenant: &TenantId,
        source: Option<SourceKey>,
        name: Option<Arc<str>>,
    ) -> Result<Identity, RefusalCode> {
        let tenant = IngestTenant { key: tenant.clone(), ..IngestTenant::clone(&self.tenant(None, None)) };
        Ok(Identity { tenant: Arc::new(tenant), source, token: 0, name })
    }

    fn revocations(&self) -> watch::Receiver<Arc<HashSet<u64>>> {
        self.revoked.subscribe()
    }

    fn refused(&self, refusal: Refusal, _tenant: Option<TenantId>) {
        self.refusals.lock().push(refusal);
    }

    fn token_used(&self, _id: u64, _peer: IpAddr) {}

    fn stream_taken(&self, taken: StreamTaken) {
        // Without a port nobody follows.
        let _ = self.taken.send(taken);
    }

    fn streams_taken(&self) -> Option<broadcast::Receiver<StreamTaken>> {
        Some(self.taken.subscribe())
    }
}

/// Every stream that is called `processed` stands at 100, whoever's it is.
struct Positions;

#[async_trait]
impl StreamPositions for Positions {
    async fn position(&self, _: &TenantId, _: &SourceKey, stream: &str) -> Result<u64, Unknown> {
        Ok(if stream.ends_with("/processed") { 100 } else { 0 })
    }
    async fn highest(&self, stream: &StoredStream, _: &ByteBudget) -> Result<u64, Unknown> {
        Ok(if stream.name.ends_with("/processed") { 100 } else { 0 })
    }
}

/// See the module.
pub struct Rig {
    pub broker: Arc<MemoryBroker>,
    pub access: Arc<Access>,
    pub intake: Arc<Intake>,
    pub port: TcpIngest,
    budget: usize,
}

impl Rig {
    /// With the usual settings.
    pub async fn start() -> Self {
        Self::with(TcpConfig::default(), IntakeConfig::default(), true).await
    }

    /// With these settings.
    pub async fn with(tcp: TcpConfig, config: IntakeConfig, loopback: bool) -> Self {
        Self::assembled(Arc::default(), config, loopback, |_| tcp).await
    }

    /// Without the rule for loopback, where these are trusted without a token.
    pub async fn guarded(trust: TrustSet, tcp: impl FnOnce(&dyn IngestAccess) -> TcpConfig) -> Self {
        Self::assembled(Arc::new(trust), IntakeConfig::default(), false, tcp).await
    }

    async fn assembled(
        trust: Arc<TrustSet>,
        config: IntakeConfig,
        loopback: bool,
        tcp: impl FnOnce(&dyn IngestAccess) -> TcpConfig,
    ) -> Self {
        let taken = broadcast::Sender::new(64);
        Self::on(MemoryBroker::new(4), taken, trust, config, loopback, tcp).await
    }

    /// Another process beside this one, on the same broker.
    pub async fn beside(&self) -> Self {
        let (broker, taken) = (Arc::clone(&self.broker), self.access.taken.clone());
        let (trust, config) = (Arc::default(), IntakeConfig::default());
        Self::on(broker, taken, trust, config, true, |_| TcpConfig::default()).await
    }

    async fn on(
        broker: Arc<MemoryBroker>,
        taken: broadcast::Sender<StreamTaken>,
        trust: Arc<TrustSet>,
        config: IntakeConfig,
        loopback: bool,
        tcp: impl FnOnce(&dyn IngestAccess) -> TcpConfig,
    ) -> Self {
        let access = Arc::new(Access {
            loopback,
            revoked: watch::Sender::default(),
            refusals: Mutex::default(),
            masking: Mutex::default(),
            trust: watch::Sender::new(trust),
            taken,
        });
        let intake =
            Intake::new(Arc::clone(&broker) as _, Arc::clone(&access) as _, Arc::new(Positions), config);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let port = TcpIngest::bind(any, Arc::clone(&intake), tcp(&*access)).await.unwrap();
        let budget = intake.free_bytes();
        Self { broker, access, intake, port, budget }
    }

    /// A connection.
    pub async fn connect(&self) -> Client {
        Client { stream: BufReader::new(TcpStream::connect(self.port.local_addr()).await.unwrap()) }
    }

    /// A connection from an address of this machine.
    pub async fn connect_from(&self, address: [u8; 4]) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((address, 0))).unwrap();
        Client { stream: BufReader::new(socket.connect(self.port.local_addr()).await.unwrap()) }
    }

    /// Sends all of it, half-closes, and answers what came back.
    pub async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        // A refused sender may be cut off while it still writes.
        let _ = client.stream.get_mut().write_all(bytes.as_ref()).await;
        let _ = client.stream.get_mut().shutdown().await;
        client.rest().await
    }

    /// The records of a topic, once there are at least so many, in the order they came within a source.
    pub async fn records(&self, topic: Topic, count: usize) -> Vec<Record> {
        soon(async {
            loop {
                let records = self.broker.records(topic);
                if records.len() >= count {
                    return records;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    /// The events, once there are so many; no more may have come.
    pub async fn events(&self, count: usize) -> Vec<Value> {
        let records = self.records(Topic::Events, count).await;
        assert_eq!(records.len(), count);
        records.iter().map(|record| serde_json::from_slice(&record.payload).unwrap()).collect()
    }

    /// The messages of the events, once there are so many.
    pub async fn messages(&self, count: usize) -> Vec<String> {
        let text = |event: &Value| event["message"].as_str().unwrap_or_default().to_owned();
        self.events(count).await.iter().map(text).collect()
    }

    /// The codes of the dead letters, once there are so many.
    pub async fn letters(&self, count: usize) -> Vec<Value> {
        let records = self.records(Topic::DeadLetters, count).await;
        records.iter().map(|record| serde_json::from_slice(&record.payload).unwrap()).collect()
    }

    /// The codes that connections were refused for, once there are so many.
    pub async fn refusals(&self, count: usize) -> Vec<String> {
        soon(async {
            loop {
                let codes: Vec<_> = self.access.refusals.lock().iter().map(|r| r.code.clone()).collect();
                if codes.len() >= count {
                    return codes;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    /// Waits until every byte of the budget has come back.
    pub async fn all_memory_is_back(&self) {
        soon(async {
            while self.intake.free_bytes() < self.budget {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

/// One connection.
pub struct Client {
    pub stream: BufReader<TcpStream>,
}

impl Client {
    /// Sends bytes.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.get_mut().write_all(bytes.as_ref())).await.unwrap();
    }

    /// Opens QGX lines and reads the answer.
    pub async fn hello(&mut self, json: &str) -> String {
        self.say(format!("HELLO {json}\n")).await;
        self.line().await
    }

    /// The next line of the answer; empty at the end.
    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        soon(self.stream.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Reads until everything up to here is acknowledged; answers the other lines that came.
    pub async fn acked(&mut self, sequence: u64) -> Vec<String> {
        let mut others = Vec::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix("ACK ").map(|n| n.parse::<u64>().unwrap()) {
                Some(acked) if acked >= sequence => return others,
                Some(_) => {}
                None => {
                    assert_ne!(line, "", "the connection ended before ACK {sequence}: {others:?}");
                    others.push(line);
                }
            }
        }
    }

    /// Everything up to the end.
    pub async fn rest(mut self) -> String {
        let mut text = Vec::new();
        // A reset after the last answer is an end as well.
        let _ = soon(self.stream.read_to_end(&mut text)).await;
        String::from_utf8(text).unwrap()
    }
}

impl Client {
    /// Sends bytes, however long it takes.
    pub async fn say_some(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// Opens QGX lines where the connection is let in.
    pub async fn hello_or_end(mut self) -> String {
        let _ = self.stream.get_mut().write_all(b"HELLO {}\n").await;
        let mut line = String::new();
        let _ = soon(self.stream.read_line(&mut line)).await;
        line
    }
}
