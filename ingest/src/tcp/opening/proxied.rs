//! Connections that come through a proxy.

use super::Door;
use crate::access::RefusalCode;
use crate::protocol::proxy::{self, Header};
use crate::tcp::no_entry::{Answer, NoEntry};
use bytes::Buf;

const PROTOCOL: &str = "proxy";

impl Door<'_> {
    /// Reads the PROXY header: from configured proxies only, once, before anything else.
    pub(super) async fn proxied(&mut self) -> Result<(), NoEntry> {
        let refused = |message: &str| {
            NoEntry::other("proxy_not_allowed", message.to_owned(), PROTOCOL).told(Answer::Silence)
        };
        if self.behind_proxy || self.known.is_some() || self.transport.is_tls() {
            return Err(refused("A PROXY header comes first, and once."));
        }
        if !self.port.is_proxy(self.peer) {
            return Err(refused(
                "PROXY headers are taken from the networks in ingest_proxy_protocol_from only.",
            ));
        }
        loop {
            match proxy::read(&self.buffer) {
                Header::Peer(peer, length) => {
                    self.buffer.advance(length);
                    self.behind_proxy = true;
                    self.own_address = peer.is_some();
                    return self.stand_for(peer.unwrap_or(self.peer));
                }
                Header::Partial if !self.ended => self.fill().await?,
                Header::Partial | Header::Broken => {
                    let message = "The PROXY header is not right.";
                    return Err(NoEntry::other("bad_proxy_header", message, PROTOCOL).told(Answer::Silence));
                }
            }
        }
    }

    fn stand_for(&mut self, peer: std::net::IpAddr) -> Result<(), NoEntry> {
        self.peer = peer;
        if self.place.stand_for(peer) {
            return Ok(());
        }
        Err(NoEntry::code(RefusalCode::TooManyConnections, PROTOCOL, None))
    }
}
