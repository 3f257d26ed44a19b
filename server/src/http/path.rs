//! Paths are taken as they are: one that could also be read otherwise is refused.

use super::csrf::accept_language;
use super::origin::RequestOrigin;
use super::problem::ApiError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// Whether a path has one reading only: no backslash, no empty segment but the last, no `.` or `..`, escaped or not.
pub fn is_plain(path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return path.is_empty() || path == "*" };
    if path.contains('\\') || path.contains(char::is_control) {
        return false;
    }
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        if (segment.is_empty() && !last) || dots == "." || dots == ".." {
            return false;
        }
    }
    true
}

/// Middleware: 400 for any other.
pub async fn plain(request: Request, next: Next) -> Response {
    if is_plain(request.uri().path()) {
        return next.run(request).await;
    }
    let lang = accept_language(request.headers());
    let id = request.extensions().get::<RequestOrigin>().map(|origin| origin.request_id.clone());
    let title = lang.pick("주소의 경로가 올바르지 않습니다.", "The address has an ambiguous path.");
    let detail = lang.pick(
        "경로에 //, /./, /../, 역슬래시를 쓸 수 없습니다.",
        "A path has no //, no /./ or /../, and no backslash.",
    );
    ApiError::plain(StatusCode::BAD_REQUEST, "bad_path", title, id.as_deref().unwrap_or_default())
        .with_detail(detail)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_reading() {
        fn check(path: &str, expect: bool) {
            assert_eq!(is_plain(path), expect, "{path}");
        }
        check("/", true);
        check("*", true);
        check("/explore", true);
        check("/api/v1/docs/", true);
        check("/sources/a%2Fb", true);
        check("/sources/..a", true);
        check("//evil.example", false);
        check("/.//evil.example", false);
        check("/./index.html", false);
        check("/%2e/index.html", false);
        check("/a/../b", false);
        check("/a/%2E%2e", false);
        check("/a//b", false);
        check("/\\evil.example", false);
    }
}
