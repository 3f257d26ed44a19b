//! Wall-clock times and the instants they are in a tenant's zone.

use domain::time::days_from_civil;
use domain::{Civil, Timestamp, Zone};

/// How far ahead of now a time may lie.
const AHEAD_NANOS: i64 = 24 * 3_600 * 1_000_000_000;

/// A point in time of any year, before it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub secs: i64,
    /// Nanoseconds of the second.
    pub nanos: u32,
}

impl Moment {
    /// The instant, where it lies in 1970 … `now` + 24 h.
    pub fn usable(self, now: Timestamp) -> Option<Timestamp> {
        let nanos = self.secs.checked_mul(1_000_000_000)?.checked_add(i64::from(self.nanos))?;
        (nanos >= 0 && nanos <= now.as_nanos().saturating_add(AHEAD_NANOS))
            .then(|| Timestamp::from_nanos(nanos))
    }
}

/// A tenant's zone, with the offset of the last hour seen kept at hand.
#[derive(Debug, Clone)]
pub struct ZoneClock {
    zone: Zone,
    /// A local hour (since the epoch) and its offset in seconds; only hours without a change of offset.
    hour: Option<(i64, i64)>,
    /// Seconds of `now` this year was taken from, and the local year and month.
    today: (i64, i64, i64),
}

/// A wall-clock time, checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wall {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub nanos: u32,
}

impl Wall {
    /// Seconds since the epoch as if it were UTC. A leap second is the second before it.
    pub(super) fn secs(self) -> Option<i64> {
        let days = match self.month {
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let fits = (1..=days).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        fits.then(|| {
            days_from_civil(self.year, self.month, self.day) * 86_400
                + self.hour * 3_600
                + self.minute * 60
                + self.second.min(59)
        })
    }

    pub(super) fn at_offset(self, offset_secs: i64) -> Option<Moment> {
        Some(Moment { secs: self.secs()? - offset_secs, nanos: self.nanos })
    }
}

impl ZoneClock {
    /// For a tenant's zone.
    pub fn new(zone: Zone) -> Self {
        Self { zone, hour: None, today: (i64::MIN, 0, 0) }
    }

    pub(super) fn local(&mut self, wall: Wall) -> Option<Moment> {
        let secs = wall.secs()?;
        let hour = secs.div_euclid(3_600);
        if let Some((known, offset)) = self.hour
            && known == hour
        {
            return wall.at_offset(offset);
        }
        let start = |hours: i64| -> Option<i64> {
            let (days, of_day) = ((hour + hours).div_euclid(24), (hour + hours).rem_euclid(24));
            let (year, month, day) = domain::time::civil_from_days(days);
            let civil = Civil {
                year: i16::try_from(year).ok()?,
                month: month as i8,
                day: day as i8,
                hour: of_day as i8,
                minute: 0,
                second: 0,
                nanos: 0,
            };
            Some(self.zone.instant(civil)?.as_secs())
        };
        match (start(0), start(1)) {
            (Some(from), Some(to)) if to - from == 3_600 => {
                let offset = hour * 3_600 - from;
                self.hour = Some((hour, offset));
                wall.at_offset(offset)
            }
            // The hour a change of offset falls into.
            (Some(_), Some(_)) => {
                let civil = Civil {
                    year: i16::try_from(wall.year).ok()?,
                    month: wall.month as i8,
                    day: wall.day as i8,
                    hour: wall.hour as i8,
                    minute: wall.minute as i8,
                    second: wall.second.min(59) as i8,
                    nanos: 0,
                };
                Some(Moment { secs: self.zone.instant(civil)?.as_secs(), nanos: wall.nanos })
            }
            // Beyond what an instant can hold: only that it is outside matters.
            _ => wall.at_offset(0),
        }
    }

    /// The local year and month of `now`.
    fn today(&mut self, now: Timestamp) -> (i64, i64) {
        let minute = now.as_secs().div_euclid(60);
        if self.today.0 != minute {
            let civil = self.zone.civil(now);
            self.today = (minute, i64::from(civil.year), i64::from(civil.month));
        }
        (self.today.1, self.today.2)
    }

    /// A time without a year: the latest that is not more than 24 h ahead.
    pub(super) fn without_year(&mut self, wall: Wall, now: Timestamp) -> Option<Moment> {
        let (year, month) = self.today(now);
        let first = if wall.month == 1 && month == 12 { year + 1 } else { year };
        // A 29 February may lie eight years back (around 1900, 2100).
        (first - 9..=first).rev().find_map(|year| {
            let moment = self.local(Wall { year, ..wall })?;
            moment.usable(now).map(|_| moment)
        })
    }
}
