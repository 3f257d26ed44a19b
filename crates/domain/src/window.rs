//! The window of time that a page shows, as the address bar and the picker have it.

use crate::{
    Lang, TimeRange, Timestamp, Zone, format,
    time::{TimeError, signed_span},
};

/// From when to when, each fixed or relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeWindow {
    /// First instant inside.
    pub from: TimePoint,
    /// First instant after.
    pub to: TimePoint,
}

/// A fixed instant, or one that moves with now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimePoint {
    /// Nanoseconds from now; the past is negative.
    Relative(i64),
    /// An instant.
    Absolute(Timestamp),
}

const MINUTE: i64 = 60_000_000_000;

impl TimeWindow {
    /// The last 15 minutes.
    pub const DEFAULT: Self = Self::last_minutes(15);

    /// What the picker offers.
    pub const PRESETS: [Self; 8] = [
        Self::last_minutes(5),
        Self::last_minutes(15),
        Self::last_minutes(60),
        Self::last_minutes(6 * 60),
        Self::last_minutes(24 * 60),
        Self::last_minutes(2 * 24 * 60),
        Self::last_minutes(7 * 24 * 60),
        Self::last_minutes(30 * 24 * 60),
    ];

    /// From so many minutes ago to now.
    pub const fn last_minutes(minutes: i64) -> Self {
        Self { from: TimePoint::Relative(minutes.saturating_mul(-MINUTE)), to: TimePoint::Relative(0) }
    }

    /// A fixed window.
    pub fn absolute(range: TimeRange) -> Self {
        Self { from: TimePoint::Absolute(range.from), to: TimePoint::Absolute(range.to) }
    }

    /// Reads `from` and `to` of a query string: RFC 3339, epoch milliseconds, `now`, `now-15m`. A missing `to` is now,
    /// a missing `from` is the default's; with neither it is [`TimeWindow::DEFAULT`].
    ///
    /// # Errors
    /// [`TimeError`] where a text is no time.
    pub fn parse(from: Option<&str>, to: Option<&str>) -> Result<Self, TimeError> {
        let given = |text: Option<&str>, default| match text.map(str::trim).filter(|t| !t.is_empty()) {
            Some(text) => TimePoint::parse(text),
            None => Ok(default),
        };
        Ok(Self { from: given(from, Self::DEFAULT.from)?, to: given(to, Self::DEFAULT.to)? })
    }

    /// `from` and `to` for a query string; [`TimeWindow::parse`] reads them back.
    pub fn to_query(&self) -> (String, String) {
        (self.from.to_string(), self.to.to_string())
    }

    /// The window as of `now`; swapped ends are put right.
    pub fn resolve(&self, now: Timestamp) -> TimeRange {
        TimeRange::new(self.from.resolve(now), self.to.resolve(now))
    }

    /// Whether it ends now and so moves on.
    pub fn is_live(&self) -> bool {
        self.to == TimePoint::Relative(0)
    }

    /// What the picker shows: `최근 15분`, `Last 15 minutes`, or both ends.
    pub fn label(&self, lang: Lang, zone: &Zone) -> String {
        match (self.from, self.to) {
            (TimePoint::Relative(from), TimePoint::Relative(0)) if from < 0 => {
                let span = whole_span(from.saturating_neg(), lang);
                lang.pick(format!("최근 {span}"), format!("Last {span}"))
            }
            (TimePoint::Absolute(from), TimePoint::Absolute(to)) => {
                let same_day = zone.civil(from).midnight() == zone.civil(to).midnight();
                let end = if same_day { format::clock(to, zone) } else { format::date_time(to, zone, lang) };
                format!("{} – {end}", format::date_time(from, zone, lang))
            }
            (from, to) => format!("{} – {}", from.label(lang, zone), to.label(lang, zone)),
        }
    }
}

impl Default for TimeWindow {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TimePoint {
    /// Reads RFC 3339, epoch milliseconds, `now`, or `now-15m`.
    ///
    /// # Errors
    /// [`TimeError`] where it is none of these.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        match text.trim().strip_prefix("now") {
            Some(rest) => signed_span(rest).map(Self::Relative).ok_or(TimeError),
            None => Timestamp::parse_relative(text, Timestamp::default()).map(Self::Absolute),
        }
    }

    /// The instant as of `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Relative(nanos) => now.plus_nanos(nanos),
            Self::Absolute(at) => at,
        }
    }

    fn label(self, lang: Lang, zone: &Zone) -> String {
        match self {
            Self::Relative(0) => lang.pick("지금", "now").to_owned(),
            Self::Relative(nanos) if nanos < 0 => {
                let span = whole_span(nanos.saturating_neg(), lang);
                lang.pick(format!("{span} 전"), format!("{span} ago"))
            }
            Self::Relative(nanos) => {
                let span = whole_span(nanos, lang);
                lang.pick(format!("{span} 뒤"), format!("in {span}"))
            }
            Self::Absolute(at) => format::date_time(at, zone, lang),
        }
    }
}

