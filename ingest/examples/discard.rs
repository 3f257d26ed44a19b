//! Takes every protocol, makes the events' JSON, and throws it away: what ingestion itself costs.
//!
//! `cargo run --release -p ingest --example discard -- 127.0.0.1:0 EVENTS` prints its address, ends after EVENTS
//! events, and says how many CPU seconds they took.
#![expect(clippy::print_stdout, reason = "it is a command")]

use async_trait::async_trait;
use domain::api::Refusal;
use domain::{SourceKey, TenantId, Timestamp, Zone};
use futures::FutureExt;
use ingest::access::{Identity, IngestAccess, IngestTenant, Masking, RefusalCode, StreamPositions, Unknown};
use ingest::budget::ByteBudget;
use ingest::streams::StoredStream;
use ingest::{Intake, IntakeConfig, TcpConfig, TcpIngest};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::broker::{Append, Broker, BrokerError, Fetched, Lag, NewRecord, Offset, Partition, Topic};
use tokio::sync::{Notify, watch};

/// Counts and forgets.
#[derive(Default)]
struct Discard {
    events: AtomicU64,
    bytes: AtomicU64,
    until: u64,
    done: Notify,
}

#[async_trait]
impl Broker for Discard {
    fn partitions(&self, _topic: Topic) -> u32 {
        1
    }

    fn append(&self, topic: Topic, records: Vec<NewRecord>) -> Append {
        if topic == Topic::Events {
            let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
            self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            let count = records.len() as u64;
            if self.events.fetch_add(count, Ordering::Relaxed) + count >= self.until {
                self.done.notify_one();
            }
        }
        futures::future::ready(Ok(())).boxed()
    }

    async fn fetch(
        &self,
        _topic: Topic,
        _partition: Partition,
        _from: Offset,
        _max_bytes: usize,
        _max_wait: Duration,
    ) -> Result<Fetched, BrokerError> {
        Err(BrokerError::Closed)
    }

    async fn commit(&self, _: &str, _: Topic, _: Partition, _: Offset) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn committed(&self, _: &str, _: Topic, _: Partition) -> Result<Offset, BrokerError> {
        Ok(0)
    }

    async fn lag(&self, _: &str, _: Topic) -> Result<Vec<Lag>, BrokerError> {
        Ok(Vec::new())
    }

    async fn enforce_retention(&self, _: Timestamp) -> Result<u64, BrokerError> {
        Ok(0)
    }

    async fn stored_bytes(&self) -> Result<u64, BrokerError> {
        Ok(0)
    }

    async fn close(&self) -> Result<(), BrokerError> {
        Ok(())
    }
}

/// One tenant for everybody.
struct Everybody {
    tenant: Arc<IngestTenant>,
    revoked: watch::Sender<Arc<HashSet<u64>>>,
}

#[async_trait]
impl IngestAccess for Everybody {
    async fn identify(&self, _: &str, peer: IpAddr) -> Result<Identity, RefusalCode> {
        self.identify_loopback(peer).await
    }

    async fn identify_loopback(&self, _: IpAddr) -> Result<Identity, RefusalCode> {
        Ok(Identity { tenant: Arc::clone(&self.tenant), source: None, token: 0, name: None })
    }

    fn revocations(&self) -> watch::Receiver<Arc<HashSet<u64>>> {
        self.revoked.subscribe()
    }

    fn refused(&self, _: Refusal, _: Option<TenantId>) {}

    fn token_used(&self, _: u64, _: IpAddr) {}
}

struct Fresh;

#[async_trait]
impl StreamPositions for Fresh {
    async fn position(&self, _: &TenantId, _: &SourceKey, _: &str) -> Result<u64, Unknown> {
        Ok(0)
    }
    async fn highest(&self, _: &StoredStream, _: &ByteBudget) -> Result<u64, Unknown> {
        Ok(0)
    }
}

/// User and system CPU seconds of this process, from `/proc/self/stat` (proc(5)), where there is one.
fn cpu_seconds() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let address: SocketAddr = args.next().as_deref().unwrap_or("127.0.0.1:0").parse()?;
    let until: u64 = args.next().as_deref().unwrap_or("1000000").parse()?;
    let broker = Arc::new(Discard { until, ..Discard::default() });
    let tenant = IngestTenant {
        key: TenantId::new("t_bench")?,
        zone: Zone::named(Zone::DEFAULT).ok_or("no time zone data")?,
        class: "30d".into(),
        group: 1,
        events_per_sec: None,
        bytes_per_sec: None,
        bytes_per_day: None,
        masking: Masking::default(),
    };
    let access = Everybody { tenant: Arc::new(tenant), revoked: watch::Sender::default() };
    let intake =
        Intake::new(Arc::clone(&broker) as _, Arc::new(access), Arc::new(Fresh), IntakeConfig::default());
    let before = cpu_seconds();
    let port = TcpIngest::bind(address, intake, TcpConfig::default()).await?;
    println!("{}", port.local_addr());
    broker.done.notified().await;
    let (events, bytes) = (broker.events.load(Ordering::Relaxed), broker.bytes.load(Ordering::Relaxed));
    let cpu = cpu_seconds() - before;
    println!(
        "{events} events, {bytes} bytes of JSON, {cpu:.2} CPU s, {:.3} µs an event",
        cpu * 1e6 / events as f64
    );
    port.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
