//! Ingestion and processor of this process: started in the order of the data, stopped in the same order, so that what
//! was taken is stored.

use crate::config::Config;
use crate::http::tls::Certificate;
use anyhow::{Context, Result};
use ingest::access::StoredStreams;
use ingest::processor::{Deps, Processor, ProcessorConfig, ProcessorHandle};
use ingest::record::Limits;
use ingest::{Intake, IntakeConfig, TcpConfig, TcpIngest};
use services::Services;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Of the grace period, so much at most is for the front doors: HTTP and TCP, which stop together.
pub const DOORS_SHARE: f64 = 0.5;
/// And so much for the batches on their way; the rest is for closing.
const PROCESSOR_SHARE: f64 = 0.4;

/// The way from the socket to the stores.
pub struct Pipeline {
    intake: Arc<Intake>,
    tcp: TcpIngest,
    processor: ProcessorHandle,
}

impl Pipeline {
    /// Listens for data and starts processing.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn start(
        config: &Config,
        services: &Services,
        certificate: Option<&Arc<Certificate>>,
    ) -> Result<Self> {
        let stores = services.stores();
        let limits = Limits {
            frame_bytes: config.ingestion.frame_max,
            fields: config.ingestion.fields_max,
            depth: config.ingestion.depth_max,
            ..Limits::default()
        };
        let intake = Intake::new(
            stores.broker.clone(),
            Arc::new(services.clone()),
            Arc::new(StoredStreams { sql: stores.sql.clone(), broker: stores.broker.clone() }),
            IntakeConfig { limits, budget_bytes: config.ingestion.memory, ..IntakeConfig::default() },
        );
        let tcp_config = TcpConfig {
            tls: certificate.map(|found| found.server_config(&[])),
            max_connections: config.ingestion.connections_max,
            max_connections_per_address: config.ingestion.connections_per_address,
            handshake: config.ingestion.handshake,
            idle: config.ingestion.idle,
            proxy_protocol_from: config.ingestion.proxy_protocol_from.clone(),
            http_hint: http_hint(config).into(),
            ..TcpConfig::default()
        };
        let address = config.listen.ingestion;
        let tcp = TcpIngest::bind(address, Arc::clone(&intake), tcp_config).await.with_context(|| {
            format!(
                "ingestion_listen {address} cannot be listened on; stop what uses it, or move all ports with \
                 --port-offset N"
            )
        })?;
        let deps = Deps {
            broker: stores.broker.clone(),
            index: stores.index.clone(),
            sql: stores.sql.clone(),
            hooks: Arc::new(services.clone()),
        };
        let drain = config.drain_grace.mul_f64(PROCESSOR_SHARE);
        let processor = Processor::start(deps, ProcessorConfig { drain, ..ProcessorConfig::default() });
        Ok(Self { intake, tcp, processor })
    }

    /// Where data comes in.
    pub fn address(&self) -> SocketAddr {
        self.tcp.local_addr()
    }

    /// What every front door shares, for the HTTP sister of the port.
    pub fn intake(&self) -> Arc<Intake> {
        Arc::clone(&self.intake)
    }

    /// Takes no more by TCP, and acknowledges what is durable.
    pub async fn stop_taking(self, time: Duration) -> Draining {
        if let Err(unfinished) = self.tcp.shutdown(time).await {
            tracing::warn!(%unfinished, "senders were cut off at the end of the grace period");
        }
        Draining(self.processor)
    }
}

/// What goes on behind shut doors.
pub struct Draining(ProcessorHandle);

impl Draining {
    /// Processes what was read, after every front door is shut. What it does not manage it goes on with at the next
    /// start.
    pub async fn finish(self, time: Duration) {
        self.0.shutdown_within(time).await;
    }
}

/// What somebody reads who sends HTTP to the TCP port.
fn http_hint(config: &Config) -> String {
    format!(
        "This is the TCP ingestion port. Open the web at port {}; send HTTP to the REST API at port {} \
         (POST /api/v1/ingest).\n",
        config.listen.front.port(),
        config.listen.back.port()
    )
}
