//! The accept loop of an HTTP listener: bounded, patient with nobody, drained at the end.

use super::origin::Connection;
use super::tls::Certificate;
use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long a client has for TLS, and then for the head of a request.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an error of `accept` such as "too many open files": how long to leave it alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener, not yet serving.
pub struct HttpListener {
    name: &'static str,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
}

impl HttpListener {
    /// Binds an address; `name` goes into logs and metrics.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn bind(
        name: &'static str,
        address: SocketAddr,
        certificate: Option<&Arc<Certificate>>,
        connections_max: usize,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let tls = certificate.map(|found| TlsAcceptor::from(found.server_config(&[b"h2", b"http/1.1"])));
        Ok(Self { name, socket, tls, connections: Arc::new(Semaphore::new(connections_max)) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop`, then finishes what was begun, at most `grace`.
    pub async fn serve(self, router: Router, stop: CancellationToken, grace: Duration) {
        let graceful = GracefulShutdown::new();
        while let Some((stream, peer, permit)) = stop.run_until_cancelled(self.accept()).await {
            // Answers are small and streams must not wait for more to say.
            let _ = stream.set_nodelay(true);
            let connection = Connection { peer, encrypted: self.tls.is_some() };
            let (router, watcher, tls) = (router.clone(), graceful.watcher(), self.tls.clone());
            telemetry::spawn("http-connection", async move {
                let _permit = permit;
                match tls {
                    None => converse(stream, connection, router, watcher).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                            converse(stream, connection, router, watcher).await;
                        }
                    }
                }
            });
        }
        drop(self.socket);
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                listener = self.name,
                "requests were still running at the end of the grace period"
            );
        }
    }

    async fn accept(&self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            // The permit comes first: what cannot be served waits in the system's queue.
            let permit = Arc::clone(&self.connections).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    metrics::counter!("qgx_http_connections_total", "listener" => self.name).increment(1);
                    return (stream, peer, permit);
                }
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn converse<S>(
    stream: S,
    connection: Connection,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection);
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_concurrent_streams(100);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    // Errors here are the client's: it left, or spoke no HTTP.
    let _ = watcher.watch(served.into_owned()).await;
}
