//! What the processor writes, and what it resumes from.

use crate::SqlDatabase;
use crate::dialect::{Merge, Upsert, placeholders};
use crate::expiry;
use crate::fault::{Attempt, retrying};
use crate::names::{self, SourceIds};
use crate::pool::{Pool, Tx};
use crate::rollups::{HOUR, hour_of};
use crate::sources::{IDS, minute_of, search_text};
use crate::value::{Value, values};
use async_trait::async_trait;
use domain::{SourceKey, TenantId, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use store::broker::{Offset, Partition};
use store::sql::pipeline::Flushed;
use store::sql::{Flush, MetricPoint, Pipeline, SqlError, SqlResult, StreamPosition};

/// A source's interval until somebody sets another.
const OFFLINE_AFTER_SECS: u32 = 300;

/// The columns of a rollup table but for its key.
const ROLLUP: &[(&str, Merge)] = &[
    ("value_count", Merge::Add),
    ("value_sum", Merge::Sum),
    ("min_ts", Merge::TimeOfLeast("min_value")),
    ("min_value", Merge::Least),
    ("max_ts", Merge::TimeOfGreatest("max_value")),
    ("max_value", Merge::Greatest),
    // Quoted, for MySQL 8 has a function of that name; SQLite reads its quotes too.
    ("`last_value`", Merge::WithLater("last_ts")),
    ("last_ts", Merge::Greatest),
];
const ROLLUP_MINUTES: Upsert =
    Upsert { table: "rollup_minutes", key: &["series_id", "step_start"], columns: ROLLUP };
pub(crate) const ROLLUP_HOURS: Upsert =
    Upsert { table: "rollup_hours", key: &["series_id", "step_start"], columns: ROLLUP };
const LATEST_VALUES: Upsert = Upsert {
    table: "latest_values",
    key: &["series_id"],
    columns: &[("latest_value", Merge::WithLater("latest_ts")), ("latest_ts", Merge::Greatest)],
};
const SOURCES: Upsert = Upsert {
    table: "sources",
    key: &["source_id"],
    columns: &[
        ("tenant_key", Merge::Keep),
        ("source_key", Merge::Keep),
        ("name", Merge::Keep),
        ("kind", Merge::Keep),
        ("attributes", Merge::Keep),
        ("search_text", Merge::Keep),
        ("offline_after_secs", Merge::Keep),
        ("created_at", Merge::Keep),
        ("first_seen", Merge::Least),
        ("protocol", Merge::WithLater("last_seen")),
        ("last_seen", Merge::Greatest),
        ("events", Merge::Add),
        ("bytes", Merge::Add),
        ("ts_min", Merge::Least),
        ("ts_max", Merge::Greatest),
    ],
};
const SOURCE_ARRIVALS: Upsert = Upsert {
    table: "source_arrivals",
    key: &["source_id", "arrival_minute", "level_rank"],
    columns: &[("events", Merge::Add), ("bytes", Merge::Add)],
};
const TENANT_ARRIVALS: Upsert = Upsert {
    table: "tenant_arrivals",
    key: &["tenant_key", "arrival_minute", "level_rank"],
    columns: &[("events", Merge::Add), ("bytes", Merge::Add)],
};
const STREAMS: Upsert = Upsert {
    table: "streams",
    key: &["source_id", "stream_name"],
    columns: &[("last_seq", Merge::Greatest), ("seen_until", Merge::Greatest)],
};
const GIVEN_IDS: Upsert =
    Upsert { table: "given_ids", key: &["source_id", "given_id"], columns: &[("seen_at", Merge::Keep)] };
const FIRST_OFFSETS: Upsert = Upsert {
    table: "pipeline_offsets",
    key: &["topic", "partition_no"],
    columns: &[("next_offset", Merge::Keep)],
};
pub(crate) const OFFSETS: Upsert = Upsert {
    table: "pipeline_offsets",
    key: &["topic", "partition_no"],
    columns: &[("next_offset", Merge::Greatest)],
};

/// A row of a rollup table.
pub(crate) fn rollup_values(series: i64, start: i64, point: &MetricPoint) -> [Value; 10] {
    [
        series.into(),
        start.into(),
        point.count.into(),
        point.sum.into(),
        point.min.1.into(),
        point.min.0.into(),
        point.max.1.into(),
        point.max.0.into(),
        point.last.0.into(),
        point.last.1.into(),
    ]
}

/// What became of a flush before, by its offsets.
pub(crate) enum Before {
    New,
    Applied,
}

/// The stored offsets of some partitions. They stay as they are until the transaction ends: whoever else flushes one of
/// them waits.
async fn hold_offsets(
    tx: &mut Tx,
    topic: &str,
    offsets: &[(Partition, Offset)],
) -> Attempt<HashMap<Partition, Offset>> {
    let mut sql = String::from(
        "SELECT partition_no, next_offset FROM pipeline_offsets WHERE topic = ? AND partition_no IN (",
    );
    placeholders(&mut sql, offsets.len());
    sql.push_str(") ORDER BY partition_no");
    sql.push_str(tx.dialect().for_update());
    let mut bound = values![topic];
    bound.extend(offsets.iter().map(|(partition, _)| Value::from(*partition)));
    let rows = tx.rows(sql, bound).await?;
    Ok(rows.iter().map(|row| Ok((row.small(0)?, row.count(1)?))).collect::<SqlResult<_>>()?)
}

/// Whether a flush is new.
///
/// One whose commit was answered by a broken connection is sent again; its offsets tell. And one that does not begin
/// where the stored offsets are comes from a writer that lost the partition: what lies between is another's, and would
/// count twice. The rows of the offsets are held from here to the commit, so that of two writers one waits and then
/// finds that it is late. A lease would not do more: its holder may be paused between the look at it and the commit.
pub(crate) async fn applied_before(tx: &mut Tx, topic: &str, flush: &Flush) -> Attempt<Before> {
    let mut stored = hold_offsets(tx, topic, &flush.offsets).await?;
    let mut first: Vec<_> = flush.offsets.iter().filter(|(it, _)| !stored.contains_key(it)).collect();
    if !first.is_empty() {
        // What is not there cannot be held.
        first.sort_unstable();
        let rows = first.into_iter().flat_map(|(partition, _)| values![topic, *partition, 0_i64]);
        tx.upsert(&FIRST_OFFSETS, rows.collect()).await?;
        stored = hold_offsets(tx, topic, &flush.offsets).await?;
    }
    let starts: HashMap<_, _> = flush.starts.iter().copied().collect();
    let mut behind = 0;
    for (partition, next) in &flush.offsets {
        let stored = stored.get(partition).copied().unwrap_or(0);
        if stored > 0 && *next <= stored {
            behind += 1;
        } else if starts.get(partition).is_some_and(|start| *start != stored) {
            return Err(SqlError::Conflict("offset").into());
        }
    }
    match behind {
        0 => Ok(Before::New),
        all if all == flush.offsets.len() => Ok(Before::Applied),
        _ => Err(SqlError::Conflict("offset").into()),
    }
}

/// A flush as rows, in the order of the tables' keys.
struct Rows<'a> {
    ids: SourceIds<'a>,
    minutes: Vec<Value>,
    latest: Vec<Value>,
}

