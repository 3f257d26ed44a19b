//! Counts and numbers over time.

use crate::buckets::Buckets;
use crate::error::unreadable;
use crate::index::Cluster;
use crate::page::sort;
use crate::scope::{Answer, Scope, Window};
use crate::template::number_field;
use domain::api::{Aggregate, Extremes, Order};
use domain::query::{Expr, Field, Query};
use domain::{Level, SourceKey, TenantId, Timestamp};
use serde_json::{Value, json};
use store::index::{
    IndexError, LevelCounts, NumericAggregation, NumericResult, NumericSeries, ReadLimit, level_row,
};

/// Series times buckets that one answer may hold.
const MAX_CELLS: usize = 1_000_000;
/// Buckets asked for in one request; OpenSearch allows 65,535.
const CELLS_A_REQUEST: usize = 40_000;
/// Levels, and none.
const ROWS: usize = Level::ALL.len() + 1;

impl Cluster {
    /// Counts by level and bucket.
    pub async fn histogram(
        &self,
        tenant: &TenantId,
        query: &Query,
        edges: &[Timestamp],
        limit: &ReadLimit,
    ) -> Result<LevelCounts, IndexError> {
        let Some(buckets) = Buckets::new(edges) else {
            return Ok(LevelCounts { by_level: vec![Vec::new(); ROWS] });
        };
        let mut by_level = vec![vec![0; buckets.len()]; ROWS];
        let scope = Scope { tenant, query, window: Window::Inside(buckets.range()) };
        // A word that is no level stands for those without one.
        let levels = json!({ "l": { "terms": { "field": "level", "size": 2 * ROWS, "missing": "none" } } });
        let body = json!({ "track_total_hits": false, "aggs": buckets.aggregations(&levels) });
        let body = self.ask_sums("histogram", &scope, body, limit).await?;
        let found = Value::Object(Answer::parse(&body)?.aggregations.into_iter().collect());
        buckets.each(&found, |bucket, inner| {
            for level in inner["l"]["buckets"].as_array().into_iter().flatten() {
                let row = level_row(level["key"].as_str().and_then(Level::parse));
                by_level[row][bucket] += level["doc_count"].as_u64().unwrap_or(0);
            }
        });
        Ok(LevelCounts { by_level })
    }

    /// A number by source and bucket: first the sources with the most values, then their buckets.
    pub async fn aggregate(
        &self,
        tenant: &TenantId,
        request: &NumericAggregation,
        limit: &ReadLimit,
    ) -> Result<NumericResult, IndexError> {
        let nothing = NumericResult { series: Vec::new(), extremes: None };
        let Some(buckets) = Buckets::new(&request.edges) else { return Ok(nothing) };
        if request.max_series.saturating_mul(buckets.len()) > MAX_CELLS {
            return Err(IndexError::TooLarge(format!(
                "{} series of {} buckets; at most {MAX_CELLS} values in all",
                request.max_series,
                buckets.len()
            )));
        }
        let Field::Named(name) = Field::parse(&request.metric) else { return Ok(nothing) };
        let column = number_field(&name);
        let numbers =
            Numbers { cluster: self, tenant, query: &request.query, column: &column, buckets: &buckets };
        let (sources, extremes) = numbers.sources(&request.sources, request.max_series, limit).await?;
        let mut series = Vec::with_capacity(sources.len());
        for some in sources.chunks((CELLS_A_REQUEST / buckets.len()).max(1)) {
            series.extend(numbers.series(some, request.aggregate, limit).await?);
        }
        Ok(NumericResult { series, extremes })
    }
}

/// The values of a number.
struct Numbers<'a> {
    cluster: &'a Cluster,
    tenant: &'a TenantId,
    query: &'a Query,
    /// Such as `n.temperature`.
    column: &'a str,
    buckets: &'a Buckets,
}

