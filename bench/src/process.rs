//! What the kernel says of a process: CPU time and memory.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Clock ticks a second of `/proc/PID/stat`: 100 on every Linux that people run.
const TICKS: f64 = 100.0;

/// User and system time of a process with its threads, in seconds.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    Ok(cpu_of(&std::fs::read_to_string(format!("/proc/{pid}/stat"))?))
}

/// User and system time of a line of `stat` (proc(5)), in seconds.
fn cpu_of(stat: &str) -> f64 {
    // The name in parentheses may hold spaces: fields are counted after it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let tick = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (tick(11) + tick(12)) / TICKS
}

/// User and system time of each thread, by its number, with its name, in seconds.
pub type ThreadSeconds = BTreeMap<u32, (String, f64)>;

/// The threads of a process. What ended is not among them.
pub fn thread_seconds(pid: u32) -> anyhow::Result<ThreadSeconds> {
    let mut threads = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        // It may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map(|(name, _)| name);
        threads.insert(id, (name.unwrap_or_default().to_owned(), cpu_of(&stat)));
    }
    Ok(threads)
}

/// What threads took between two looks, those of a kind together, most first. A kind is a name without the number at
/// its end.
pub fn since(before: &ThreadSeconds, after: &ThreadSeconds) -> Vec<(String, f64)> {
    let mut kinds: BTreeMap<&str, f64> = BTreeMap::new();
    for (id, (name, cpu)) in after {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || "#-_ ".contains(c));
        *kinds.entry(kind).or_default() += cpu - before.get(id).map_or(0.0, |(_, cpu)| *cpu);
    }
    let mut kinds: Vec<_> = kinds.into_iter().map(|(kind, cpu)| (kind.to_owned(), cpu)).collect();
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
    kinds
}

/// As [`cpu_seconds`], once it no longer moves: what stands in socket buffers is worked off by then.
pub fn settled_cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut last = cpu_seconds(pid)?;
    loop {
        pause(Duration::from_millis(400));
        let now = cpu_seconds(pid)?;
        if now - last < 0.011 {
            return Ok(now);
        }
        last = now;
    }
}

/// Asks a process to stop, and waits half a minute at most before it is killed.
pub fn ask_to_end(child: &mut Child) -> anyhow::Result<()> {
    Command::new("kill").arg(child.id().to_string()).status()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("process {} did not stop within 30 s", child.id());
        }
        pause(Duration::from_millis(10));
    }
    Ok(())
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
    let start = Instant::now();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_a_kind_are_added_up() {
        let stat = "7 (rdk:broker 1) S 1 1 1 0 -1 4194304 0 0 0 0 150 50 0 0 20 0";
        assert_eq!(cpu_of(stat), 2.0);
        let thread = |name: &str, cpu| (name.to_owned(), cpu);
        let before = ThreadSeconds::from([(1, thread("rdk:broker1", 1.0)), (2, thread("main", 4.0))]);
        let after = ThreadSeconds::from([
            (1, thread("rdk:broker1", 2.5)),
            (2, thread("main", 4.5)),
            (3, thread("rdk:broker12", 0.25)),
            (4, thread("GC Thread#0", 0.125)),
        ]);
        let expect = [thread("rdk:broker", 1.75), thread("main", 0.5), thread("GC Thread", 0.125)];
        assert_eq!(since(&before, &after), expect);
    }
}
