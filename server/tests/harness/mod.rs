//! A whole server in this process, on free ports and a fresh directory, and a small HTTP client.
#![expect(dead_code, reason = "each test program uses its own part of it")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use server::config::{Config, Given};
use server::serve::stores::Cost;
use server::serve::{Host, Running, start_as};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub const EMAIL: &str = "owner@localhost";
pub const PASSWORD: &str = "correct horse battery";

pub struct Server {
    pub running: Running,
    pub dir: tempfile::TempDir,
}

/// Settings for a test: every port free, everything on loopback.
pub fn config(dir: &std::path::Path, more: &[(&str, &str)]) -> Config {
    let own = [
        ("QGX_DATA_DIR", dir.to_str().unwrap()),
        ("QGX_CONFIG", "/dev/null"),
        ("QGX_FRONT_LISTEN", "127.0.0.1:0"),
        ("QGX_BACK_LISTEN", "127.0.0.1:0"),
        ("QGX_INGESTION_LISTEN", "127.0.0.1:0"),
        ("QGX_MANAGEMENT", "127.0.0.1:0"),
        ("QGX_SELF_MONITOR", "false"),
        ("QGX_OWNER_PASSWORD", PASSWORD),
        ("QGX_DRAIN_GRACE_SECS", "10"),
    ];
    let env: BTreeMap<String, String> =
        own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&Given { config: None, env, flags: Vec::new() }).unwrap()
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), more);
        let running = start_as(config, Host { password_cost: Cost::Cheap, ..Host::default() }).await.unwrap();
        Self { running, dir }
    }

    pub fn front(&self) -> Client {
        Client::to(self.running.addresses.front.unwrap())
    }

    pub fn back(&self) -> Client {
        Client::to(self.running.addresses.back.unwrap())
    }

    pub fn management(&self) -> Client {
        Client::to(self.running.addresses.management)
    }

    /// Sends bytes to the TCP port and waits until the server has read them.
    pub async fn send(&self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(self.running.addresses.ingestion.unwrap()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    }

    /// A token's secret, made as the owner would on the command line.
    pub async fn token(&self, kind: &str, role: Option<&str>) -> String {
        let command = serde_json::json!({
            "command": "token_create", "tenant": "default", "kind": kind, "name": "test", "source": null,
            "role": role, "expires_at": null,
        });
        let command = serde_json::from_value(command).unwrap();
        let made = server::control::execute(&self.running.services, command, domain::Lang::En).await.unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    /// A person with a role, and their session on the API.
    pub async fn person(&self, role: &str) -> Client {
        let email = format!("{role}@example.com");
        let command = serde_json::json!({
            "command": "user_create", "email": email, "name": role, "password": PASSWORD, "tenant": "default",
            "role": role, "operator": false,
        });
        let command = serde_json::from_value(command).unwrap();
        server::control::execute(&self.running.services, command, domain::Lang::En).await.unwrap();
        self.back().sign_in(&email).await
    }
}

#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub headers: HeaderMap,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self
    }
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        Self { address, headers: HeaderMap::new() }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The origin that a browser would name.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Signs in by the REST API and goes on with the cookie, as a page of the same origin would.
    pub async fn sign_in(self, email: &str) -> Self {
        let input = serde_json::json!({ "email": email, "password": PASSWORD });
        let answer = self.post("/api/v1/auth/login", &input).await.ok();
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let origin = self.origin();
        self.with("cookie", &cookie).with("origin", &origin)
    }

    pub async fn open(&self, method: Method, path: &str, body: Bytes) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        telemetry::spawn("test-client", connection);
        let mut request = Request::builder().method(method).uri(path);
        if !self.headers.contains_key(header::HOST) {
            request = request.header(header::HOST, format!("localhost:{}", self.address.port()));
        }
        if !self.headers.contains_key(header::ACCEPT_LANGUAGE) {
            request = request.header(header::ACCEPT_LANGUAGE, "en");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap()
    }

    pub async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        let response = self.open(method, path, body.into()).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// As [`Self::get`], where somebody listens.
    pub async fn try_get(&self, path: &str) -> Option<(StatusCode, String)> {
        TcpStream::connect(self.address).await.ok()?;
        let answer = self.get(path).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        Some((answer.status, text))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let json = self.clone().with("content-type", "application/json");
        json.ask(Method::POST, path, serde_json::to_vec(body).unwrap()).await
    }

    /// Asks until the answer fits; what is sent is searchable soon, not at once.
    pub async fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.get(path).await.ok().json();
            if fits(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} never answered as expected, at last {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
