//! Which index an event lies in: class, group and period of `received_at` in UTC, nothing else, so that a
//! re-read lands where the first read did.

use domain::Timestamp;
use domain::time::{TimeRange, civil_from_days, days_from_civil};
use std::fmt;

const DAY: i64 = 86_400_000_000_000;

/// How long events are kept, counted from receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// 7 days, an index a day.
    Days7,
    /// 30 days, an index a day.
    Days30,
    /// 90 days, an index a week (ISO 8601).
    Days90,
    /// A year, an index a month.
    Year,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Days7, Self::Days30, Self::Days90, Self::Year];

    /// `7d`, `30d`, `90d`, `1y`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Days7 => "7d",
            Self::Days30 => "30d",
            Self::Days90 => "90d",
            Self::Year => "1y",
        }
    }

    /// The class of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// For how many days.
    pub fn days(self) -> i64 {
        match self {
            Self::Days7 => 7,
            Self::Days30 => 30,
            Self::Days90 => 90,
            Self::Year => 365,
        }
    }
}

/// The name of an index, such as `qgx-events-30d-g1-2026.11.22`, `qgx-events-90d-g1-2026.w47` or
/// `qgx-events-1y-g1-2026.11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexName {
    /// The retention class.
    pub class: Class,
    /// The index group.
    pub group: u16,
    /// The first day of the period, as a day number since 1970-01-01.
    first_day: i64,
}

impl IndexName {
    /// What every name starts with.
    pub const PREFIX: &'static str = "qgx-events-";

    /// The index of an event.
    pub fn of(class: Class, group: u16, received_at: Timestamp) -> Self {
        let day = received_at.as_nanos().div_euclid(DAY);
        let first_day = match class {
            Class::Days7 | Class::Days30 => day,
            Class::Days90 => day - weekday(day),
            Class::Year => {
                let (year, month, _) = civil_from_days(day);
                days_from_civil(year, month, 1)
            }
        };
        Self { class, group, first_day }
    }

    /// Reads a name; `None` where it is not one.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(Self::PREFIX)?.splitn(3, '-');
        let class = Class::parse(parts.next()?)?;
        let group = parts.next()?.strip_prefix('g')?.parse().ok()?;
        let mut period = parts.next()?.split('.');
        let number = |text: &str| text.parse::<u16>().ok().map(i64::from);
        let year = number(period.next()?)?;
        let second = period.next()?;
        let day = match class {
            Class::Days7 | Class::Days30 => days_from_civil(year, number(second)?, number(period.next()?)?),
            Class::Days90 => first_monday(year) + (number(second.strip_prefix('w')?)? - 1) * 7,
            Class::Year => days_from_civil(year, number(second)?, 1),
        };
        let parsed = Self::of(class, group, Timestamp::from_nanos(day.checked_mul(DAY)?));
        // Only the one spelling is a name: `2026.2.30` or `g01` are not.
        (parsed.to_string() == name).then_some(parsed)
    }

    /// The arrivals it holds.
    pub fn period(&self) -> TimeRange {
        let days = match self.class {
            Class::Days7 | Class::Days30 => 1,
            Class::Days90 => 7,
            Class::Year => {
                let (year, month, _) = civil_from_days(self.first_day);
                let next = if month == 12 {
                    days_from_civil(year + 1, 1, 1)
                } else {
                    days_from_civil(year, month + 1, 1)
                };
                next - self.first_day
            }
        };
        TimeRange {
            from: Timestamp::from_nanos(self.first_day.saturating_mul(DAY)),
            to: Timestamp::from_nanos((self.first_day + days).saturating_mul(DAY)),
        }
    }

    /// From when on nothing in it need be kept.
    pub fn expires_at(&self) -> Timestamp {
        self.period().to.plus_nanos(self.class.days() * DAY)
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}-g{}-", Self::PREFIX, self.class.name(), self.group)?;
        let (year, month, day) = civil_from_days(self.first_day);
        match self.class {
            Class::Days7 | Class::Days30 => write!(f, "{year:04}.{month:02}.{day:02}"),
            Class::Days90 => {
                // The ISO year of a week is that of its Thursday.
                let (year, ..) = civil_from_days(self.first_day + 3);
                write!(f, "{year:04}.w{:02}", (self.first_day - first_monday(year)) / 7 + 1)
            }
            Class::Year => write!(f, "{year:04}.{month:02}"),
        }
    }
}

/// 0 for Monday to 6 for Sunday; day 0, 1970-01-01, was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// The Monday of ISO week 1: the week that holds January 4th.
fn first_monday(year: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - weekday(fourth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(class: Class, at: &str, expect: &str) {
        let at = Timestamp::parse(at).unwrap();
        let name = IndexName::of(class, 1, at);
        assert_eq!(name.to_string(), expect);
        assert_eq!(IndexName::parse(expect), Some(name));
        assert!(name.period().contains(at), "{at} in {:?}", name.period());
        let IndexName { first_day, .. } = IndexName::of(class, 1, name.period().to);
        assert_eq!(
            first_day * DAY,
            name.period().to.as_nanos(),
            "the next period starts where this one ends"
        );
    }

    #[test]
    fn names_follow_class_and_arrival() {
        check(Class::Days30, "2026-11-22T23:59:59.999999999Z", "qgx-events-30d-g1-2026.11.22");
        check(Class::Days7, "2024-02-29T00:00:00Z", "qgx-events-7d-g1-2024.02.29");
        check(Class::Days90, "2026-11-22T12:00:00Z", "qgx-events-90d-g1-2026.w47");
        check(Class::Days90, "2027-01-03T23:00:00Z", "qgx-events-90d-g1-2026.w53");
        check(Class::Days90, "2024-12-30T00:00:00Z", "qgx-events-90d-g1-2025.w01");
        check(Class::Year, "2026-12-31T23:59:59Z", "qgx-events-1y-g1-2026.12");
        check(Class::Year, "1970-01-01T00:00:00Z", "qgx-events-1y-g1-1970.01");
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            "qgx-events-",
            "qgx-events-30d-g1-2026.2.30",
            "qgx-events-30d-g01-2026.02.03",
            "qgx-events-31d-g1-2026.02.03",
            "qgx-events-90d-g1-2026.w54",
            "qgx-events-1y-g1-2026.13",
            "other",
        ] {
            assert_eq!(IndexName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn expiry_counts_from_the_end_of_the_period() {
        let name = IndexName::parse("qgx-events-7d-g1-2026.11.22").unwrap();
        assert_eq!(name.expires_at(), Timestamp::parse("2026-11-30T00:00:00Z").unwrap());
    }
}
