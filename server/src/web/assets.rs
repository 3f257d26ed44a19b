//! Scripts, styles and pictures: carried in the binary; read from the build's folder in debug builds.

use super::WebState;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::sync::Arc;

#[derive(RustEmbed)]
#[folder = "../target/site/app/"]
#[allow_missing = true]
struct Site;

/// The page that the bundler writes; never served itself.
const INDEX: &str = "index.html";

/// The assets, and what of them stands in every page's head.
pub struct Assets {
    head: Arc<str>,
}

impl Assets {
    /// Reads the head of the bundler's page.
    pub fn load() -> Self {
        let head = read_head();
        if head.is_empty() {
            tracing::warn!(
                "the web was built without its client: pages come, but do not move; run `cargo xtask build`"
            );
        }
        Self { head: head.into() }
    }

    /// What the bundler put between `<head>` and `</head>`.
    pub fn head(&self) -> Arc<str> {
        // A debug build may be rebundled while it runs.
        if cfg!(debug_assertions) { read_head().into() } else { Arc::clone(&self.head) }
    }
}

fn read_head() -> String {
    Site::get(INDEX)
        .and_then(|file| String::from_utf8(file.data.into_owned()).ok())
        .and_then(|page| Some(page.split_once("<head>")?.1.split_once("</head>")?.0.trim().to_owned()))
        .unwrap_or_default()
}

/// Whether the bundlers put a hash into the name, so that the content never changes: 16 hexadecimal digits
/// (`app-1f2e3d4c5b6a7988_bg.wasm`), or esbuild's 8 of base 32 (`style-ETZQFKSM.css`), which may well be letters alone.
fn is_hashed(name: &str) -> bool {
    let is_hash = |part: &str| match part.len() {
        16 => part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        8 => part.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')),
        _ => false,
    };
    name.rsplit('/').next().unwrap_or(name).split(['-', '_', '.']).skip(1).any(is_hash)
}

/// Middleware: answers what is an asset, and lets everything else on.
pub async fn serve(State(_): State<WebState>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let name = request.uri().path().trim_start_matches('/');
    if name.is_empty() || name == INDEX || name.ends_with(".br") {
        return next.run(request).await;
    }
    match Site::get(name) {
        Some(file) => answer(name, &file, request.headers()),
        None => next.run(request).await,
    }
}

fn answer(name: &str, file: &EmbeddedFile, asked: &HeaderMap) -> Response {
    let hash: String = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let brotli = accepts_brotli(asked).then(|| Site::get(&format!("{name}.br"))).flatten();
    let etag = if brotli.is_some() { format!("\"{hash}-br\"") } else { format!("\"{hash}\"") };
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged =
        known.flat_map(|line| line.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == etag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let data = brotli.as_ref().map_or(&file.data, |compressed| &compressed.data);
        Response::new(match data {
            std::borrow::Cow::Borrowed(bytes) => Body::from(*bytes),
            std::borrow::Cow::Owned(bytes) => Body::from(bytes.clone()),
        })
    };
    let headers = response.headers_mut();
    if !unchanged {
        let kind = mime_guess::from_path(name).first_or_octet_stream();
        let text = matches!(kind.type_().as_str(), "text") || kind.subtype() == "javascript";
        let kind = if text { format!("{kind}; charset=utf-8") } else { kind.to_string() };
        set(headers, header::CONTENT_TYPE, &kind);
        if brotli.is_some() {
            set(headers, header::CONTENT_ENCODING, "br");
        }
    }
    let cache = if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    set(headers, header::CACHE_CONTROL, cache);
    set(headers, header::VARY, "accept-encoding");
    set(headers, header::ETAG, &etag);
    response
}

fn set(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn accepts_brotli(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("br") && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_names_are_known() {
        fn check(name: &str, expect: bool) {
            assert_eq!(is_hashed(name), expect, "{name}");
        }
        check("app-1f2e3d4c5b6a7988_bg.wasm", true);
        check("app-1f2e3d4c5b6a7988.js", true);
        check("app-QX7Y2ZAB.css", true);
        check("style-ETZQFKSM.css", true);
        check("style-settings.css", false);
        check("icon.svg", false);
        check("manifest.webmanifest", false);
        check("icons/apple-touch-icon.png", false);
    }

    #[test]
    fn brotli_is_served_to_those_who_take_it() {
        fn check(accept: &str, expect: bool) {
            let headers =
                [(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap())].into_iter().collect();
            assert_eq!(accepts_brotli(&headers), expect, "{accept}");
        }
        check("gzip, deflate, br, zstd", true);
        check("br;q=0.5", true);
        check("br;q=0, gzip", false);
        check("gzip", false);
    }
}