impl SqlDatabase {
    /// The numbers of every source a flush names.
    async fn sources_of<'a>(&self, flush: &'a Flush) -> SqlResult<SourceIds<'a>> {
        let wanted: HashSet<(&TenantId, &SourceKey)> = flush
            .rollups
            .iter()
            .map(|it| (&it.tenant, &it.source))
            .chain(flush.latest.iter().map(|(tenant, source, ..)| (tenant, source)))
            .chain(flush.sources.iter().map(|it| (&it.tenant, &it.source)))
            .chain(flush.streams.iter().map(|it| (&it.tenant, &it.source)))
            .chain(flush.given_ids.iter().map(|(tenant, source, ..)| (tenant, source)))
            .collect();
        self.names.sources(&self.pool, wanted).await
    }

    /// Rows of minutes and of latest values, sorted by key so that a page is written once.
    async fn metric_rows(&self, flush: &Flush, ids: &SourceIds<'_>) -> SqlResult<(Vec<Value>, Vec<Value>)> {
        let of_rollups = flush.rollups.iter().map(|it| (&it.tenant, &it.source, it.metric.as_str()));
        let of_latest =
            flush.latest.iter().map(|(tenant, source, metric, ..)| (tenant, source, metric.as_str()));
        let wanted: Vec<_> = of_rollups
            .chain(of_latest)
            .map(|(tenant, source, metric)| (tenant, ids[&(tenant, source)], metric))
            .collect();
        let series = self.names.series(&self.pool, wanted).await?;
        let (of_rollups, of_latest) = series.split_at(flush.rollups.len());
        let mut minutes: Vec<_> = of_rollups.iter().copied().zip(&flush.rollups).collect();
        minutes.sort_unstable_by_key(|(series, rollup)| (*series, rollup.minute));
        let mut latest: Vec<_> = of_latest.iter().copied().zip(&flush.latest).collect();
        latest.sort_unstable_by_key(|(series, row)| (*series, row.4));
        Ok((
            minutes
                .into_iter()
                .flat_map(|(series, it)| rollup_values(series, it.minute.as_nanos(), &it.point))
                .collect(),
            latest
                .into_iter()
                .flat_map(|(series, (_, _, _, value, ts))| [series.into(), (*value).into(), (*ts).into()])
                .collect(),
        ))
    }
}

