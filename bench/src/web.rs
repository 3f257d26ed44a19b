//! Server-rendered pages, and the reads behind Explore: time to the whole answer, over an index of a real size.

use crate::{http, load, process, report, server::Server};
use anyhow::{Context, ensure};
use std::time::{Duration, Instant};

/// Events a second while the index is filled.
const RATE: u64 = 60_000;
/// Requests of each read: they take longer than pages.
const READS: usize = 20;

/// Fills the index, then prints p50 and p99 of each page, signed in, and of each read.
pub fn run(requests: usize, millions: u64) -> anyhow::Result<()> {
    let server = Server::start()?;
    let token = server.token("api")?;
    let wanted = millions * 1_000_000;
    let time = Duration::from_secs(wanted.div_ceil(RATE));
    let sent = load::paced(server.ingest_port(), RATE, time, 0, load::json_line)?;
    process::wait_for("searchable", Duration::from_secs(600), || {
        server.count(&token, "").is_ok_and(|found| found >= sent)
    })?;
    println!("web: {sent} events, all within the last 24 h");
    let window = "from=now-24h&to=now";
    for (what, path) in [
        ("search, newest 100", format!("/api/v1/events?{window}&limit=100")),
        ("search, one word", format!("/api/v1/events?{window}&q=u4711&limit=100")),
        ("histogram, all", format!("/api/v1/events/histogram?{window}")),
        ("histogram, level:error", format!("/api/v1/events/histogram?{window}&q=level:error")),
        ("facets, all", format!("/api/v1/events/facets?{window}")),
        (
            "facets, a common phrase",
            format!("/api/v1/events/facets?{window}&q=%22request%20served%22%20OR%20served"),
        ),
    ] {
        let mut millis = Vec::new();
        for _ in 0..READS {
            let start = Instant::now();
            http::get_json(server.api_port(), &path, &token)?;
            millis.push(start.elapsed().as_secs_f64() * 1e3);
        }
        report::times(what, millis);
    }
    let cookie = sign_in(&server)?;
    for page in ["/", "/explore", "/sources", "/connect", "/settings"] {
        let mut millis = Vec::new();
        for _ in 0..requests {
            let start = Instant::now();
            let (status, _) = http::request(server.web_port(), &format!("GET {page}"), &cookie, "")?;
            ensure!(status == 200, "{page} answered {status}");
            millis.push(start.elapsed().as_secs_f64() * 1e3);
        }
        report::times(&format!("page {page}"), millis);
    }
    Ok(())
}

/// Signs in over REST and answers the cookie header.
fn sign_in(server: &Server) -> anyhow::Result<String> {
    use std::io::{Read, Write};
    let port = server.web_port();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "POST /api/app/login HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{}",
        FORM.len(),
        FORM
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cookie = answer
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("set-cookie").then(|| value.trim().split(';').next())?
        })
        .context("signing in set no cookie")?;
    Ok(format!("Cookie: {cookie}\r\n"))
}

const FORM: &str = "email=owner%40example.com&password=correct%20horse%20battery";
