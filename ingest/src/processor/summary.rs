//! What a batch adds up to: one row a source, a metric's minute, a stream.

use super::dedupe::{GivenKey, StreamKey};
use domain::event::StoredEvent;
use domain::{EventKind, SourceKey, TenantId, Timestamp};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use store::broker::{Offset, Origin, Partition, Record, Route};
use store::index::level_row;
use store::sql::{Flush, MetricPoint, Rollup, SourceDelta, StreamPosition};

const MINUTE: i64 = 60 * 1_000_000_000;
/// Arrivals within one of these count as one instant for freshness.
pub(crate) const ARRIVAL_STEP: i64 = 10 * 1_000_000;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The sum of a batch.
#[derive(Default)]
pub(crate) struct Summary {
    pub sources: Vec<SourceSum>,
    by_name: Map<(TenantId, SourceKey), usize>,
    /// The last record's route and its place in `sources`: lines of a connection stand together.
    last: Option<(Arc<Route>, usize)>,
    streams: Map<StreamKey, u64>,
    last_stream: Option<(StreamKey, u64)>,
    given: Vec<(GivenKey, Timestamp)>,
    /// Different metrics of different sources.
    pub series: usize,
    pub events: u64,
    pub bytes: u64,
    pub newest: Option<Timestamp>,
}

/// What a source sent in a batch.
pub(crate) struct SourceSum {
    pub route: Arc<Route>,
    /// (minute of arrival, level row, events, bytes)
    arrivals: SmallVec<[(i64, u8, u64, u64); 4]>,
    received: (Timestamp, Timestamp),
    ts: (Timestamp, Timestamp),
    metrics: Map<Box<str>, MetricSum>,
    /// Arrivals by [`ARRIVAL_STEP`], for freshness.
    pub arrived: SmallVec<[(i64, u64); 8]>,
    /// Tokens it came by.
    pub tokens: SmallVec<[u64; 2]>,
}

#[derive(Default)]
struct MetricSum {
    /// By minute of `ts`, each minute once in a row; the same minute may come again later.
    minutes: SmallVec<[(i64, MetricPoint); 1]>,
    latest: Option<(f64, Timestamp)>,
}

impl MetricSum {
    fn add(&mut self, value: f64, ts: Timestamp) {
        let minute = floor(ts, MINUTE);
        let point = MetricPoint::of(value, ts);
        match self.minutes.last_mut() {
            Some((last, sum)) if *last == minute => sum.merge(&point),
            _ => self.minutes.push((minute, point)),
        }
        if self.latest.is_none_or(|(_, at)| ts >= at) {
            self.latest = Some((value, ts));
        }
    }

    /// Each minute once.
    fn settle(&mut self) {
        if self.minutes.len() < 2 {
            return;
        }
        // Stable: of equal times the later value stands.
        self.minutes.sort_by_key(|(minute, _)| *minute);
        self.minutes.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1.merge(&next.1);
            }
            same
        });
    }
}

fn floor(at: Timestamp, step: i64) -> i64 {
    at.as_nanos().div_euclid(step).saturating_mul(step)
}

impl SourceSum {
    fn new(route: Arc<Route>, event: &StoredEvent<'_>) -> Self {
        Self {
            route,
            arrivals: SmallVec::new(),
            received: (event.received_at, event.received_at),
            ts: (event.ts, event.ts),
            metrics: Map::default(),
            arrived: SmallVec::new(),
            tokens: SmallVec::new(),
        }
    }

    fn add(&mut self, record: &Record, event: &StoredEvent<'_>) -> usize {
        let bytes = record.payload.len() as u64;
        let level = u8::try_from(level_row(event.level)).unwrap_or(9);
        let minute = floor(event.received_at, MINUTE);
        let row = self.arrivals.iter_mut().find(|(at, of, ..)| *at == minute && *of == level);
        match row {
            Some((_, _, events, sum)) => {
                *events += 1;
                *sum += bytes;
            }
            None => self.arrivals.push((minute, level, 1, bytes)),
        }
        self.received = (self.received.0.min(event.received_at), self.received.1.max(event.received_at));
        self.ts = (self.ts.0.min(event.ts), self.ts.1.max(event.ts));
        let step = floor(event.received_at, ARRIVAL_STEP);
        match self.arrived.last_mut() {
            Some((at, count)) if *at == step => *count += 1,
            _ => self.arrived.push((step, 1)),
        }
        if record.token != 0 && !self.tokens.contains(&record.token) {
            self.tokens.push(record.token);
        }
        if event.kind == EventKind::Metric { self.add_metrics(event) } else { 0 }
    }

