//! A number over time: from rollups where they cover it, else from the events themselves.

use crate::check::{Check, within_reach};
use crate::counts::{check_step, within};
use crate::reads::in_time;
use crate::sources::MINUTE_NANOS;
use crate::{Ctx, ServiceError, Services};
use domain::api::{Aggregate, Extremes, MetricQuery, MetricResult, MetricSeries};
use domain::histogram::{edges, step_for};
use domain::query::Query;
use domain::{Permission, SourceKey, TenantId, TimeRange, Timestamp, Zone};
use std::collections::{BTreeMap, HashSet};
use store::index::NumericAggregation;
use store::sql::sources::RollupQuery;

/// Lines of a chart.
const MOST_SERIES: usize = 20;
/// Points of a line where the caller gives no step.
const USUAL_POINTS: u32 = 300;
/// Points of a line at most.
const MOST_POINTS: u32 = 5_000;
/// Minute rollups are kept for so long; before it only hours are.
const MINUTES_KEPT_NANOS: i64 = 30 * 86_400_000_000_000;
const WEEK_SECS: u32 = 604_800;

impl Services {
    /// A number over time, one line a source, at most 20: those with the most values. `times` are the starts of the
    /// steps, aligned to the tenant's wall clock; a step without a value is a gap. Extremes are those of the single
    /// values in the window, whatever the step. Rollups answer for steps of whole minutes where there are any of the
    /// metric, and of each source asked for; then whole minutes count at both ends of the window.
    /// Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// `Invalid` for a wrong window, name or step, or more than 20 sources; `Deadline`.
    pub async fn metrics(&self, ctx: &Ctx, query: MetricQuery) -> Result<MetricResult, ServiceError> {
        let tenant = ctx.require(Permission::ReadEvents)?;
        let range = within_reach(query.range, Timestamp::now());
        let mut check = Check::new(ctx.lang);
        check.range(query.range);
        check.field_name("metric", &query.metric);
        check_step(&mut check, range, query.step_secs, MOST_POINTS);
        check.number("sources", query.sources.len() as u64, 0..=MOST_SERIES as u64);
        check.done()?;
        in_time(ctx, self.metrics_of(ctx, tenant, query, range)).await
    }

    async fn metrics_of(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        query: MetricQuery,
        range: TimeRange,
    ) -> Result<MetricResult, ServiceError> {
        let zone = self.zone_of(tenant).await?;
        let step = query.step_secs.unwrap_or_else(|| step_for(range, USUAL_POINTS));
        let asked = Asked {
            edges: edges(range, step, &zone),
            metric: query.metric.strip_prefix("fields.").unwrap_or(&query.metric).to_owned(),
            sources: query.sources,
            aggregate: query.aggregate,
            range,
            step,
        };
        let found = match self.rollup_series(tenant, &zone, &asked).await? {
            Some(series) => {
                let extremes = match self.rollup_extremes(tenant, &asked).await? {
                    Some(extremes) => Some(extremes),
                    None => self.event_series(ctx, tenant, &asked.whole()).await?.1,
                };
                (series, extremes)
            }
            None => self.event_series(ctx, tenant, &asked).await?,
        };
        let mut times = asked.edges;
        times.pop();
        Ok(MetricResult { times, step_secs: step, series: found.0, extremes: found.1 })
    }

    /// From rollups; `None` where they do not answer this question.
    async fn rollup_series(
        &self,
        tenant: &TenantId,
        zone: &Zone,
        asked: &Asked,
    ) -> Result<Option<Vec<MetricSeries>>, ServiceError> {
        let Some(offset_secs) = asked.rollup_offset(zone, Timestamp::now()) else { return Ok(None) };
        let mut query = asked.rollup(tenant, offset_secs);
        if query.sources.is_empty() {
            // Points of every source may be millions: first a count of each.
            let counts = self.sql().rollup(&asked.rollup_counts(tenant)).await?;
            if counts.is_empty() {
                return Ok(None);
            }
            query.sources = fullest(counts);
        }
        let points = self.sql().rollup(&query).await?;
        let covered: HashSet<&SourceKey> = points.iter().map(|(source, _, _)| source).collect();
        // A source without rollups may have the number in its events.
        if points.is_empty() || !asked.sources.iter().all(|source| covered.contains(source)) {
            return Ok(None);
        }
        Ok(Some(lines(points, &asked.edges)))
    }

