//! Counts and numbers over time.

use crate::catalog::Snapshot;
use crate::column::number_column;
use crate::error::failed;
use crate::scan::{Scan, Window};
use domain::api::{Aggregate, Extremes};
use domain::query::Query;
use domain::{Level, SourceKey, TenantId, TimeRange, Timestamp};
use std::collections::{HashMap, HashSet};
use store::index::{
    IndexError, LevelCounts, NumericAggregation, NumericResult, NumericSeries, ReadLimit,
};
use tantivy::columnar::StrColumn;
use tantivy::{DocId, SegmentReader};

/// Series times buckets that one answer may hold.
const MAX_CELLS: usize = 1_000_000;

/// Finds the bucket of an instant.
struct Buckets<'a> {
    edges: &'a [Timestamp],
    /// The width, where all are equal: then a division finds the bucket.
    width: Option<i64>,
}

impl<'a> Buckets<'a> {
    fn new(edges: &'a [Timestamp]) -> Self {
        let mut widths = edges.windows(2).map(|pair| pair[1].as_nanos().saturating_sub(pair[0].as_nanos()));
        let first = widths.next().filter(|width| *width > 0);
        Self { edges, width: first.filter(|first| widths.all(|width| width == *first)) }
    }

    fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    /// The window from the first edge to the last.
    fn range(&self) -> Option<TimeRange> {
        match self.edges {
            [first, .., last] => Some(TimeRange { from: *first, to: *last }),
            _ => None,
        }
    }

    /// For an instant within the range.
    fn of(&self, at: i64) -> usize {
        let found = match self.width {
            Some(width) => at.wrapping_sub(self.edges[0].as_nanos()).div_euclid(width) as usize,
            None => self.edges.partition_point(|edge| edge.as_nanos() <= at).saturating_sub(1),
        };
        found.min(self.len().saturating_sub(1))
    }
}

/// The window of a histogram's edges; `None` where there is no bucket.
pub(crate) fn window(edges: &[Timestamp]) -> Option<TimeRange> {
    Buckets::new(edges).range()
}

/// Counts by level and bucket.
pub(crate) fn histogram(
    snapshots: &[Snapshot],
    tenant: &TenantId,
    query: &Query,
    edges: &[Timestamp],
    limit: &ReadLimit,
) -> Result<LevelCounts, IndexError> {
    let buckets = Buckets::new(edges);
    let rows = Level::ALL.len() + 1;
    let mut counts = vec![0_u64; rows * buckets.len()];
    if let Some(range) = buckets.range() {
        for snapshot in snapshots {
            let scan = Scan::new(snapshot, tenant, query, Window::Inside(range), limit)?;
            for segment in scan.segments() {
                count_segment(&scan, segment, &buckets, &mut counts)?;
            }
        }
    }
    let by_level = match buckets.len() {
        0 => vec![Vec::new(); rows],
        width => counts.chunks(width).map(<[u64]>::to_vec).collect(),
    };
    Ok(LevelCounts { by_level })
}

fn count_segment(
    scan: &Scan<'_>,
    segment: &SegmentReader,
    buckets: &Buckets<'_>,
    counts: &mut [u64],
) -> Result<(), IndexError> {
    let columns = segment.fast_fields();
    let ts = columns.i64("ts").map_err(failed)?;
    let level = columns.u64("level").map_err(failed)?;
    let mut times = [0_i64; tantivy::COLLECT_BLOCK_BUFFER_LEN];
    let mut levels = [0_u64; tantivy::COLLECT_BLOCK_BUFFER_LEN];
    scan.each(segment, |docs| {
        ts.values.get_vals(docs, &mut times[..docs.len()]);
        level.values.get_vals(docs, &mut levels[..docs.len()]);
        for (at, level) in times.iter().zip(&levels).take(docs.len()) {
            counts[*level as usize * buckets.len() + buckets.of(*at)] += 1;
        }
    })
}

/// The values of one bucket, summed up in every way.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    /// When the last was, and when it arrived.
    last_at: (i64, i64),
}

impl Sums {
    fn add(&mut self, value: f64, at: (i64, i64)) {
        if self.count == 0 {
            *self = Self { count: 1, sum: value, min: value, max: value, last: value, last_at: at };
            return;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if at >= self.last_at {
            self.last = value;
            self.last_at = at;
        }
    }

    fn value(&self, aggregate: Aggregate) -> Option<f64> {
        (self.count > 0).then(|| match aggregate {
            Aggregate::Avg => self.sum / self.count as f64,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Sum => self.sum,
            Aggregate::Count => self.count as f64,
            Aggregate::Last => self.last,
        })
    }
}

/// A number by source and bucket. Two passes: the first finds the sources with the most values, so that memory is
/// bounded by what is answered and not by how many sources there are.
pub(crate) fn aggregate(
    snapshots: &[Snapshot],
    tenant: &TenantId,
    request: &NumericAggregation,
    limit: &ReadLimit,
) -> Result<NumericResult, IndexError> {
    let buckets = Buckets::new(&request.edges);
    let Some(range) = buckets.range() else { return Ok(NumericResult { series: Vec::new(), extremes: None }) };
    let cells = request.max_series.saturating_mul(buckets.len());
    if cells > MAX_CELLS {
        return Err(IndexError::TooLarge(format!(
            "{} series of {} buckets; at most {MAX_CELLS} values in all",
            request.max_series,
            buckets.len()
        )));
    }
    let name = request.metric.replace('.', "/");
    let wanted: HashSet<&str> = request.sources.iter().map(SourceKey::as_str).collect();
    let mut values = Values { snapshots, tenant, query: &request.query, name: &name, range, limit };

    let mut counts = HashMap::<String, u64>::new();
    let mut extremes: Option<Extremes> = None;
    values.each(
        |source| {
            (wanted.is_empty() || wanted.contains(source)).then(|| counts.entry(source.to_owned()).or_default();)
        },
        |_, _, _| {},
    )?;
    let _ = (&mut extremes, &mut values);
    unreachable!()
}
