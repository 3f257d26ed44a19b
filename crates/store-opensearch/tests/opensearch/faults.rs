//! A server that does not answer, or answers with trouble: scripted, so that it always does.

use domain::query::Query;
use domain::{TenantId, TimeRange};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::index::conformance::corpus::{entry, plain};
use store::index::{EventIndex, IndexEntry, IndexError, ReadLimit};
use store_opensearch::{OpenSearchIndex, OpenSearchOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Reads a request: its first line, and its body.
async fn request(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 8_192];
        let read = socket.read(&mut some).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some((head.lines().next()?.to_owned(), body.to_owned()));
        }
    }
}

/// Answers bulks as the script says, and has the template; every bulk's body comes out of the channel.
async fn scripted(bulks: Vec<Value>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    let bulks = Arc::new(std::sync::Mutex::new(bulks.into_iter()));
    telemetry::spawn("scripted", async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (sender, bulks) = (sender.clone(), bulks.clone());
            telemetry::spawn("scripted-connection", async move {
                while let Some((line, body)) = request(&mut socket).await {
                    let answer = if line.contains("_index_template") {
                        json!({ "index_templates": [{ "index_template": { "_meta": { "qgx_version": 1_000 } } }] })
                    } else {
                        sender.send(body).unwrap();
                        bulks.lock().unwrap().next().expect("no more bulks")
                    };
                    let body = answer.to_string();
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
                    let answer = format!("{head} {}\r\n\r\n{body}", body.len());
                    socket.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, receiver)
}

fn open(url: &str) -> Arc<OpenSearchIndex> {
    OpenSearchIndex::connect(OpenSearchOptions::from_urls(url).unwrap()).unwrap()
}

fn batch(count: u64) -> Vec<IndexEntry> {
    let mut offsets = HashMap::new();
    (0..count)
        .map(|i| entry(&plain("t_first", "pump-1", i, &format!("number{i}")), "30d", &mut offsets))
        .collect()
}

fn items(statuses: &[(u16, &str)]) -> Value {
    let item = |(status, kind): &(u16, &str)| match status {
        201 => json!({ "create": { "status": 201 } }),
        _ => json!({ "create": { "status": status, "error": { "type": kind, "reason": "scripted" } } }),
    };
    json!({ "items": statuses.iter().map(item).collect::<Vec<_>>() })
}

/// Items that were refused for now are sent again, and no others; one that is refused for good is said to be.
#[tokio::test]
async fn each_item_has_its_own_fate() {
    let (url, mut bodies) = scripted(vec![
        items(&[
            (201, ""),
            (429, "rejected_execution_exception"),
            (409, "version_conflict_engine_exception"),
            (400, "mapper_parsing_exception"),
        ]),
        items(&[(503, "unavailable_shards_exception"), (400, "mapper_parsing_exception")]),
        items(&[(201, "")]),
    ])
    .await;
    let written = open(&url).write(batch(4)).await.unwrap();
    assert_eq!((written.indexed, written.skipped), (2, 1));
    let rejected = written.rejected.iter().map(|r| (r.offset, r.code)).collect::<Vec<_>>();
    assert_eq!(rejected, [(3, "refused_by_index")]);
    let mut numbers = || {
        let body = bodies.try_recv().expect("a bulk");
        (0..4).filter(|i| body.contains(&format!("number{i}"))).collect::<Vec<_>>()
    };
    assert_eq!((numbers(), numbers(), numbers()), (vec![0, 1, 2, 3], vec![1, 3], vec![1]));
}

/// What an operator has to mend is no dead letter, and is not tried in vain.
#[tokio::test]
async fn trouble_of_the_cluster_is_no_dead_letter() {
    let (url, mut bodies) = scripted(vec![items(&[(201, ""), (403, "security_exception")])]).await;
    let error = open(&url).write(batch(2)).await.unwrap_err();
    assert!(error.to_string().contains("lacks a right"), "{error}");
    assert!(bodies.try_recv().is_ok() && bodies.try_recv().is_err());
}

/// Once nobody has answered for a while, callers no longer wait.
#[tokio::test]
async fn requests_rest_while_nobody_answers() {
    // Bound and let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let index = open(&format!("http://{address}"));
    for _ in 0..5 {
        let error = index.write(batch(1)).await.unwrap_err().to_string();
        assert!(error.contains("no node of OpenSearch could be reached: "), "{error}");
    }
    let error = index.write(batch(1)).await.unwrap_err().to_string();
    assert!(error.contains("the next try is in"), "{error}");
}

/// A read ends at its deadline, and when its caller leaves, though nothing is answered; its connection is closed, by
/// which OpenSearch knows to stop searching.
#[tokio::test]
async fn reads_end_without_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let index = open(&format!("http://{}", listener.local_addr().unwrap()));
    let tenant = TenantId::new("t_first").unwrap();
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(600));
    for (time, leaves) in [(short, None), (long, Some(CancellationToken::new()))] {
        let started = Instant::now();
        let limit = ReadLimit::within(time, leaves.clone().unwrap_or_default());
        let read = index.count(&tenant, Query::all(), TimeRange::ALL, limit);
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (line, _) = request(&mut socket).await.unwrap();
            leaves.inspect(CancellationToken::cancel);
            (socket, line)
        };
        let (read, (mut socket, line)) = tokio::join!(read, serve);
        assert!(matches!(read, Err(IndexError::Deadline)), "{read:?}");
        assert!(line.contains("routing=t_first") && line.contains("cancel_after_time_interval="), "{line}");
        let end = tokio::time::timeout(Duration::from_secs(10), socket.read(&mut [0; 64])).await;
        assert!(matches!(end, Ok(Ok(0) | Err(_))), "the connection is closed: {end:?}");
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
