//! Whose events, and which: nothing is read from OpenSearch but through this, so that no reader can forget the tenant.

use crate::client::{LONGEST_ANSWER, Request};
use crate::error::unreadable;
use crate::index::Cluster;
use crate::translate;
use bytes::Bytes;
use domain::query::Query;
use domain::{TenantId, TimeRange, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashMap;
use store::index::{IndexError, IndexName, ReadLimit};

/// The events of a tenant that a query finds in a window.
pub(crate) struct Scope<'a> {
    pub tenant: &'a TenantId,
    pub query: &'a Query,
    pub window: Window,
}

/// Which times.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Window {
    /// `ts` within.
    Inside(TimeRange),
    /// Arrived since, and `ts` not within.
    Outside(TimeRange, Timestamp),
}

impl Scope<'_> {
    /// As a query of OpenSearch. Everything is a filter: nothing is scored.
    pub fn filter(&self) -> Value {
        let tenant = json!({ "term": { "tenant": self.tenant.as_str() } });
        let expr = translate::query(&self.query.expr);
        match self.window {
            Window::Inside(range) => {
                let within = translate::between("ts", Some(range.from), Some(range.to));
                json!({ "bool": { "filter": [tenant, within, expr] } })
            }
            Window::Outside(range, since) => {
                let within = translate::between("ts", Some(range.from), Some(range.to));
                let arrived = translate::between("received_at", Some(since), None);
                json!({ "bool": { "filter": [tenant, arrived, expr], "must_not": [within] } })
            }
        }
    }
}

/// What is asked for beside the filter.
pub(crate) struct Ask<'a> {
    /// For metrics: `search`, `count`, …
    pub operation: &'static str,
    /// Which indexes, with the prefix; wildcards may be in it.
    pub indexes: &'a str,
    /// `size`, `sort`, `aggs`, …; the query is added.
    pub body: Value,
    /// No answer is taken that is longer.
    pub longest: u64,
}

/// An answer to a search.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<'a> {
    pub timed_out: bool,
    #[serde(borrow)]
    pub hits: Hits<'a>,
    #[serde(default)]
    pub aggregations: HashMap<String, Value>,
    #[serde(default)]
    pub pit_id: Option<String>,
}

/// The events of an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Hits<'a> {
    #[serde(default)]
    pub total: Option<Total>,
    #[serde(borrow, default)]
    pub hits: Vec<Hit<'a>>,
}

/// How many there are.
#[derive(Debug, Deserialize)]
pub(crate) struct Total {
    pub value: u64,
}

/// One event.
#[derive(Debug, Deserialize)]
pub(crate) struct Hit<'a> {
    #[serde(borrow, rename = "_source", default)]
    pub source: Option<&'a RawValue>,
    #[serde(default)]
    pub sort: Vec<Value>,
}

impl<'a> Answer<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// Where it is none, or is only of a part because the time was up.
    pub fn parse(body: &'a [u8]) -> Result<Self, IndexError> {
        let answer = serde_json::from_slice::<Self>(body).map_err(unreadable)?;
        if answer.timed_out { Err(IndexError::Deadline) } else { Ok(answer) }
    }

    /// The total that was asked for.
    pub fn total(&self) -> u64 {
        self.hits.total.as_ref().map_or(0, |total| total.value)
    }
}

impl Cluster {
    /// Every index of events.
    pub fn all_indexes(&self) -> String {
        format!("{}{}*", self.options.prefix, IndexName::PREFIX)
    }

    /// Asks for a tenant's events. The answer is to be read by [`Answer::parse`].
    pub async fn ask(
        &self,
        scope: &Scope<'_>,
        mut ask: Ask<'_>,
        limit: &ReadLimit,
    ) -> Result<Bytes, IndexError> {
        ask.body["query"] = if self.is_buried(scope.tenant) { translate::none() } else { scope.filter() };
        let path = format!("{}/_search", ask.indexes);
        let left = remaining(limit);
        let query = [
            ("routing", scope.tenant.as_str()),
            ("ignore_unavailable", "true"),
            ("allow_no_indices", "true"),
            // Asks each shard first whether its times overlap the window: the others are not opened.
            ("pre_filter_shard_size", "1"),
            ("allow_partial_search_results", "false"),
            ("cancel_after_time_interval", left.as_str()),
        ];
        let request = Request::post(&path, &query, &ask.body);
        let started = std::time::Instant::now();
        let answer = self.client.read(request, limit, ask.longest).await;
        metrics::histogram!("qgx_index_search_seconds", "operation" => ask.operation)
            .record(started.elapsed());
        Ok(answer?)
    }

    /// Asks for counts and sums alone.
    pub async fn ask_sums(
        &self,
        operation: &'static str,
        scope: &Scope<'_>,
        mut body: Value,
        limit: &ReadLimit,
    ) -> Result<Bytes, IndexError> {
        body["size"] = json!(0);
        let ask = Ask { operation, indexes: &self.all_indexes(), body, longest: LONGEST_ANSWER };
        self.ask(scope, ask, limit).await
    }
}

/// What is left of a read's time, as OpenSearch writes it.
pub(crate) fn remaining(limit: &ReadLimit) -> String {
    let left = limit.deadline.saturating_duration_since(tokio::time::Instant::now());
    format!("{}ms", left.as_millis().clamp(1, 3_600_000))
}
