//! Times as programs write them: ISO 8601, epochs, RFC 3164, Apache, log4j and their like.

mod parts;

use super::wall::{Moment, Wall, ZoneClock};
use domain::Timestamp;
use parts::{clock, digits, month, offset};

/// ISO 8601 with `-` or `/`, a `T`, a space or (as log4j) a comma before the fraction, with or without a zone:
/// the time and how many bytes it took.
pub fn iso(bytes: &[u8], zone: &mut ZoneClock) -> Option<(Moment, usize)> {
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/') || *bytes.get(7)? != separator {
        return None;
    }
    let (year, month, day) = (digits(bytes, 0, 4)?, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?);
    if !matches!(bytes.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let (hour, minute, second, nanos, used) = clock(&bytes[11..])?;
    let wall = Wall { year, month, day, hour, minute, second, nanos };
    let end = 11 + used;
    let rest = &bytes[end..];
    if let Some((east, used)) = offset(rest) {
        return Some((wall.at_offset(east)?, end + used));
    }
    // "2024-01-02 03:04:05 +0900"
    if rest.first() == Some(&b' ')
        && matches!(rest.get(1), Some(b'+' | b'-'))
        && let Some((east, used)) = offset(&rest[1..])
        && used >= 5
    {
        return Some((wall.at_offset(east)?, end + 1 + used));
    }
    Some((zone.local(wall)?, end))
}

/// RFC 3164 §4.1.2: `Dec 10 06:55:46`, with a fraction where one stands.
pub fn rfc3164(bytes: &[u8], zone: &mut ZoneClock, now: Timestamp) -> Option<(Moment, usize)> {
    let month = month(bytes.get(..3)?)?;
    if bytes.get(3)? != &b' ' || bytes.get(6)? != &b' ' {
        return None;
    }
    let day = if bytes[4] == b' ' { digits(bytes, 5, 1)? } else { digits(bytes, 4, 2)? };
    let (hour, minute, second, nanos, used) = clock(&bytes[7..])?;
    if used < 8 {
        return None;
    }
    let wall = Wall { year: 0, month, day, hour, minute, second, nanos };
    // 1972 has a 29 February: a day that no year has is refused before years are tried.
    Wall { year: 1972, ..wall }.secs()?;
    let moment = zone.without_year(wall, now)?;
    Some((moment, 7 + used))
}

/// C's `asctime`, as Apache's error log has it: `Sun Dec 04 04:47:44 2005`.
pub fn asctime(bytes: &[u8], zone: &mut ZoneClock) -> Option<(Moment, usize)> {
    if !bytes.get(..3)?.iter().all(u8::is_ascii_alphabetic) || bytes.get(3)? != &b' ' {
        return None;
    }
    let month = month(bytes.get(4..7)?)?;
    if bytes.get(7)? != &b' ' || bytes.get(10)? != &b' ' {
        return None;
    }
    let day = if bytes[8] == b' ' { digits(bytes, 9, 1)? } else { digits(bytes, 8, 2)? };
    let (hour, minute, second, nanos, used) = clock(&bytes[11..])?;
    let end = 11 + used;
    if bytes.get(end)? != &b' ' {
        return None;
    }
    let year = digits(bytes, end + 1, 4)?;
    Some((zone.local(Wall { year, month, day, hour, minute, second, nanos })?, end + 5))
}

/// Common log format: `10/Oct/2000:13:55:36 -0700`.
pub fn clf(bytes: &[u8], zone: &mut ZoneClock) -> Option<(Moment, usize)> {
    let (day, year) = (digits(bytes, 0, 2)?, digits(bytes, 7, 4)?);
    let month = month(bytes.get(3..6)?)?;
    if bytes[2] != b'/' || bytes[6] != b'/' || bytes.get(11)? != &b':' {
        return None;
    }
    let (hour, minute, second, nanos, used) = clock(&bytes[12..])?;
    let wall = Wall { year, month, day, hour, minute, second, nanos };
    let end = 12 + used;
    if bytes.get(end) == Some(&b' ')
        && let Some((east, used)) = offset(&bytes[end + 1..])
    {
        return Some((wall.at_offset(east)?, end + 1 + used));
    }
    Some((zone.local(wall)?, end))
}

/// Spark's `17/06/09 20:10:40`: year of the century, month, day.
pub fn short_slashes(bytes: &[u8], zone: &mut ZoneClock) -> Option<(Moment, usize)> {
    let (year, month, day) = (digits(bytes, 0, 2)?, digits(bytes, 3, 2)?, digits(bytes, 6, 2)?);
    if bytes[2] != b'/' || bytes[5] != b'/' || bytes.get(8)? != &b' ' {
        return None;
    }
    let (hour, minute, second, nanos, used) = clock(&bytes[9..])?;
    Some((zone.local(Wall { year: 2_000 + year, month, day, hour, minute, second, nanos })?, 9 + used))
}

