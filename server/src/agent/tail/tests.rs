//! The agent's tails against a server that keeps each sequence once, as the real one does.

use super::*;
use crate::client::Target;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::Write;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a stream holds: lines by sequence.
type Stored = Arc<Mutex<HashMap<String, BTreeMap<u64, String>>>>;

/// A server that breaks off each connection after so many lines, at times before it has acknowledged them.
struct Fake {
    address: String,
    stored: Stored,
}

impl Fake {
    async fn start(lines_each: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stored = Stored::default();
        let its = Arc::clone(&stored);
        telemetry::spawn("fake-server", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                telemetry::spawn("fake-connection", converse(stream, Arc::clone(&its), lines_each));
            }
        });
        Self { address, stored }
    }

    /// All lines, once there are so many; none may be there twice.
    async fn lines(&self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut lines: Vec<String> =
                self.stored.lock().values().flat_map(|stream| stream.values().cloned()).collect();
            if lines.len() >= count {
                assert_eq!(lines.len(), count);
                lines.sort();
                return lines;
            }
            assert!(Instant::now() < deadline, "{} of {count} lines came", lines.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn converse(stream: tokio::net::TcpStream, stored: Stored, lines_each: u64) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let hello: serde_json::Value = serde_json::from_str(line.strip_prefix("HELLO ").unwrap()).unwrap();
    let name = hello["stream"].as_str().unwrap().to_owned();
    let acked = hello["acked"].as_u64().unwrap_or(0);
    let known = stored.lock().get(&name).and_then(|lines| lines.keys().last().copied()).unwrap_or(0);
    let mut sequence = acked.max(known);
    let ok = format!("OK {{\"stream\":\"{name}\",\"last_seq\":{sequence}}}\n");
    stream.get_mut().write_all(ok.as_bytes()).await.unwrap();
    for taken in 1..=lines_each {
        line.clear();
        if !matches!(stream.read_line(&mut line).await, Ok(count) if count > 0) {
            return;
        }
        sequence += 1;
        let text = line.trim_end().to_owned();
        let before = stored.lock().entry(name.clone()).or_default().insert(sequence, text.clone());
        assert!(before.is_none_or(|before| before == text), "sequence {sequence} stands for two lines");
        // The last lines of a connection are stored and not acknowledged.
        if taken + 3 < lines_each
            && stream.get_mut().write_all(format!("ACK {sequence}\n").as_bytes()).await.is_err()
        {
            return;
        }
    }
}

/// An agent's folder and what it tails.
struct Bench {
    dir: TempDir,
    fake: Fake,
    pattern: &'static str,
    from_start: bool,
    next: u64,
}

struct Agent {
    stop: CancellationToken,
    running: JoinHandle<Result<(), TailError>>,
}

impl Agent {
    /// As a kill does: nothing more is kept.
    async fn kill(self) {
        self.running.abort();
        self.stop.cancel();
        let _ = self.running.await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

impl Bench {
    async fn new(pattern: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, fake: Fake::start(40).await, pattern, from_start: true, next: 1 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self) -> Agent {
        let options = TailOptions {
            patterns: vec![self.path(self.pattern).to_str().unwrap().to_owned()],
            from_start: self.from_start,
            habits: Habits { partial: Duration::from_millis(300), aside: Duration::from_secs(2) },
        };
        let sender = SenderOptions {
            target: Target { address: self.fake.address.clone(), ..Target::default() },
            window: 100,
            ..SenderOptions::default()
        };
        let stop = CancellationToken::new();
        let tailing = run(options, sender, self.path("state"), stop.clone());
        Agent { stop, running: telemetry::spawn("test-agent", tailing) }
    }

    fn append(&self, name: &str, text: &[u8]) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text).unwrap();
    }

    /// Writes the next lines, each told by its number.
    fn write(&mut self, name: &str, count: u64) {
        let lines: String = (self.next..self.next + count).map(|n| format!("line {n:06}\n")).collect();
        self.next += count;
        self.append(name, lines.as_bytes());
    }

    /// Every line that was written has come once.
    async fn all_came(&self) {
        let count = self.next - 1;
        let expect: Vec<String> = (1..=count).map(|n| format!("line {n:06}")).collect();
        assert_eq!(self.fake.lines(usize::try_from(count).unwrap()).await, expect);
    }

    fn copytruncate(&self, name: &str, aside: &str) {
        fs::copy(self.path(name), self.path(aside)).unwrap();
        fs::File::options().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_once_however_often_the_connection_breaks() {
    let mut bench = Bench::new("app.log").await;
    bench.write("app.log", 500);
    let agent = bench.start();
    bench.all_came().await;
    bench.write("app.log", 100);
    bench.all_came().await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_begins_at_the_end_and_later_files_at_their_beginning() {
    let mut bench = Bench::new("*.log").await;
    bench.from_start = false;
    bench.append("old.log", b"was there\n");
    let agent = bench.start();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !bench.path("state/watched").exists() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.write("old.log", 3);
    bench.write("new.log", 3);
    bench.all_came().await;
    agent.end().await;
    bench.write("while_away.log", 3);
    bench.write("old.log", 3);
    let agent = bench.start();
    bench.all_came().await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_by_renaming_loses_nothing() {
    let mut bench = Bench::new("app.log").await;
    let agent = bench.start();
    for round in (1..=5).rev() {
        bench.write("app.log", 130);
        bench.rename("app.log", &format!("app.log.{round}"));
        // Its writer still holds it.
        bench.write(&format!("app.log.{round}"), 20);
        bench.write("app.log", 70);
        if round % 2 == 0 {
            bench.all_came().await;
        }
    }
    bench.all_came().await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copying_and_truncating_loses_nothing_and_sends_nothing_twice() {
    for pattern in ["app.log", "app.log*"] {
        let mut bench = Bench::new(pattern).await;
        let agent = bench.start();
        for round in 1..=4 {
            bench.write("app.log", 300);
            bench.copytruncate("app.log", &format!("app.log.{round}"));
            // It grows beyond where it was read to.
            bench.write("app.log", 200 * round);
            bench.all_came().await;
        }
        agent.end().await;
        let agent = bench.start();
        bench.write("app.log", 1);
        bench.all_came().await;
        agent.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_finds_what_was_rotated_meanwhile() {
    let mut bench = Bench::new("app.log").await;
    for round in 1..=4_u64 {
        let agent = bench.start();
        bench.write("app.log", 400);
        let deadline = Instant::now() + Duration::from_secs(20);
        let so_far = usize::try_from(bench.next).unwrap() - 300;
        while bench.fake.stored.lock().values().map(BTreeMap::len).sum::<usize>() < so_far {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        agent.kill().await;
        bench.write("app.log", 50);
        if round % 2 == 0 {
            bench.rename("app.log", &format!("app.log.{round}"));
        } else {
            bench.copytruncate("app.log", &format!("app.log.{round}"));
        }
        bench.write("app.log", 50);
        // And once more, so that a whole file was never seen in its place.
        bench.rename("app.log", &format!("app.log.{round}1"));
        bench.write("app.log", 50);
    }
    let agent = bench.start();
    bench.all_came().await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inode_that_is_used_again_is_another_file() {
    let mut bench = Bench::new("*.log").await;
    bench.write("a.log", 10);
    let agent = bench.start();
    bench.all_came().await;
    agent.end().await;
    // What a file system does that gives an inode away again: the same place, and other content.
    let content = fs::read(bench.path("a.log")).unwrap().len();
    fs::write(bench.path("a.log"), b"").unwrap();
    bench.write("a.log", 20);
    assert!(fs::metadata(bench.path("a.log")).unwrap().len() > content as u64);
    let agent = bench.start();
    bench.all_came().await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_an_end_waits_and_is_cut_once() {
    let bench = Bench::new("app.log").await;
    bench.append("app.log", b"whole\nhalf");
    let agent = bench.start();
    assert_eq!(bench.fake.lines(2).await, ["half", "whole"]);
    agent.kill().await;
    bench.append("app.log", b" more\n\nnext\n");
    let agent = bench.start();
    assert_eq!(bench.fake.lines(4).await, [" more", "half", "next", "whole"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_and_empty_files_are_left_alone() {
    let mut bench = Bench::new("app.log*").await;
    bench.append("app.log.2.gz", b"\x1f\x8b\n");
    bench.append("app.log.3", b"");
    bench.write("app.log", 5);
    let agent = bench.start();
    bench.all_came().await;
    agent.end().await;
}
