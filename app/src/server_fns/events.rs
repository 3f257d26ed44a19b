//! Searching, counting and looking at events.

#[cfg(feature = "ssr")]
use super::{answer, request};
use crate::error::Answer;
use domain::api::{
    EventFilter, Facet, FieldInfo, Histogram, MetricQuery, MetricResult, Order, SearchResult, Surroundings,
};
use domain::{Event, EventId, TimeRange};
use leptos::prelude::*;
use leptos::server_fn::codec::Json;

/// One page of events, at most 500.
#[server(name = SearchEvents, prefix = "/api/app", endpoint = "search", input = Json)]
pub async fn search(
    filter: EventFilter,
    order: Order,
    limit: u32,
    cursor: Option<String>,
) -> Answer<SearchResult> {
    let request = request()?;
    let found = request.services.search(&request.ctx, filter, order, limit.min(500), cursor.as_deref()).await;
    answer(found, &request)
}

/// Counts over time by level, in at most `buckets` buckets.
#[server(name = GetHistogram, prefix = "/api/app", endpoint = "histogram", input = Json)]
pub async fn histogram(filter: EventFilter, buckets: u32) -> Answer<Histogram> {
    let request = request()?;
    answer(request.services.histogram(&request.ctx, filter, buckets.min(240), None).await, &request)
}

/// The most frequent values of fields; with none named, of level, source, kind and the first few text fields that occur.
#[server(name = GetFacets, prefix = "/api/app", endpoint = "facets", input = Json)]
pub async fn facets(filter: EventFilter, fields: Vec<String>, size: u32) -> Answer<Vec<Facet>> {
    let request = request()?;
    let found = async {
        let fields = if fields.is_empty() { facet_fields(&request, filter.range).await? } else { fields };
        request.services.facets(&request.ctx, filter, fields, size.min(50)).await
    };
    answer(found.await, &request)
}

/// The fields worth a facet in a window: the envelope's, and the most frequent that hold text.
#[cfg(feature = "ssr")]
async fn facet_fields(
    request: &crate::context::RequestContext,
    range: TimeRange,
) -> Result<Vec<String>, services::ServiceError> {
    const TEXT_FIELDS: usize = 4;
    let known = request.services.fields(&request.ctx, range).await?;
    let text = known.into_iter().filter(|f| f.text && !f.numeric).map(|f| f.name);
    let text =
        text.filter(|name| !matches!(name.as_str(), "level" | "source" | "kind" | "message" | "id" | "raw"));
    Ok(["level", "source", "kind"].map(str::to_owned).into_iter().chain(text.take(TEXT_FIELDS)).collect())
}

/// The fields that occur in a window.
#[server(name = GetFields, prefix = "/api/app", endpoint = "fields", input = Json)]
pub async fn fields(range: TimeRange) -> Answer<Vec<FieldInfo>> {
    let request = request()?;
    answer(request.services.fields(&request.ctx, range).await, &request)
}

/// Values of a field that start so.
#[server(name = GetValues, prefix = "/api/app", endpoint = "values", input = Json)]
pub async fn values(field: String, prefix: String, range: TimeRange) -> Answer<Vec<String>> {
    let request = request()?;
    answer(request.services.complete_values(&request.ctx, &field, &prefix, range).await, &request)
}

/// One event.
#[server(name = GetEvent, prefix = "/api/app", endpoint = "event", input = Json)]
pub async fn event(id: EventId) -> Answer<Event> {
    let request = request()?;
    answer(request.services.event(&request.ctx, id).await, &request)
}

/// What its source sent five minutes before and after an event.
#[server(name = GetSurroundings, prefix = "/api/app", endpoint = "surroundings", input = Json)]
pub async fn surroundings(id: EventId) -> Answer<Surroundings> {
    const AROUND: std::time::Duration = std::time::Duration::from_secs(300);
    let request = request()?;
    answer(request.services.surroundings(&request.ctx, id, AROUND, 100).await, &request)
}

/// A number over time.
#[server(name = QueryMetrics, prefix = "/api/app", endpoint = "metrics", input = Json)]
pub async fn metrics(query: MetricQuery) -> Answer<MetricResult> {
    let request = request()?;
    answer(request.services.metrics(&request.ctx, query).await, &request)
}
