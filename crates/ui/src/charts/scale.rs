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
    604_800, 2_592_000,
];

/// A mark on the time axis.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeMark {
    /// Which edge.
    pub at: usize,
    /// What it says: clock, or the day at midnight.
    pub text: String,
}

/// About `most` marks on edges that fall on round local times.
pub fn time_marks(edges: &[Timestamp], zone: &Zone, most: usize) -> Vec<TimeMark> {
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return Vec::new() };
    let span = last.as_secs() - first.as_secs();
    let step = MARKS.into_iter().find(|s| span / s <= most as i64).unwrap_or(span.max(1));
    let local = |at: &Timestamp| at.as_secs() + zone.offset_at(*at);
    let round: Vec<usize> = (0..edges.len()).filter(|i| local(&edges[*i]).rem_euclid(step) == 0).collect();
    // Both ends may have one: as many steps as asked for make one mark more.
    let thin = round.len().div_ceil(most + 1).max(1);
    round
        .into_iter()
        .step_by(thin)
        .map(|at| TimeMark { at, text: mark_text(edges[at], zone, step) })
        .collect()
}

fn mark_text(at: Timestamp, zone: &Zone, step: i64) -> String {
    let c = zone.civil(at);
    if step >= 86_400 || (c.hour, c.minute, c.second) == (0, 0, 0) {
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
    }
}
