//! Searching, counting and looking at events.

#[cfg(feature = "ssr")]
use super::{answer, request};
use crate::call::call;
#[cfg(feature = "ssr")]
use domain::api::Aggregate;
use domain::api::{
    EventFilter, Facet, FieldInfo, Histogram, MetricQuery, MetricResult, Order, SearchResult, Surroundings,
};
use domain::{Event, EventId, TimeRange};
#[cfg(feature = "ssr")]
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

call! {
    /// One page of events, at most 500.
    "search": fn search(filter: EventFilter, order: Order, limit: u32, cursor: Option<String>) -> SearchResult {
        let request = request()?;
        let found = request.services.search(&request.ctx, filter, order, limit.min(500), cursor.as_deref()).await;
        answer(found, &request)
    }
}

call! {
    /// Counts over time by level, in at most `buckets` buckets.
    "histogram": fn histogram(filter: EventFilter, buckets: u32) -> Histogram {
        let request = request()?;
        answer(request.services.histogram(&request.ctx, filter, buckets.min(240), None).await, &request)
    }
}

call! {
    /// The most frequent values of fields; with none named, of level, source and kind, then of the most frequent text
    /// fields: those with few values first.
    "facets": fn facets(filter: EventFilter, fields: Vec<String>, size: u32) -> Vec<Facet> {
        let request = request()?;
        let found = async {
            let is_ours = fields.is_empty();
            let fields = if is_ours { facet_fields(&request, filter.range).await? } else { fields };
            let mut found = request.services.facets(&request.ctx, filter, fields, size.min(50)).await?;
            if is_ours {
                found.sort_by_key(is_long);
            }
            Ok(found)
        };
        answer(found.await, &request)
    }
}

/// What every event has, in the order of their facets.
const ENVELOPE: [&str; 3] = ["level", "source", "kind"];

/// Whether a facet has too many values to choose among at a glance, such as request numbers.
pub(crate) fn is_long(facet: &Facet) -> bool {
    const FEW: u64 = 24;
    facet.distinct > FEW && !ENVELOPE.contains(&&*facet.field)
}

/// The fields worth a facet in a window: the envelope's, and the most frequent that hold text.
#[cfg(feature = "ssr")]
async fn facet_fields(
    request: &crate::context::RequestContext,
    range: TimeRange,
) -> Result<Vec<String>, services::ServiceError> {
    const TEXT_FIELDS: usize = 8;
    let known = request.services.fields(&request.ctx, range).await?;
    let text = known.into_iter().filter(|f| f.text && !f.numeric).map(|f| f.name);
    let text =
        text.filter(|name| !matches!(name.as_str(), "level" | "source" | "kind" | "message" | "id" | "raw"));
    Ok(ENVELOPE.map(str::to_owned).into_iter().chain(text.take(TEXT_FIELDS)).collect())
}

call! {
    /// The fields that occur in a window.
    "fields": fn fields(range: TimeRange) -> Vec<FieldInfo> {
        let request = request()?;
        answer(request.services.fields(&request.ctx, range).await, &request)
    }
}

call! {
    /// Values of a field that start so.
    "values": fn values(field: String, prefix: String, range: TimeRange) -> Vec<String> {
        let request = request()?;
        answer(request.services.complete_values(&request.ctx, &field, &prefix, range).await, &request)
    }
}

call! {
    /// One event.
    "event": fn event(id: EventId) -> Event {
        let request = request()?;
        answer(request.services.event(&request.ctx, id).await, &request)
    }
}

call! {
    /// What its source sent five minutes before and after an event.
    "surroundings": fn surroundings(id: EventId) -> Surroundings {
        const AROUND: std::time::Duration = std::time::Duration::from_secs(300);
        let request = request()?;
        answer(request.services.surroundings(&request.ctx, id, AROUND, 100).await, &request)
    }
}

/// A number of one source over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charted {
    /// As asked for.
    pub mean: MetricResult,
    /// The least value of each step.
    pub least: Vec<Option<f64>>,
    /// The greatest value of each step.
    pub greatest: Vec<Option<f64>>,
}

call! {
    /// A number over time, with the least and the greatest of each step.
    "metrics": fn metrics(query: MetricQuery) -> Charted {
        let request = request()?;
        let by = |aggregate| request.services.metrics(&request.ctx, MetricQuery { aggregate, ..query.clone() });
        let edge = |found: MetricResult| found.series.into_iter().next().map(|s| s.values).unwrap_or_default();
        let found = async {
            let mean = request.services.metrics(&request.ctx, query.clone()).await?;
            let (least, greatest) = (edge(by(Aggregate::Min).await?), edge(by(Aggregate::Max).await?));
            Ok(Charted { mean, least, greatest })
        };
        answer(found.await, &request)
    }
}

call! {
    /// The day nearest to a window without a match that has one.
    "nearest": fn nearest(filter: EventFilter) -> Option<TimeRange> {
        let request = request()?;
        answer(request.services.nearest(&request.ctx, filter).await, &request)
    }
}
