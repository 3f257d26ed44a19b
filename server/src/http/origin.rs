//! Where a request comes from and by which address it was asked for, as far as it can be believed.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What the listener knows of a connection; an extension of each of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// Whether this process decrypted it.
    pub encrypted: bool,
}

/// Where a request comes from; an extension of each request.
#[derive(Debug, Clone)]
pub struct RequestOrigin {
    /// The client: the peer, or what a trusted proxy says.
    pub client: IpAddr,
    /// The browser speaks https, to us or to a trusted proxy.
    pub https: bool,
    /// Host and port as asked for; empty where the request names none.
    pub authority: Arc<str>,
    /// Stands in logs, answers and problem details.
    pub request_id: Arc<str>,
}

/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl RequestOrigin {
    /// The host without its port.
    pub fn host(&self) -> &str {
        match self.authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => self.authority.split(':').next().unwrap_or_default(),
        }
    }

    /// Whether the browser calls this machine by a loopback name, which it trusts as it does https.
    pub fn on_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost")
            || host.to_ascii_lowercase().ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Scheme, host and port, as browsers write `Origin`.
    pub fn web_origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }

    /// Reads a request. `X-Forwarded-For` is walked from the right: the first address that is no trusted proxy is
    /// the client, for everything left of it may be made up.
    fn read(headers: &HeaderMap, uri: &http::Uri, connection: Connection, trusted: &[IpNet]) -> Self {
        let believed =
            |address: IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
        let peer = connection.peer.ip().to_canonical();
        let mut client = peer;
        let mut https = connection.encrypted;
        let mut given_id = None;
        if believed(peer) {
            let forwarded: Vec<&str> = headers
                .get_all("x-forwarded-for")
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|line| line.split(','))
                .collect();
            for address in forwarded.iter().rev().map_while(|text| text.trim().parse::<IpAddr>().ok()) {
                client = address.to_canonical();
                if !believed(client) {
                    break;
                }
            }
            let scheme = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
            if let Some(scheme) = scheme.and_then(|line| line.rsplit(',').next()) {
                https = scheme.trim().eq_ignore_ascii_case("https");
            }
            given_id = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| {
                (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        }
        let authority = uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| headers.get(http::header::HOST)?.to_str().ok())
            .unwrap_or_default();
        Self {
            client,
            https,
            authority: authority.into(),
            request_id: given_id.map_or_else(new_request_id, Arc::from),
        }
    }
}

fn new_request_id() -> Arc<str> {
    let mut random = [0; 10];
    // Without randomness the id is not unique, which is no reason to refuse the request.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Middleware: notes the origin, and names the request in the answer.
pub async fn note(State(trusted): State<Arc<[IpNet]>>, mut request: Request, next: Next) -> Response {
    let connection = request
        .extensions()
        .get::<Connection>()
        .copied()
        .unwrap_or(Connection { peer: SocketAddr::from(([0, 0, 0, 0], 0)), encrypted: false });
    let origin = RequestOrigin::read(request.headers(), request.uri(), connection, &trusted);
    let id = HeaderValue::from_str(&origin.request_id);
    request.extensions_mut().insert(origin);
    let mut response = next.run(request).await;
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(peer: &str, headers: &[(&'static str, &str)]) -> RequestOrigin {
        let map = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let connection = Connection { peer: format!("{peer}:1234").parse().unwrap(), encrypted: false };
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        RequestOrigin::read(&map, &http::Uri::from_static("/"), connection, &trusted)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        fn check(peer: &str, forwarded: &str, client: &str, https: bool) {
            let origin = read(peer, &[("x-forwarded-for", forwarded), ("x-forwarded-proto", "https")]);
            assert_eq!((origin.client.to_string().as_str(), origin.https), (client, https), "{forwarded}");
        }
        check("10.0.0.1", "203.0.113.9", "203.0.113.9", true);
        check("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9", true);
        check("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2", true);
        check("203.0.113.9", "127.0.0.1", "203.0.113.9", false);
    }

    #[test]
    fn loopback_is_known_by_its_names() {
        fn check(host: &str, expect: bool) {
            assert_eq!(read("127.0.0.1", &[("host", host)]).on_loopback(), expect, "{host}");
        }
        check("localhost:31080", true);
        check("qgx.localhost", true);
        check("127.0.0.1:31080", true);
        check("[::1]:31080", true);
        check("localhost.example.com", false);
        check("192.168.0.5", false);
        check("", false);
    }
}
