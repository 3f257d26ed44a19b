//! Searching and counting events.

use super::ApiState;
use super::window::WindowParams;
use crate::http::extract::{ApiPath, ApiQuery};
use crate::http::{ApiError, Caller, ProblemExt};
use axum::Json;
use axum::extract::State;
use domain::api::{Facet, FieldInfo, Histogram, Order, OutsideWindow, Page, SearchResult, Surroundings};
use domain::{Event, EventId};
use serde::{Deserialize, Serialize};
use services::{Ctx, ServiceError};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// How a search is paged.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Events a page, 1–1,000.
    #[serde(default = "hundred")]
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Newest or oldest first.
    #[serde(default)]
    order: Order,
}

fn hundred() -> u32 {
    100
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub struct EventPage {
    /// The events and their exact total.
    #[serde(flatten)]
    page: Page<Event>,
    /// How long the store took, in milliseconds.
    took_ms: f64,
    /// Fresh arrivals that match but lie outside the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    outside: Option<OutsideWindow>,
}

impl From<SearchResult> for EventPage {
    fn from(result: SearchResult) -> Self {
        Self { page: result.page, took_ms: result.took_ms, outside: result.outside }
    }
}

/// Search events.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "search_events",
    params(WindowParams, PageParams), responses((status = 200, body = EventPage)))]
pub async fn search(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(window): ApiQuery<WindowParams>,
    ApiQuery(page): ApiQuery<PageParams>,
) -> Result<Json<EventPage>, ApiError> {
    let filter = window.filter(&ctx)?;
    let found = state.services.search(&ctx, filter, page.order, page.limit, page.cursor.as_deref()).await;
    found.problem(&ctx).map(EventPage::from).map(Json)
}

/// How finely to count.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistogramParams {
    /// At most this many buckets.
    #[serde(default = "sixty")]
    #[param(default = 60, minimum = 1, maximum = 1000)]
    buckets: u32,
    /// Seconds a bucket, instead of `buckets`.
    step: Option<u32>,
}

fn sixty() -> u32 {
    60
}

/// Count events over time, by level.
#[utoipa::path(get, path = "/api/v1/events/histogram", tag = "events", operation_id = "event_histogram",
    params(WindowParams, HistogramParams), responses((status = 200, body = Histogram)))]
pub async fn histogram(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(window): ApiQuery<WindowParams>,
    ApiQuery(params): ApiQuery<HistogramParams>,
) -> Result<Json<Histogram>, ApiError> {
    let filter = window.filter(&ctx)?;
    state.services.histogram(&ctx, filter, params.buckets, params.step).await.problem(&ctx).map(Json)
}

/// Which fields, and how many values of each.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FacetParams {
    /// `level`, `source`, `kind`, or names of fields, separated by commas.
    #[serde(default = "usual_facets")]
    #[param(default = "level,source,kind")]
    fields: String,
    /// Values a field.
    #[serde(default = "ten")]
    #[param(default = 10, minimum = 1, maximum = 100)]
    size: u32,
}

fn usual_facets() -> String {
    "level,source,kind".to_owned()
}

fn ten() -> u32 {
    10
}

/// The most frequent values of fields.
#[utoipa::path(get, path = "/api/v1/events/facets", tag = "events", operation_id = "event_facets",
    params(WindowParams, FacetParams), responses((status = 200, body = [Facet])))]
pub async fn facets(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(window): ApiQuery<WindowParams>,
    ApiQuery(params): ApiQuery<FacetParams>,
) -> Result<Json<Vec<Facet>>, ApiError> {
    let filter = window.filter(&ctx)?;
    let fields = params.fields.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    state.services.facets(&ctx, filter, fields.collect(), params.size).await.problem(&ctx).map(Json)
}

/// The fields that occur in the window.
#[utoipa::path(get, path = "/api/v1/events/fields", tag = "events", operation_id = "event_fields",
    params(WindowParams), responses((status = 200, body = [FieldInfo])))]
pub async fn fields(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(window): ApiQuery<WindowParams>,
) -> Result<Json<Vec<FieldInfo>>, ApiError> {
    let range = window.range(&ctx)?;
    state.services.fields(&ctx, range).await.problem(&ctx).map(Json)
}

fn event_id(text: &str, ctx: &Ctx) -> Result<EventId, ApiError> {
    EventId::parse(text).map_err(|_| ServiceError::NotFound { what: "event" }).problem(ctx)
}

/// One event.
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events", operation_id = "get_event",
    params(("id" = String, Path, description = "The event's id")),
    responses((status = 200, body = Event), (status = 404, description = "There is none")))]
pub async fn event(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<Event>, ApiError> {
    let id = event_id(&id, &ctx)?;
    state.services.event(&ctx, id).await.problem(&ctx).map(Json)
}

/// How far around.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SurroundingParams {
    /// Seconds before and after, 1–86,400.
    #[serde(default = "sixty")]
    #[param(default = 60, minimum = 1, maximum = 86400)]
    seconds: u32,
    /// Events before and after, each, 1–200.
    #[serde(default = "ten")]
    #[param(default = 10, minimum = 1, maximum = 200)]
    limit: u32,
}

/// The events of the same source around one.
#[utoipa::path(get, path = "/api/v1/events/{id}/surroundings", tag = "events", operation_id = "event_surroundings",
    params(("id" = String, Path, description = "The event's id"), SurroundingParams),
    responses((status = 200, body = Surroundings), (status = 404, description = "There is none")))]
pub async fn surroundings(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiPath(id): ApiPath<String>,
    ApiQuery(params): ApiQuery<SurroundingParams>,
) -> Result<Json<Surroundings>, ApiError> {
    let id = event_id(&id, &ctx)?;
    let around = Duration::from_secs(params.seconds.into());
    state.services.surroundings(&ctx, id, around, params.limit).await.problem(&ctx).map(Json)
}
