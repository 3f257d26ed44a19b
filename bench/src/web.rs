//! Server-rendered pages: time to the whole page, and the sizes of what a browser loads.

use crate::{http, report, server::Server};
use anyhow::{Context, ensure};
use std::time::Instant;

/// Prints p50 and p99 of each page, signed in.
pub fn run(requests: usize) -> anyhow::Result<()> {
    let server = Server::start()?;
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
