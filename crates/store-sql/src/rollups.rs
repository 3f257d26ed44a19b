//! Reads of rollups: minutes as long as they are kept, hours from before.

use crate::dialect::placeholders;
use crate::pool::Pool;
use crate::row::Row;
use crate::sources::{IDS, MINUTE, minute_of};
use crate::value::{Value, values};
use domain::api::Aggregate;
use domain::{SourceKey, Timestamp};
use std::collections::{BTreeMap, HashMap};
use store::sql::SqlResult;
use store::sql::sources::RollupQuery;

const SECOND: i64 = 1_000_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Both tables, with the length of their steps.
const TABLES: [(&str, i64); 2] = [("rollup_minutes", MINUTE), ("rollup_hours", HOUR)];

/// The start of a row's step, of the shift and the length that are bound. Cast, as MySQL would take them for decimals;
/// to SQLite it is the number it was.
const STEP: &str = "step_start - ((step_start + CAST(? AS SIGNED)) % CAST(? AS SIGNED))";

/// What sums are divided by before they are added up, and multiplied by after: MySQL makes a sum beyond what a double
/// holds 0. A power of two, so that nothing is rounded.
const SCALE: f64 = 4_294_967_296.0;

/// The sum of a group of rows, divided; none where one of them has none.
const SCALED_SUM: &str = "CASE WHEN COUNT(value_sum) = COUNT(*) THEN SUM(value_sum / 4294967296e0) END";

/// The series a query is about.
async fn series(pool: &Pool, query: &RollupQuery) -> SqlResult<HashMap<i64, SourceKey>> {
    const SELECT: &str = "SELECT s.series_id, k.source_key FROM series s JOIN source_ids k ON k.source_id = s.source_id \
                          WHERE s.tenant_key = ? AND s.metric = ?";
    let bound = values![&query.tenant, query.metric.as_str()];
    let mut rows = Vec::new();
    if query.sources.is_empty() {
        rows = pool.chart_rows(SELECT, bound).await?;
    } else {
        for chunk in query.sources.chunks(IDS) {
            let mut sql = format!("{SELECT} AND k.source_key IN (");
            placeholders(&mut sql, chunk.len());
            sql.push(')');
            let bound = bound.iter().cloned().chain(chunk.iter().map(Value::from)).collect();
            rows.extend(pool.chart_rows(sql, bound).await?);
        }
    }
    rows.iter().map(|row| Ok((row.int(0)?, row.source(1)?))).collect()
}

/// `series_id IN (…) AND step_start >= ? AND step_start < ?` and its values.
fn window(ids: &[i64], query: &RollupQuery, length: i64) -> (String, Vec<Value>) {
    let mut sql = String::from("series_id IN (");
    placeholders(&mut sql, ids.len());
    sql.push_str(") AND step_start >= ? AND step_start < ?");
    let first = query.range.from.as_nanos().div_euclid(length).saturating_mul(length);
    let bound = ids.iter().map(|id| Value::Int(*id)).chain(values![first, query.range.to]).collect();
    (sql, bound)
}

/// One step of one series, as far as read.
#[derive(Default)]
struct Step {
    count: u64,
    /// `None` once it went beyond what a double holds.
    sum: Option<f64>,
    min: f64,
    max: f64,
    last: (f64, i64),
}

impl Step {
    fn merge(&mut self, row: &Row) -> SqlResult<()> {
        let (count, sum) = (row.count(2)?, row.opt_real(3)?.map(|sum| sum * SCALE));
        let (min, max) = (row.real(4)?, row.real(5)?);
        let last = (row.real(6)?, row.int(7)?);
        if self.count == 0 {
            *self = Self { count, sum, min, max, last };
            return Ok(());
        }
        self.count += count;
        self.sum = self.sum.zip(sum).map(|(a, b)| a + b);
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        if last.1 >= self.last.1 {
            self.last = last;
        }
        Ok(())
    }

    fn value(&self, aggregate: Aggregate) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of values stay below 2^53")]
        let count = self.count as f64;
        let value = match aggregate {
            Aggregate::Avg => self.sum? / count,
            Aggregate::Sum => self.sum?,
            Aggregate::Count => count,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Last => self.last.0,
        };
        value.is_finite().then_some(value)
    }
}

