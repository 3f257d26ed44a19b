//! What a request's head may be: how large, and of which host.

use super::csrf::accept_language;
use super::origin::RequestOrigin;
use super::problem::ApiError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};

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

/// Middleware: 431 beyond, 400 for two hosts.
pub async fn limit(request: Request, next: Next) -> Response {
    let lang = accept_language(request.headers());
    let id = request.extensions().get::<RequestOrigin>().map(|origin| origin.request_id.clone());
    // Whoever stands in front may go by the other one (RFC 9112 §3.2).
    if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
        let title = lang.pick("Host 헤더가 둘 이상입니다.", "The request has more than one Host header.");
        let id = id.as_deref().unwrap_or_default();
        return ApiError::plain(StatusCode::BAD_REQUEST, "two_hosts", title, id).into_response();
    }
    if fits(request.uri(), request.headers()) {
        return next.run(request).await;
    }
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