/// HDFS' `081109 203615`.
pub fn six_digits(bytes: &[u8], zone: &mut ZoneClock) -> Option<(Moment, usize)> {
    let date = digits(bytes, 0, 6)?;
    let time = digits(bytes, 7, 6)?;
    if bytes[6] != b' ' || bytes.get(13).is_some_and(|b| *b != b' ') {
        return None;
    }
    let wall = Wall {
        year: 2_000 + date / 10_000,
        month: date / 100 % 100,
        day: date % 100,
        hour: time / 10_000,
        minute: time / 100 % 100,
        second: time % 100,
        nanos: 0,
    };
    Some((zone.local(wall)?, 13))
}

/// An epoch by its magnitude: below 10¹¹ seconds, below 10¹⁴ milliseconds, below 10¹⁷ microseconds, else
/// nanoseconds. A fraction belongs to the unit.
pub fn epoch(text: &str) -> Option<Moment> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let (whole, part) = body.split_once('.').unwrap_or((body, ""));
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) {
        // 1.7e9, as some encoders write it.
        let value: f64 = text.parse().ok().filter(|v: &f64| v.is_finite() && v.abs() < 1e19)?;
        if !text.bytes().any(|b| matches!(b, b'e' | b'E')) {
            return None;
        }
        return epoch(&format!("{value:.9}"));
    }
    let value: i64 = whole.parse().ok()?;
    let per_second: i64 = match value {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    let unit_nanos = 1_000_000_000 / per_second;
    let (mut rest, mut unit) = (0, unit_nanos / 10);
    for digit in part.bytes().take(9) {
        rest += i64::from(digit - b'0') * unit;
        unit /= 10;
    }
    let nanos = value % per_second * unit_nanos + rest;
    if negative {
        let (secs, nanos) = (-(value / per_second), -nanos);
        return Some(Moment {
            secs: secs + nanos.div_euclid(1_000_000_000),
            nanos: nanos.rem_euclid(1_000_000_000) as u32,
        });
    }
    Some(Moment { secs: value / per_second, nanos: nanos as u32 })
}

/// A field's value that is a time from end to end.
pub fn value(text: &str, zone: &mut ZoneClock, now: Timestamp) -> Option<Moment> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let whole = |found: Option<(Moment, usize)>| {
        found.filter(|(_, end)| *end == bytes.len()).map(|(moment, _)| moment)
    };
    whole(iso(bytes, zone))
        .or_else(|| epoch(text))
        .or_else(|| whole(rfc3164(bytes, zone, now)))
        .or_else(|| whole(asctime(bytes, zone)))
        .or_else(|| whole(clf(bytes, zone)))
        .or_else(|| whole(short_slashes(bytes, zone)))
        .or_else(|| whole(six_digits(bytes, zone)))
        .or_else(|| {
            let date = (bytes.len() == 10).then(|| format!("{text}T00:00"))?;
            iso(date.as_bytes(), zone).map(|(moment, _)| moment)
        })
}

/// Which known stamp a line starts with: what may follow it depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampForm {
    /// ISO 8601 and log4j.
    Iso,
    /// RFC 3164.
    Syslog,
    /// `[…]`, as Apache's error log.
    Bracketed,
    /// Common log format: the stamp stands within the line.
    Access,
    /// Spark, HDFS.
    Short,
}

/// The stamp a plain line has: time, where the text after it starts, form.
pub fn of_line(line: &[u8], zone: &mut ZoneClock, now: Timestamp) -> Option<(Moment, usize, StampForm)> {
    let found = |found: Option<(Moment, usize)>, form| found.map(|(moment, end)| (moment, end, form));
    match line.first()? {
        b'0'..=b'9' => found(iso(line, zone), StampForm::Iso)
            .or_else(|| found(short_slashes(line, zone), StampForm::Short))
            .or_else(|| found(six_digits(line, zone), StampForm::Short))
            .or_else(|| access(line, zone)),
        b'[' => {
            let inner = &line[1..];
            let (moment, end) =
                asctime(inner, zone).or_else(|| iso(inner, zone)).or_else(|| clf(inner, zone))?;
            (inner.get(end) == Some(&b']')).then_some((moment, end + 2, StampForm::Bracketed))
        }
        first if first.is_ascii_uppercase() => {
            found(rfc3164(line, zone, now), StampForm::Syslog).or_else(|| access(line, zone))
        }
        _ => access(line, zone),
    }
}

