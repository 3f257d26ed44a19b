//! The user web: everything that its browser asks for comes from here, and nothing of the API for programs.

pub mod assets;
pub mod download;
pub mod live;
pub mod pages;
mod returned;

use crate::config::{Config, Tls};
use crate::http::{HttpState, Site};
use app::context::Ports;
use assets::Assets;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, get, on};
use http::Method;
use services::Services;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

/// Where this web's server functions stand; those of other webs in the process are not mounted.
pub const SERVER_FN_PREFIX: &str = "/api/app/";
/// The one stream of a page.
pub const LIVE_PATH: &str = "/api/app/live";
/// The export of what Explore shows.
pub const DOWNLOAD_PATH: &str = "/download/events";

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    /// The use cases.
    pub services: Services,
    /// Scripts, styles and pictures.
    pub assets: Arc<Assets>,
    /// Ports that Connect prints.
    pub ports: Ports,
    /// Whether the API's port is encrypted by this process.
    pub api_encrypted: bool,
    /// Cancelled when the process begins to stop: endless streams end then.
    pub stopping: CancellationToken,
}

impl WebState {
    /// From the settings; `api` and `ingest` are the ports that are really listened on.
    pub fn new(
        services: &Services,
        config: &Config,
        api: u16,
        ingest: u16,
        stopping: &CancellationToken,
    ) -> Self {
        let port_of = |address: &str| {
            let authority = address.split("://").last().unwrap_or_default();
            authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
        };
        let web = &config.web;
        let given_api = web
            .api_public_url
            .as_deref()
            .map(|url| port_of(url).unwrap_or(if url.starts_with("https:") { 443 } else { 80 }));
        let given_ingest = web.ingest_public_address.as_deref().and_then(port_of);
        Self {
            services: services.clone(),
            assets: Arc::new(Assets::load()),
            ports: Ports {
                api: given_api.unwrap_or(api),
                ingest: given_ingest.unwrap_or(ingest),
                api_origin: web.api_public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
                ingest_host: web.ingest_public_address.as_deref().map(host_of),
            },
            api_encrypted: config.tls != Tls::Off,
            stopping: stopping.clone(),
        }
    }

    /// What Connect prints to somebody who asked for the web by this host. Without a setting the API is on the same
    /// host, by the scheme that it is really served by.
    pub fn ports_for(&self, host: &str) -> Ports {
        let origin = || api_origin(host, self.ports.api, self.api_encrypted);
        Ports { api_origin: Some(self.ports.api_origin.clone().unwrap_or_else(origin)), ..self.ports.clone() }
    }
}

fn api_origin(host: &str, port: u16, encrypted: bool) -> String {
    let scheme = if encrypted { "https" } else { "http" };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{scheme}://{host}:{port}")
}

/// The host of `HOST:PORT`, whose port may be left out.
fn host_of(address: &str) -> String {
    let authority = address.split("://").last().unwrap_or_default();
    let port = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    // The colons of an IPv6 address stand in brackets.
    match port {
        Some((host, _)) if !host.contains(':') || host.ends_with(']') => host.to_owned(),
        _ => authority.to_owned(),
    }
}

/// The server functions of this web: path and method.
pub fn server_functions() -> Vec<(&'static str, Method)> {
    let mut paths: Vec<_> =
        server_fn::axum::server_fn_paths().filter(|(path, _)| path.starts_with(SERVER_FN_PREFIX)).collect();
    paths.sort_by_key(|(path, _)| *path);
    paths
}

/// Everything that the web's listener serves.
pub fn router(state: WebState, http: &HttpState) -> Router {
    debug_assert_eq!(http.site, Site::App);
    let mut router =
        Router::new().route(LIVE_PATH, get(live::live)).route(DOWNLOAD_PATH, get(download::events));
    for (path, method) in server_functions() {
        if let Ok(filter) = MethodFilter::try_from(method) {
            router = router.route(path, on(filter, pages::server_function));
        }
    }
    for path in pages::paths() {
        router = router.route(&path, get(pages::page));
    }
    let router = router.fallback(pages::not_found).with_state(state.clone()).layer(
        CompressionLayer::new().compress_when(
            // An event stream must not wait in a compressor.
            DefaultPredicate::new().and(NotForContentType::const_new("text/event-stream")),
        ),
    );
    // Assets need no session: they are answered before anybody is looked for.
    let router = http.identified(router).layer(from_fn_with_state(state, assets::serve));
    http.guarded(router)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_named_as_it_is_served() {
        fn check(host: &str, encrypted: bool, expect: &str) {
            assert_eq!(api_origin(host, 31_090, encrypted), expect);
        }
        check("localhost", false, "http://localhost:31090");
        check("qgx.example.com", true, "https://qgx.example.com:31090");
        check("2001:db8::1", true, "https://[2001:db8::1]:31090");
    }

    #[test]
    fn the_host_of_an_address() {
        fn check(address: &str, expect: &str) {
            assert_eq!(host_of(address), expect, "{address}");
        }
        check("data.example.com:31101", "data.example.com");
        check("data.example.com", "data.example.com");
        check("tcp://data.example.com:31101", "data.example.com");
        check("[2001:db8::1]:31101", "[2001:db8::1]");
        check("2001:db8::1", "2001:db8::1");
    }
}
