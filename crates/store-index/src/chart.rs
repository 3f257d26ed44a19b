//! Counts and numbers over time.

use crate::catalog::Snapshot;
use crate::column::number_column;
use crate::error::failed;
use crate::parallel::{Cut, Piece, sums};
use crate::scan::{Scan, Window};
use domain::api::{Aggregate, Extremes};
use domain::query::{Field, Query};
use domain::{Level, SourceKey, TenantId, TimeRange, Timestamp};
use std::collections::{HashMap, HashSet};
use store::index::{IndexError, LevelCounts, NumericAggregation, NumericResult, NumericSeries, ReadLimit};
use tantivy::DocId;
use tantivy::columnar::StrColumn;

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
        let scans = Scan::of_each(snapshots, tenant, query, range, limit)?;
        let sums = sums(
            &scans,
            Cut::Large,
            || vec![0_u64; counts.len()],
            |counts, piece| count_piece(piece, &buckets, counts),
        )?;
        for sum in sums {
            counts.iter_mut().zip(sum).for_each(|(count, more)| *count += more);
        }
    }
    let by_level = match buckets.len() {
        0 => vec![Vec::new(); rows],
        width => counts.chunks(width).map(<[u64]>::to_vec).collect(),
    };
    Ok(LevelCounts { by_level })
}

fn count_piece(piece: &Piece<'_>, buckets: &Buckets<'_>, counts: &mut [u64]) -> Result<(), IndexError> {
    let columns = piece.segment.fast_fields();
    let ts = columns.i64("ts").map_err(failed)?;
    let level = columns.u64("level").map_err(failed)?;
    let mut times = [0_i64; tantivy::COLLECT_BLOCK_BUFFER_LEN];
    let mut levels = [0_u64; tantivy::COLLECT_BLOCK_BUFFER_LEN];
    // Events that stand together mostly fall into one bucket, so it is looked up only where it changes.
    let (mut bucket, mut from, mut to) = (0, i64::MAX, i64::MIN);
    piece.scan.each_of(piece.segment, piece.docs.clone(), |docs| {
        ts.values.get_vals(docs, &mut times[..docs.len()]);
        level.values.get_vals(docs, &mut levels[..docs.len()]);
        for (at, level) in times.iter().zip(&levels).take(docs.len()) {
            if *at < from || to <= *at {
                bucket = buckets.of(*at);
                (from, to) = (buckets.edges[bucket].as_nanos(), buckets.edges[bucket + 1].as_nanos());
            }
            counts[*level as usize * buckets.len() + bucket] += 1;
        }
    })
}

/// Where a value's event stands: the fields of a sort key, in its order.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
struct Place {
    ts: i64,
    received_at: i64,
    /// Nought where it does not matter which of two events is the later.
    id: (u64, u64),
}

/// The values of one bucket, summed up in every way.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    last_at: Place,
}