/// What a batch adds to sources.
struct Heard {
    /// Heard from for the first time.
    new: Vec<(TenantId, SourceKey)>,
    /// Rows of the tenants' arrivals, not written yet: every process adds to the same ones, so that they are written
    /// last, and held for the shortest time.
    by_tenant: Vec<Value>,
}

impl SqlDatabase {
    async fn flush_once(&self, topic: &str, flush: &Flush, rows: &Rows<'_>) -> Attempt<Flushed> {
        let mut tx = self.pool.begin().await?;
        if !flush.offsets.is_empty()
            && let Before::Applied = applied_before(&mut tx, topic, flush).await?
        {
            return Ok(Flushed::default());
        }
        let heard = write_sources(&mut tx, flush, &rows.ids).await?;
        tx.upsert(&ROLLUP_MINUTES, rows.minutes.clone()).await?;
        tx.upsert(&LATEST_VALUES, rows.latest.clone()).await?;
        tx.upsert(&STREAMS, stream_rows(flush, &rows.ids)).await?;
        tx.upsert(&GIVEN_IDS, given_rows(flush, &rows.ids)).await?;
        let offsets = &flush.offsets;
        let offsets =
            offsets.iter().flat_map(|(partition, next)| values![topic, *partition, *next]).collect();
        tx.upsert(&OFFSETS, offsets).await?;
        tx.upsert(&TENANT_ARRIVALS, heard.by_tenant).await?;
        tx.commit().await?;
        Ok(Flushed { new_sources: heard.new })
    }
}

/// Writes what a batch adds to sources.
async fn write_sources(tx: &mut Tx, flush: &Flush, ids: &SourceIds<'_>) -> Attempt<Heard> {
    let mut deltas: Vec<_> = flush.sources.iter().map(|it| (ids[&(&it.tenant, &it.source)], it)).collect();
    deltas.sort_unstable_by_key(|(id, _)| *id);
    let mut heard = HashSet::new();
    for chunk in deltas.chunks(IDS) {
        let mut sql =
            String::from("SELECT source_id FROM sources WHERE first_seen IS NOT NULL AND source_id IN (");
        placeholders(&mut sql, chunk.len());
        sql.push(')');
        for row in tx.rows(sql, chunk.iter().map(|(id, _)| Value::Int(*id)).collect()).await? {
            heard.insert(row.int(0)?);
        }
    }
    let mut new_sources = Vec::new();
    let mut rows = Vec::with_capacity(deltas.len() * SOURCES.width());
    let mut by_source = Vec::new();
    let mut by_tenant = BTreeMap::<(&TenantId, i64, u8), (u64, u64)>::new();
    for (id, delta) in deltas {
        if heard.insert(id) {
            new_sources.push((delta.tenant.clone(), delta.source.clone()));
        }
        let (mut events, mut bytes) = (0, 0);
        for (minute, level, of_events, of_bytes) in &delta.arrivals {
            events += of_events;
            bytes += of_bytes;
            let minute = minute_of(*minute);
            by_source.extend(values![id, minute, u32::from(*level), *of_events, *of_bytes]);
            let sum = by_tenant.entry((&delta.tenant, minute, *level)).or_default();
            sum.0 += of_events;
            sum.1 += of_bytes;
        }
        rows.extend(values![
            id,
            &delta.tenant,
            &delta.source,
            "",
            "",
            "{}",
            search_text(&delta.source, "", ""),
            OFFLINE_AFTER_SECS,
            delta.received.0,
            delta.received.0,
            delta.protocol.as_str(),
            delta.received.1,
            events,
            bytes,
            delta.ts.0,
            delta.ts.1,
        ]);
    }
    let by_tenant = by_tenant
        .into_iter()
        .flat_map(|((tenant, minute, level), (events, bytes))| {
            values![tenant, minute, u32::from(level), events, bytes]
        })
        .collect();
    tx.upsert(&SOURCES, rows).await?;
    tx.upsert(&SOURCE_ARRIVALS, by_source).await?;
    Ok(Heard { new: new_sources, by_tenant })
}

