//! Bucket edges, computed in one place from step and zone, so that every store counts alike.

use crate::{Civil, TimeRange, Timestamp, Zone};

/// The steps people read easily, in seconds, from one second to a day.
pub const STEPS: [u32; 18] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/// The most buckets that [`edges`] makes, whatever the step asked for.
pub const MAX_BUCKETS: usize = 2_000;

const DAY: u32 = 86_400;
/// A week, the longest single step; longer windows take whole multiples of it.
const WEEK: u32 = 7 * DAY;
const SECOND: i64 = 1_000_000_000;

/// The least step of [`STEPS`], or whole weeks, of which at most `most` make up the length of the window. The window
/// seldom starts on an edge, so that [`edges`] may make one bucket more.
pub fn step_for(range: TimeRange, most: u32) -> u32 {
    let nanos = i128::from(range.to.as_nanos()) - i128::from(range.from.as_nanos());
    let secs = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX).div_ceil(SECOND as u64);
    let most = u64::from(most.max(1));
    STEPS.iter().copied().find(|s| secs.div_ceil(u64::from(*s)) <= most).unwrap_or_else(|| {
        let weeks = secs.div_ceil(u64::from(WEEK)).div_ceil(most).max(1);
        u32::try_from(weeks).unwrap_or(u32::MAX / WEEK).saturating_mul(WEEK)
    })
}

/// Edges of the buckets that cover the window, at least two and at most [`MAX_BUCKETS`] and one: aligned to the step
/// in the zone's wall clock (weeks to Mondays), the first at or before `from`, the last at or after `to`. Where a
/// clock change makes the wall clock jump, an hour may be counted as two buckets of the same name, and longer steps
/// get a longer or shorter bucket. A step that would make too many buckets is replaced by the least that does not.
pub fn edges(range: TimeRange, step_secs: u32, zone: &Zone) -> Vec<Timestamp> {
    // Room for the first and last bucket and for clock changes.
    let least = step_for(range, MAX_BUCKETS as u32 - 100);
    let grid = Grid::new(step_secs.max(least).max(1), zone);
    let mut edge = grid.at_or_before(range.from);
    let mut edges = vec![edge];
    while edges.len() < 2 || edge < range.to {
        edge = grid.after(edge);
        edges.push(edge);
        if edges.len() > MAX_BUCKETS {
            break;
        }
    }
    edges
}

/// The wall clock's times that are whole multiples of a step.
struct Grid<'z> {
    zone: &'z Zone,
    /// Nanoseconds.
    step: i64,
    /// Nanoseconds from a multiple back to 1970-01-01: that day was a Thursday, weeks start on Monday.
    shift: i64,
}

impl<'z> Grid<'z> {
    fn new(step_secs: u32, zone: &'z Zone) -> Self {
        let shift = if step_secs.is_multiple_of(WEEK) { 3 * i64::from(DAY) * SECOND } else { 0 };
        Self { zone, step: i64::from(step_secs) * SECOND, shift }
    }

    /// How far a wall-clock time is past the grid's last one.
    fn past(&self, local: i64) -> i64 {
        (i128::from(local) + i128::from(self.shift)).rem_euclid(i128::from(self.step)) as i64
    }

    fn at_or_before(&self, at: Timestamp) -> Timestamp {
        let local = self.zone.local_nanos(at);
        let past = self.past(local);
        let same_offset = at.plus_nanos(-past);
        if self.is_on(same_offset) {
            return same_offset;
        }
        // The clock changed in between.
        self.instant(local.saturating_sub(past)).filter(|edge| *edge <= at).unwrap_or(same_offset)
    }

    fn after(&self, edge: Timestamp) -> Timestamp {
        let next = edge.plus_nanos(self.step);
        if self.is_on(next) {
            return next;
        }
        let local = self.zone.local_nanos(edge);
        let next_local = local.saturating_sub(self.past(local)).saturating_add(self.step);
        self.instant(next_local).filter(|instant| *instant > edge).unwrap_or(next)
    }

    fn is_on(&self, at: Timestamp) -> bool {
        self.past(self.zone.local_nanos(at)) == 0
    }

