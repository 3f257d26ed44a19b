//! Addresses: the state of a page is its address, written and read here.

use domain::window::TimePoint;
use domain::{Civil, SourceKey, TimeWindow, Timestamp, Zone};

/// Escapes a text for a path segment or a query value (RFC 3986 §2.1).
pub fn escape(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

/// A path with a query; empty values are left out.
pub fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = path.to_owned();
    let mut mark = '?';
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.push(mark);
        out.push_str(name);
        out.push('=');
        out.push_str(&escape(value));
        mark = '&';
    }
    out
}

/// The page of a source.
pub fn source_page(key: &SourceKey) -> String {
    format!("/sources/{}", escape(key.as_str()))
}

/// Explore with a query.
pub fn explore(q: &str, from: &str, to: &str) -> String {
    with_query("/explore", [("q", q), ("from", from), ("to", to)])
}

/// The window of an address: what [`TimePoint::parse`] reads, or local times such as `2026-11-22T10:00` (what
/// `<input type=datetime-local>` sends) in the zone. The usual window where it says none or nonsense.
pub fn parse_window(from: &str, to: &str, zone: &Zone) -> TimeWindow {
    let usual = TimeWindow::DEFAULT;
    let point = |text: &str, usual: TimePoint| {
        TimePoint::parse(text)
            .ok()
            .or_else(|| local_time(text, zone).map(TimePoint::Absolute))
            .unwrap_or(usual)
    };
    TimeWindow { from: point(from, usual.from), to: point(to, usual.to) }
}

fn local_time(text: &str, zone: &Zone) -> Option<Timestamp> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-');
    let mut time = time.splitn(3, ':');
    zone.instant(Civil {
        year: date.next()?.parse().ok()?,
        month: date.next()?.parse().ok()?,
        day: date.next()?.parse().ok()?,
        hour: time.next()?.parse().ok()?,
        minute: time.next()?.parse().ok()?,
        second: time.next().map_or(Some(0), |s| s.split('.').next()?.parse().ok())?,
        nanos: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_in_the_zone() {
        let zone = Zone::named("Asia/Seoul").unwrap();
        let check = |from: &str, expect: TimePoint| {
            assert_eq!(
                parse_window(from, "now", &zone),
                TimeWindow { from: expect, to: TimePoint::Relative(0) }
            );
        };
        check("now-1h", TimePoint::Relative(-3_600_000_000_000));
        check("1970-01-02T09:00", TimePoint::Absolute(Timestamp::from_secs(86_400)));
        check("1970-01-02T09:00:05", TimePoint::Absolute(Timestamp::from_secs(86_405)));
        check("1970-01-02T00:00:00Z", TimePoint::Absolute(Timestamp::from_secs(86_400)));
        check("", TimeWindow::DEFAULT.from);
        check("1970-99-99T00:00", TimeWindow::DEFAULT.from);
    }

    #[test]
    fn queries_are_escaped() {
        let check =
            |q: &str, expect: &str| assert_eq!(with_query("/explore", [("q", q), ("from", "")]), expect);
        check("", "/explore");
        check("a b", "/explore?q=a%20b");
        check("부산&x=1", "/explore?q=%EB%B6%80%EC%82%B0%26x%3D1");
    }
}
