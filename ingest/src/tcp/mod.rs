//! The TCP port: one listener takes every protocol.

mod admission;
mod append;
pub mod certificates;
mod connection;
mod farewell;
mod no_entry;
mod opening;
mod openings;
mod replies;
mod transport;
mod warrant;

use crate::facts::OpenConnection;
use crate::intake::Intake;
use admission::Admission;
use certificates::ClientCertificates;
use ipnet::IpNet;
use openings::Openings;
use rustls::ServerConfig;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections over the limit that are told so at a time; more are just closed.
const FAREWELLS: usize = 256;

/// How the port behaves.
#[derive(Clone)]
pub struct TcpConfig {
    /// Certificate and key; without, TLS is refused.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who vouches for client certificates: the verifier in `tls`. Without, none is asked for.
    pub client_certificates: Option<Arc<ClientCertificates>>,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections of one client: an IPv4 address, or a /64 of IPv6.
    pub max_connections_per_address: usize,
    /// From its first byte, how long a connection may take to say what it is.
    pub handshake: Duration,
    /// How long a connection may be silent.
    pub idle: Duration,
    /// How long a large frame may take to come whole.
    pub frame: Duration,
    /// How long a sender may leave its acknowledgements unread.
    pub write: Duration,
    /// How long a record may be kept waiting at a quota.
    pub patience: Duration,
    /// After how long an acknowledged connection is closed, so that new replicas get their part; ± a tenth.
    pub max_age: Duration,
    /// How often a token is asked about again.
    pub recheck: Duration,
    /// Appends under way per connection.
    pub appends: usize,
    /// Bytes of records that gather on a stream while an append is under way.
    pub stream_batch: usize,
    /// Bytes read at a time, at most.
    pub read_bytes: usize,
    /// Proxies whose PROXY headers are believed; each of their connections stands for the address behind.
    pub proxy_protocol_from: Vec<IpNet>,
    /// What an HTTP client is told, in plain text.
    pub http_hint: Arc<str>,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            tls: None,
            client_certificates: None,
            max_connections: 10_000,
            max_connections_per_address: 1_024,
            handshake: Duration::from_secs(30),
            idle: Duration::from_secs(3_600),
            frame: Duration::from_secs(60),
            write: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            max_age: Duration::from_secs(3_600),
            recheck: Duration::from_secs(60),
            appends: 4,
            stream_batch: 1 << 20,
            read_bytes: 128 << 10,
            proxy_protocol_from: Vec::new(),
            http_hint:
                "This is the TCP ingestion port. Open the web at port 31080; send HTTP to the REST API at \
                        port 31090 (POST /api/v1/ingest).\n"
                    .into(),
        }
    }
}

/// What the connections of a port share.
pub(crate) struct Port {
    pub intake: Arc<Intake>,
    pub config: TcpConfig,
    /// No new work: finish whole frames and leave.
    pub stop: CancellationToken,
    pub admission: Admission,
    /// Memory for first records of peers that are not identified yet.
    pub openings: Openings,
    /// Farewells of connections that have no place.
    pub farewells: Semaphore,
}

impl Port {
    /// Whether PROXY headers are believed of this address.
    fn is_proxy(&self, address: IpAddr) -> bool {
        self.config.proxy_protocol_from.iter().any(|network| network.contains(&address))
    }
}

/// A running port.
pub struct TcpIngest {
    address: SocketAddr,
    stop: CancellationToken,
    connections: TaskTracker,
    listener: JoinHandle<()>,
}

/// Connections that had not ended when the grace period was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} connections did not end within the grace period")]
pub struct Unfinished(pub usize);

impl TcpIngest {
    /// Listens; connections are served until [`Self::shutdown`].
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn bind(address: SocketAddr, intake: Arc<Intake>, config: TcpConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        let admission = Admission::new(config.max_connections, config.max_connections_per_address);
        let port = Arc::new(Port {
            openings: Openings::new(intake.limits.frame_bytes),
            farewells: Semaphore::new(FAREWELLS),
            intake,
            config,
            stop: stop.clone(),
            admission,
        });
        telemetry::spawn("ingest-streams", Arc::clone(&port.intake).follow_streams(stop.clone()));
        let accepting = accept(listener, port, connections.clone());
        Ok(Self { address, stop, connections, listener: telemetry::spawn("ingest-listener", accepting) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets each connection finish its whole frames, sync, acknowledge and half-close.
    ///
    /// # Errors
    /// [`Unfinished`] where some had not ended in time; they are left to the end of the process.
    pub async fn shutdown(self, grace: Duration) -> Result<(), Unfinished> {
        self.stop.cancel();
        self.connections.close();
        let ended = tokio::time::timeout(grace, async {
            // The listener's end is a plain return.
            let _ = self.listener.await;
            self.connections.wait().await;
        });
        ended.await.map_err(|_| Unfinished(self.connections.len()))
    }
}

async fn accept(listener: TcpListener, port: Arc<Port>, connections: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = port.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let serving = serve(Arc::clone(&port), tcp, peer);
                telemetry::spawn("ingest-connection", connections.track_future(serving));
            }
            Err(error) => {
                // Out of descriptors, mostly: others must end first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(port: Arc<Port>, tcp: TcpStream, peer: SocketAddr) {
    let _open = OpenConnection::new();
    // Acknowledgements are small and somebody waits for them.
    let _ = tcp.set_nodelay(true);
    Box::pin(connection::serve(port, tcp, peer)).await;
}
