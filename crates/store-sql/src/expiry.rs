//! What is no longer kept: old minutes become hours, the rest goes. In short transactions, so that flushes get
//! between them.

use crate::dialect::placeholders;
use crate::pipeline::{ROLLUP_HOURS, rollup_values};
use crate::pool::{Pool, Row, Value, values};
use crate::rollups::hour_of;
use crate::sources::{IDS, minute_of};
use domain::Timestamp;
use std::collections::BTreeMap;
use store::sql::{MetricPoint, SqlResult};

/// Minutes folded in one transaction.
const MINUTES: u32 = 20_000;

/// Folds minutes of hours that ended before an instant into those hours; answers how many minutes went.
pub(crate) async fn minutes_to_hours(pool: &Pool, before: Timestamp) -> SqlResult<u64> {
    let before = hour_of(before);
    let mut gone = 0;
    let mut after = 0;
    loop {
        let series = next_ids(pool, "series", "series_id", after).await?;
        let Some(last) = series.last() else { return Ok(gone) };
        after = *last;
        loop {
            let folded = fold_some(pool, &series, before).await?;
            gone += folded;
            if folded < u64::from(MINUTES) {
                break;
            }
        }
    }
}

/// The next numbers of a table of names, in order.
async fn next_ids(pool: &Pool, table: &str, column: &str, after: i64) -> SqlResult<Vec<i64>> {
    let sql = format!("SELECT {column} FROM {table} WHERE {column} > ? ORDER BY {column} LIMIT {IDS}");
    pool.rows(sql, values![after]).await?.iter().map(|row| row.int(0)).collect()
}

fn point(row: &Row) -> SqlResult<MetricPoint> {
    Ok(MetricPoint {
        count: row.count(2)?,
        sum: row.opt_real(3)?.unwrap_or(f64::MAX),
        min: (row.real(4)?, row.time(5)?),
        max: (row.real(6)?, row.time(7)?),
        last: (row.real(8)?, row.time(9)?),
    })
}

/// Folds at most [`MINUTES`] of these series.
async fn fold_some(pool: &Pool, series: &[i64], before: i64) -> SqlResult<u64> {
    let mut condition = String::from("series_id IN (");
    placeholders(&mut condition, series.len());
    condition.push_str(") AND step_start < ?");
    let bound: Vec<Value> = series.iter().map(|id| Value::Int(*id)).chain([before.into()]).collect();

    // Mostly there is nothing to do: found out without the writer.
    let any = format!("SELECT 1 FROM rollup_minutes WHERE {condition} LIMIT 1");
    if pool.row(any, bound.clone()).await?.is_none() {
        return Ok(0);
    }
    let mut tx = pool.begin().await?;
    let select = format!(
        "SELECT series_id, step_start, value_count, value_sum, min_value, min_ts, max_value, max_ts, last_value, \
         last_ts FROM rollup_minutes WHERE {condition} ORDER BY series_id, step_start LIMIT {MINUTES}"
    );
    let rows = tx.rows(select, bound.clone()).await?;
    let mut hours = BTreeMap::<(i64, i64), MetricPoint>::new();
    let mut end = (0, 0);
    for row in &rows {
        end = (row.int(0)?, row.int(1)?);
        let minute = point(row)?;
        let hour = hour_of(Timestamp::from_nanos(end.1));
        hours.entry((end.0, hour)).and_modify(|it| it.merge(&minute)).or_insert(minute);
    }
    let folded = hours.iter().flat_map(|((series, hour), point)| rollup_values(*series, *hour, point));
    tx.upsert(&ROLLUP_HOURS, folded.collect()).await?;
    let delete = format!(
        "DELETE FROM rollup_minutes WHERE {condition} AND (series_id < ? OR (series_id = ? AND step_start <= ?))"
    );
    let until = values![end.0, end.0, end.1];
    let gone = tx.run(delete, bound.into_iter().chain(until).collect()).await?;
    tx.commit().await?;
    Ok(gone)
}

/// Drops arrivals of minutes before an instant.
pub(crate) async fn arrivals(pool: &Pool, before: Timestamp) -> SqlResult<u64> {
    let before = minute_of(before);
    let mut gone = pool
        .run(
            "DELETE FROM tenant_arrivals WHERE tenant_key IN (SELECT DISTINCT tenant_key FROM source_ids) AND \
             arrival_minute < ?",
            values![before],
            &[],
        )
        .await?;
    let mut after = 0;
    loop {
        let sources = next_ids(pool, "source_ids", "source_id", after).await?;
        let Some(last) = sources.last() else { return Ok(gone) };
        after = *last;
        let mut condition = String::from("source_id IN (");
        placeholders(&mut condition, sources.len());
        condition.push_str(") AND arrival_minute < ?");
        let bound: Vec<Value> = sources.iter().map(|id| Value::Int(*id)).chain([before.into()]).collect();
        let any = format!("SELECT 1 FROM source_arrivals WHERE {condition} LIMIT 1");
        if pool.row(any, bound.clone()).await?.is_some() {
            gone += pool.run(format!("DELETE FROM source_arrivals WHERE {condition}"), bound, &[]).await?;
        }
    }
}

/// Drops given ids and streams not seen since an instant.
pub(crate) async fn seen(pool: &Pool, before: Timestamp) -> SqlResult<u64> {
    let ids = pool.run("DELETE FROM given_ids WHERE seen_at < ?", values![before], &[]).await?;
    let streams = pool.run("DELETE FROM streams WHERE seen_until < ?", values![before], &[]).await?;
    Ok(ids + streams)
}