/// Points by source and step, in that order.
pub(crate) async fn steps(pool: &Pool, query: &RollupQuery) -> SqlResult<Vec<(SourceKey, Timestamp, f64)>> {
    let series = series(pool, query).await?;
    let ids: Vec<i64> = series.keys().copied().collect();
    let step = i64::from(query.step_secs.max(60)).saturating_mul(SECOND);
    // A whole number of steps beyond the zone's greatest offset keeps the remainder from being negative.
    let shift = query.offset_secs.saturating_mul(SECOND) + (DAY / step + 1) * step;
    let mut points = BTreeMap::<(&SourceKey, i64), Step>::new();
    for ids in ids.chunks(IDS) {
        for (table, length) in TABLES {
            let (condition, window) = window(ids, query, length);
            // Only `last` needs the latest row of a step; the windowed read costs a sort.
            let rows = if query.aggregate == Aggregate::Last {
                let sql = format!(
                    "SELECT series_id, step, value_count, NULL, min_value, max_value, `last_value`, last_ts FROM (SELECT \
                     series_id, {STEP} AS step, value_count, min_value, max_value, `last_value`, last_ts, ROW_NUMBER() \
                     OVER (PARTITION BY series_id, {STEP} ORDER BY last_ts DESC) AS place FROM {table} WHERE \
                     {condition}) AS placed WHERE place = 1"
                );
                pool.chart_rows(sql, values![shift, step, shift, step].into_iter().chain(window).collect())
                    .await?
            } else {
                let sql = format!(
                    "SELECT series_id, {STEP} AS step, CAST(SUM(value_count) AS SIGNED), {SCALED_SUM}, MIN(min_value), \
                     MAX(max_value), 0e0, 0 FROM {table} WHERE {condition} GROUP BY series_id, step"
                );
                pool.chart_rows(sql, values![shift, step].into_iter().chain(window).collect()).await?
            };
            for row in rows {
                if let Some(source) = series.get(&row.int(0)?) {
                    points.entry((source, row.int(1)?)).or_default().merge(&row)?;
                }
            }
        }
    }
    let value = |(source, at): (&SourceKey, i64), step: &Step| {
        Some((source.clone(), Timestamp::from_nanos(at), step.value(query.aggregate)?))
    };
    Ok(points.iter().filter_map(|(key, step)| value(*key, step)).collect())
}

/// Least and greatest value, each with its first time.
pub(crate) async fn extremes(
    pool: &Pool,
    query: &RollupQuery,
) -> SqlResult<Option<(f64, Timestamp, f64, Timestamp)>> {
    let ids: Vec<i64> = series(pool, query).await?.into_keys().collect();
    let (mut least, mut greatest) = (None::<(f64, Timestamp)>, None::<(f64, Timestamp)>);
    for ids in ids.chunks(IDS) {
        for (table, length) in TABLES {
            let (condition, window) = window(ids, query, length);
            let first = async |order: &str, column: &str| {
                let sql = format!(
                    "SELECT {column}_value, {column}_ts FROM {table} WHERE {condition} ORDER BY {column}_value {order}, \
                     {column}_ts LIMIT 1"
                );
                let rows = pool.chart_rows(sql, window.clone()).await?;
                rows.first().map(|row| SqlResult::Ok((row.real(0)?, row.time(1)?))).transpose()
            };
            if let Some(found) = first("ASC", "min").await? {
                least = Some(least.filter(|it| (it.0, it.1) <= found).unwrap_or(found));
            }
            if let Some(found) = first("DESC", "max").await? {
                greatest = Some(greatest.filter(|it| (-it.0, it.1) <= (-found.0, found.1)).unwrap_or(found));
            }
        }
    }
    Ok(least.zip(greatest).map(|(min, max)| (min.0, min.1, max.0, max.1)))
}

/// The start of the hour of an instant.
pub(crate) fn hour_of(at: Timestamp) -> i64 {
    minute_of(at).div_euclid(HOUR).saturating_mul(HOUR)
}