    /// Answers how many metrics are new.
    fn add_metrics(&mut self, event: &StoredEvent<'_>) -> usize {
        let before = self.metrics.len();
        for (name, values) in &event.n.0 {
            for value in values.as_slice().iter().filter(|it| it.is_finite()) {
                if let Some(sum) = self.metrics.get_mut(name.0.as_ref()) {
                    sum.add(*value, event.ts);
                } else {
                    self.metrics.entry(name.0.as_ref().into()).or_default().add(*value, event.ts);
                }
            }
        }
        self.metrics.len() - before
    }

    /// Events by level row: (row, events, bytes).
    pub fn by_level(&self) -> impl Iterator<Item = (u8, u64, u64)> {
        self.arrivals.iter().map(|(_, level, events, bytes)| (*level, *events, *bytes))
    }
}

impl Summary {
    /// Takes an event in.
    pub fn add(&mut self, record: &Record, event: &StoredEvent<'_>) {
        self.events += 1;
        self.bytes += record.payload.len() as u64;
        self.newest = self.newest.max(Some(event.received_at));
        let at = self.source(record, event);
        self.series += self.sources[at].add(record, event);
        match &record.origin {
            Origin::Unmarked => {}
            Origin::Stream { stream, sequence } => self.add_stream(&record.route, stream, *sequence),
            Origin::Given(id) => {
                let key = (record.route.tenant.clone(), record.route.source.clone(), id.clone());
                self.given.push((key, event.received_at));
            }
        }
    }

    fn source(&mut self, record: &Record, event: &StoredEvent<'_>) -> usize {
        if let Some((route, at)) = &self.last
            && Arc::ptr_eq(route, &record.route)
        {
            return *at;
        }
        let route = &record.route;
        let next = self.sources.len();
        let at = *self.by_name.entry((route.tenant.clone(), route.source.clone())).or_insert(next);
        if at == next {
            self.sources.push(SourceSum::new(route.clone(), event));
        } else if self.sources[at].route.protocol != route.protocol {
            // The latest protocol stands.
            self.sources[at].route = route.clone();
        }
        self.last = Some((route.clone(), at));
        at
    }

    fn add_stream(&mut self, route: &Arc<Route>, stream: &Arc<str>, sequence: u64) {
        if let Some(((tenant, source, last), highest)) = &mut self.last_stream
            && Arc::ptr_eq(last, stream)
            && *source == route.source
            && *tenant == route.tenant
        {
            *highest = sequence.max(*highest);
            return;
        }
        self.settle_stream();
        let key = (route.tenant.clone(), route.source.clone(), stream.clone());
        self.last_stream = Some((key, sequence));
    }

    fn settle_stream(&mut self) {
        if let Some((key, sequence)) = self.last_stream.take() {
            let highest = self.streams.entry(key).or_default();
            *highest = sequence.max(*highest);
        }
    }