impl Sums {
    fn add(&mut self, value: f64, at: Place) {
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
    let Some(range) = buckets.range() else {
        return Ok(NumericResult { series: Vec::new(), extremes: None });
    };
    let cells = request.max_series.saturating_mul(buckets.len());
    if cells > MAX_CELLS {
        return Err(IndexError::TooLarge(format!(
            "{} series of {} buckets; at most {MAX_CELLS} values in all",
            request.max_series,
            buckets.len()
        )));
    }
    let Field::Named(name) = Field::parse(&request.metric) else {
        return Ok(NumericResult { series: Vec::new(), extremes: None });
    };
    let values = Values { snapshots, tenant, query: &request.query, name: &name, range, limit };
    let wanted: HashSet<&str> = request.sources.iter().map(SourceKey::as_str).collect();
    let mut sources = Sources { by_name: HashMap::new(), all: wanted.is_empty(), wanted };
    let mut counts: Vec<u64> = Vec::new();
    let mut extremes = None;
    values.each(&mut sources, None, |source, value, at| {
        if counts.len() <= source {
            counts.resize(source + 1, 0);
        }
        counts[source] += 1;
        widen(&mut extremes, value, at.ts);
    })?;

    let mut most = sources
        .by_name
        .into_iter()
        .filter(|(_, i)| counts.get(*i).is_some_and(|c| *c > 0))
        .collect::<Vec<_>>();
    most.sort_by(|(a, i), (b, j)| counts[*j].cmp(&counts[*i]).then_with(|| a.cmp(b)));
    most.truncate(request.max_series);
    let names = most.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let by_name = names.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
    let mut chosen = Sources { by_name, all: false, wanted: HashSet::new() };
    let mut sums = vec![Sums::default(); names.len() * buckets.len()];
    values.each(&mut chosen, Some(request.aggregate), |source, value, at| {
        sums[source * buckets.len() + buckets.of(at.ts)].add(value, at);
    })?;

    let series = names
        .iter()
        .zip(sums.chunks(buckets.len()))
        .filter_map(|(name, sums)| {
            let values = sums.iter().map(|sums| sums.value(request.aggregate)).collect();
            Some(NumericSeries { source: SourceKey::new(name).ok()?, values })
        })
        .collect();
    Ok(NumericResult { series, extremes })
}

fn widen(extremes: &mut Option<Extremes>, value: f64, ts: i64) {
    let at = Timestamp::from_nanos(ts);
    let found = extremes.get_or_insert(Extremes { min: value, min_at: at, max: value, max_at: at });
    // Of equal values the earliest, so that the answer does not depend on the order of reading.
    if value < found.min || (value == found.min && at < found.min_at) {
        (found.min, found.min_at) = (value, at);
    }
    if value > found.max || (value == found.max && at < found.max_at) {
        (found.max, found.max_at) = (value, at);
    }
}

/// Numbers for the sources of a pass.
struct Sources<'a> {
    by_name: HashMap<String, usize>,
    /// Every source gets a number.
    all: bool,
    /// Otherwise these do, and those that have one.
    wanted: HashSet<&'a str>,
}

impl Sources<'_> {
    fn number(&mut self, name: &str) -> Option<usize> {
        if let Some(number) = self.by_name.get(name) {
            return Some(*number);
        }
        (self.all || self.wanted.contains(name)).then(|| {
            let number = self.by_name.len();
            self.by_name.insert(name.to_owned(), number);
            number
        })
    }

    /// The numbers by a segment's ordinals.
    fn of_segment(&mut self, column: &StrColumn) -> Result<Vec<Option<usize>>, IndexError> {
        let mut numbers = Vec::with_capacity(column.dictionary().num_terms());
        let mut names = column.dictionary().stream().map_err(failed)?;
        while names.advance() {
            numbers.push(std::str::from_utf8(names.key()).ok().and_then(|name| self.number(name)));
        }
        Ok(numbers)
    }
}

/// The values of a number.
struct Values<'a> {
    snapshots: &'a [Snapshot],
    tenant: &'a TenantId,
    query: &'a Query,
    name: &'a str,
    range: TimeRange,
    limit: &'a ReadLimit,
}

impl Values<'_> {
    /// Visits every value with its source's number and its place, as far as it matters for the aggregate.
    fn each(
        &self,
        sources: &mut Sources<'_>,
        aggregate: Option<Aggregate>,
        mut visit: impl FnMut(usize, f64, Place),
    ) -> Result<(), IndexError> {
        for snapshot in self.snapshots {
            let scan = Scan::new(snapshot, self.tenant, self.query, Window::Inside(self.range), self.limit)?;
            for segment in scan.segments() {
                let Some(values) = number_column(segment, self.name).map_err(failed)? else { continue };
                let columns = segment.fast_fields();
                let ts = columns.i64("ts").map_err(failed)?;
                let rest = match aggregate {
                    Some(Aggregate::Last) => Some((
                        columns.i64("received_at").map_err(failed)?,
                        columns.u64("id_high").map_err(failed)?,
                        columns.u64("id_low").map_err(failed)?,
                    )),
                    _ => None,
                };
                let Some(source) = columns.str("source").map_err(failed)? else { continue };
                let numbers = sources.of_segment(&source)?;
                let mut visit_doc = |doc: DocId| {
                    let number = source.ords().first(doc).and_then(|ord| numbers[ord as usize])?;
                    let mut at = Place { ts: ts.first(doc)?, ..Place::default() };
                    if let Some((received_at, high, low)) = &rest {
                        at.received_at = received_at.first(doc)?;
                        at.id = (high.first(doc)?, low.first(doc)?);
                    }
                    values.values_for_doc(doc).for_each(|value| visit(number, value, at));
                    Some(())
                };
                scan.each(segment, |docs| {
                    for doc in docs {
                        visit_doc(*doc);
                    }
                })?;
            }
        }
        Ok(())
    }
}
