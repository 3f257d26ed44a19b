use super::*;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A server that follows a script and keeps what it got.
async fn greeted(listener: &TcpListener, ok: &str) -> (BufReader<TcpStream>, String) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut hello = String::new();
    stream.read_line(&mut hello).await.unwrap();
    stream.get_mut().write_all(ok.as_bytes()).await.unwrap();
    (stream, hello)
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}

async fn sending(
    count: u32,
) -> (TcpListener, tokio::task::JoinHandle<(Result<(), SendError>, Arc<Progress>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = SenderOptions {
        target: Target { address: listener.local_addr().unwrap().to_string(), ..Target::default() },
        token: Some("qgx_x".to_owned()),
        source: None,
        stream: "s".to_owned(),
        window: 100,
        give_up_after: Some(Duration::from_secs(20)),
        ..SenderOptions::default()
    };
    let (feed, lines) = mpsc::channel(1);
    telemetry::spawn("test-feed", async move {
        for n in 1..=count {
            feed.send(Bytes::from(format!("line {n}"))).await.unwrap();
        }
    });
    let handle = telemetry::spawn("test-sender", async move {
        let progress = Arc::new(Progress::default());
        let outcome = run(&options, lines, &progress, &CancellationToken::new()).await;
        (outcome, progress)
    });
    (listener, handle)
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again() {
    let (listener, sending) = sending(3).await;
    let (mut stream, hello) = greeted(&listener, "OK {\"stream\":\"s\",\"last_seq\":0}\n").await;
    assert_eq!(hello, "HELLO {\"token\":\"qgx_x\",\"stream\":\"s\",\"acked\":0}\n");
    for n in 1..=3 {
        assert_eq!(line(&mut stream).await, format!("line {n}"));
    }
    stream.get_mut().write_all(b"ACK 1\n").await.unwrap();
    drop(stream);
    let (mut stream, hello) = greeted(&listener, "OK {\"stream\":\"s\",\"last_seq\":2}\n").await;
    assert!(hello.contains("\"acked\":1"), "{hello}");
    assert_eq!(line(&mut stream).await, "line 3");
    stream.get_mut().write_all(b"NACK 3 {\"code\":\"json\"}\nACK 3\n").await.unwrap();
    let (outcome, progress) = sending.await.unwrap();
    outcome.unwrap();
    assert_eq!(progress.acked.load(Ordering::Relaxed), 3);
    assert_eq!(progress.refused.load(Ordering::Relaxed), 1);
    assert_eq!(progress.reconnects.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_earlier_run_is_gone_on_with() {
    let (listener, sending) = sending(3).await;
    let (mut stream, _) = greeted(&listener, "OK {\"stream\":\"s\",\"last_seq\":2}\n").await;
    assert_eq!(line(&mut stream).await, "line 3");
    stream.get_mut().write_all(b"ACK 3\n").await.unwrap();
    let (outcome, progress) = sending.await.unwrap();
    outcome.unwrap();
    assert_eq!(progress.skipped.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_bad_token_ends_it() {
    let (listener, sending) = sending(1).await;
    let _stream = greeted(&listener, "ERR {\"code\":\"bad_token\",\"message\":\"no\"}\n").await;
    let (outcome, _) = sending.await.unwrap();
    assert!(matches!(outcome, Err(SendError::Refused(fault)) if fault.code == "bad_token"));
}

#[tokio::test]
async fn an_earlier_run_is_gone_on_with_by_a_server_that_was_busy_at_first() {
    let (listener, sending) = sending(3).await;
    let stream =
        greeted(&listener, "ERR {\"code\":\"busy\",\"message\":\"later\",\"retry_after\":1}\n").await;
    drop(stream);
    let (mut stream, _) = greeted(&listener, "OK {\"stream\":\"s\",\"last_seq\":2}\n").await;
    assert_eq!(line(&mut stream).await, "line 3");
    stream.get_mut().write_all(b"ACK 3\n").await.unwrap();
    let (outcome, progress) = sending.await.unwrap();
    outcome.unwrap();
    assert_eq!(progress.skipped.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_earlier_run_that_the_server_comes_to_later_is_passed_over_as_well() {
    let (listener, sending) = sending(300).await;
    let (mut stream, _) = greeted(&listener, "OK {\"stream\":\"s\",\"last_seq\":0}\n").await;
    assert_eq!(line(&mut stream).await, "line 1");
    drop(stream);
    // More than there can have been in flight.
    let (mut stream, hello) = greeted(&listener, "OK {\"stream\":\"s\",\"last_seq\":150}\n").await;
    assert!(hello.contains("\"acked\":0"), "{hello}");
    assert_eq!(line(&mut stream).await, "line 151");
    stream.get_mut().write_all(b"ACK 151\n").await.unwrap();
    drop(stream);
    // It may not have passed over all of it before.
    let (mut stream, _) = greeted(&listener, "OK {\"stream\":\"s\",\"last_seq\":299}\n").await;
    assert_eq!(line(&mut stream).await, "line 300");
    stream.get_mut().write_all(b"ACK 300\n").await.unwrap();
    let (outcome, progress) = sending.await.unwrap();
    outcome.unwrap();
    assert_eq!(progress.acked.load(Ordering::Relaxed), 300);
}
