//! Export without a limit, streamed.

use super::ApiState;
use super::delimited::Layout;
use super::window::WindowParams;
use crate::http::extract::ApiQuery;
use crate::http::{ApiError, Caller, ProblemExt};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use domain::api::{EventFilter, Order};
use domain::{Event, Permission};
use futures::{Stream, StreamExt};
use http::{HeaderValue, header};
use serde::Deserialize;
use services::{Ctx, ServiceError, Services};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which lines.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// Comma-separated values (RFC 4180), safe to open in a spreadsheet.
    Csv,
}

/// How to export.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// `ndjson` or `csv`.
    #[serde(default)]
    format: Format,
    /// For CSV: fields that get a column each, separated by commas; none: one column with all fields as JSON.
    #[serde(default)]
    fields: String,
    /// Newest or oldest first.
    #[serde(default)]
    order: Order,
}

impl ExportParams {
    fn layout(&self) -> Layout {
        let names = self.fields.split(',').map(str::trim).filter(|name| !name.is_empty());
        match self.format {
            Format::Ndjson => Layout::Ndjson,
            Format::Csv => Layout::Csv { fields: names.map(str::to_owned).collect() },
        }
    }
}

/// Everything that matches, as NDJSON or CSV.
#[utoipa::path(get, path = "/api/v1/events/export", tag = "events", operation_id = "export_events",
    params(WindowParams, ExportParams),
    responses((status = 200, description = "A line an event", content(
        (String = "application/x-ndjson"), (String = "text/csv")))))]
pub async fn export(
    State(state): State<ApiState>,
    Caller(ctx): Caller,
    ApiQuery(window): ApiQuery<WindowParams>,
    ApiQuery(params): ApiQuery<ExportParams>,
) -> Result<Response, ApiError> {
    let filter = window.filter(&ctx)?;
    answer(&state.services, &ctx, filter, &params, Opening::Plain).await
}

/// What stands at a file's very beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Nothing.
    Plain,
    /// In CSV a byte order mark, by which spreadsheets know UTF-8.
    Mark,
}

/// The export as an answer, for the API and for the web's download.
///
/// # Errors
/// As the service.
pub async fn answer(
    services: &Services,
    ctx: &Arc<Ctx>,
    filter: EventFilter,
    params: &ExportParams,
    opening: Opening,
) -> Result<Response, ApiError> {
    ctx.require(Permission::ReadEvents).map(|_| ()).problem(ctx)?;
    let layout = params.layout();
    let mut events = services.export(ctx, filter, params.order);
    // The first event is waited for, so that what is wrong at once is a proper answer and no broken file.
    let first = events.next().await.transpose().problem(ctx)?;
    let mut head = BytesMut::new();
    if opening == Opening::Mark && matches!(layout, Layout::Csv { .. }) {
        head.extend_from_slice("\u{feff}".as_bytes());
    }
    head.extend_from_slice(&layout.head());
    let name = format!("qgx-events.{}", layout.extension());
    let content_type = HeaderValue::from_static(layout.content_type());
    let rest = futures::stream::iter(first.map(Ok)).chain(events);
    let lines = lines(layout, rest, ctx.request_id.clone());
    let body = futures::stream::iter([Ok(head.freeze())]).chain(lines);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// How many bytes are gathered before they are sent.
const CHUNK: usize = 32 * 1024;

/// Lines in chunks. An error in the middle breaks the answer off, so that nobody takes a part for the whole.
fn lines(
    layout: Layout,
    events: impl Stream<Item = Result<Event, ServiceError>> + Send + 'static,
    request_id: Arc<str>,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    async_stream::stream! {
        let mut events = std::pin::pin!(events);
        let mut chunk = BytesMut::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => chunk.extend_from_slice(&layout.line(&event)),
                Err(error) => {
                    error.log(&request_id);
                    yield Err(std::io::Error::other(error.code()));
                    return;
                }
            }
            if chunk.len() >= CHUNK {
                yield Ok(chunk.split().freeze());
            }
        }
        if !chunk.is_empty() {
            yield Ok(chunk.freeze());
        }
    }
}
