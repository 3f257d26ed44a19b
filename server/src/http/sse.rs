//! Server-sent events of the live stream.

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use domain::api::LiveMessage;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue, header};
use std::convert::Infallible;
use tokio_util::sync::CancellationToken;

/// The stream as an answer. It ends when the process begins to stop; clients then connect again.
pub fn answer(messages: BoxStream<'static, LiveMessage>, stopping: CancellationToken) -> Response {
    let events = messages
        .map(|message| {
            // Unnamed, so that a browser's `onmessage` hears all of them; the type stands in the JSON.
            Ok::<_, Infallible>(Event::default().json_data(&message).unwrap_or_default())
        })
        .take_until(stopping.cancelled_owned());
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx would hold the stream back otherwise.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
