//! Instants and windows.

pub use crate::zone::{Civil, Zone};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z. Serialised as RFC 3339 in UTC with nine fractional digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
pub struct Timestamp(i64);

/// Why a text is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339, now, or now-15m")]
pub struct TimeError;

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From seconds since the epoch; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// From milliseconds since the epoch; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// This instant moved by `nanos`; saturates.
    #[must_use]
    pub const fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Now, by the machine's clock.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339 with a zone and up to nine fractional digits; on servers also the forms that RFC 9557 adds.
    ///
    /// # Errors
    /// [`TimeError`] where it is none, or lies outside 1677–2262.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        if let Some(at) = Self::parse_fixed(text.as_bytes()) {
            return Ok(at);
        }
        #[cfg(target_arch = "wasm32")]
        return Self::parse_plain(text.trim()).ok_or(TimeError);
        #[cfg(not(target_arch = "wasm32"))]
        {
            let at: jiff::Timestamp = text.trim().parse().map_err(|_| TimeError)?;
            i64::try_from(at.as_nanosecond()).map(Self).map_err(|_| TimeError)
        }
    }

    /// RFC 3339 and no more, in little code, for browsers.
    #[cfg(any(target_arch = "wasm32", test))]
    fn parse_plain(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<i64>().ok()
        };
        let sign = |at: usize| text.as_bytes().get(at).copied();
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        // A leap second is the last of its minute.
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let signs = [4, 7, 10, 13, 16].map(|at| sign(at).unwrap_or_default());
        let days = days_from_civil(year, month, day);
        let is_right = matches!(signs, [b'-', b'-', b'T' | b't' | b' ', b':', b':'])
            && civil_from_days(days) == (year, month, day)
            && hour < 24
            && minute < 60
            && second <= 60;
        let fraction = text
            .get(19..)?
            .strip_prefix('.')
            .map_or("", |rest| &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()]);
        let zone = 19 + if sign(19) == Some(b'.') { 1 + fraction.len() } else { 0 };
        if !is_right || zone == 20 || fraction.len() > 9 {
            return None;
        }
        let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanos = nanos.fold(0_i64, |sum, b| sum * 10 + i64::from(b - b'0'));
        let offset = match (sign(zone)?, text.len() - zone) {
            (b'Z' | b'z', 1) => 0,
            (east @ (b'+' | b'-'), 6) if sign(zone + 3) == Some(b':') => {
                let (hours, minutes) = (number(zone + 1, zone + 3)?, number(zone + 4, zone + 6)?);
                let secs = hours * 3_600 + minutes * 60;
                (hours < 24 && minutes < 60).then_some(if east == b'+' { secs } else { -secs })?
            }
            _ => return None,
        };
        let secs = days * 86_400 + hour * 3_600 + minute * 60 + second.min(59) - offset;
        i64::try_from(i128::from(secs) * 1_000_000_000 + i128::from(nanos)).ok().map(Self)
    }

    /// The 30 bytes that [`Timestamp::write_rfc3339`] writes: what every stored event has twice. `None` where the
    /// text has any other form.
    fn parse_fixed(text: &[u8]) -> Option<Self> {
        let text: &[u8; 30] = text.try_into().ok()?;
        let number = |from: usize, to: usize| {
            text[from..to].iter().try_fold(0_i64, |sum, b| {
                let digit = b.wrapping_sub(b'0');
                (digit <= 9).then_some(sum * 10 + i64::from(digit))
            })
        };
        let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (29, b'Z')];
        if signs.iter().any(|(at, sign)| text[*at] != *sign) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let nanos = number(20, 29)?;
        // Beyond these years nanoseconds may not fit; leap seconds are for the general parser.
        let fits = (1678..=2261).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let days = days_from_civil(year, month, day);
        if !fits || civil_from_days(days) != (year, month, day) {
            return None;
        }
        Some(Self((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000_000 + nanos))
    }

    /// Reads RFC 3339, epoch milliseconds of 11 to 14 digits, `now`, or `now` plus or minus a number and a unit
    /// of `s m h d w` (`now-15m`), against the given now.
    ///
    /// # Errors
    /// [`TimeError`] where it is none of these.
    pub fn parse_relative(text: &str, now: Self) -> Result<Self, TimeError> {
        let text = text.trim();
        let Some(rest) = text.strip_prefix("now") else {
            if (11..=14).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
                return text.parse().map(Self::from_millis).map_err(|_| TimeError);
            }
            return Self::parse(text);
        };
        signed_span(rest).map(|nanos| now.plus_nanos(nanos)).ok_or(TimeError)
    }

    /// Writes RFC 3339 in UTC with nine fractional digits, always 30 bytes for the years 1970–2262.
    pub fn write_rfc3339(self, out: &mut impl fmt::Write) -> fmt::Result {
        let (secs, nanos) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, of_day) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let digits = |value: i64, at: u32| -> u8 { b'0' + (value / 10_i64.pow(at) % 10) as u8 };
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        for (i, at) in (0..4).rev().enumerate() {
            text[i] = digits(year, at);
        }
        for (start, value) in
            [(5, month), (8, day), (11, of_day / 3_600), (14, of_day / 60 % 60), (17, of_day % 60)]
        {
            text[start] = digits(value, 1);
            text[start + 1] = digits(value, 0);
        }
        for (i, at) in (0..9).rev().enumerate() {
            text[20 + i] = digits(nanos, at);
        }
        out.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// `""`, `-15m`, `+2d`: nanoseconds from now.
