//! Axes: round numbers upwards, round times along.

use domain::{Timestamp, Zone};

/// A vertical axis from 0: its top and its marks.
#[derive(Debug, Clone, PartialEq)]
pub struct CountAxis {
    /// The value at the upper edge.
    pub top: f64,
    /// Marks, 0 first.
    pub marks: Vec<u64>,
}

/// The axis for counts up to `most`: two to four marks of 1, 2 or 5 times a power of ten.
pub fn count_axis(most: u64) -> CountAxis {
    let most = most.max(1);
    let mut step = 1_u64;
    'found: for power in 0..19 {
        for factor in [1, 2, 5] {
            step = factor * 10_u64.pow(power);
            if most / step < 4 {
                break 'found;
            }
        }
    }
    let marks: Vec<u64> = (0..=most / step).map(|i| i * step).collect();
    CountAxis { top: most as f64 * 1.06, marks }
}

/// Steps between time marks, in seconds.
const MARKS: [i64; 19] = [
    1, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800,
    604_800, 1_209_600,
];

/// Steps between time marks where days are too many, in months.
const MONTHS: [i64; 10] = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1_200];

const DAY: i64 = 86_400;

/// How far apart time marks are.
#[derive(Debug, Clone, Copy)]
enum Step {
    Secs(i64),
    Months(i64),
}

impl Step {
    /// The least of which at most `most` fit into so many seconds.
    fn of(span: i64, most: i64) -> Self {
        let month = |months: i64| span / (months * 2_629_746);
        let secs = MARKS.into_iter().find(|secs| span / secs <= most).map(Self::Secs);
        secs.unwrap_or_else(|| {
            Self::Months(MONTHS.into_iter().find(|months| month(*months) <= most).unwrap_or(MONTHS[9]))
        })
    }

    /// Which step of the local calendar a time is in.
    fn number(self, at: Timestamp, zone: &Zone) -> i64 {
        match self {
            Self::Secs(step) => (at.as_secs() + zone.offset_at(at)).div_euclid(step),
            Self::Months(step) => {
                let c = zone.civil(at);
                (i64::from(c.year) * 12 + i64::from(c.month) - 1).div_euclid(step)
            }
        }
    }

    /// The edges to mark. Shorter steps than a day are marked where an edge has their very time; buckets as long as
    /// weeks seldom begin with a month, which is marked at the first that begins within it.
    fn marked(self, edges: &[Timestamp], zone: &Zone) -> Vec<usize> {
        let is_round = |at: Timestamp| match self {
            Self::Secs(step) => (at.as_secs() + zone.offset_at(at)).rem_euclid(step) == 0,
            Self::Months(_) => self.number(at.plus_nanos(-1), zone) != self.number(at, zone),
        };
        let begins = |i: usize| match (self, i.checked_sub(1).and_then(|before| edges.get(before))) {
            (Self::Secs(..DAY), _) | (_, None) => is_round(edges[i]),
            (_, Some(before)) => self.number(*before, zone) != self.number(edges[i], zone),
        };
        (0..edges.len()).filter(|i| begins(*i)).collect()
    }
}

/// A mark on the time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeMark {
    /// Which edge.
    pub at: usize,
    /// What it says: clock, or the day at midnight; month or year on a long axis.
    pub text: String,
}

/// About `most` marks on edges that fall on round local times, or evenly apart where these do not.
pub fn time_marks(edges: &[Timestamp], zone: &Zone, most: usize) -> Vec<TimeMark> {
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return Vec::new() };
    let span = last.as_secs() - first.as_secs();
    let step = Step::of(span, most as i64);
    let mut round = step.marked(edges, zone);
    if round.len() < 2 {
        // No round times: an axis says when all the same.
        round = (0..edges.len()).collect();
    }
    // Both ends may have one: as many steps as asked for make one mark more.
    let thin = round.len().div_ceil(most + 1).max(1);
    round
        .into_iter()
        .step_by(thin)
        .map(|at| TimeMark { at, text: mark_text(edges[at], zone, step) })
        .collect()
}

fn mark_text(at: Timestamp, zone: &Zone, step: Step) -> String {
    let c = zone.civil(at);
    let step = match step {
        Step::Months(12..) => return c.year.to_string(),
        Step::Months(_) => return format!("{}-{:02}", c.year, c.month),
        Step::Secs(step) => step,
    };
    if step >= DAY || (c.hour, c.minute, c.second) == (0, 0, 0) {
        format!("{}/{}", c.month, c.day)
    } else if step < 60 {
        format!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second)
    } else {
        format!("{:02}:{:02}", c.hour, c.minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_get_two_to_four_round_marks() {
        let check = |most: u64, marks: &[u64]| assert_eq!(count_axis(most).marks, marks);
        check(0, &[0, 1]);
        check(3, &[0, 1, 2, 3]);
        check(9, &[0, 5]);
        check(1_600, &[0, 500, 1_000, 1_500]);
        check(12_480, &[0, 5_000, 10_000]);
    }

    #[test]
    fn times_get_marks_at_round_local_clock() {
        let check = |from: i64, step: i64, count: i64, marks: &[&str]| {
            let edges: Vec<_> = (0..=count).map(|i| Timestamp::from_secs(from + i * step)).collect();
            let texts: Vec<_> = time_marks(&edges, &Zone::utc(), 6).into_iter().map(|m| m.text).collect();
            assert_eq!(texts, marks);
        };
        check(36_000, 60, 60, &["10:00", "10:10", "10:20", "10:30", "10:40", "10:50", "11:00"]);
        check(0, 3_600, 24, &["1/1", "06:00", "12:00", "18:00", "1/2"]);
        check(0, 1, 10, &["1/1", "00:00:05", "00:00:10"]);
        // Weeks from a Monday, 2026-01-05: half a year, six years.
        let monday = 1_767_571_200;
        check(monday, 7 * DAY, 26, &["2026-02", "2026-03", "2026-04", "2026-05", "2026-06", "2026-07"]);
        check(monday, 28 * DAY, 78, &["2027", "2028", "2029", "2030", "2031"]);
        // Half a year whose quarters are marked.
        check(monday, 7 * DAY, 52, &["2026-04", "2026-07", "2026-10", "2027-01"]);
        check(36_007, 600, 6, &["10:00", "10:10", "10:20", "10:30", "10:40", "10:50", "11:00"]);
    }
}
