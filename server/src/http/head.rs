//! How large a request's head may be.

use super::csrf::accept_language;
use super::origin::RequestOrigin;
use super::problem::ApiError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};

/// Address and header fields together, counted as HTTP/2 does (RFC 9113 §6.5.2): 32 more for each field.
pub const LIST_MAX: usize = 32 * 1024;
/// Header fields.
pub const FIELDS_MAX: usize = 100;
/// What the connection reads of a head before it closes: beyond [`LIST_MAX`], so that the usual answer can say why.
pub const BUFFER_MAX: usize = 64 * 1024;

fn fits(uri: &Uri, headers: &HeaderMap) -> bool {
    let uri = uri.path_and_query().map_or(0, |text| text.as_str().len());
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    headers.len() <= FIELDS_MAX && uri + fields <= LIST_MAX
}

/// Middleware: 431 beyond.
pub async fn limit(request: Request, next: Next) -> Response {
    if fits(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    let lang = accept_language(request.headers());
    let id = request.extensions().get::<RequestOrigin>().map(|origin| origin.request_id.clone());
    let title = lang.pick("요청의 헤더가 너무 큽니다.", "The request's head is too large.");
    let kib = LIST_MAX / 1024;
    let detail = lang.pick(
        format!("주소와 헤더는 합쳐서 {kib} KiB, 헤더는 {FIELDS_MAX}개까지 받습니다."),
        format!("Address and header fields may have {kib} KiB together, and {FIELDS_MAX} fields at most."),
    );
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    ApiError::plain(status, "head_too_large", title, id.as_deref().unwrap_or_default())
        .with_detail(detail)
        .into_response()
}
