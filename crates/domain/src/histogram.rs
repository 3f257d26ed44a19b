//! Bucket edges, computed in one place from step and zone, so that every store counts alike.

use crate::{TimeRange, Timestamp, Zone};

/// The steps people read easily, in seconds, from one second to a week.
pub const STEPS: [u32; 18] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/// A week, the longest single step; longer windows take whole multiples of it.
const WEEK: u32 = 604_800;

/// The least step of [`STEPS`], or whole weeks, that makes at most `most` buckets of the window.
pub fn step_for(range: TimeRange, most: u32) -> u32 {
    let secs = u64::try_from(range.nanos()).unwrap_or(0).div_ceil(1_000_000_000);
    let most = u64::from(most.max(1));
    STEPS.iter().copied().find(|s| secs.div_ceil(u64::from(*s)) <= most).unwrap_or_else(|| {
        let weeks = secs.div_ceil(u64::from(WEEK)).div_ceil(most).max(1);
        u32::try_from(weeks).unwrap_or(u32::MAX / WEEK).saturating_mul(WEEK)
    })
}

/// Edges of the buckets that cover the window: aligned to the step in the zone's wall clock, the first at or
/// before `from`, the last at or after `to`. A day with a clock change has one bucket more or less where the
/// step divides the change, and longer or shorter buckets where it does not.
pub fn edges(range: TimeRange, step_secs: u32, zone: &Zone) -> Vec<Timestamp> {
    const SECOND: i64 = 1_000_000_000;
    let step = i64::from(step_secs.max(1)).saturating_mul(SECOND);
    let floor = |at: Timestamp| {
        let offset = zone.offset_at(at).saturating_mul(SECOND);
        let local = at.as_nanos().saturating_add(offset);
        // Weeks start on Monday: 1970-01-01 was a Thursday.
        let shift = if step_secs >= WEEK { 3 * 86_400 * SECOND } else { 0 };
        let start = (local.saturating_add(shift)).div_euclid(step).saturating_mul(step) - shift;
        Timestamp::from_nanos(start.saturating_sub(offset))
    };
    let mut edge = floor(range.from);
    let mut edges = vec![edge];
    while edge < range.to {
        let mut next = floor(edge.plus_nanos(step));
        if next <= edge {
            next = edge.plus_nanos(step);
        }
        // A clock change within a bucket of a day or more moves its end.
        let moved = zone.offset_at(next) - zone.offset_at(edge);
        if moved != 0 && step_secs >= 86_400 {
            next = floor(edge.plus_nanos(step - moved * SECOND + SECOND));
            if next <= edge {
                next = edge.plus_nanos(step);
            }
        }
        edge = next;
        edges.push(edge);
    }
    edges
}
