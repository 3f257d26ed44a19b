//! Sustained load to searchable: log, index, SQL, merges.

use crate::{load, process, server::Server};
use std::time::{Duration, Instant};

/// Offers `rate` events a second and prints what became searchable, CPU per event, and the lag each ten seconds.
pub fn run(seconds: u64, rate: u64) -> anyhow::Result<()> {
    let server = Server::start()?;
    let token = server.token("api")?;
    let before = process::cpu_seconds(server.pid())?;
    let start = Instant::now();
    let port = server.ingest_port();
    let generator =
        std::thread::spawn(move || load::paced(port, rate, Duration::from_secs(seconds), 0, load::json_line));
    let mut next = Duration::from_secs(10);
    while !generator.is_finished() {
        if start.elapsed() >= next {
            let found = server.count(&token, "")?;
            let offered = (start.elapsed().as_secs_f64() * rate as f64) as u64;
            let (now, _) = process::memory_mib(server.pid())?;
            println!(
                "  {:>4} s: {found} searchable, {} behind what was offered, {now:.0} MiB",
                start.elapsed().as_secs(),
                offered.saturating_sub(found)
            );
            next += Duration::from_secs(10);
        }
        process::pause(Duration::from_millis(100));
    }
    let sent = generator.join().map_err(|_| anyhow::anyhow!("the generator panicked"))??;
    let sending = start.elapsed();
    process::wait_for("everything searchable", Duration::from_secs(600), || {
        server.count(&token, "").is_ok_and(|found| found >= sent)
    })?;
    let searchable = start.elapsed();
    let cpu = process::cpu_seconds(server.pid())? - before;
    let (_, peak) = process::memory_mib(server.pid())?;
    println!(
        "sustained: {sent} events in {:.1} s ({:.0}/s taken)",
        sending.as_secs_f64(),
        sent as f64 / sending.as_secs_f64()
    );
    println!(
        "sustained: all searchable {:.1} s after the last was sent ({:.0}/s over all)",
        (searchable - sending).as_secs_f64(),
        sent as f64 / searchable.as_secs_f64()
    );
    println!("sustained: {:.1} µs CPU an event, peak RSS {peak:.0} MiB", cpu * 1e6 / sent as f64);
    Ok(())
}
