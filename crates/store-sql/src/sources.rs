//! The registry of sources, arrivals, latest values.

use crate::SqlDatabase;
use crate::dialect::placeholders;
use crate::fault::{Attempt, retrying, unreadable};
use crate::names;
use crate::rollups;
use crate::row::Row;
use crate::value::{Value, values};
use async_trait::async_trait;
use domain::api::LatestValue;
use domain::{SourceKey, TenantId, TimeRange, Timestamp};
use std::collections::{BTreeMap, HashSet};
use store::sql::sources::{RollupQuery, SourceFilter};
use store::sql::{SourceRow, Sources, SqlError, SqlResult};

pub(crate) const MINUTE: i64 = 60 * 1_000_000_000;
/// Numbers in one `IN`.
pub(crate) const IDS: usize = 500;

macro_rules! select_sources {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_key, source_key, name, kind, attributes, offline_after_secs, created_at, first_seen, ",
            "last_seen, protocol, events, bytes, ts_min, ts_max FROM sources ",
            $rest
        )
    };
}

/// What a search looks into.
pub(crate) fn search_text(key: &SourceKey, name: &str, kind: &str) -> String {
    format!("{key}\n{name}\n{kind}").to_lowercase()
}

fn source_row(row: &Row) -> SqlResult<SourceRow> {
    let attributes: BTreeMap<String, String> = serde_json::from_str(&row.text(4)?).map_err(unreadable)?;
    Ok(SourceRow {
        tenant: row.tenant(0)?,
        key: row.source(1)?,
        name: row.text(2)?,
        kind: row.text(3)?,
        attributes,
        offline_after_secs: row.small(5)?,
        created_at: row.time(6)?,
        first_seen: row.opt_time(7)?,
        last_seen: row.opt_time(8)?,
        protocol: row.opt_text(9)?,
        events: row.count(10)?,
        bytes: row.count(11)?,
        ts_min: row.opt_time(12)?,
        ts_max: row.opt_time(13)?,
    })
}

fn attributes_text(source: &SourceRow) -> SqlResult<String> {
    serde_json::to_string(&source.attributes).map_err(unreadable)
}

/// The condition of a filter, and its values.
fn condition(tenant: &TenantId, filter: &SourceFilter) -> (String, Vec<Value>) {
    let mut sql = String::from("tenant_key = ?");
    let mut bound = values![tenant];
    if !filter.search.is_empty() {
        sql.push_str(" AND INSTR(search_text, ?) > 0");
        bound.push(filter.search.to_lowercase().into());
    }
    if let Some(since) = filter.seen_since {
        sql.push_str(" AND last_seen >= ?");
        bound.push(since.into());
    }
    if let Some(since) = filter.silent_since {
        sql.push_str(" AND last_seen < ?");
        bound.push(since.into());
    }
    if filter.unseen_only {
        sql.push_str(" AND last_seen IS NULL");
    }
    (sql, bound)
}

/// The start of the minute of an instant.
pub(crate) fn minute_of(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(MINUTE).saturating_mul(MINUTE)
}

