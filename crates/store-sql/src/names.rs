//! Numbers for the names of sources and of their metrics.
//!
//! The large tables hold numbers instead of texts. A name keeps its number for ever, so a process may remember it, and
//! names are written apart from, and before, the transaction that needs them.

use crate::dialect::{Merge, Upsert, placeholders};
use crate::fault::retrying;
use crate::pool::Pool;
use crate::value::{Value, values};
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
    retrying(async || {
        let mut tx = pool.begin().await?;
        tx.upsert(names, rows.clone()).await?;
        tx.commit().await
    })
    .await
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
        for (tenant, mut sources) in missing {
            let mut found = source_ids(pool, tenant, &sources).await?;
            let there: HashSet<&SourceKey> = found.iter().map(|(source, _)| source).collect();
            let mut new: Vec<_> = sources.iter().copied().filter(|source| !there.contains(source)).collect();
            if !new.is_empty() {
                // Sorted, as every process writes them.
                new.sort_unstable();
                let rows = new.iter().flat_map(|source| values![tenant, *source]).collect();
                write(pool, &SOURCE_IDS, rows).await?;
                found.extend(source_ids(pool, tenant, &new).await?);
            }
            let found: HashMap<SourceKey, i64> = found.into_iter().collect();
            let mut known = self.sources.lock();
            for source in sources.drain(..) {
                let id = *found.get(source).ok_or_else(|| lost("source"))?;
                ids.insert((tenant, source), id);
                remember(&mut known, SOURCES, (tenant.clone(), source.clone()), id);
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
        let mut found = HashMap::<SeriesName, i64>::new();
        let mut new = Vec::new();
        for ((source, tenant), metrics) in missing {
            let metrics: Vec<_> = metrics.into_iter().collect();
            read_series(pool, source, &metrics, &mut found).await?;
            let unknown =
                metrics.into_iter().filter(|metric| !found.contains_key(&(source, Box::from(*metric))));
            new.extend(unknown.map(|metric| (source, metric, tenant)));
        }
        if !new.is_empty() {
            // Sorted, as every process writes them.
            new.sort_unstable();
            let rows = new.iter().flat_map(|(source, metric, tenant)| values![*source, *metric, *tenant]);
            write(pool, &SERIES_IDS, rows.collect()).await?;
            for of_source in new.chunk_by(|one, other| one.0 == other.0) {
                let metrics: Vec<_> = of_source.iter().map(|(_, metric, _)| *metric).collect();
                read_series(pool, of_source[0].0, &metrics, &mut found).await?;
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

/// The numbers of a source's metrics; those without one are absent.
async fn read_series(
    pool: &Pool,
    source: i64,
    metrics: &[&str],
    found: &mut HashMap<SeriesName, i64>,
) -> SqlResult<()> {
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
    Ok(())
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