/// Units of a relative time, longest first: letter, seconds, names.
const UNITS: [(char, i64, &str, &str); 4] = [
    ('d', 86_400, "일", "day"),
    ('h', 3_600, "시간", "hour"),
    ('m', 60, "분", "minute"),
    ('s', 1, "초", "second"),
];

/// A length in the longest unit that divides it, with its count.
fn whole_unit(nanos: i64) -> (i64, (char, i64, &'static str, &'static str)) {
    let secs = nanos / 1_000_000_000;
    let unit = UNITS.into_iter().find(|u| secs % u.1 == 0).unwrap_or(UNITS[3]);
    (secs / unit.1, unit)
}

fn whole_span(nanos: i64, lang: Lang) -> String {
    // People say 24 hours, not one day, of a window.
    let (count, (_, _, ko, en)) = match whole_unit(nanos) {
        (1, ('d', ..)) => (24, UNITS[1]),
        other => other,
    };
    lang.pick(format!("{count}{ko}"), format!("{count} {en}{}", if count == 1 { "" } else { "s" }))
}

impl std::fmt::Display for TimePoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Relative(0) => f.write_str("now"),
            Self::Relative(nanos) => {
                let (count, (letter, ..)) = whole_unit(*nanos);
                write!(f, "now{count:+}{letter}")
            }
            Self::Absolute(at) => write!(f, "{at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, query: (&str, &str), ko: &str, en: &str) {
        let window = TimeWindow::parse(Some(from), Some(to)).unwrap();
        let seen = window.to_query();
        assert_eq!((seen.0.as_str(), seen.1.as_str()), query);
        assert_eq!(TimeWindow::parse(Some(&seen.0), Some(&seen.1)), Ok(window));
        let zone = Zone::named("Asia/Seoul").unwrap();
        assert_eq!(window.label(Lang::Ko, &zone), ko);
        assert_eq!(window.label(Lang::En, &zone), en);
    }

    #[test]
    fn windows() {
        check("now-15m", "now", ("now-15m", "now"), "최근 15분", "Last 15 minutes");
        check("", "", ("now-15m", "now"), "최근 15분", "Last 15 minutes");
        check("now-1h", "", ("now-1h", "now"), "최근 1시간", "Last 1 hour");
        check("now-24h", "now", ("now-1d", "now"), "최근 24시간", "Last 24 hours");
        check("now-1w", "now", ("now-7d", "now"), "최근 7일", "Last 7 days");
        check("now-90s", "now", ("now-90s", "now"), "최근 90초", "Last 90 seconds");
        check("now-2h", "now-1h", ("now-2h", "now-1h"), "2시간 전 – 1시간 전", "2 hours ago – 1 hour ago");
        check(
            "2026-11-22T00:00:00Z",
            "1795309200000",
            ("2026-11-22T00:00:00.000000000Z", "2026-11-22T01:00:00.000000000Z"),
            "2026. 11. 22. 09:00:00 – 10:00:00",
            "22 Nov 2026, 09:00:00 – 10:00:00",
        );
        check(
            "2026-11-22T00:00:00Z",
            "now",
            ("2026-11-22T00:00:00.000000000Z", "now"),
            "2026. 11. 22. 09:00:00 – 지금",
            "22 Nov 2026, 09:00:00 – now",
        );
    }

    #[test]
    fn resolving() {
        let now = Timestamp::from_secs(10_000);
        let range = TimeWindow::DEFAULT.resolve(now);
        assert_eq!((range.from.as_secs(), range.to), (9_100, now));
        assert!(TimeWindow::DEFAULT.is_live());
        let swapped = TimeWindow::parse(Some("now"), Some("now-1m")).unwrap();
        assert_eq!(swapped.resolve(now).to, now);
        assert!(!swapped.is_live());
        assert_eq!(TimeWindow::parse(None, None), Ok(TimeWindow::DEFAULT));
        assert!(TimeWindow::parse(Some("어제"), None).is_err());
        assert!(TimeWindow::PRESETS.contains(&TimeWindow::DEFAULT));
    }
}