fn stream_rows(flush: &Flush, ids: &SourceIds<'_>) -> Vec<Value> {
    let seen_until = hour_of(Timestamp::now()) + HOUR;
    let row = |it: &StreamPosition| {
        values![ids[&(&it.tenant, &it.source)], it.stream.as_str(), it.sequence, seen_until]
    };
    flush.streams.iter().flat_map(row).collect()
}

fn given_rows(flush: &Flush, ids: &SourceIds<'_>) -> Vec<Value> {
    let rows = flush.given_ids.iter();
    rows.flat_map(|(tenant, source, id, at)| values![ids[&(tenant, source)], id.as_str(), *at]).collect()
}

#[async_trait]
impl Pipeline for SqlDatabase {
    async fn offsets(&self, topic: &str) -> SqlResult<Vec<(Partition, Offset)>> {
        let sql =
            "SELECT partition_no, next_offset FROM pipeline_offsets WHERE topic = ? ORDER BY partition_no";
        let rows = self.pool.rows(sql, values![topic]).await?;
        rows.iter().map(|row| Ok((row.small(0)?, row.count(1)?))).collect()
    }

    async fn flush(&self, topic: &str, flush: &Flush) -> SqlResult<Flushed> {
        let ids = self.sources_of(flush).await?;
        let (minutes, latest) = self.metric_rows(flush, &ids).await?;
        let rows = Rows { ids, minutes, latest };
        retrying(|| self.flush_once(topic, flush, &rows)).await
    }

    async fn stream_position(&self, tenant: &TenantId, source: &SourceKey, stream: &str) -> SqlResult<u64> {
        let sql = "SELECT t.last_seq FROM source_ids k JOIN streams t ON t.source_id = k.source_id WHERE k.tenant_key = \
                   ? AND k.source_key = ? AND t.stream_name = ?";
        self.pool.row(sql, values![tenant, source, stream]).await?.map_or(Ok(0), |row| row.count(0))
    }

    async fn stream_highest(&self, tenant: &TenantId, stream: &str) -> SqlResult<u64> {
        let sql = "SELECT MAX(t.last_seq) FROM streams t JOIN source_ids k ON k.source_id = t.source_id WHERE \
                   t.stream_name = ? AND k.tenant_key = ?";
        let highest = self.pool.row(sql, values![stream, tenant]).await?;
        Ok(highest.map_or(Ok(None), |row| row.opt_count(0))?.unwrap_or(0))
    }

    async fn known_ids(
        &self,
        ids: &[(TenantId, SourceKey, String)],
    ) -> SqlResult<Vec<(TenantId, SourceKey, String)>> {
        let mut by_source = HashMap::<&TenantId, HashMap<&SourceKey, Vec<&str>>>::new();
        for (tenant, source, id) in ids {
            by_source.entry(tenant).or_default().entry(source).or_default().push(id);
        }
        let mut known = Vec::new();
        for (tenant, sources) in by_source {
            let keys: Vec<_> = sources.keys().copied().collect();
            for (source, number) in names::source_ids(&self.pool, tenant, &keys).await? {
                for chunk in sources.get(&source).map_or(&[][..], |it| it).chunks(IDS) {
                    let mut sql =
                        String::from("SELECT given_id FROM given_ids WHERE source_id = ? AND given_id IN (");
                    placeholders(&mut sql, chunk.len());
                    sql.push(')');
                    let mut bound = values![number];
                    bound.extend(chunk.iter().map(|id| Value::from(*id)));
                    for row in self.pool.rows(sql, bound).await? {
                        known.push((tenant.clone(), source.clone(), row.text(0)?));
                    }
                }
            }
        }
        Ok(known)
    }

    async fn expire(
        &self,
        minute_before: Timestamp,
        arrivals_before: Timestamp,
        ids_before: Timestamp,
    ) -> SqlResult<u64> {
        // One process at a time: a second would wait for the first, row by row, and find nothing left.
        let Some(lock) = self.pool.lock("expire", Duration::ZERO).await? else { return Ok(0) };
        let gone = expiry::expire(&self.pool, minute_before, arrivals_before, ids_before).await;
        lock.release().await;
        gone
    }

    fn snapshots(&self) -> Option<&dyn store::backup::SqlSnapshot> {
        matches!(self.pool, Pool::Sqlite(_)).then_some(self as &dyn store::backup::SqlSnapshot)
    }
}
