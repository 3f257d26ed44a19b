//! Buckets between given edges. OpenSearch has fixed intervals; days where clocks change are not of one width, so edges
//! are split into runs of equal width.

use crate::translate::between;
use domain::{TimeRange, Timestamp};
use serde_json::{Map, Value, json};

const MILLI: i64 = 1_000_000;

/// Neighbouring buckets of one width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Its first bucket.
    first: usize,
    count: usize,
    from: Timestamp,
    to: Timestamp,
    /// In milliseconds; 1 and more where there are several buckets.
    width: i64,
}

/// The buckets between some edges.
#[derive(Debug)]
pub(crate) struct Buckets {
    runs: Vec<Run>,
    count: usize,
    range: TimeRange,
}

impl Buckets {
    /// `None` where there is no bucket.
    pub fn new(edges: &[Timestamp]) -> Option<Self> {
        let [first, .., last] = edges else { return None };
        let mut runs: Vec<Run> = Vec::new();
        for (i, pair) in edges.windows(2).enumerate() {
            let (from, to) = (pair[0], pair[1]);
            let width = to.as_nanos().saturating_sub(from.as_nanos());
            // Intervals are whole milliseconds, counted from the epoch.
            let even = width > 0 && width % MILLI == 0 && from.as_nanos() % MILLI == 0;
            match runs.last_mut() {
                Some(run) if even && run.width == width / MILLI => {
                    run.count += 1;
                    run.to = to;
                }
                _ => {
                    let width = if even { width / MILLI } else { 0 };
                    runs.push(Run { first: i, count: 1, from, to, width });
                }
            }
        }
        Some(Self { runs, count: edges.len() - 1, range: TimeRange { from: *first, to: *last } })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// An aggregation that has `inner` in every bucket that has events.
    pub fn aggregations(&self, inner: &Value) -> Value {
        let runs = self.runs.iter().enumerate().map(|(i, run)| (format!("r{i}"), run.aggregation(inner)));
        Value::Object(runs.collect::<Map<_, _>>())
    }

    /// Calls `visit` with each bucket that has events, and what `inner` was there.
    pub fn each(&self, answered: &Value, mut visit: impl FnMut(usize, &Value)) {
        for (i, run) in self.runs.iter().enumerate() {
            let Some(found) = answered.get(format!("r{i}")) else { continue };
            if run.count == 1 {
                if found["doc_count"].as_u64() > Some(0) {
                    visit(run.first, found);
                }
                continue;
            }
            for bucket in found["t"]["buckets"].as_array().into_iter().flatten() {
                let Some(key) = bucket["key"].as_i64() else { continue };
                let at = key.saturating_sub(run.from.as_millis()).div_euclid(run.width);
                if let Some(at) = usize::try_from(at).ok().filter(|at| *at < run.count) {
                    visit(run.first + at, bucket);
                }
            }
        }
    }
}

impl Run {
    fn aggregation(&self, inner: &Value) -> Value {
        let within = between("ts", Some(self.from), Some(self.to));
        if self.count == 1 {
            return json!({ "filter": within, "aggs": inner });
        }
        let offset = self.from.as_millis().rem_euclid(self.width);
        let histogram = json!({
            "date_histogram": {
                "field": "ts",
                "fixed_interval": format!("{}ms", self.width),
                "offset": format!("{offset}ms"),
                "min_doc_count": 1,
            },
            "aggs": inner,
        });
        json!({ "filter": within, "aggs": { "t": histogram } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_equal_width() {
        let check = |nanos: &[i64], expect: &[(usize, usize, i64)]| {
            let edges = nanos.iter().map(|nanos| Timestamp::from_nanos(*nanos)).collect::<Vec<_>>();
            let buckets = Buckets::new(&edges);
            let runs = buckets.iter().flat_map(|b| &b.runs).map(|run| (run.first, run.count, run.width));
            assert_eq!(runs.collect::<Vec<_>>(), expect, "{nanos:?}");
        };
        check(&[], &[]);
        check(&[5], &[]);
        check(&[0, 2 * MILLI, 4 * MILLI, 5 * MILLI, 6 * MILLI], &[(0, 2, 2), (2, 2, 1)]);
        // Not on a millisecond: each by itself.
        check(&[1, MILLI + 1, 2 * MILLI + 1], &[(0, 1, 0), (1, 1, 0)]);
        check(&[0, MILLI / 2, MILLI, 2 * MILLI], &[(0, 1, 0), (1, 1, 0), (2, 1, 1)]);
    }
}
