//! Instants, windows and zones.

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

    /// Reads RFC 3339 with a zone; any number of fractional digits, those beyond nine cut.
    ///
    /// # Errors
    /// [`TimeError`] where it is none, or lies outside 1677–2262.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let at: jiff::Timestamp = text.trim().parse().map_err(|_| TimeError)?;
        i64::try_from(at.as_nanosecond()).map(Self).map_err(|_| TimeError)
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
        if rest.is_empty() {
            return Ok(now);
        }
        let sign = match rest.as_bytes()[0] {
            b'-' => -1,
            b'+' => 1,
            _ => return Err(TimeError),
        };
        let unit = rest.chars().last().ok_or(TimeError)?;
        let seconds: i64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(TimeError),
        };
        let count: i64 = rest[1..rest.len() - 1].parse().map_err(|_| TimeError)?;
        let nanos = count.checked_mul(seconds).and_then(|s| s.checked_mul(1_000_000_000)).ok_or(TimeError)?;
        Ok(now.plus_nanos(sign * nanos))
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
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
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

/// A time zone by its IANA name. Servers know every zone; in the browser a zone arrives with its rules.
#[derive(Clone, PartialEq)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// The default zone of a tenant.
    pub const DEFAULT: &'static str = "Asia/Seoul";

    /// UTC.
    pub fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }

    /// A zone by its IANA name.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn named(name: &str) -> Option<Self> {
        jiff::tz::TimeZone::get(name).ok().map(Self)
    }

    /// A zone from its POSIX rule (`KST-9`, `EST5EDT,M3.2.0,M11.1.0`) as [`Zone::posix_rule`] gives it.
    pub fn from_posix(rule: &str) -> Option<Self> {
        jiff::tz::TimeZone::posix(rule).ok().map(Self)
    }

    /// The IANA name, or `UTC`.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_at(&self, at: Timestamp) -> i64 {
        jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos()))
            .map_or(0, |t| i64::from(self.0.to_offset(t).seconds()))
    }

    /// The instant of a local civil time; a time that a gap skips moves on, of one that stands twice the
    /// earlier is taken.
    pub fn instant(&self, civil: Civil) -> Option<Timestamp> {
        let local = jiff::civil::DateTime::new(
            civil.year,
            civil.month,
            civil.day,
            civil.hour,
            civil.minute,
            civil.second,
            civil.nanos,
        )
        .ok()?;
        let zoned = self.0.to_ambiguous_zoned(local).compatible().ok()?;
        i64::try_from(zoned.timestamp().as_nanosecond()).ok().map(Timestamp::from_nanos)
    }

    /// The local civil time of an instant.
    pub fn civil(&self, at: Timestamp) -> Civil {
        let local = at.as_nanos().saturating_add(self.offset_at(at).saturating_mul(1_000_000_000));
        let (secs, nanos) = (local.div_euclid(1_000_000_000), local.rem_euclid(1_000_000_000));
        let (days, of_day) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        Civil {
            year: year as i16,
            month: month as i8,
            day: day as i8,
            hour: (of_day / 3_600) as i8,
            minute: (of_day / 60 % 60) as i8,
            second: (of_day % 60) as i8,
            nanos: nanos as i32,
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A wall-clock time without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub struct Civil {
    pub year: i16,
    pub month: i8,
    pub day: i8,
    pub hour: i8,
    pub minute: i8,
    pub second: i8,
    pub nanos: i32,
}