impl SqlDatabase {
    async fn delete_source_once(&self, tenant: &TenantId, key: &SourceKey) -> Attempt<()> {
        let mut tx = self.pool.begin().await?;
        let of_source = "SELECT s.series_id FROM series s JOIN source_ids k ON k.source_id = s.source_id WHERE \
                         k.tenant_key = ? AND k.source_key = ?";
        let series = tx.rows(of_source, values![tenant, key]).await?;
        let series = series.iter().map(|row| Ok(Value::Int(row.int(0)?))).collect::<SqlResult<Vec<_>>>()?;
        // Not by a subquery: MariaDB would run it for each latest value there is.
        for chunk in series.chunks(IDS) {
            let mut sql = String::from("DELETE FROM latest_values WHERE series_id IN (");
            placeholders(&mut sql, chunk.len());
            sql.push(')');
            tx.run(sql, chunk.to_vec()).await?;
        }
        let gone = tx
            .run("DELETE FROM sources WHERE tenant_key = ? AND source_key = ?", values![tenant, key])
            .await?;
        tx.commit().await?;
        if gone == 0 { Err(SqlError::NotFound.into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Sources for SqlDatabase {
    async fn create_source(&self, source: &SourceRow) -> SqlResult<()> {
        let wanted = HashSet::from([(&source.tenant, &source.key)]);
        let ids = self.names.sources(&self.pool, wanted).await?;
        let id = ids[&(&source.tenant, &source.key)];
        let sql = "INSERT INTO sources (source_id, tenant_key, source_key, name, kind, attributes, search_text, \
                   offline_after_secs, created_at, first_seen, last_seen, protocol, events, bytes, ts_min, ts_max) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            id,
            &source.tenant,
            &source.key,
            source.name.as_str(),
            source.kind.as_str(),
            attributes_text(source)?,
            search_text(&source.key, &source.name, &source.kind),
            source.offline_after_secs,
            source.created_at,
            source.first_seen,
            source.last_seen,
            source.protocol.as_deref(),
            source.events,
            source.bytes,
            source.ts_min,
            source.ts_max,
        ];
        match self.pool.run(sql, values, &["source_id", "source_key", "PRIMARY"]).await {
            Err(SqlError::Conflict(_)) => Err(SqlError::Conflict("key")),
            done => done.map(|_| ()),
        }
    }

    async fn update_source(&self, source: &SourceRow) -> SqlResult<()> {
        let sql = "UPDATE sources SET name = ?, kind = ?, attributes = ?, search_text = ?, offline_after_secs = ? \
                   WHERE tenant_key = ? AND source_key = ?";
        let values = values![
            source.name.as_str(),
            source.kind.as_str(),
            attributes_text(source)?,
            search_text(&source.key, &source.name, &source.kind),
            source.offline_after_secs,
            &source.tenant,
            &source.key,
        ];
        let changed = self.pool.run(sql, values, &[]).await?;
        // A driver may count a row that was found but not changed as none.
        if changed == 0 && self.source(&source.tenant, &source.key).await?.is_none() {
            return Err(SqlError::NotFound);
        }
        Ok(())
    }

    async fn delete_source(&self, tenant: &TenantId, key: &SourceKey) -> SqlResult<()> {
        retrying(|| self.delete_source_once(tenant, key)).await
    }

    async fn source(&self, tenant: &TenantId, key: &SourceKey) -> SqlResult<Option<SourceRow>> {
        let sql = select_sources!("WHERE tenant_key = ? AND source_key = ?");
        self.pool.row(sql, values![tenant, key]).await?.map(|row| source_row(&row)).transpose()
    }

    async fn sources(&self, tenant: &TenantId, filter: &SourceFilter) -> SqlResult<(Vec<SourceRow>, u64)> {
        let (condition, bound) = condition(tenant, filter);
        let mut total = None;
        if !filter.uncounted {
            let count = format!("SELECT COUNT(*) FROM sources WHERE {condition}");
            total = Some(self.pool.row(count, bound.clone()).await?.map_or(Ok(0), |row| row.count(0))?);
        }
        // As an index has them. What was never seen is NULL, which both dialects put last.
        let order = if filter.by_last_seen { "last_seen DESC, source_key" } else { "source_key" };
        let sql =
            format!("{} WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?", select_sources!("").trim_end());
        let mut bound = bound;
        bound.extend([filter.limit.into(), filter.skip.into()]);
        let rows = self.pool.rows(sql, bound).await?;
        let total = total.unwrap_or(rows.len() as u64);
        Ok((rows.iter().map(source_row).collect::<SqlResult<_>>()?, total))
    }

    async fn source_keys(
        &self,
        tenant: &TenantId,
        after: Option<&SourceKey>,
        limit: u32,
    ) -> SqlResult<Vec<SourceKey>> {
        // A key has a byte at least, so that the empty text stands before all.
        let sql = "SELECT source_key FROM source_ids WHERE tenant_key = ? AND source_key > ? ORDER BY source_key LIMIT ?";
        let after = after.map_or("", SourceKey::as_str);
        let rows = self.pool.rows(sql, values![tenant, after, limit]).await?;
        rows.iter().map(|row| row.source(0)).collect()
    }

    async fn source_counts(&self, tenant: &TenantId, now: Timestamp) -> SqlResult<(u64, u64, u64)> {
        let sql = "SELECT COUNT(*), COUNT(last_seen), CAST(COALESCE(SUM(CASE WHEN last_seen >= CAST(? AS SIGNED) - \
                   offline_after_secs * 1000000000 THEN 1 ELSE 0 END), 0) AS SIGNED) FROM sources WHERE tenant_key = ?";
        let Some(row) = self.pool.row(sql, values![now, tenant]).await? else { return Ok((0, 0, 0)) };
        let (all, seen, online) = (row.count(0)?, row.count(1)?, row.count(2)?);
        Ok((online, seen - online, all - seen))
    }

    async fn arrivals(
        &self,
        tenant: &TenantId,
        sources: &[SourceKey],
        range: TimeRange,
    ) -> SqlResult<Vec<(SourceKey, Timestamp, u64)>> {
        const SELECT: &str = "SELECT k.source_key, a.arrival_minute, CAST(SUM(a.events) AS SIGNED) FROM source_ids k JOIN \
                              source_arrivals a ON a.source_id = k.source_id WHERE k.tenant_key = ? AND \
                              a.arrival_minute >= ? AND a.arrival_minute < ?";
        const ORDER: &str =
            " GROUP BY k.source_key, a.arrival_minute ORDER BY k.source_key, a.arrival_minute";
        let bound = values![tenant, minute_of(range.from), range.to];
        let mut rows = Vec::new();
        if sources.is_empty() {
            rows = self.pool.chart_rows(format!("{SELECT}{ORDER}"), bound).await?;
        } else {
            for chunk in sources.chunks(IDS) {
                let mut sql = format!("{SELECT} AND k.source_key IN (");
                placeholders(&mut sql, chunk.len());
                sql.push(')');
                sql.push_str(ORDER);
                let bound = bound.iter().cloned().chain(chunk.iter().map(Value::from)).collect();
                rows.extend(self.pool.chart_rows(sql, bound).await?);
            }
        }
        rows.iter().map(|row| Ok((row.source(0)?, row.time(1)?, row.count(2)?))).collect()
    }

    async fn inflow(&self, tenant: &TenantId, range: TimeRange) -> SqlResult<Vec<(Timestamp, u8, u64, u64)>> {
        let sql = "SELECT arrival_minute, level_rank, events, bytes FROM tenant_arrivals WHERE tenant_key = ? AND \
                   arrival_minute >= ? AND arrival_minute < ? ORDER BY arrival_minute, level_rank";
        let rows = self.pool.chart_rows(sql, values![tenant, minute_of(range.from), range.to]).await?;
        rows.iter()
            .map(|row| {
                let level = u8::try_from(row.int(1)?).map_err(unreadable)?;
                Ok((row.time(0)?, level, row.count(2)?, row.count(3)?))
            })
            .collect()
    }

    async fn latest_values(&self, tenant: &TenantId, source: &SourceKey) -> SqlResult<Vec<LatestValue>> {
        let Some((_, id)) = names::source_ids(&self.pool, tenant, &[source]).await?.pop() else {
            return Ok(vec![]);
        };
        let sql = "SELECT s.metric, l.latest_value, l.latest_ts FROM series s JOIN latest_values l ON l.series_id = \
                   s.series_id WHERE s.source_id = ? ORDER BY s.metric";
        let rows = self.pool.rows(sql, values![id]).await?;
        rows.iter()
            .map(|row| {
                Ok(LatestValue {
                    metric: row.text(0)?.replace('/', "."),
                    value: row.real(1)?,
                    ts: row.time(2)?,
                })
            })
            .collect()
    }

    async fn rollup(&self, query: &RollupQuery) -> SqlResult<Vec<(SourceKey, Timestamp, f64)>> {
        rollups::steps(&self.pool, query).await
    }

    async fn rollup_extremes(
        &self,
        query: &RollupQuery,
    ) -> SqlResult<Option<(f64, Timestamp, f64, Timestamp)>> {
        rollups::extremes(&self.pool, query).await
    }
}
