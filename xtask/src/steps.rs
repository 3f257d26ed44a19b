//! Announced, timed steps.

use std::time::{Duration, Instant};

/// Announces a step, runs it, and says how long it took.
pub fn timed<T>(title: &str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    println!("── {title} …");
    let start = Instant::now();
    let outcome = step();
    let mark = if outcome.is_ok() { "done" } else { "failed" };
    println!("── {title}: {mark} in {}", spoken(start.elapsed()));
    outcome
}

/// `42 s` or `3 min 07 s`.
pub fn spoken(time: Duration) -> String {
    let secs = time.as_secs();
    if secs < 60 { format!("{secs} s") } else { format!("{} min {:02} s", secs / 60, secs % 60) }
}