    /// Exact extremes from rollups; `None` where one of them lies in the part of a minute outside the window.
    async fn rollup_extremes(
        &self,
        tenant: &TenantId,
        asked: &Asked,
    ) -> Result<Option<Extremes>, ServiceError> {
        let found = self.sql().rollup_extremes(&asked.rollup(tenant, 0)).await?;
        let extremes = found.map(|(min, min_at, max, max_at)| Extremes { min, min_at, max, max_at });
        Ok(extremes.filter(|e| asked.range.contains(e.min_at) && asked.range.contains(e.max_at)))
    }

    async fn event_series(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        asked: &Asked,
    ) -> Result<(Vec<MetricSeries>, Option<Extremes>), ServiceError> {
        let request = NumericAggregation {
            query: within(Query::all(), asked.range, &asked.edges),
            metric: asked.metric.clone(),
            sources: asked.sources.clone(),
            aggregate: asked.aggregate,
            edges: asked.edges.clone(),
            max_series: MOST_SERIES,
        };
        let index = &self.stores().index;
        let found = self.read(ctx, tenant, |limit| index.aggregate(tenant, request, limit)).await?;
        let series = found.series.into_iter().map(|s| MetricSeries { source: s.source, values: s.values });
        Ok((series.collect(), found.extremes))
    }
}

/// A question, made sound.
struct Asked {
    metric: String,
    sources: Vec<SourceKey>,
    aggregate: Aggregate,
    range: TimeRange,
    step: u32,
    edges: Vec<Timestamp>,
}

impl Asked {
    /// Seconds east of UTC in the whole window, where rollups can be cut into these steps. Before the minutes that are
    /// kept there are whole hours of UTC alone: no half hours, nor hours of a zone half an hour off.
    fn rollup_offset(&self, zone: &Zone, now: Timestamp) -> Option<i64> {
        let (first, last) = (self.edges.first()?, self.edges.last()?);
        let offset = zone.offset_at(*first);
        let steady = self.edges.iter().all(|edge| zone.offset_at(*edge) == offset);
        let old = first.as_nanos() < now.as_nanos() - MINUTES_KEPT_NANOS && last > first;
        let fits = self.step >= 60 && self.step.is_multiple_of(60) && self.step < WEEK_SECS;
        let hours = self.step.is_multiple_of(3_600) && offset % 3_600 == 0;
        (steady && fits && (hours || !old)).then_some(offset)
    }

    fn rollup(&self, tenant: &TenantId, offset_secs: i64) -> RollupQuery {
        let minute = |nanos: i64| Timestamp::from_nanos(nanos.saturating_mul(MINUTE_NANOS));
        let (from, to) = (self.range.from.as_nanos(), self.range.to.as_nanos());
        RollupQuery {
            tenant: tenant.clone(),
            metric: self.metric.replace('.', "/"),
            sources: self.sources.clone(),
            aggregate: self.aggregate,
            range: TimeRange {
                from: minute(from.div_euclid(MINUTE_NANOS)),
                to: minute(to.saturating_add(MINUTE_NANOS - 1).div_euclid(MINUTE_NANOS)),
            },
            step_secs: self.step,
            offset_secs,
        }
    }

    /// How many values each source has in the window: one row a source, two where the step's edge falls into it.
    fn rollup_counts(&self, tenant: &TenantId) -> RollupQuery {
        let query = self.rollup(tenant, 0);
        let minutes = u32::try_from(query.range.nanos() / MINUTE_NANOS).unwrap_or(u32::MAX / 60);
        RollupQuery { aggregate: Aggregate::Count, step_secs: minutes.max(1).saturating_mul(60), ..query }
    }

    /// The same over one bucket: for extremes alone.
    fn whole(&self) -> Self {
        Self {
            metric: self.metric.clone(),
            sources: self.sources.clone(),
            aggregate: Aggregate::Count,
            range: self.range,
            step: self.step,
            edges: vec![self.range.from, self.range.to],
        }
    }
}

