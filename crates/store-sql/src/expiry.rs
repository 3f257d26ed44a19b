//! What is no longer kept: old minutes become hours, the rest goes. In short transactions, so that flushes get
//! between them.
//!
//! By rows, on MySQL too, where partitions by time could be dropped at once:
//!
//! - minutes must become hours in the transaction that removes them, or a stop in between counts them twice; MySQL
//!   commits by itself before and after `DROP PARTITION`. So every row is read and removed before its partition could
//!   be dropped;
//! - minutes and hours are placed by the event's own time, which may lie years back or ahead, and hours go by their
//!   tenant's retention class: the rows of one period do not go together;
//! - streams and given ids are unique without their time, and a partition's column must be in every unique key.
//!
//! Reads gain nothing from partitions either: the keys start with the series, and a window is one range of it.

use crate::dialect::placeholders;
use crate::fault::{Attempt, Fault, retrying};
use crate::pipeline::{ROLLUP_HOURS, rollup_values};
use crate::pool::Pool;
use crate::rollups::{HOUR, hour_of};
use crate::row::Row;
use crate::sources::{IDS, minute_of};
use crate::value::{Value, values};
use domain::Timestamp;
use std::collections::BTreeMap;
use store::index::layout::Class;
use store::sql::{MetricPoint, SqlResult};

/// Minutes folded in one transaction.
const MINUTES: u32 = 20_000;
/// Rows removed in one statement, about: those of the same time go together.
const ROWS: u32 = 20_000;

/// Everything that [`store::sql::Pipeline::expire`] says.
pub(crate) async fn expire(
    pool: &Pool,
    minute_before: Timestamp,
    arrivals_before: Timestamp,
    ids_before: Timestamp,
) -> SqlResult<u64> {
    Ok(minutes_to_hours(pool, minute_before).await?
        + hours(pool, Timestamp::now()).await?
        + arrivals(pool, arrivals_before).await?
        + seen(pool, ids_before).await?)
}

/// Folds minutes of hours that ended before an instant into those hours; answers how many minutes went.
async fn minutes_to_hours(pool: &Pool, before: Timestamp) -> SqlResult<u64> {
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
    let condition = format!("{} AND step_start < ?", one_of("series_id", series.len()));
    let bound: Vec<Value> = series.iter().map(|id| Value::Int(*id)).chain([before.into()]).collect();

    // Mostly there is nothing to do: found out without the writer.
    let any = format!("SELECT 1 FROM rollup_minutes WHERE {condition} LIMIT 1");
    if pool.row(any, bound.clone()).await?.is_none() {
        return Ok(0);
    }
    retrying(|| fold_once(pool, &condition, &bound)).await
}

async fn fold_once(pool: &Pool, condition: &str, bound: &[Value]) -> Attempt<u64> {
    let mut tx = pool.begin().await?;
    let select = format!(
        "SELECT series_id, step_start, value_count, value_sum, min_value, min_ts, max_value, max_ts, `last_value`, \
         last_ts FROM rollup_minutes WHERE {condition} ORDER BY series_id, step_start LIMIT {MINUTES}{}",
        tx.dialect().for_update()
    );
    let rows = tx.rows(select, bound.to_vec()).await?;
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
    let gone = tx.run(delete, bound.iter().cloned().chain(until).collect()).await?;
    if gone != rows.len() as u64 {
        // What was read is held, what was not there is not: a late minute came in between, and is in no hour yet.
        return Err(Fault::Contended("a minute was added while its hour was folded".to_owned()));
    }
    tx.commit().await?;
    Ok(gone)
}

/// Rows before an instant, to be removed about [`ROWS`] at a time: a statement holds the only writer.
struct Old<'a> {
    table: &'static str,
    /// Narrows the rows down to a few ids, and its values; may be empty.
    among: (String, &'a [Value]),
    /// Whole numbers by which an index has the rows in order; the last is the time.
    key: &'static [&'static str],
    before: i64,
}

