//! A GET or POST over HTTP/1.1 on loopback, without a client library's own cost in the figures.

use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Asks and answers status and body; the connection is closed after it.
pub fn request(port: u16, head: &str, headers: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{length}{headers}\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no HTTP status")?;
    Ok((status, body.to_owned()))
}

/// The JSON value of a GET with a bearer token.
pub fn get_json(port: u16, path: &str, token: &str) -> anyhow::Result<serde_json::Value> {
    let (status, body) =
        request(port, &format!("GET {path}"), &format!("Authorization: Bearer {token}\r\n"), "")?;
    if status != 200 {
        bail!("GET {path}: {status} {body}");
    }
    // A chunked body has its JSON between the size lines.
    let start = body.find('{').context("no JSON")?;
    let end = body.rfind('}').context("no JSON")?;
    let json: String = body[start..=end].to_owned();
    serde_json::from_str(&json).or_else(|_| {
        let joined: String =
            body.split("\r\n").enumerate().filter(|(i, _)| i % 2 == 1).map(|(_, l)| l).collect();
        serde_json::from_str(&joined).context("the answer is no JSON")
    })
}
