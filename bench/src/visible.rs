//! From send to visible: probes beside a paced load, each searched for until it is found.

use crate::{load, process, report, server::Server};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Prints p50 and p99 of the time from writing a probe to a search that finds it.
pub fn run(seconds: u64, rate: u64) -> anyhow::Result<()> {
    let server = Server::start()?;
    let token = server.token("api")?;
    let port = server.ingest_port();
    let generator =
        std::thread::spawn(move || load::paced(port, rate, Duration::from_secs(seconds), 0, load::json_line));
    let mut probe = TcpStream::connect(("127.0.0.1", port))?;
    probe.set_nodelay(true)?;
    let (mut millis, mut number) = (Vec::new(), 0);
    while !generator.is_finished() {
        number += 1;
        let sent = Instant::now();
        writeln!(probe, "{{\"source\":\"probe\",\"message\":\"probe{number}\"}}")?;
        let query = format!("source:probe%20probe{number}");
        process::wait_for("a probe", Duration::from_secs(30), || {
            server.count(&token, &query).is_ok_and(|found| found == 1)
        })?;
        millis.push(sent.elapsed().as_secs_f64() * 1e3);
        process::pause(Duration::from_millis(137));
    }
    generator.join().map_err(|_| anyhow::anyhow!("the generator panicked"))??;
    report::times(&format!("send to visible at {rate} events/s"), millis);
    Ok(())
}
