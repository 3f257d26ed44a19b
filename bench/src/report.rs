//! What a measurement prints.

/// Prints the machine, so that a pasted result says where it was seen.
pub fn machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()))
        .unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("machine: {cores} cores, {model}");
}

/// The value below which a share of the sorted values lies.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Sorts times and prints p50, p99 and the greatest.
pub fn times(what: &str, mut millis: Vec<f64>) {
    millis.sort_by(f64::total_cmp);
    println!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} samples)",
        percentile(&millis, 0.50),
        percentile(&millis, 0.99),
        millis.last().copied().unwrap_or(f64::NAN),
        millis.len()
    );
}

/// Prints which threads took how much of an event, those that took little together; `cpu` is what all took, with those
/// that ended meanwhile.
pub fn threads(what: &str, threads: &[(String, f64)], cpu: f64, events: u64) {
    const SHOWN: usize = 8;
    let micros = |cpu: f64| cpu * 1e6 / events as f64;
    let shown: Vec<_> = threads
        .iter()
        .take(SHOWN)
        .filter(|(_, cpu)| *cpu > 0.0)
        .map(|(name, cpu)| format!("{name} {:.2}", micros(*cpu)))
        .collect();
    let told: f64 = threads.iter().take(SHOWN).map(|(_, cpu)| *cpu).sum();
    println!(
        "{what}, µs an event by thread: {}; others, and those that ended, {:.2}",
        shown.join(", "),
        micros((cpu - told).max(0.0))
    );
}
