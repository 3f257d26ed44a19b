//! What the kernel says of a process: CPU time and memory.

use std::time::Duration;

/// Clock ticks a second of `/proc/PID/stat`: 100 on every Linux that people run.
const TICKS: f64 = 100.0;

/// User and system time of a process with its threads, in seconds.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces: fields are counted after it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let tick = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((tick(11) + tick(12)) / TICKS)
}

/// Resident memory now, and its peak, in MiB.
pub fn memory_mib(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok())
            .unwrap_or(f64::NAN)
    };
    Ok((kib("VmRSS:") / 1024.0, kib("VmHWM:") / 1024.0))
}

/// Waits for a condition; an error where it does not come in time.
pub fn wait_for(what: &str, within: Duration, mut holds: impl FnMut() -> bool) -> anyhow::Result<Duration> {
    let start = std::time::Instant::now();
    while !holds() {
        anyhow::ensure!(start.elapsed() < within, "{what} did not come within {within:?}");
        pause(Duration::from_millis(2));
    }
    Ok(start.elapsed())
}

/// Sleeps: a load generator has nothing else to do between two sends.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, not a runtime worker")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