impl Old<'_> {
    fn condition(&self) -> (String, Vec<Value>) {
        let time = self.key.last().copied().unwrap_or_default();
        let among = &self.among.0;
        let and = if among.is_empty() { "" } else { " AND " };
        let bound = self.among.1.iter().cloned().chain([self.before.into()]).collect();
        (format!("{among}{and}{time} < ?"), bound)
    }

    /// Up to and with a row.
    fn until(&self, row: &Row) -> SqlResult<(String, Vec<Value>)> {
        let at = (0..self.key.len()).map(|at| row.int(at)).collect::<SqlResult<Vec<_>>>()?;
        Ok(match (self.key, &at[..]) {
            ([group, time], [in_group, at]) => (
                format!(" AND ({group} < ? OR ({group} = ? AND {time} <= ?))"),
                values![*in_group, *in_group, *at],
            ),
            (key, at) => {
                let bound = at.iter().map(|it| Value::Int(*it)).collect();
                (key.iter().map(|column| format!(" AND {column} <= ?")).collect(), bound)
            }
        })
    }

    async fn remove(&self, pool: &Pool) -> SqlResult<u64> {
        let (table, key) = (self.table, self.key.join(", "));
        let (condition, bound) = self.condition();
        // Mostly there is nothing to do: found out without the writer.
        let any = format!("SELECT 1 FROM {table} WHERE {condition} LIMIT 1");
        if pool.row(any, bound.clone()).await?.is_none() {
            return Ok(0);
        }
        let edge =
            format!("SELECT {key} FROM {table} WHERE {condition} ORDER BY {key} LIMIT 1 OFFSET {}", ROWS - 1);
        let mut gone = 0;
        while let Some(row) = pool.row(edge.clone(), bound.clone()).await? {
            let (until, at) = self.until(&row)?;
            let some = format!("DELETE FROM {table} WHERE {condition}{until}");
            gone += pool.run(some, bound.iter().cloned().chain(at).collect(), &[]).await?;
        }
        let rest = format!("DELETE FROM {table} WHERE {condition}");
        Ok(gone + pool.run(rest, bound, &[]).await?)
    }
}

/// `column IN (?,…)`.
fn one_of(column: &str, count: usize) -> String {
    let mut condition = format!("{column} IN (");
    placeholders(&mut condition, count);
    condition.push(')');
    condition
}

/// Drops hours that a tenant's retention class no longer covers at an instant. Those of a class or a tenant that is
/// not known stay.
async fn hours(pool: &Pool, now: Timestamp) -> SqlResult<u64> {
    let mut gone = 0;
    let mut after = 0;
    loop {
        let sql = format!(
            "SELECT s.series_id, t.retention_class FROM series s LEFT JOIN tenants t ON t.tenant_key = s.tenant_key \
             WHERE s.series_id > ? ORDER BY s.series_id LIMIT {IDS}"
        );
        let rows = pool.rows(sql, values![after]).await?;
        let Some(last) = rows.last() else { return Ok(gone) };
        after = last.int(0)?;
        let mut by_class = BTreeMap::<String, Vec<Value>>::new();
        for row in &rows {
            if let Some(class) = row.opt_text(1)? {
                by_class.entry(class).or_default().push(row.int(0)?.into());
            }
        }
        for (class, series) in by_class {
            let Some(class) = Class::parse(&class) else { continue };
            let before = hour_of(now.plus_nanos(-class.days() * 24 * HOUR));
            let among = (one_of("series_id", series.len()), &series[..]);
            gone += Old { table: "rollup_hours", among, key: &["series_id", "step_start"], before }
                .remove(pool)
                .await?;
        }
    }
}

/// Drops arrivals of minutes before an instant.
async fn arrivals(pool: &Pool, before: Timestamp) -> SqlResult<u64> {
    let before = minute_of(before);
    let mut gone = 0;
    for row in pool.rows("SELECT DISTINCT tenant_key FROM source_ids", vec![]).await? {
        let tenant = values![row.text(0)?];
        let among = ("tenant_key = ?".to_owned(), &tenant[..]);
        gone +=
            Old { table: "tenant_arrivals", among, key: &["arrival_minute"], before }.remove(pool).await?;
    }
    let mut after = 0;
    loop {
        let sources = next_ids(pool, "source_ids", "source_id", after).await?;
        let Some(last) = sources.last() else { return Ok(gone) };
        after = *last;
        let sources: Vec<Value> = sources.into_iter().map(Value::Int).collect();
        let among = (one_of("source_id", sources.len()), &sources[..]);
        gone += Old { table: "source_arrivals", among, key: &["source_id", "arrival_minute"], before }
            .remove(pool)
            .await?;
    }
}

/// Drops given ids and streams not seen since an instant.
async fn seen(pool: &Pool, before: Timestamp) -> SqlResult<u64> {
    let mut gone = 0;
    for (table, key) in [("given_ids", &["seen_at"]), ("streams", &["seen_until"])] {
        let among = (String::new(), &[][..]);
        gone += Old { table, among, key, before: before.as_nanos() }.remove(pool).await?;
    }
    Ok(gone)
}
