use super::super::patience::Pace;
use super::*;
use crate::config::Tls;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const SOON: Duration = Duration::from_millis(300);
/// Bytes of the answers that are read slowly.
const STEADY: usize = 768 << 10;
/// Far beyond all limits of these tests: what has not ended by then never does.
const NEVER: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    let pace = Pace { window: SOON, least: 16 };
    let patience = Patience { head: SOON, body: pace, answer: pace, linger: SOON, ..Patience::default() };
    Limits { connections: 64, per_address: 3, exempt: [].into(), patience }
}

/// A running listener and how to stop it.
async fn start(limits: Limits) -> (SocketAddr, CancellationToken) {
    start_with(limits, None).await
}

async fn start_with(
    limits: Limits,
    certificate: Option<&Arc<Certificate>>,
) -> (SocketAddr, CancellationToken) {
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/much", get(|| async { Body::from(vec![b'x'; 64 << 20]) }))
        .route("/whole", get(|| async { Body::from(vec![b'x'; STEADY]) }))
        .route(
            "/pieces",
            get(|| async {
                let piece = || Ok::<_, io::Error>(vec![b'x'; 4_096]);
                Body::from_stream(futures::stream::iter((0..STEADY / 4_096).map(move |_| piece())))
            }),
        )
        .route(
            "/quiet",
            get(|| async { Body::from_stream(futures::stream::pending::<io::Result<&'static str>>()) }),
        )
        .route(
            "/body",
            post(|body: Body| async move {
                match axum::body::to_bytes(body, 1 << 20).await {
                    Ok(bytes) => bytes.len().to_string(),
                    Err(error) if super::super::patience::TooSlow::caused(&error) => "too slow".to_owned(),
                    Err(_) => "broken".to_owned(),
                }
            }),
        )
        .layer(axum::middleware::from_fn(super::super::head::limit));
    let listener =
        HttpListener::bind("test", SocketAddr::from(([127, 0, 0, 1], 0)), certificate, limits).await.unwrap();
    let (address, stop) = (listener.address().unwrap(), CancellationToken::new());
    telemetry::spawn("test-listener", listener.serve(router, stop.clone(), NEVER));
    (address, stop)
}

async fn said(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too.
    let _ = timeout(NEVER, stream.read_to_end(&mut text)).await.expect("the server never closes it");
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends, and reads what comes until the server closes, which is long before it would by default. `…` stands for
/// anything; nothing stands for nothing.
async fn check(send: &[u8], expect: &str) {
    let (address, _stop) = start(limits()).await;
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(send).await.unwrap();
    let answer = said(&mut stream).await;
    assert!(begun.elapsed() < Patience::default().head / 2, "closed only after {:?}", begun.elapsed());
    let fits = match expect.split_once('…') {
        Some((start, end)) => answer.starts_with(start) && answer.contains(end),
        None => answer == expect,
    };
    assert!(fits, "{answer:.300}");
}

#[tokio::test]
async fn whoever_does_not_finish_a_head_is_let_go() {
    check(b"", "").await;
    check(b"GET / HTTP/1.1\r\nhost: x\r\n", "").await;
    check(b"PRI * HTTP/2.0\r\n\r\nSM", "HTTP/1.1 400…").await;
    check(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200…hello").await;
}

#[tokio::test]
async fn a_head_too_large_is_answered_and_not_reset() {
    let close = "connection: close\r\n\r\n";
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n{close}", "x".repeat(40_000));
    check(long.as_bytes(), "HTTP/1.1 431…head_too_large").await;
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}{close}", "a: b\r\n".repeat(120));
    check(many.as_bytes(), "HTTP/1.1 431…head_too_large").await;
    let endless = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n{close}", "x".repeat(900_000));
    check(endless.as_bytes(), "HTTP/1.1 431…").await;
}

#[tokio::test]
async fn a_request_has_one_host() {
    let of = |hosts: &str| format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
    check(of("host: x\r\n").as_bytes(), "HTTP/1.1 200…hello").await;
    check(of("host: x\r\nhost: evil.example\r\n").as_bytes(), "HTTP/1.1 400…two_hosts").await;
    check(of("host: x\r\nhost: x\r\n").as_bytes(), "HTTP/1.1 400…two_hosts").await;
}

#[tokio::test]
async fn a_client_that_pauses_after_its_last_answer_is_not_reset() {
    let patience = Patience { linger: NEVER, ..limits().patience };
    let (address, _stop) = start(Limits { patience, ..limits() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(said(&mut stream).await.ends_with("hello"));
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(b"more").await.expect("the server still listens");
    }
    let end = timeout(NEVER, stream.read(&mut [0])).await.unwrap();
    assert_eq!(end.expect("no reset"), 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let head = "POST /body HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n";
    check(format!("{head}{}", "x".repeat(100)).as_bytes(), "HTTP/1.1 200…100").await;
    check(format!("{head}abc").as_bytes(), "HTTP/1.1 200…too slow").await;
}

#[tokio::test]
async fn a_reader_of_nothing_gives_its_place_back_but_a_quiet_stream_goes_on() {
    let (address, _stop) = start(limits()).await;
    let open = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        let mut first = [0; 12];
        let read = timeout(NEVER, stream.read_exact(&mut first)).await.unwrap().map(|_| ());
        (stream, read.is_ok())
    };
    let (mut quiet, _) = open("/quiet").await;
    let (_much, _) = open("/much").await;
    let (_more, _) = open("/much").await;
    let deadline = Instant::now() + NEVER;
    // Three are all that a client may have: a fourth is served only when one of them was cut.
    while !open("/").await.1 {
        assert!(Instant::now() < deadline, "a reader of nothing holds its place for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut rest = [0; 4_096];
    let quiet_still = async {
        // The rest of its head, and then nothing.
        while quiet.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
    };
    assert!(timeout(SOON * 3, quiet_still).await.is_err(), "a quiet stream must stay open");
}

#[tokio::test]
async fn a_client_has_so_many_connections() {
    let limits = Limits { patience: Patience::default(), ..limits() };
    let (address, _stop) = start(limits).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let mut fourth = TcpStream::connect(address).await.unwrap();
    assert_eq!(said(&mut fourth).await, "");
}

#[tokio::test]
async fn stopping_does_not_wait_for_the_silent() {
    let listener = HttpListener::bind(
        "test",
        SocketAddr::from(([127, 0, 0, 1], 0)),
        None,
        Limits { patience: Patience::default(), ..limits() },
    )
    .await
    .unwrap();
    let (address, stop) = (listener.address().unwrap(), CancellationToken::new());
    let serving = telemetry::spawn("test-listener", listener.serve(Router::new(), stop.clone(), NEVER));
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut answered = TcpStream::connect(address).await.unwrap();
    answered.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    answered.read_exact(&mut [0; 12]).await.unwrap();
    stop.cancel();
    assert_eq!(said(&mut silent).await, "");
    timeout(Duration::from_secs(5), serving).await.expect("nothing is left to wait for").unwrap();
}

/// Reads an answer by HTTP/2, a window of 16 KiB after the other, each after a pause; answers how many bytes came.
async fn read_steadily(address: SocketAddr, certificate: &std::path::Path, path: &str) -> usize {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(16_u32 << 10)
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .unwrap();
    telemetry::spawn("test-client", connection);
    let request = Request::builder().uri(format!("https://localhost{path}")).body(Body::empty()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let (mut came, mut paused_at) = (0, 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.unwrap_or_else(|error| panic!("{path} was cut after {came} bytes: {error}"));
        came += frame.data_ref().map_or(0, bytes::Bytes::len);
        if came - paused_at >= 16 << 10 {
            paused_at = came;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    came
}

#[tokio::test]
async fn a_slow_and_steady_reader_by_http2_gets_it_all() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::from_settings(&Tls::SelfSigned, dir.path()).unwrap();
    // Reading takes nearly five seconds: longer than both limits, and than what a connection may take to say goodbye.
    let second = Duration::from_secs(1);
    let patience = Patience { idle: second, stall: second, ..Patience::default() };
    let (address, _stop) = start_with(Limits { patience, ..limits() }, certificate.as_ref()).await;
    let file = dir.path().join("self-signed.crt");
    let begun = Instant::now();
    let read = [read_steadily(address, &file, "/pieces"), read_steadily(address, &file, "/whole")];
    assert_eq!(futures::future::join_all(read).await, [STEADY, STEADY]);
    assert!(begun.elapsed() > second * 3, "this was not slow: {:?}", begun.elapsed());
}