pub(crate) fn signed_span(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let sign = match text.as_bytes()[0] {
        b'-' => -1,
        b'+' => 1,
        _ => return None,
    };
    let unit = text.chars().next_back()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = &text[1..text.len() - 1];
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    count.checked_mul(seconds)?.checked_mul(1_000_000_000).map(|nanos| sign * nanos)
}

/// The civil date of a day number since 1970-01-01 (proleptic Gregorian).
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// The day number since 1970-01-01 of a civil date (proleptic Gregorian).
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_rfc3339(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_rfc3339(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in RFC 3339")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A half-open window: `from` is in it, `to` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimeRange {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
}

impl TimeRange {
    /// A window; swapped ends are put right.
    pub fn new(a: Timestamp, b: Timestamp) -> Self {
        Self { from: a.min(b), to: a.max(b) }
    }

    /// Everything that can be stored.
    pub const ALL: Self = Self { from: Timestamp::from_nanos(i64::MIN), to: Timestamp::from_nanos(i64::MAX) };

    /// Whether an instant lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// Length in nanoseconds; saturates.
    pub fn nanos(&self) -> i64 {
        self.to.as_nanos().saturating_sub(self.from.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: Option<i64>) {
        assert_eq!(Timestamp::parse(text).ok().map(Timestamp::as_nanos), expect, "{text:?}");
        assert_eq!(Timestamp::parse_plain(text).map(Timestamp::as_nanos), expect, "{text:?} in a browser");
    }

    #[test]
    fn rfc3339() {
        check("1970-01-01T00:00:00.000000001Z", Some(1));
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-01T09:00:00+09:00", Some(0));
        check("1969-12-31t18:30:00.5-05:30", Some(500_000_000));
        check("1970-01-01 00:00:60z", Some(59_000_000_000));
        check("1970-01-01T00:00:00.Z", None);
        check("1970-01-01T00:00:00.0가Z", None);
        check("1970-01-01T00:00:00+09:0", None);
        check("1970-01-01T00:00:00+09:60", None);
        check("1969-12-31T23:59:59.999999999Z", Some(-1));
        check("2024-02-29T00:00:00.000000000Z", Some(1_709_164_800_000_000_000));
        check("2023-02-29T00:00:00.000000000Z", None);
        check("2023-13-01T00:00:00.000000000Z", None);
        check("2023-01-01T24:00:00.000000000Z", None);
        check("2023-01-01T00:00:00.0000000/0Z", None);
        check("1970-01-01T00:00:00.1234567891Z", None);
        check("1900-01-01T00:00:00.000000000Z", Some(-2_208_988_800_000_000_000));
        check("9999-12-31T23:59:59.000000000Z", None);
        check("0001-01-01T00:00:00.000000000Z", None);
        check("2023-01-01T00:00:00", None);
        check("", None);
    }

    #[test]
    fn relative() {
        let now = Timestamp::from_secs(1_000_000);
        let check = |text: &str, expect: Option<i64>| {
            assert_eq!(Timestamp::parse_relative(text, now).ok().map(Timestamp::as_secs), expect, "{text:?}");
        };
        check("now", Some(1_000_000));
        check(" now-15m ", Some(999_100));
        check("now+1w", Some(1_604_800));
        check("now-0s", Some(1_000_000));
        check("1970-01-01T00:00:05Z", Some(5));
        check("1700000000000", Some(1_700_000_000));
        for none in [
            "now-",
            "now-m",
            "now-15",
            "now-+5m",
            "now-15분",
            "now15m",
            "now-99999999999w",
            "yesterday",
            "12",
        ] {
            check(none, None);
        }
    }

    proptest! {
        #[test]
        fn written_is_read(nanos in any::<i64>()) {
            let at = Timestamp::from_nanos(nanos);
            let text = at.to_string();
            prop_assert_eq!(text.len(), 30);
            prop_assert_eq!(Timestamp::parse(&text), Ok(at));
            prop_assert_eq!(Timestamp::parse_plain(&text), Some(at));
            let general: jiff::Timestamp = text.parse().unwrap();
            prop_assert_eq!(general.as_nanosecond(), i128::from(nanos));
        }
    }
}
