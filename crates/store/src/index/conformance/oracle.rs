//! The right answers, found the slow way: every event is looked at by itself.

use crate::index::{LevelCounts, SortKey, level_row};
use bytes::Bytes;
use domain::api::{Aggregate, Extremes, Facet, FacetValue, FieldInfo, Order};
use domain::event::StoredEvent;
use domain::query::{Field, Query};
use domain::{TimeRange, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// One tenant's events.
pub struct Oracle<'a> {
    events: Vec<(StoredEvent<'a>, &'a Bytes)>,
}

impl<'a> Oracle<'a> {
    /// Of these events.
    pub fn new(events: &'a [Bytes]) -> Self {
        let parse = |json: &'a Bytes| (StoredEvent::parse(json).expect("an event"), json);
        Self { events: events.iter().map(parse).collect() }
    }

    /// Those that match, in order.
    pub fn find(&self, query: &Query, range: TimeRange, order: Order) -> Vec<&'a Bytes> {
        let mut found = self.matching(query, range).collect::<Vec<_>>();
        found.sort_by_key(|(event, _)| key(event));
        if order == Order::Desc {
            found.reverse();
        }
        found.into_iter().map(|(_, json)| *json).collect()
    }

    fn matching(
        &self,
        query: &Query,
        range: TimeRange,
    ) -> impl Iterator<Item = &(StoredEvent<'a>, &'a Bytes)> {
        self.events.iter().filter(move |(event, _)| range.contains(event.ts) && query.matches(event))
    }

    /// Counts by level and bucket.
    pub fn histogram(&self, query: &Query, edges: &[Timestamp]) -> LevelCounts {
        let buckets = edges.len() - 1;
        let mut by_level = vec![vec![0; buckets]; domain::Level::ALL.len() + 1];
        let range = TimeRange { from: edges[0], to: edges[buckets] };
        for (event, _) in self.matching(query, range) {
            let bucket = (0..buckets).rfind(|i| edges[*i] <= event.ts).expect("within the range");
            by_level[level_row(event.level)][bucket] += 1;
        }
        LevelCounts { by_level }
    }

    /// The most frequent values of a field.
    pub fn facet(&self, query: &Query, range: TimeRange, field: &str, size: usize) -> Facet {
        let mut counts = BTreeMap::<String, u64>::new();
        for (event, _) in self.matching(query, range) {
            for value in values(event, field) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let distinct = counts.len() as u64;
        let mut values: Vec<_> =
            counts.into_iter().map(|(value, count)| FacetValue { value, count }).collect();
        // Stable: equally frequent values stay in the order of their bytes.
        values.sort_by_key(|v| std::cmp::Reverse(v.count));
        values.truncate(size);
        Facet { field: field.to_owned(), distinct, values }
    }

    /// The fields, by name.
    pub fn fields(&self, range: TimeRange) -> Vec<FieldInfo> {
        let mut fields = BTreeMap::<String, FieldInfo>::new();
        for (event, _) in self.matching(&Query::all(), range) {
            let mut field = |name: &str, note: fn(&mut FieldInfo)| {
                let name = name.replace('/', ".");
                let new = FieldInfo { name: name.clone(), numeric: false, text: false, boolean: false };
                note(fields.entry(name).or_insert(new));
            };
            event.n.0.iter().for_each(|(name, _)| field(&name.0, |f| f.numeric = true));
            event.s.0.iter().for_each(|(name, _)| field(&name.0, |f| f.text = true));
            event.b.0.iter().for_each(|(name, _)| field(&name.0, |f| f.boolean = true));
        }
        fields.into_values().collect()
    }

    /// Arrivals since an instant outside a window.
    pub fn outside(&self, query: &Query, range: TimeRange, since: Timestamp) -> Option<(u64, TimeRange)> {
        let found = self
            .events
            .iter()
            .map(|(event, _)| event)
            .filter(|e| e.received_at >= since && !range.contains(e.ts) && query.matches(e))
            .map(|e| e.ts)
            .collect::<Vec<_>>();
        let (first, last) = (*found.iter().min()?, *found.iter().max()?);
        Some((found.len() as u64, TimeRange { from: first, to: last.plus_nanos(1) }))
    }

    /// A number by source and bucket: most values first.
    pub fn aggregate(
        &self,
        query: &Query,
        name: &str,
        aggregate: Aggregate,
        edges: &[Timestamp],
    ) -> Vec<(String, Vec<Option<f64>>)> {
        let buckets = edges.len() - 1;
        let mut by_source = BTreeMap::<String, Vec<Vec<(SortKey, f64)>>>::new();
        let range = TimeRange { from: edges[0], to: edges[buckets] };
        for (event, _) in self.matching(query, range) {
            let bucket = (0..buckets).rfind(|i| edges[*i] <= event.ts).expect("within the range");
            for value in event.n.get(name) {
                let cells =
                    by_source.entry(event.source.to_string()).or_insert_with(|| vec![Vec::new(); buckets]);
                cells[bucket].push((key(event), *value));
            }
        }
        let mut series: Vec<_> = by_source.into_iter().collect();
        series.sort_by_key(|(_, cells)| std::cmp::Reverse(cells.iter().map(Vec::len).sum::<usize>()));
        series
            .into_iter()
            .map(|(source, cells)| {
                (source, cells.into_iter().map(|cell| summed_up(cell, aggregate)).collect())
            })
            .collect()
    }

    /// Least and greatest of a number.
    pub fn extremes(&self, query: &Query, name: &str, range: TimeRange) -> Option<Extremes> {
        let mut all = Vec::new();
        for (event, _) in self.matching(query, range) {
            all.extend(event.n.get(name).iter().map(|value| (*value, event.ts)));
        }
        let by = |a: &(f64, Timestamp), b: &(f64, Timestamp)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let (min, min_at) = *all.iter().min_by(|a, b| by(a, b))?;
        // Of the greatest, the earliest.
        let (max, max_at) = *all.iter().max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?;
        Some(Extremes { min, min_at, max, max_at })
    }
}

/// Where an event stands.
pub fn key(event: &StoredEvent<'_>) -> SortKey {
    SortKey { ts: event.ts, received_at: event.received_at, id: event.id }
}

fn summed_up(mut values: Vec<(SortKey, f64)>, aggregate: Aggregate) -> Option<f64> {
    values.sort_by_key(|(key, _)| *key);
    let numbers = || values.iter().map(|(_, v)| *v);
    let (last, count) = (values.last()?.1, values.len() as f64);
    Some(match aggregate {
        Aggregate::Avg => numbers().sum::<f64>() / count,
        Aggregate::Min => numbers().fold(f64::INFINITY, f64::min),
        Aggregate::Max => numbers().fold(f64::NEG_INFINITY, f64::max),
        Aggregate::Sum => numbers().sum(),
        Aggregate::Count => count,
        Aggregate::Last => last,
    })
}

/// The different values of a field, as text.
fn values(event: &StoredEvent<'_>, field: &str) -> BTreeSet<String> {
    match Field::parse(field) {
        Field::Level => event.level.map(|level| level.name().to_owned()).into_iter().collect(),
        Field::Kind => [event.kind.name().to_owned()].into(),
        Field::Source => [event.source.to_string()].into(),
        Field::Named(name) => {
            let numbers = event.n.get(&name).iter().map(f64::to_string);
            let texts = event.s.get(&name).iter().map(|v| v.0.to_string());
            let bools = event.b.get(&name).iter().map(bool::to_string);
            numbers.chain(texts).chain(bools).collect()
        }
        _ => BTreeSet::new(),
    }
}
