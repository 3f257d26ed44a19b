//! Server-sent events of the live stream.

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use domain::api::LiveMessage;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue, header};
use std::convert::Infallible;
use tokio_util::sync::CancellationToken;

/// The name of a message's server-sent event: its `type`.
fn name(message: &LiveMessage) -> &'static str {
    match message {
        LiveMessage::Totals(_) => "totals",
        LiveMessage::Tail { .. } => "tail",
        LiveMessage::Source { .. } => "source",
        LiveMessage::Refusal(_) => "refusal",
        LiveMessage::TokenSeen { .. } => "token_seen",
        LiveMessage::Heartbeat { .. } => "heartbeat",
        LiveMessage::Lagged { .. } => "lagged",
    }
}

/// The stream as an answer. It ends when the process begins to stop; clients then connect again.
pub fn answer(messages: BoxStream<'static, LiveMessage>, stopping: CancellationToken) -> Response {
    let events = messages
        .map(|message| {
            let event = Event::default().event(name(&message));
            Ok::<_, Infallible>(event.json_data(&message).unwrap_or_default())
        })
        .take_until(stopping.cancelled_owned());
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx would hold the stream back otherwise.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
