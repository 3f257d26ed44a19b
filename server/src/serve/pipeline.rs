//! Ingestion and processor of this process, as far as its roles have them: started in the order of the data, stopped in
//! the same order, so that what was taken is stored.

use crate::config::{Config, ServerRole};
use crate::http::tls::Certificate;
use anyhow::{Context, Result};
use ingest::access::StoredStreams;
use ingest::processor::{Deps, Processor, ProcessorConfig, ProcessorHandle};
use ingest::record::Limits;
use ingest::tcp::certificates::ClientCertificates;
use ingest::{Intake, IntakeConfig, LetterReplay, TcpConfig, TcpIngest};
use services::Services;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Of the grace period, so much at most is for the front doors: HTTP and TCP, which stop together.
pub const DOORS_SHARE: f64 = 0.5;
/// And so much for the batches on their way; the rest is for closing.
const PROCESSOR_SHARE: f64 = 0.4;

/// The way from the socket to the stores, or a part of it.
pub struct Pipeline {
    intake: Option<Arc<Intake>>,
    tcp: Option<TcpIngest>,
    processor: Option<ProcessorHandle>,
}

impl Pipeline {
    /// Listens for data and starts processing, by the roles.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn start(
        config: &Config,
        services: &Services,
        certificate: Option<&Arc<Certificate>>,
    ) -> Result<Self> {
        let takes = config.has(ServerRole::Ingestion) || config.has(ServerRole::Back);
        let intake = takes.then(|| intake(config, services));
        if let Some(intake) = &intake {
            services.set_replayer(Arc::new(LetterReplay::beside(intake)));
        }
        let tcp = match &intake {
            Some(intake) if config.has(ServerRole::Ingestion) => {
                Some(listen(config, Arc::clone(intake), certificate).await?)
            }
            _ => None,
        };
        let processor = config.has(ServerRole::Processor).then(|| processor(config, services));
        Ok(Self { intake, tcp, processor })
    }

    /// Where data comes in by TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(TcpIngest::local_addr)
    }

    /// What every front door shares, for the HTTP sister of the port.
    pub fn intake(&self) -> Option<Arc<Intake>> {
        self.intake.clone()
    }

    /// Takes no more by TCP, and acknowledges what is durable.
    pub async fn stop_taking(self, time: Duration) -> Draining {
        if let Some(tcp) = self.tcp
            && let Err(unfinished) = tcp.shutdown(time).await
        {
            tracing::warn!(%unfinished, "senders were cut off at the end of the grace period");
        }
        Draining(self.processor)
    }
}

/// What a record may hold.
pub fn limits(config: &Config) -> Limits {
    Limits {
        frame_bytes: config.ingestion.frame_max,
        fields: config.ingestion.fields_max,
        depth: config.ingestion.depth_max,
        sources_per_day: config.ingestion.new_sources_per_day,
        ..Limits::default()
    }
}

/// What takes records, from whichever door.
fn intake(config: &Config, services: &Services) -> Arc<Intake> {
    let stores = services.stores();
    let limits = limits(config);
    Intake::new(
        stores.broker.clone(),
        Arc::new(services.clone()),
        Arc::new(StoredStreams::new(stores.sql.clone(), stores.broker.clone())),
        IntakeConfig { limits, budget_bytes: config.ingestion.memory, ..IntakeConfig::default() },
    )
}

async fn listen(
    config: &Config,
    intake: Arc<Intake>,
    certificate: Option<&Arc<Certificate>>,
) -> Result<TcpIngest> {
    let certificates = config.ingestion.client_certificates;
    let certificates = certificates.map(|asked| ClientCertificates::new(intake.access(), asked));
    let tcp_config = TcpConfig {
        tls: certificate.map(|found| match &certificates {
            Some(certificates) => found.server_config_asking(&[], certificates.clone()),
            None => found.server_config(&[]),
        }),
        client_certificates: certificates,
        max_connections: config.ingestion.connections_max,
        max_connections_per_address: config.ingestion.connections_per_address,
        handshake: config.ingestion.handshake,
        idle: config.ingestion.idle,
        max_age: config.ingestion.max_age,
        proxy_protocol_from: config.ingestion.proxy_protocol_from.clone(),
        http_hint: http_hint(config).into(),
        ..TcpConfig::default()
    };
    let address = config.listen.ingestion;
    TcpIngest::bind(address, intake, tcp_config).await.with_context(|| {
        format!(
            "ingestion_listen {address} cannot be listened on; stop what uses it, or move all ports with \
             --port-offset N"
        )
    })
}

fn processor(config: &Config, services: &Services) -> ProcessorHandle {
    let stores = services.stores();
    let deps = Deps {
        broker: stores.broker.clone(),
        index: stores.index.clone(),
        sql: stores.sql.clone(),
        hooks: Arc::new(services.clone()),
    };
    let drain = config.drain_grace.mul_f64(PROCESSOR_SHARE);
    Processor::start(deps, ProcessorConfig { drain, ..ProcessorConfig::default() })
}

/// What goes on behind shut doors.
pub struct Draining(Option<ProcessorHandle>);

impl Draining {
    /// Processes what was read, after every front door is shut. What it does not manage it goes on with at the next
    /// start.
    pub async fn finish(self, time: Duration) {
        if let Some(processor) = self.0 {
            processor.shutdown_within(time).await;
        }
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
