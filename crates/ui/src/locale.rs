//! Language, zone and "now" of the page, and how numbers and times are written in them.
//!
//! Nothing here asks the browser: the server sends zone and time, so that both write the same text.

use domain::{Civil, Lang, TimeRange, TimeWindow, Timestamp, Zone, format};
use leptos::prelude::*;

/// Language, zone and now. Its reading methods are reactive in the language, and [`Locale::relative`] in the time.
#[derive(Clone, Copy)]
pub struct Locale {
    /// The language in use.
    pub lang: RwSignal<Lang>,
    /// The server's time: at first that of the page, then going.
    pub now: RwSignal<Timestamp>,
    zone: StoredValue<Zone>,
}

/// The page's locale.
pub fn use_locale() -> Locale {
    expect_context()
}

impl Locale {
    /// Makes it known to the page.
    pub fn provide(lang: Lang, zone: Zone, now: Timestamp) -> Self {
        let this = Self { lang: RwSignal::new(lang), now: RwSignal::new(now), zone: StoredValue::new(zone) };
        provide_context(this);
        this
    }

    /// Uses the zone.
    pub fn with_zone<R>(&self, read: impl FnOnce(&Zone) -> R) -> R {
        self.zone.with_value(read)
    }

    /// The zone's IANA name.
    pub fn zone_name(&self) -> String {
        self.zone.with_value(|zone| zone.name().to_owned())
    }

    /// `11:00:02`
    pub fn clock(&self, at: Timestamp) -> String {
        self.with_zone(|zone| format::clock(at, zone))
    }

    /// `11:00:02.418`
    pub fn clock_millis(&self, at: Timestamp) -> String {
        self.with_zone(|zone| format::clock_millis(at, zone))
    }

    /// The day.
    pub fn date(&self, at: Timestamp) -> String {
        self.with_zone(|zone| format::date(at, zone, self.lang.get()))
    }

    /// Date and time to the second.
    pub fn date_time(&self, at: Timestamp) -> String {
        self.with_zone(|zone| format::date_time(at, zone, self.lang.get()))
    }

    /// Date and time to the last digit known, and the offset.
    pub fn exact(&self, at: Timestamp) -> String {
        self.with_zone(|zone| format::exact(at, zone))
    }

    /// The clock today, the date and clock on other days.
    pub fn short(&self, at: Timestamp) -> String {
        self.with_zone(|zone| {
            let (then, now) = (zone.civil(at), zone.civil(self.now.get()));
            if (then.year, then.month, then.day) == (now.year, now.month, now.day) {
                format::clock(at, zone)
            } else {
                format::date_time(at, zone, self.lang.get())
            }
        })
    }

    /// How much of a date the times of a list over the range need; not reactive in the time.
    pub fn dating(&self, range: TimeRange) -> Dating {
        self.with_zone(|zone| Dating::of(range, self.now.get_untracked(), zone))
    }

    /// The clock today, with the date where it is another day: of a time that stands alone; not reactive in the time.
    pub fn stamp(&self, at: Timestamp) -> String {
        match self.dating(TimeRange { from: at, to: at.plus_nanos(1) }) {
            Dating::Clock => self.clock(at),
            dating => self.dated(at, dating),
        }
    }

    /// A time in a list: `11:00:02.418`, `11-22 11:00:02`, `2025-11-22 11:00:02`.
    pub fn dated(&self, at: Timestamp, dating: Dating) -> String {
        self.with_zone(|zone| dating.text(at, zone))
    }

    /// Words within the last hour (`3초 전`), the time beyond it; reactive in the time.
    pub fn relative(&self, at: Timestamp) -> String {
        self.with_zone(|zone| format::relative(at, self.now.get(), zone, self.lang.get()))
    }

    /// `1,284`
    pub fn count(&self, count: u64) -> String {
        format::count(count, self.lang.get())
    }

    /// A count in little room: `982`, `12.3천`, `418.2 M`.
    pub fn compact(&self, count: u64) -> String {
        format::compact(count, self.lang.get())
    }

    /// `96.3 GB`
    pub fn bytes(&self, bytes: u64) -> String {
        format::bytes(bytes)
    }

    /// Events a second: `0.2/s`, `184/s`, `3,912/s`.
    pub fn rate(&self, rate: f64) -> String {
        format::rate(rate)
    }

    /// A measured value.
    pub fn number(&self, value: f64) -> String {
        format::number(value)
    }

    /// What a window is called: `최근 15분`, or both ends.
    pub fn window(&self, window: TimeWindow) -> String {
        self.with_zone(|zone| window.label(self.lang.get(), zone))
    }

    /// The day `back` days ago: from its midnight to the next, or to now.
    pub fn day(&self, back: i64) -> (Timestamp, Timestamp) {
        const DAY: i64 = 86_400_000_000_000;
        let now = self.now.get();
        self.with_zone(|zone| {
            let midnight = |at: Timestamp| zone.instant(zone.civil(at).midnight()).unwrap_or(at);
            let from = midnight(now.plus_nanos(-DAY * back));
            (from, if back == 0 { now } else { midnight(now.plus_nanos(-DAY * (back - 1))) })
        })
    }

    /// For `<input type=datetime-local>`.
    pub fn civil_input(&self, at: Timestamp) -> String {
        let Civil { year, month, day, hour, minute, second, .. } = self.with_zone(|zone| zone.civil(at));
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// How much of a date the times of a list need, so that no two of them read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dating {
    /// All are of today: the clock alone.
    Clock,
    /// Of other days of this year: month, day and clock.
    Day,
    /// Of another year too: the whole date and the clock.
    Year,
}

impl Dating {
    fn of(range: TimeRange, now: Timestamp, zone: &Zone) -> Self {
        let day = |at: Timestamp| {
            let c = zone.civil(at);
            (c.year, c.month, c.day)
        };
        // The end is not within the range.
        let (first, last, today) = (day(range.from), day(range.to.plus_nanos(-1).max(range.from)), day(now));
        if first.0 != today.0 || last.0 != today.0 {
            Self::Year
        } else if first != today || last != today {
            Self::Day
        } else {
            Self::Clock
        }
    }

    fn text(self, at: Timestamp, zone: &Zone) -> String {
        let c = zone.civil(at);
        let clock = format::clock(at, zone);
        match self {
            Self::Clock => format::clock_millis(at, zone),
            Self::Day => format!("{:02}-{:02} {clock}", c.month, c.day),
            Self::Year => format!("{}-{:02}-{:02} {clock}", c.year, c.month, c.day),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_list_have_the_date_that_tells_them_apart() {
        let zone = Zone::named("Asia/Seoul").unwrap();
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2026-11-22T11:00:02.418+09:00");
        let check = |from: &str, to: &str, expect: &str| {
            let dating = Dating::of(TimeRange::new(at(from), at(to)), now, &zone);
            assert_eq!(dating.text(at(from), &zone), expect);
        };
        check("2026-11-22T10:45:02.418+09:00", "2026-11-22T11:00:03+09:00", "10:45:02.418");
        check("2026-11-22T00:00:00+09:00", "2026-11-23T00:00:00+09:00", "00:00:00.000");
        check("2026-11-21T23:59:59+09:00", "2026-11-22T11:00:03+09:00", "11-21 23:59:59");
        check("2026-11-20T10:00:00+09:00", "2026-11-20T11:00:00+09:00", "11-20 10:00:00");
        check("2025-12-31T10:00:00+09:00", "2026-11-22T11:00:00+09:00", "2025-12-31 10:00:00");
        check("2014-02-13T01:02:03+09:00", "2014-02-14T00:00:00+09:00", "2014-02-13 01:02:03");
    }
}