/// The sources with the most values, at most 20.
fn fullest(counts: Vec<(SourceKey, Timestamp, f64)>) -> Vec<SourceKey> {
    let mut by_source = BTreeMap::<SourceKey, f64>::new();
    for (source, _, count) in counts {
        *by_source.entry(source).or_default() += count;
    }
    let mut sources: Vec<_> = by_source.into_iter().collect();
    sources.sort_by(|a, b| b.1.total_cmp(&a.1));
    sources.truncate(MOST_SERIES);
    sources.into_iter().map(|(source, _)| source).collect()
}

/// Points as lines, by source.
fn lines(points: Vec<(SourceKey, Timestamp, f64)>, edges: &[Timestamp]) -> Vec<MetricSeries> {
    let buckets = edges.len().saturating_sub(1);
    let mut by_source = BTreeMap::<SourceKey, Vec<Option<f64>>>::new();
    for (source, at, value) in points {
        let place = edges.partition_point(|edge| *edge <= at).saturating_sub(1);
        let line = by_source.entry(source).or_insert_with(|| vec![None; buckets]);
        if let Some(slot) = line.get_mut(place) {
            *slot = Some(value);
        }
    }
    by_source.into_iter().map(|(source, values)| MetricSeries { source, values }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: i64, to: i64, step: u32, zone: &Zone) -> Asked {
        let range = TimeRange { from: Timestamp::from_secs(from), to: Timestamp::from_secs(to) };
        Asked {
            metric: "a.b".to_owned(),
            sources: vec![],
            aggregate: Aggregate::Avg,
            range,
            step,
            edges: edges(range, step, zone),
        }
    }

    #[test]
    fn rollups_are_asked_only_what_they_can_answer() {
        let (seoul, new_york) =
            (Zone::named("Asia/Seoul").unwrap(), Zone::named("America/New_York").unwrap());
        // 2026-03-08T07:00Z: New York's clocks go forward.
        let change = 1_772_953_200;
        let now = Timestamp::from_secs(change + 86_400);
        let check = |zone: &Zone, from: i64, to: i64, step, expect| {
            assert_eq!(asked(change + from, change + to, step, zone).rollup_offset(zone, now), expect);
        };
        check(&seoul, -3_600, 3_600, 60, Some(32_400));
        check(&seoul, -3_600, 3_600, 30, None);
        check(&seoul, -3_600, 3_600, 90, None);
        check(&new_york, -3_600, 3_600, 60, None);
        check(&new_york, 3_600, 7_200, 60, Some(-14_400));
        check(&seoul, -40 * 86_400, 0, 600, None);
        check(&seoul, -40 * 86_400, 0, 3_600, Some(32_400));
        check(&seoul, -40 * 86_400, 0, 5_400, None);
        check(&seoul, -400 * 86_400, 0, WEEK_SECS, None);
        let kolkata = Zone::named("Asia/Kolkata").unwrap();
        check(&kolkata, -20 * 86_400, 0, 3_600, Some(19_800));
        check(&kolkata, -40 * 86_400, 0, 3_600, None);
    }

    #[test]
    fn minutes_that_touch_the_window_are_read() {
        let tenant = TenantId::new("t_1").unwrap();
        let query = asked(61, 125, 60, &Zone::utc()).rollup(&tenant, 0);
        assert_eq!((query.range.from.as_secs(), query.range.to.as_secs()), (60, 180));
        assert_eq!(query.metric, "a/b");
    }

    #[test]
    fn the_fullest_lines_stay_and_gaps_are_gaps() {
        let key = |i: i32| SourceKey::new(&format!("s{i:02}")).unwrap();
        let at = Timestamp::from_secs(0);
        let counts = (0..25).flat_map(|i| [(key(i), at, 1.0), (key(i), at, f64::from(i % 13))]).collect();
        let found = fullest(counts);
        assert_eq!((found.len(), &found[0], &found[1]), (MOST_SERIES, &key(12), &key(11)));
        assert!(!found.contains(&key(0)) && !found.contains(&key(13)));

        let edges: Vec<_> = (0..=3).map(|i| Timestamp::from_secs(i * 60)).collect();
        let points = vec![(key(2), edges[0], 1.0), (key(1), edges[1], 5.0), (key(2), edges[2], 2.0)];
        let lines = lines(points, &edges);
        let values: Vec<_> = lines.iter().map(|line| (&line.source, line.values.clone())).collect();
        assert_eq!(
            values,
            [(&key(1), vec![None, Some(5.0), None]), (&key(2), vec![Some(1.0), None, Some(2.0)])]
        );
    }
}
