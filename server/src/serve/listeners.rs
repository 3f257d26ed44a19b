//! The HTTP listeners, all bound before anything is opened.

use crate::config::{Config, ServerRole};
use crate::http::listener::{HttpListener, Limits};
use crate::http::patience::Patience;
use crate::http::tls::Certificate;
use anyhow::{Result, bail};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Those that the roles have.
pub struct Listeners {
    /// The user web.
    pub front: Option<HttpListener>,
    /// The REST API.
    pub back: Option<HttpListener>,
    /// The processor, for other roles; only with a service key.
    pub processor: Option<HttpListener>,
    /// Every process has it.
    pub management: HttpListener,
}

impl Listeners {
    /// Binds them.
    ///
    /// # Errors
    /// Where addresses cannot be had: all of them, in one message.
    pub async fn bind(config: &Config, certificate: Option<&Arc<Certificate>>) -> Result<Self> {
        let limits = Limits {
            connections: config.web.connections_max,
            per_address: config.web.connections_per_address,
            exempt: config.trusted_proxies.as_slice().into(),
            patience: Patience::default(),
        };
        let few = Limits { connections: 256, per_address: 64, ..limits.clone() };
        let listen = &config.listen;
        let mut problems = Vec::new();
        let mut keep = |name: &str, address: SocketAddr, bound: io::Result<HttpListener>| {
            bound.map_err(|error| problems.push(format!("{name} {address}: {error}"))).ok()
        };
        let (mut front, mut back, mut processor) = (None, None, None);
        if config.has(ServerRole::Front) {
            let bound = HttpListener::bind("front", listen.front, certificate, limits.clone()).await;
            front = keep("front_listen", listen.front, bound);
        }
        if config.has(ServerRole::Back) {
            let bound = HttpListener::bind("back", listen.back, certificate, limits).await;
            back = keep("back_listen", listen.back, bound);
        }
        if config.has(ServerRole::Processor) && !config.access.service_keys.is_empty() {
            let bound = HttpListener::bind("processor", listen.processor, certificate, few.clone()).await;
            processor = keep("processor_listen", listen.processor, bound);
        }
        let tls = certificate.filter(|_| listen.management_tls);
        let bound = HttpListener::bind("management", listen.management, tls, few).await;
        match keep("management", listen.management, bound) {
            Some(management) if problems.is_empty() => Ok(Self { front, back, processor, management }),
            _ => bail!(
                "these addresses cannot be listened on:\n  {}\nstop what uses them, or move all ports with --port-offset N",
                problems.join("\n  ")
            ),
        }
    }

    /// Where one of them listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(listener: Option<&HttpListener>) -> io::Result<Option<SocketAddr>> {
        listener.map(HttpListener::address).transpose()
    }
}