    /// What SQL is to write, with the next offsets to read.
    pub fn flush(&mut self, offsets: Vec<(Partition, Offset)>) -> Flush {
        self.settle_stream();
        let mut flush = Flush { offsets, ..Flush::default() };
        flush.sources.reserve(self.sources.len());
        flush.rollups.reserve(self.series);
        flush.latest.reserve(self.series);
        for sum in &mut self.sources {
            let (tenant, source) = (&sum.route.tenant, &sum.route.source);
            let arrivals = sum.arrivals.iter();
            flush.sources.push(SourceDelta {
                tenant: tenant.clone(),
                source: source.clone(),
                protocol: sum.route.protocol.as_ref().to_owned(),
                arrivals: arrivals
                    .map(|(minute, level, events, bytes)| {
                        (Timestamp::from_nanos(*minute), *level, *events, *bytes)
                    })
                    .collect(),
                received: sum.received,
                ts: sum.ts,
            });
            for (name, metric) in &mut sum.metrics {
                metric.settle();
                flush.rollups.extend(metric.minutes.iter().map(|(minute, point)| Rollup {
                    tenant: tenant.clone(),
                    source: source.clone(),
                    metric: name.as_ref().to_owned(),
                    minute: Timestamp::from_nanos(*minute),
                    point: *point,
                }));
                if let Some((value, ts)) = metric.latest {
                    flush.latest.push((tenant.clone(), source.clone(), name.as_ref().to_owned(), value, ts));
                }
            }
        }
        flush.streams = self
            .streams
            .iter()
            .map(|((tenant, source, stream), sequence)| StreamPosition {
                tenant: tenant.clone(),
                source: source.clone(),
                stream: stream.as_ref().to_owned(),
                sequence: *sequence,
            })
            .collect();
        flush.given_ids = self
            .given
            .iter()
            .map(|((tenant, source, id), at)| (tenant.clone(), source.clone(), id.as_ref().to_owned(), *at))
            .collect();
        flush
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::tests::fixture;

    /// Sums up events of source `a`, and answers its flush.
    fn flush_of(events: &[&str]) -> Flush {
        let mut summary = Summary::default();
        for (offset, event) in (0..).zip(events) {
            let record = fixture::read_back(offset, fixture::new_record("a", event));
            let event = StoredEvent::parse(&record.payload).unwrap();
            summary.add(&record, &event);
        }
        summary.flush(vec![(0, events.len() as u64)])
    }

    fn event(ts: &str, rest: &str) -> String {
        fixture::event_at("a", ts, "2026-11-22T01:00:30Z", rest)
    }

    #[test]
    fn metrics_are_merged_by_minute() {
        let events = [
            event("2026-11-22T01:02:03Z", r#""kind":"metric","n":{"temp":2,"load":[1,3]}"#),
            event("2026-11-22T01:03:00Z", r#""kind":"metric","n":{"temp":5}"#),
            event("2026-11-22T01:02:59.999999999Z", r#""kind":"metric","n":{"temp":4}"#),
            event("2026-11-22T01:02:03Z", r#""kind":"log","message":"m","n":{"temp":100}"#),
        ];
        let flush = flush_of(&events.each_ref().map(String::as_str));
        let mut rollups: Vec<_> = flush
            .rollups
            .iter()
            .map(|it| {
                (it.metric.as_str(), it.minute.to_string(), it.point.count, it.point.sum, it.point.last.0)
            })
            .collect();
        rollups.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let minute = |minute: u32| format!("2026-11-22T01:0{minute}:00.000000000Z");
        assert_eq!(
            rollups,
            [
                ("load", minute(2), 2, 4.0, 3.0),
                ("temp", minute(2), 2, 6.0, 4.0),
                ("temp", minute(3), 1, 5.0, 5.0)
            ]
        );
        let mut latest: Vec<_> = flush.latest.iter().map(|it| (it.2.as_str(), it.3)).collect();
        latest.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(latest, [("load", 3.0), ("temp", 5.0)]);
        let source = &flush.sources[0];
        assert_eq!(source.arrivals.iter().map(|it| (it.1, it.2)).collect::<Vec<_>>(), [(9, 4)]);
        assert_eq!(source.ts.0.to_string(), "2026-11-22T01:02:03.000000000Z");
    }

    #[test]
    fn a_long_backfill_is_merged_once_a_minute() {
        let events: Vec<_> = (0..3_000)
            .map(|n| {
                let ts = Timestamp::from_secs(1_700_000_000 + (n % 1_500) * 60).to_string();
                event(&ts, r#""kind":"metric","n":{"temp":1}"#)
            })
            .collect();
        let flush = flush_of(&events.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(flush.rollups.len(), 1_500);
        assert!(flush.rollups.iter().all(|it| it.point.count == 2));
    }

    #[test]
    fn a_source_counts_by_level() {
        let events = [
            event("2026-11-22T01:02:03Z", r#""kind":"log","level":"warn","message":"a""#),
            event("2026-11-22T01:02:03Z", r#""kind":"log","level":"trace","message":"b""#),
            event("2026-11-22T01:02:03Z", r#""kind":"log","level":"warn","message":"c""#),
        ];
        let flush = flush_of(&events.each_ref().map(String::as_str));
        let arrivals: Vec<_> = flush.sources[0].arrivals.iter().map(|it| (it.1, it.2)).collect();
        assert_eq!(arrivals, [(4, 2), (0, 1)]);
        assert_eq!(flush.sources[0].protocol, "ndjson");
        assert!(flush.streams.is_empty() && flush.given_ids.is_empty() && flush.rollups.is_empty());
    }

    #[test]
    fn streams_keep_their_highest() {
        let mut summary = Summary::default();
        for (stream, sequence) in [("x", 1), ("x", 2), ("y", 9), ("x", 3), ("y", 7)] {
            let mut new = fixture::new_record("a", &event("2026-11-22T01:02:03Z", r#""kind":"event""#));
            new.origin = Origin::Stream { stream: Arc::from(stream), sequence };
            let record = fixture::read_back(0, new);
            summary.add(&record, &StoredEvent::parse(&record.payload).unwrap());
        }
        let flush = summary.flush(vec![]);
        let mut streams: Vec<_> = flush.streams.iter().map(|it| (it.stream.as_str(), it.sequence)).collect();
        streams.sort_unstable();
        assert_eq!(streams, [("x", 3), ("y", 9)]);
    }
}
