//! Requests to OpenSearch: with a deadline, a bound on the answer, and an end when the caller leaves.
//!
//! A request whose future is dropped closes its connection, and OpenSearch then cancels the search behind it; besides, a
//! search is told when to cancel itself (`cancel_after_time_interval`).

use crate::circuit::{Circuit, CircuitState};
use crate::error::{Fault, Refusal};
use crate::options::{Login, OpenSearchOptions};
use bytes::Bytes;
use opensearch::auth::Credentials;
use opensearch::cert::{Certificate, CertificateValidation};
use opensearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opensearch::http::transport::{Connection, ConnectionPool, Transport, TransportBuilder};
use opensearch::http::{Method, Url};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use store::index::{IndexError, ReadLimit};

/// No answer is read that is longer: a page of the largest events and a half.
pub(crate) const LONGEST_ANSWER: u64 = 96 << 20;

/// A request.
pub(crate) struct Request<'a> {
    pub method: Method,
    pub path: &'a str,
    pub query: &'a [(&'a str, &'a str)],
    pub body: Option<Bytes>,
}

impl<'a> Request<'a> {
    pub fn get(path: &'a str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: Method::Get, path, query, body: None }
    }

    pub fn post(path: &'a str, query: &'a [(&'a str, &'a str)], body: &Value) -> Self {
        Self { method: Method::Post, path, query, body: Some(body.to_string().into()) }
    }
}

/// The connection to the cluster.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Transport,
    circuit: Circuit,
}

/// The nodes, in turn.
#[derive(Debug, Clone)]
struct Nodes {
    connections: Arc<[Connection]>,
    next: Arc<AtomicUsize>,
}

impl ConnectionPool for Nodes {
    fn next(&self) -> Connection {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.connections[turn % self.connections.len()].clone()
    }
}

impl Client {
    pub fn new(options: &OpenSearchOptions) -> Result<Self, IndexError> {
        let wrong = |error: &dyn std::fmt::Display| {
            IndexError::Failed(format!("the connection to OpenSearch: {error}"))
        };
        let connections: Arc<[Connection]> = options.nodes.iter().cloned().map(Connection::new).collect();
        if connections.is_empty() {
            return Err(wrong(&"no address is given"));
        }
        let loopback = options.nodes.iter().all(is_loopback);
        let mut builder = TransportBuilder::new(Nodes { connections, next: Arc::default() });
        if loopback {
            builder = builder.disable_proxy();
        }
        if let Some(Login { user, password }) = &options.login {
            builder = builder.auth(Credentials::Basic(user.clone(), password.clone()));
        }
        if let Some(pem) = &options.authorities {
            let authorities = Certificate::from_pem(pem).map_err(|error| wrong(&error))?;
            builder = builder.cert_validation(CertificateValidation::Full(authorities));
        }
        let transport = builder.build().map_err(|error| wrong(&error))?;
        Ok(Self { transport, circuit: Circuit::default() })
    }

    pub fn circuit(&self) -> CircuitState {
        self.circuit.state()
    }

    /// Sends a request; the answer is that of success.
    pub async fn call(&self, request: Request<'_>, within: Duration) -> Result<Bytes, Fault> {
        self.call_for(request, within, LONGEST_ANSWER).await
    }

    /// Sends a request for a read, which ends when its limit does.
    pub async fn read(&self, request: Request<'_>, limit: &ReadLimit, longest: u64) -> Result<Bytes, Fault> {
        if limit.ended() {
            return Err(Fault::Ended);
        }
        let within = limit.deadline.saturating_duration_since(tokio::time::Instant::now());
        tokio::select! {
            biased;
            () = limit.cancel.cancelled() => Err(Fault::Ended),
            () = tokio::time::sleep_until(limit.deadline) => Err(Fault::Ended),
            answer = self.call_for(request, within + Duration::from_secs(5), longest) => answer,
        }
    }

    async fn call_for(&self, request: Request<'_>, within: Duration, longest: u64) -> Result<Bytes, Fault> {
        self.circuit.enter(Instant::now()).map_err(Fault::Resting)?;
        let entered = Entered(&self.circuit);
        let answer = self.send(request, within, longest).await;
        std::mem::forget(entered);
        match &answer {
            Err(Fault::Unreachable(why)) => {
                if let Some(rest) = self.circuit.failed(Instant::now()) {
                    tracing::warn!(error = %why, rest_seconds = rest.as_secs(), "no node of OpenSearch answers; requests rest");
                }
            }
            _ => {
                if self.circuit.answered() {
                    tracing::info!("OpenSearch answers again");
                }
            }
        }
        metrics::gauge!("qgx_search_circuit_open")
            .set(f64::from(u8::from(self.circuit() != CircuitState::Closed)));
        answer
    }

    async fn send(&self, request: Request<'_>, within: Duration, longest: u64) -> Result<Bytes, Fault> {
        let mut headers = HeaderMap::new();
        if request.path.ends_with("_bulk") || request.path.ends_with("_msearch") {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        }
        let Request { method, path, query, body } = request;
        let sent = self.transport.send(method, path, headers, Some(query), body, Some(within)).await;
        let response = sent.map_err(|error| unreachable(&error))?;
        if response.content_length().is_some_and(|length| length > longest) {
            return Err(Fault::TooLong);
        }
        let status = response.status_code().as_u16();
        let body = response.bytes().await.map_err(|error| unreachable(&error))?;
        match status {
            200..=299 => Ok(body),
            // A proxy before the cluster, or a node without a manager.
            502 | 504 => Err(Fault::Unreachable(Refusal::parse(status, &body).to_string())),
            _ => Err(Fault::Refused(Refusal::parse(status, &body))),
        }
    }
}

/// A request under way; dropped where the caller leaves.
struct Entered<'a>(&'a Circuit);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.left();
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The whole chain of causes: the outermost alone says nothing.
fn unreachable(error: &dyn std::error::Error) -> Fault {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        inner = cause.source();
    }
    Fault::Unreachable(text)
}