    fn instant(&self, local: i64) -> Option<Timestamp> {
        self.zone.instant(Civil::from_local_nanos(local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZONES: [&str; 7] = [
        "UTC",
        "Asia/Seoul",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Atlantic/Azores",
        "Pacific/Apia",
    ];

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// Edges as the zone's wall clock shows them, without what they have in common.
    fn check(zone: &str, from: &str, to: &str, step: u32, expect: &str) {
        let zone = Zone::named(zone).unwrap();
        let seen: Vec<_> = edges(TimeRange { from: at(from), to: at(to) }, step, &zone)
            .into_iter()
            .map(|edge| {
                let c = zone.civil(edge);
                format!("{:02}-{:02}T{:02}:{:02}", c.month, c.day, c.hour, c.minute)
            })
            .collect();
        assert_eq!(seen.join(" "), expect);
    }

    #[test]
    fn korea() {
        check(
            "Asia/Seoul",
            "2026-11-21T20:00:00Z",
            "2026-11-22T20:00:00Z",
            DAY,
            "11-22T00:00 11-23T00:00 11-24T00:00",
        );
        check(
            "Asia/Seoul",
            "2026-11-22T01:02:03Z",
            "2026-11-22T01:10:00Z",
            300,
            "11-22T10:00 11-22T10:05 11-22T10:10",
        );
        check(
            "Asia/Seoul",
            "2026-11-22T00:00:00Z",
            "2026-11-22T06:00:00Z",
            21_600,
            "11-22T06:00 11-22T12:00 11-22T18:00",
        );
        check(
            "Asia/Seoul",
            "2026-11-22T00:00:00Z",
            "2026-11-23T00:00:00Z",
            WEEK,
            "11-16T00:00 11-23T00:00 11-30T00:00",
        );
    }

    #[test]
    fn clock_changes() {
        let new_york = "America/New_York";
        check(
            new_york,
            "2026-03-07T05:00:00Z",
            "2026-03-10T04:00:00Z",
            DAY,
            "03-07T00:00 03-08T00:00 03-09T00:00 03-10T00:00",
        );
        check(
            new_york,
            "2026-10-31T04:00:00Z",
            "2026-11-03T05:00:00Z",
            DAY,
            "10-31T00:00 11-01T00:00 11-02T00:00 11-03T00:00",
        );
        check(
            new_york,
            "2026-11-01T04:00:00Z",
            "2026-11-01T08:00:00Z",
            3_600,
            "11-01T00:00 11-01T01:00 11-01T01:00 11-01T02:00 11-01T03:00",
        );
        check(
            new_york,
            "2026-03-08T05:00:00Z",
            "2026-03-08T08:00:00Z",
            3_600,
            "03-08T00:00 03-08T01:00 03-08T03:00 03-08T04:00",
        );
        check(
            new_york,
            "2026-11-01T04:00:00Z",
            "2026-11-01T17:00:00Z",
            21_600,
            "11-01T00:00 11-01T06:00 11-01T12:00",
        );
        check(
            new_york,
            "2026-03-08T05:00:00Z",
            "2026-03-08T16:00:00Z",
            10_800,
            "03-08T00:00 03-08T03:00 03-08T06:00 03-08T09:00 03-08T12:00",
        );
        check(
            new_york,
            "2026-03-02T05:00:00Z",
            "2026-03-16T04:00:00Z",
            WEEK,
            "03-02T00:00 03-09T00:00 03-16T00:00",
        );
        // Half an hour: the wall clock goes from 02:00 back to 01:30.
        check(
            "Australia/Lord_Howe",
            "2026-04-04T14:00:00Z",
            "2026-04-04T16:00:00Z",
            3_600,
            "04-05T01:00 04-05T02:00 04-05T03:00",
        );
        // No midnight on that day.
        check(
            "America/Sao_Paulo",
            "2018-11-03T12:00:00Z",
            "2018-11-05T12:00:00Z",
            DAY,
            "11-03T00:00 11-04T01:00 11-05T00:00 11-06T00:00",
        );
        // No 30 December at all.
        check(
            "Pacific/Apia",
            "2011-12-29T12:00:00Z",
            "2011-12-31T12:00:00Z",
            DAY,
            "12-29T00:00 12-31T00:00 01-01T00:00 01-02T00:00",
        );
    }

    #[test]
    fn before_1970_and_no_length() {
        check(
            "UTC",
            "1969-12-31T23:59:30Z",
            "1970-01-01T00:00:30Z",
            60,
            "12-31T23:59 01-01T00:00 01-01T00:01",
        );
        check("UTC", "1969-12-25T00:00:00Z", "1969-12-25T00:00:00Z", WEEK, "12-22T00:00 12-29T00:00");
        check("Asia/Seoul", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 60, "01-01T09:00 01-01T09:01");
        check("Asia/Seoul", "2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z", 60, "01-01T09:00 01-01T09:01");
    }

    #[test]
    fn steps() {
        let check = |secs: i64, most: u32, expect: u32| {
            let range = TimeRange { from: Timestamp::from_secs(7), to: Timestamp::from_secs(7 + secs) };
            assert_eq!(step_for(range, most), expect, "{secs} s in {most}");
        };
        check(0, 60, 1);
        check(60, 60, 1);
        check(61, 60, 2);
        check(900, 60, 15);
        check(86_400, 60, 1_800);
        check(86_400 * 30, 60, 43_200);
        check(86_400 * 365, 60, WEEK);
        check(86_400 * 365 * 10, 60, 9 * WEEK);
        assert!(step_for(TimeRange::ALL, 100) > 300 * WEEK);
    }

    #[test]
    fn never_too_many() {
        for zone in ZONES {
            let zone = Zone::named(zone).unwrap();
            let edges = edges(TimeRange::ALL, 1, &zone);
            assert!(edges.len() <= MAX_BUCKETS + 1 && edges.windows(2).all(|w| w[0] <= w[1]));
            assert!(
                *edges.last().unwrap() == TimeRange::ALL.to
                    && edges[0] < Timestamp::from_secs(-9_000_000_000)
            );
        }
    }

    proptest! {
        #[test]
        fn edges_cover_the_window(
            zone in prop::sample::select(ZONES.to_vec()),
            from in -2_000_000_000_i64..4_000_000_000,
            length in 0_i64..100_000_000,
            step in prop::sample::select([&STEPS[..], &[WEEK, 7, 7_000, 4 * WEEK]].concat()),
        ) {
            let zone = Zone::named(zone).unwrap();
            let range = TimeRange { from: Timestamp::from_secs(from), to: Timestamp::from_secs(from + length) };
            let edges = edges(range, step, &zone);
            prop_assert!((2..=MAX_BUCKETS + 1).contains(&edges.len()));
            prop_assert!(edges[0] <= range.from && range.to <= *edges.last().unwrap());
            prop_assert!(edges.windows(2).all(|w| w[0] < w[1]));
            // No bucket lies outside.
            prop_assert!(edges[1] > range.from);
            prop_assert!(edges.len() == 2 || edges[edges.len() - 2] < range.to);
        }
    }
}