/// `host ident user [10/Oct/2000:13:55:36 -0700] "…`: the stamp opens the fourth word.
fn access(line: &[u8], zone: &mut ZoneClock) -> Option<(Moment, usize, StampForm)> {
    let open = memchr::memchr(b'[', &line[..line.len().min(256)])?;
    if line[..open].iter().filter(|b| **b == b' ').count() != 3 {
        return None;
    }
    let (moment, end) = clf(&line[open + 1..], zone)?;
    (line.get(open + 1 + end) == Some(&b']')).then_some((moment, open + end + 2, StampForm::Access))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Zone;
    use proptest::prelude::*;

    fn seoul() -> ZoneClock {
        ZoneClock::new(Zone::named("Asia/Seoul").unwrap())
    }

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T04:00:00Z").unwrap()
    }

    fn shown(moment: Moment) -> String {
        moment.usable(now()).map_or_else(|| "outside".to_owned(), |at| at.to_string())
    }

    #[test]
    fn values_are_read_in_the_tenants_zone() {
        fn check(text: &str, expect: &str) {
            let got = value(text, &mut seoul(), now()).map_or_else(|| "no time".to_owned(), shown);
            assert_eq!(got, expect, "{text}");
        }
        check("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000000000Z");
        check("2024-01-02T03:04:05.123456789123+09:00", "2024-01-01T18:04:05.123456789Z");
        check("2024-01-02 03:04:05,678", "2024-01-01T18:04:05.678000000Z");
        check("2013-12-16 17:25:00", "2013-12-16T08:25:00.000000000Z");
        check("2024-01-02T03:04", "2024-01-01T18:04:00.000000000Z");
        check("2024-01-02", "2024-01-01T15:00:00.000000000Z");
        check("2024-01-02 03:04:05 -0700", "2024-01-02T10:04:05.000000000Z");
        check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000000Z");
        check("1700000000", "2023-11-14T22:13:20.000000000Z");
        check("1700000000.25", "2023-11-14T22:13:20.250000000Z");
        check("1.7e9", "2023-11-14T22:13:20.000000000Z");
        check("1700000000123", "2023-11-14T22:13:20.123000000Z");
        check("1700000000123.5", "2023-11-14T22:13:20.123500000Z");
        check("1700000000123456", "2023-11-14T22:13:20.123456000Z");
        check("1700000000123456789", "2023-11-14T22:13:20.123456789Z");
        check("Dec 10 06:55:46", "2025-12-09T21:55:46.000000000Z");
        check("Nov 22 23:00:00", "2026-11-22T14:00:00.000000000Z");
        check("Feb 29 00:00:00", "2024-02-28T15:00:00.000000000Z");
        check("Sun Dec 04 04:47:44 2005", "2005-12-03T19:47:44.000000000Z");
        check("10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36.000000000Z");
        check("17/06/09 20:10:40", "2017-06-09T11:10:40.000000000Z");
        check("081109 203615", "2008-11-09T11:36:15.000000000Z");
        check("1900-01-01T00:00:00Z", "outside");
        check("9999-12-31T23:59:59Z", "outside");
        check("9999-12-31 23:59:59", "outside");
        check("1900-01-01 00:00:00", "outside");
        check("-2208988800", "outside");
        check("2026-11-23T04:00:01Z", "outside");
        for text in [
            "",
            "soon",
            "2024-13-01T00:00:00Z",
            "2024-02-30 00:00:00",
            "Feb 30 00:00:00",
            "12:00",
            "1.2.3",
            "-",
        ] {
            check(text, "no time");
        }
    }

    #[test]
    fn lines_start_with_known_stamps() {
        fn check(line: &str, expect: &str) {
            let got = of_line(line.as_bytes(), &mut seoul(), now()).map_or_else(
                || "none".to_owned(),
                |(moment, end, form)| format!("{} {form:?} {}", shown(moment), line[end..].trim()),
            );
            assert_eq!(got, expect, "{line}");
        }
        check(
            "Dec 10 06:55:46 LabSZ sshd[24200]: x",
            "2025-12-09T21:55:46.000000000Z Syslog LabSZ sshd[24200]: x",
        );
        check("Jul  1 09:00:55 mac kernel[0]: x", "2026-07-01T00:00:55.000000000Z Syslog mac kernel[0]: x");
        check("[Sun Dec 04 04:47:44 2005] [notice] x", "2005-12-03T19:47:44.000000000Z Bracketed [notice] x");
        check("2015-07-29 17:41:44,747 - INFO  [a] x", "2015-07-29T08:41:44.747000000Z Iso - INFO  [a] x");
        check("17/06/09 20:10:40 INFO x", "2017-06-09T11:10:40.000000000Z Short INFO x");
        check("081109 203615 148 INFO x", "2008-11-09T11:36:15.000000000Z Short 148 INFO x");
        check(
            "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 1",
            "2000-10-10T20:55:36.000000000Z Access \"GET / HTTP/1.0\" 200 1",
        );
        check("just words", "none");
        check("12 monkeys", "none");
        check("[x", "none");
    }

    #[test]
    fn a_change_of_offset_is_kept() {
        let mut zone = ZoneClock::new(Zone::named("America/New_York").unwrap());
        let mut check = |text: &str, expect: &str| {
            assert_eq!(shown(value(text, &mut zone, now()).unwrap()), expect, "{text}");
        };
        check("2024-03-10 01:59:59", "2024-03-10T06:59:59.000000000Z");
        check("2024-03-10 03:00:00", "2024-03-10T07:00:00.000000000Z");
        check("2024-11-03 00:30:00", "2024-11-03T04:30:00.000000000Z");
        check("2024-11-03 02:30:00", "2024-11-03T07:30:00.000000000Z");
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_no_trouble(text in ".{0,60}|[0-9:. /+ZT,-]{0,40}|(Dec|Jan) [0-9 :.]{0,20}") {
            value(&text, &mut seoul(), now());
            of_line(text.as_bytes(), &mut seoul(), now());
        }
    }
}
