//! The times that what is sent says of itself, so that the summary can tell where to look for it.

use domain::{Civil, TimeRange, Timestamp, Zone};
use serde::Deserialize;
use serde_json::Value;
use std::sync::OnceLock;

const HOUR_NANOS: i64 = 3_600_000_000_000;

/// The names of times, in the order the server tries them.
#[derive(Deserialize)]
struct Named {
    ts: Option<Value>,
    #[serde(rename = "@timestamp")]
    at_timestamp: Option<Value>,
    timestamp: Option<Value>,
    time: Option<Value>,
}

/// How many lines lie outside the last hour, and between when and when.
#[derive(Debug, Default, Clone)]
pub struct Stamps {
    outside: u64,
    range: Option<(Timestamp, Timestamp)>,
}

impl Stamps {
    /// Looks at a line; one without a time of its own lies at its arrival.
    pub fn note(&mut self, line: &[u8]) {
        if !line.starts_with(b"{") {
            return;
        }
        let Ok(Named { ts, at_timestamp, timestamp, time }) = serde_json::from_slice(line) else { return };
        let Some(at) = ts.or(at_timestamp).or(timestamp).or(time).as_ref().and_then(instant) else { return };
        let now = Timestamp::now();
        if at < now.plus_nanos(-HOUR_NANOS) || at > now.plus_nanos(HOUR_NANOS) {
            self.outside += 1;
            self.range = Some(self.range.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
        }
    }

    /// How many lie outside, and a window that holds them.
    pub fn outside(&self) -> Option<(u64, TimeRange)> {
        let (from, to) = self.range?;
        Some((self.outside, TimeRange { from, to: to.plus_nanos(1_000_000_000) }))
    }
}

fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => epoch(number.as_f64()?),
        Value::String(text) => Timestamp::parse(text).ok().or_else(|| local(text)),
        _ => None,
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds, by magnitude.
fn epoch(number: f64) -> Option<Timestamp> {
    let nanos = match number.abs() {
        n if n < 1e8 => return None,
        n if n < 1e11 => number * 1e9,
        n if n < 1e14 => number * 1e6,
        n if n < 1e17 => number * 1e3,
        n if n < 9e18 => number,
        _ => return None,
    };
    Some(Timestamp::from_nanos(nanos as i64))
}

/// A time without a zone is the tenant's; here the usual one is assumed.
fn local(text: &str) -> Option<Timestamp> {
    static ZONE: OnceLock<Zone> = OnceLock::new();
    let zone = ZONE.get_or_init(|| Zone::named(Zone::DEFAULT).unwrap_or_else(Zone::utc));
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let (mut date, mut time) = (date.splitn(3, '-'), time.splitn(3, ':'));
    let civil = Civil {
        year: date.next()?.parse().ok()?,
        month: date.next()?.parse().ok()?,
        day: date.next()?.parse().ok()?,
        hour: time.next()?.parse().ok()?,
        minute: time.next()?.parse().ok()?,
        second: time.next().map_or(Some(0), |text| text.split(['.', ',']).next()?.parse().ok())?,
        nanos: 0,
    };
    zone.instant(civil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_times_are_noticed() {
        fn check(line: &str, expect: Option<&str>) {
            let mut stamps = Stamps::default();
            stamps.note(line.as_bytes());
            let from = stamps.outside().map(|(_, range)| range.from.to_string());
            assert_eq!(from.as_deref(), expect, "{line}");
        }
        check(r#"{"timestamp":"2013-12-16 17:25:00","value":2}"#, Some("2013-12-16T08:25:00.000000000Z"));
        check(r#"{"ts":"2020-01-01T00:00:00Z"}"#, Some("2020-01-01T00:00:00.000000000Z"));
        check(r#"{"time":1577836800000}"#, Some("2020-01-01T00:00:00.000000000Z"));
        check(r#"{"time":5}"#, None);
        check(r#"{"message":"no time"}"#, None);
        check("2020-01-01 plain", None);
        check(&format!(r#"{{"ts":"{}"}}"#, Timestamp::now()), None);
    }
}
