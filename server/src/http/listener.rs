//! The accept loop of an HTTP listener: bounded, patient with nobody, drained at the end.

use super::body::{AnswerBody, PatientBody};
use super::crowd::{Crowd, Place};
use super::head::{BUFFER_MAX, FIELDS_MAX, LIST_MAX};
use super::origin::Connection;
use super::patience::Patience;
use super::pulse::Pulse;
use super::stream::PatientStream;
use super::tls::Certificate;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ipnet::IpNet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// After an error of `accept` such as "too many open files": how long to leave it alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection that is told to end may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// How many connections a listener holds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// In all; more wait in the system's queue.
    pub connections: usize,
    /// From one client; more are closed at once.
    pub per_address: usize,
    /// Proxies, of which each speaks for many clients.
    pub exempt: Arc<[IpNet]>,
    /// How long clients may keep it waiting.
    pub patience: Patience,
}

/// A bound listener, not yet serving.
pub struct HttpListener {
    name: &'static str,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
    crowd: Arc<Crowd>,
    patience: Patience,
}

/// What an accepted connection holds until it ends.
struct Held {
    _permit: OwnedSemaphorePermit,
    _place: Place,
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
        limits: Limits,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let tls = certificate.map(|found| TlsAcceptor::from(found.server_config(&[b"h2", b"http/1.1"])));
        Ok(Self {
            name,
            socket,
            tls,
            connections: Arc::new(Semaphore::new(limits.connections)),
            crowd: Crowd::new(limits.per_address, limits.exempt),
            patience: limits.patience,
        })
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
        let open = TaskTracker::new();
        while let Some((stream, peer, held)) = stop.run_until_cancelled(self.accept()).await {
            // Answers are small and streams must not wait for more to say.
            let _ = stream.set_nodelay(true);
            let conversation = Conversation {
                connection: Connection { peer, encrypted: self.tls.is_some() },
                router: router.clone(),
                patience: self.patience,
                stop: stop.clone(),
            };
            let stream = PatientStream::new(stream, &self.patience);
            let tls = self.tls.clone();
            telemetry::spawn(
                "http-connection",
                open.track_future(async move {
                    let _held = held;
                    match tls {
                        None => conversation.by_http1(stream).await,
                        Some(tls) => {
                            let secured = timeout(conversation.patience.handshake, tls.accept(stream)).await;
                            let Ok(Ok(mut stream)) = secured else { return };
                            // HTTP/2 only where it was agreed on: without TLS nothing bounds how it is begun.
                            if stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()) {
                                let pulse = Pulse::new(conversation.patience);
                                stream.get_mut().0.tell(Arc::clone(&pulse));
                                conversation.by_http2(stream, pulse).await;
                            } else {
                                conversation.by_http1(stream).await;
                            }
                        }
                    }
                }),
            );
        }
        drop(self.socket);
        open.close();
        if timeout(grace, open.wait()).await.is_err() {
            tracing::warn!(
                listener = self.name,
                "requests were still running at the end of the grace period"
            );
        }
    }

    async fn accept(&self) -> (TcpStream, SocketAddr, Held) {
        loop {
            // The permit comes first: what cannot be served waits in the system's queue.
            let permit = Arc::clone(&self.connections).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            match self.socket.accept().await {
                Ok((stream, peer)) => match self.crowd.enter(peer.ip()) {
                    Some(place) => {
                        metrics::counter!("qgx_http_connections_total", "listener" => self.name).increment(1);
                        return (stream, peer, Held { _permit: permit, _place: place });
                    }
                    None => {
                        metrics::counter!("qgx_http_connections_refused_total", "listener" => self.name)
                            .increment(1);
                        tracing::debug!(listener = self.name, "a client has too many connections");
                    }
                },
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// One connection, from its first request to its last.
struct Conversation {
    connection: Connection,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
}

impl Conversation {
    async fn by_http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.head)
            .max_buf_size(BUFFER_MAX)
            // More than is answered to, so that the answer can say why.
            .max_headers(FIELDS_MAX * 2);
        let (patience, stop) = (self.patience, self.stop.clone());
        let service = self.service(None);
        let served = builder.serve_connection(TokioIo::new(stream), service);
        converse(served, http1::Connection::graceful_shutdown, &stop, std::future::pending(), &patience)
            .await;
    }

    async fn by_http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        pulse: Arc<Pulse>,
    ) {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .max_header_list_size(u32::try_from(LIST_MAX).unwrap_or(u32::MAX))
            .max_send_buf_size(BUFFER_MAX)
            .max_concurrent_streams(100);
        let (patience, stop) = (self.patience, self.stop.clone());
        let service = self.service(Some(Arc::clone(&pulse)));
        let served = builder.serve_connection(TokioIo::new(stream), service);
        let stopped = pulse.stopped();
        converse(served, http2::Connection::graceful_shutdown, &stop, stopped, &patience).await;
    }

    /// What answers its requests; `pulse` hears of them.
    fn service(
        self,
        pulse: Option<Arc<Pulse>>,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > {
        let Self { connection, router, patience, .. } = self;
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection);
            let request = request.map(|body| Body::new(PatientBody::new(body, patience.body)));
            let begun = pulse.clone().map(Begun::new);
            let answer = router.clone().oneshot(request);
            async move {
                let response = answer.await?;
                Ok::<_, Infallible>(match begun {
                    None => response,
                    Some(begun) => response.map(|body| begun.answered(body)),
                })
            }
        })
    }
}

/// A request that is not answered yet; dropped so, it has ended.
struct Begun(Option<Arc<Pulse>>);

impl Begun {
    fn new(pulse: Arc<Pulse>) -> Self {
        pulse.began();
        Self(Some(pulse))
    }

    fn answered(mut self, body: Body) -> Body {
        match self.0.take() {
            Some(pulse) => Body::new(AnswerBody::new(body, pulse)),
            None => body,
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(pulse) = self.0.take() {
            pulse.turn(false);
            pulse.ended();
        }
    }
}

/// Serves a connection to its end; told to stop, it finishes what was begun; given up, it is cut soon.
async fn converse<C: Future>(
    served: C,
    end: impl Fn(Pin<&mut C>),
    stop: &CancellationToken,
    given_up: impl Future<Output = ()>,
    patience: &Patience,
) {
    let mut served = pin!(served);
    // Errors here are the client's: it left, or spoke no HTTP.
    tokio::select! {
        _ = served.as_mut() => {}
        () = stop.cancelled() => {
            end(served.as_mut());
            let _ = served.await;
        }
        () = given_up => {
            end(served.as_mut());
            let _ = timeout(GOODBYE.min(patience.stall), served).await;
        }
    }
}

#[cfg(test)]
mod tests;