impl Numbers<'_> {
    async fn ask(&self, sources: &[&str], aggs: Value, limit: &ReadLimit) -> Result<Answered, IndexError> {
        let name = self.column.split_once('.').map_or("", |(_, name)| name);
        let has = Expr::Number {
            field: Field::Named(name.to_owned()),
            comparison: domain::query::Comparison::AtLeast,
            value: f64::MIN,
        };
        let expr = Expr::And(vec![self.query.expr.clone(), has]);
        let query = Query { text: String::new(), expr };
        let scope =
            Scope { tenant: self.tenant, query: &query, window: Window::Inside(self.buckets.range()) };
        let mut body = json!({ "track_total_hits": false });
        body["aggs"] = if sources.is_empty() {
            json!({ "of": { "filter": { "match_all": {} }, "aggs": aggs } })
        } else {
            json!({ "of": { "filter": { "terms": { "source": sources } }, "aggs": aggs } })
        };
        let body = self.cluster.ask_sums("aggregate", &scope, body, limit).await?;
        let of = Answer::parse(&body)?.aggregations.remove("of").unwrap_or_default();
        Ok(Answered(of))
    }

    /// The sources with the most values, and the extremes of all that were asked for.
    async fn sources(
        &self,
        wanted: &[SourceKey],
        most: usize,
        limit: &ReadLimit,
    ) -> Result<(Vec<String>, Option<Extremes>), IndexError> {
        let column = self.column;
        let extreme = |order: &str, mode: &str| {
            // Of equal values the earliest, so that the answer does not depend on the order of reading.
            json!({ "top_hits": {
                "size": 1,
                "_source": false,
                "sort": [{ column: { "order": order, "mode": mode } }, { "ts": { "order": "asc" } }],
            } })
        };
        let aggs = json!({
            "sources": {
                "terms": {
                    "field": "source",
                    "size": most.max(1),
                    "shard_size": most.saturating_mul(4).max(2_000),
                    "order": [{ "values": "desc" }, { "_key": "asc" }],
                },
                "aggs": { "values": { "value_count": { "field": column } } },
            },
            "least": extreme("asc", "min"),
            "greatest": extreme("desc", "max"),
        });
        let wanted = wanted.iter().map(SourceKey::as_str).collect::<Vec<_>>();
        let Answered(of) = self.ask(&wanted, aggs, limit).await?;
        let sources = of["sources"]["buckets"].as_array().into_iter().flatten();
        let sources =
            sources.filter_map(|bucket| bucket["key"].as_str().map(str::to_owned)).take(most).collect();
        let extreme = |which: &str| {
            let sort = &of[which]["hits"]["hits"][0]["sort"];
            Some((sort[0].as_f64()? + 0.0, Timestamp::from_nanos(sort[1].as_i64()?)))
        };
        let extremes = extreme("least").zip(extreme("greatest"));
        Ok((sources, extremes.map(|((min, min_at), (max, max_at))| Extremes { min, min_at, max, max_at })))
    }

    async fn series(
        &self,
        sources: &[String],
        aggregate: Aggregate,
        limit: &ReadLimit,
    ) -> Result<Vec<NumericSeries>, IndexError> {
        let inner = match aggregate {
            Aggregate::Last => json!({ "v": { "top_hits": {
                "size": 1,
                "sort": sort(Order::Desc),
                "_source": [self.column],
            } } }),
            _ => json!({ "v": { "stats": { "field": self.column } } }),
        };
        let names = sources.iter().map(String::as_str).collect::<Vec<_>>();
        let by_source = json!({
            "s": {
                "terms": { "field": "source", "size": names.len(), "shard_size": names.len() },
                "aggs": self.buckets.aggregations(&inner),
            }
        });
        let Answered(of) = self.ask(&names, by_source, limit).await?;
        let mut series = Vec::with_capacity(sources.len());
        for name in sources {
            let mut values = vec![None; self.buckets.len()];
            let found = of["s"]["buckets"].as_array().into_iter().flatten();
            for source in found.filter(|source| source["key"].as_str() == Some(name)) {
                self.buckets
                    .each(source, |bucket, inner| values[bucket] = self.value(&inner["v"], aggregate));
            }
            series.push(NumericSeries { source: SourceKey::new(name).map_err(unreadable)?, values });
        }
        Ok(series)
    }

    fn value(&self, found: &Value, aggregate: Aggregate) -> Option<f64> {
        let number = |key: &str| found[key].as_f64();
        match aggregate {
            Aggregate::Avg => number("avg"),
            Aggregate::Min => number("min"),
            Aggregate::Max => number("max"),
            Aggregate::Sum => number("count").filter(|count| *count > 0.0).and_then(|_| number("sum")),
            Aggregate::Count => number("count").filter(|count| *count > 0.0),
            Aggregate::Last => {
                let (kind, name) = self.column.split_once('.')?;
                match &found["hits"]["hits"][0]["_source"][kind][name] {
                    Value::Array(values) => values.last()?.as_f64(),
                    value => value.as_f64(),
                }
            }
        }
    }
}

/// What an aggregation found.
struct Answered(Value);
