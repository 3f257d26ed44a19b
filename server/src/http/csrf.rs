//! Requests that change something must come from our own pages.
//!
//! The browser itself says where a request comes from, by `Sec-Fetch-Site` and `Origin`; no token in forms is needed.
//! Programs with a bearer token send no cookie and are not concerned.

use super::origin::RequestOrigin;
use super::problem::ApiError;
use super::stack::HttpState;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::Lang;
use http::{HeaderMap, Method, StatusCode, header};

/// Whether a request may change something by the power of its cookie.
fn allowed(method: &Method, headers: &HeaderMap, own: &str, public: &[String]) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || headers.contains_key(header::AUTHORIZATION)
    {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = |origin: &str| origin == own || public.iter().any(|known| known == origin);
    match (text("sec-fetch-site"), text("origin")) {
        // Where both are there, neither may say otherwise.
        (Some(site), Some(origin)) => site == "same-origin" && ours(origin),
        (None, Some(origin)) => ours(origin),
        (Some(site), None) => site == "same-origin",
        // No browser: with a cookie it was made by one all the same, and then it is not to be trusted.
        (None, None) => !headers.contains_key(header::COOKIE),
    }
}

/// Middleware: refuses what comes from other sites.
pub async fn guard(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let origin = request.extensions().get::<RequestOrigin>();
    let own = origin.map(RequestOrigin::web_origin).unwrap_or_default();
    if allowed(request.method(), request.headers(), &own, &state.public_origins) {
        return next.run(request).await;
    }
    metrics::counter!("qgx_http_cross_site_refused_total", "site" => state.site.name()).increment(1);
    let lang = accept_language(request.headers());
    let request_id = origin.map_or("", |origin| &origin.request_id);
    let title = lang
        .pick("다른 사이트에서 온 요청이라 거절했습니다.", "Refused: the request comes from another site.");
    let detail = lang.pick(
        "프록시 뒤에서 운영 중이면 QGX_PUBLIC_URL에 브라우저가 보는 주소를 적어 주세요.",
        "Behind a proxy, set QGX_PUBLIC_URL to the address that browsers see.",
    );
    ApiError::plain(StatusCode::FORBIDDEN, "cross_site", title, request_id)
        .with_detail(detail)
        .into_response()
}

/// The language that a request asks for; Korean where it asks for none.
pub fn accept_language(headers: &HeaderMap) -> Lang {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map_or(Lang::Ko, Lang::from_accept_language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(method: Method, headers: &[(&'static str, &'static str)], expect: bool) {
        let map = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let public = ["https://qgx.example.com".to_owned()];
        assert_eq!(allowed(&method, &map, "http://localhost:31080", &public), expect, "{headers:?}");
    }

    #[test]
    fn only_our_own_pages_change_something() {
        check(Method::GET, &[("origin", "https://evil.example")], true);
        check(Method::POST, &[("sec-fetch-site", "same-origin"), ("cookie", "a=b")], true);
        check(Method::POST, &[("origin", "http://localhost:31080"), ("cookie", "a=b")], true);
        check(Method::POST, &[("origin", "https://qgx.example.com"), ("cookie", "a=b")], true);
        check(Method::POST, &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], false);
        check(Method::POST, &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:31090")], false);
        check(Method::POST, &[("origin", "null"), ("cookie", "a=b")], false);
        check(Method::POST, &[("sec-fetch-site", "cross-site")], false);
        check(Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false);
        check(Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", "null")], false);
        check(Method::POST, &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:31080")], false);
        check(Method::POST, &[("sec-fetch-site", "none"), ("origin", "http://localhost:31080")], false);
        check(Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:31080")], true);
        check(Method::POST, &[("cookie", "a=b")], false);
        check(Method::POST, &[], true);
        check(Method::DELETE, &[("authorization", "Bearer qgx_x"), ("origin", "https://evil.example")], true);
    }
}
