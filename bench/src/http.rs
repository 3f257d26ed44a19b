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
    let end = memchr::memmem::find(&answer, b"\r\n\r\n").context("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no HTTP status")?;
    let mut body = answer.split_off(end + 4);
    if head.contains("transfer-encoding: chunked") {
        body = whole(&body).context("a broken chunk")?;
    }
    Ok((status, String::from_utf8(body)?))
}

/// The chunks of a body, put together (RFC 9112, section 7.1).
fn whole(mut chunked: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = memchr::memmem::find(chunked, b"\r\n")?;
        let size = std::str::from_utf8(&chunked[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunked.get(line + 2..line + 2 + size)?);
        chunked = chunked.get(line + 4 + size..)?;
    }
}

/// The JSON value of a GET with a bearer token.
pub fn get_json(port: u16, path: &str, token: &str) -> anyhow::Result<serde_json::Value> {
    let (status, body) =
        request(port, &format!("GET {path}"), &format!("Authorization: Bearer {token}\r\n"), "")?;
    if status != 200 {
        bail!("GET {path}: {status} {body}");
    }
    serde_json::from_str(&body).context("the answer is no JSON")
}
