//! Units that the names of numbers tell: `memory.used_bytes`, `cpu_pct`, `bearing_celsius`. A name that says nothing has
//! none; nothing is guessed.

use crate::format::{self, NONE};

/// A unit as steps of size and name, smallest first; one of them is of size 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// Size and name, with the space before it.
    pub steps: &'static [(f64, &'static str)],
}

type Steps = &'static [(f64, &'static str)];

const PERCENT: Steps = &[(1.0, "%")];
const CELSIUS: Steps = &[(1.0, " °C")];
const BYTES: Steps = &[(1.0, " B"), (1e3, " KB"), (1e6, " MB"), (1e9, " GB"), (1e12, " TB"), (1e15, " PB")];
const BYTES_PER_SECOND: Steps = &[(1.0, " B/s"), (1e3, " KB/s"), (1e6, " MB/s"), (1e9, " GB/s")];
const MICROS: Steps = &[(1.0, " µs"), (1e3, " ms"), (1e6, " s")];
const MILLIS: Steps = &[(1e-3, " µs"), (1.0, " ms"), (1e3, " s")];
const SECONDS: Steps = &[(1e-6, " µs"), (1e-3, " ms"), (1.0, " s")];
const HERTZ: Steps = &[(1.0, " Hz"), (1e3, " kHz"), (1e6, " MHz"), (1e9, " GHz")];
const VOLTS: Steps = &[(1e-3, " mV"), (1.0, " V"), (1e3, " kV")];
const WATTS: Steps = &[(1e-3, " mW"), (1.0, " W"), (1e3, " kW"), (1e6, " MW")];

/// What names end in, and the unit it tells.
const UNITS: [(&str, Steps); 18] = [
    ("pct", PERCENT),
    ("percent", PERCENT),
    ("celsius", CELSIUS),
    ("bytes", BYTES),
    ("bytes_per_sec", BYTES_PER_SECOND),
    ("bytes_per_second", BYTES_PER_SECOND),
    ("us", MICROS),
    ("micros", MICROS),
    ("ms", MILLIS),
    ("millis", MILLIS),
    ("milliseconds", MILLIS),
    ("secs", SECONDS),
    ("seconds", SECONDS),
    ("hz", HERTZ),
    ("hertz", HERTZ),
    ("volts", VOLTS),
    ("watts", WATTS),
    ("percentage", PERCENT),
];

impl Unit {
    /// Of a number's name, with dots or slashes between its parts. The ending is a word of its own.
    pub fn of(name: &str) -> Option<Self> {
        let tells = |ending: &str| {
            name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with(['_', '.', '/']))
        };
        UNITS.iter().find(|(ending, _)| tells(ending)).map(|(_, steps)| Self { steps })
    }

    /// The value in the largest step that it fills, to four digits: `16.42 GB`, `81.2 °C`, `12.35%`.
    pub fn text(self, value: f64) -> String {
        if !value.is_finite() {
            return NONE.to_owned();
        }
        let size = value.abs();
        let fills = |step: &&(f64, &str)| step.0 <= size;
        let base = || self.steps.iter().find(|step| step.0 == 1.0);
        let found = if size == 0.0 { base() } else { self.steps.iter().rev().find(fills) };
        let (step, name) = found.or(self.steps.first()).copied().unwrap_or((1.0, ""));
        format!("{}{name}", format::number(to_four_digits(value / step)))
    }
}

/// A value as people read it, with the unit that its name tells.
pub fn text(name: &str, value: f64) -> String {
    Unit::of(name).map_or_else(|| format::number(value), |unit| unit.text(value))
}

/// Whole numbers keep every digit.
fn to_four_digits(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let digits = value.abs().log10().floor() as i32;
    let scale = 10_f64.powi((3 - digits).max(0));
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_units() {
        let check =
            |name: &str, value: f64, expect: &str| assert_eq!(text(name, value), expect, "{name} {value}");
        check("cpu_pct", 12.345_67, "12.35%");
        check("process.cpu_percent", 0.0, "0%");
        check("percent", 100.0, "100%");
        check("bearing_celsius", -3.25, "-3.25 °C");
        check("memory.used_bytes", 16_421_234_567.0, "16.42 GB");
        check("memory/used_bytes", 512.0, "512 B");
        check("network.sent_bytes_per_sec", 1_500.0, "1.5 KB/s");
        check("took_ms", 0.25, "250 µs");
        check("took_ms", 43.0, "43 ms");
        check("took_ms", 5_230.0, "5.23 s");
        check("uptime_seconds", 86_400.0, "86,400 s");
        check("latency_seconds", 0.0042, "4.2 ms");
        check("latency_seconds", 0.0, "0 s");
        check("clock_hz", 2.4e9, "2.4 GHz");
        check("took_ms", f64::NAN, NONE);
        // No guess where the name says nothing, or only seems to.
        check("temperature", 81.2, "81.2");
        check("value", 2.083_146, "2.08315");
        check("items", 7.0, "7");
        check("status", 3.0, "3");
        check("events_per_sec", 3.0, "3");
        check("megabytes", 3.0, "3");
    }
}
