//! Numbers for the names of sources and of their metrics.
//!
//! The large tables hold numbers instead of texts. A name keeps its number for ever, so a process may remember it, and
//! names are written apart from, and before, the transaction that needs them.

use crate::dialect::{Merge, Upsert, placeholders};
use crate::pool::{Pool, Value, values};
use domain::{SourceKey, TenantId};
use lru::LruCache;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use store::sql::{SqlError, SqlResult};

/// Sources remembered: about 10 MB at most.
const SOURCES: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
/// Series remembered: about 30 MB at most.
const SERIES: NonZeroUsize = NonZeroUsize::new(300_000).expect("not zero");
/// Names asked for in one statement.
const NAMES: usize = 500;

const SOURCE_IDS: Upsert = Upsert { table: "source_ids", key: &["tenant_key", "source_key"], columns: &[] };
const SERIES_IDS: Upsert =
    Upsert { table: "series", key: &["source_id", "metric"], columns: &[("tenant_key", Merge::Keep)] };

type SeriesName = (i64, Box<str>);

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Names {
    sources: Mutex<LruCache<(TenantId, SourceKey), i64>>,
    series: Mutex<LruCache<SeriesName, i64>>,
}

impl Default for Names {
    fn default() -> Self {
        // Unbounded to start small; the bound is kept where entries are put in.
        Self { sources: Mutex::new(LruCache::unbounded()), series: Mutex::new(LruCache::unbounded()) }
    }
}

fn remember<K: std::hash::Hash + Eq>(cache: &mut LruCache<K, i64>, most: NonZeroUsize, key: K, id: i64) {
    if cache.len() >= most.get() {
        cache.pop_lru();
    }
    cache.put(key, id);
}

async fn write(pool: &Pool, names: &Upsert, rows: Vec<Value>) -> SqlResult<()> {
    let mut tx = pool.begin().await?;
    tx.upsert(names, rows).await?;
    tx.commit().await
}

fn lost(what: &str) -> SqlError {
    SqlError::Failed(format!("a {what} was written but is not there"))
}

/// Sources by name, as far as one flush needs them.
pub(crate) type SourceIds<'a> = HashMap<(&'a TenantId, &'a SourceKey), i64>;

impl Names {
    /// The numbers of sources, made where they have none.
    pub async fn sources<'a>(
        &self,
        pool: &Pool,
        wanted: HashSet<(&'a TenantId, &'a SourceKey)>,
    ) -> SqlResult<SourceIds<'a>> {
        let mut ids = SourceIds::with_capacity(wanted.len());
        let mut missing = HashMap::<&TenantId, Vec<&SourceKey>>::new();
        {
            let mut known = self.sources.lock();
            for (tenant, source) in wanted {
                match known.get(&(tenant.clone(), source.clone())) {
                    Some(id) => {
                        ids.insert((tenant, source), *id);
                    }
                    None => missing.entry(tenant).or_default().push(source),
                }
            }
        }
        if missing.is_empty() {
            return Ok(ids);
        }
        let mut rows = Vec::new();
        for (tenant, sources) in &missing {
            for source in sources {
                rows.extend(values![*tenant, *source]);
            }
        }
        write(pool, &SOURCE_IDS, rows).await?;
        for (tenant, sources) in missing {
            let found: HashMap<SourceKey, i64> =
                source_ids(pool, tenant, &sources).await?.into_iter().collect();
            for source in sources {
                let id = *found.get(source).ok_or_else(|| lost("source"))?;
                ids.insert((tenant, source), id);
                remember(&mut self.sources.lock(), SOURCES, (tenant.clone(), source.clone()), id);
            }
        }
        Ok(ids)
    }

    /// The numbers of series, in the order asked for, made where they have none.
    pub async fn series(&self, pool: &Pool, wanted: Vec<(&TenantId, i64, &str)>) -> SqlResult<Vec<i64>> {
        const NONE: i64 = -1;
        let mut ids = Vec::with_capacity(wanted.len());
        let mut missing = HashMap::<(i64, &TenantId), HashSet<&str>>::new();
        {
            let mut known = self.series.lock();
            for (tenant, source, metric) in &wanted {
                let id = known.get(&(*source, Box::from(*metric))).copied();
                if id.is_none() {
                    missing.entry((*source, tenant)).or_default().insert(metric);
                }
                ids.push(id.unwrap_or(NONE));
            }
        }
        if missing.is_empty() {
            return Ok(ids);
        }
        let mut rows = Vec::new();
        for ((source, tenant), metrics) in &missing {
            for metric in metrics {
                rows.extend(values![*source, *metric, *tenant]);
            }
        }
        write(pool, &SERIES_IDS, rows).await?;
        let mut found = HashMap::<SeriesName, i64>::new();
        for ((source, _), metrics) in missing {
            let metrics: Vec<_> = metrics.into_iter().collect();
            for chunk in metrics.chunks(NAMES) {
                let mut sql =
                    String::from("SELECT metric, series_id FROM series WHERE source_id = ? AND metric IN (");
                placeholders(&mut sql, chunk.len());
                sql.push(')');
                let mut bound = values![source];
                bound.extend(chunk.iter().map(|metric| Value::from(*metric)));
                for row in pool.rows(sql, bound).await? {
                    found.insert((source, row.text(0)?.into()), row.int(1)?);
                }
            }
        }
        for (id, (_, source, metric)) in ids.iter_mut().zip(&wanted) {
            if *id == NONE {
                *id = *found.get(&(*source, Box::from(*metric))).ok_or_else(|| lost("series"))?;
            }
        }
        let mut known = self.series.lock();
        found.into_iter().for_each(|(name, id)| remember(&mut known, SERIES, name, id));
        Ok(ids)
    }
}

/// The numbers of a tenant's sources; those without one are absent.
pub(crate) async fn source_ids(
    pool: &Pool,
    tenant: &TenantId,
    sources: &[&SourceKey],
) -> SqlResult<Vec<(SourceKey, i64)>> {
    let mut found = Vec::with_capacity(sources.len());
    for chunk in sources.chunks(NAMES) {
        let mut sql = String::from(
            "SELECT source_key, source_id FROM source_ids WHERE tenant_key = ? AND source_key IN (",
        );
        placeholders(&mut sql, chunk.len());
        sql.push(')');
        let mut bound = values![tenant];
        bound.extend(chunk.iter().map(|source| Value::from(*source)));
        for row in pool.rows(sql, bound).await? {
            found.push((row.source(0)?, row.int(1)?));
        }
    }
    Ok(found)
}
