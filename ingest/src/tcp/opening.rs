//! How a connection begins: what it speaks, and who it is.

mod conversation;
mod first;
mod hello;
mod proxied;

use super::Port;
use super::admission::Place;
use super::no_entry::{Answer, NoEntry};
use super::openings::OpeningShare;
use super::replies::Replies;
use super::transport::Transport;
use super::warrant::Warrant;
use crate::access::{Identity, RefusalCode};
use crate::protocol::detect::{Opening, detect};
use crate::protocol::{Framing, Protocol};
use crate::record::{Draft, arrival::received_now};
use crate::session::{Session, Start};
use crate::streams::Hold;
use bytes::{Buf, BytesMut};
use domain::Zone;
use rustls::CertificateError;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes an opening may hold without a share.
const SMALL: usize = 16 << 10;
/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Longest `AUTH` or `HELLO` line.
const LINE: usize = 4 << 10;

/// A connection at the door.
pub struct Door<'a> {
    pub port: &'a Port,
    /// From where; behind a proxy, what the proxy says.
    pub peer: IpAddr,
    /// Among the connections of its address.
    pub place: Place,
    /// A proxy said from where.
    behind_proxy: bool,
    pub transport: Transport,
    pub buffer: BytesMut,
    /// The other side has ended.
    pub ended: bool,
    /// Covers a large first record.
    pub share: Option<OpeningShare>,
    /// Since its first byte, or since its first record is large.
    started: Option<Instant>,
    /// When it came.
    opened: Instant,
    /// What it speaks is known: a slow first record may take its time.
    awaits_record: bool,
    /// From a client certificate, or `AUTH`.
    known: Option<Known>,
    /// What stands in for a credential.
    pub warrant: Option<Warrant>,
    /// The address is the sender's own, not that of a proxy before it.
    own_address: bool,
}

/// Who a connection is, as far as it has said before its first record.
struct Known {
    /// The credential it has shown.
    secret: Option<Arc<str>>,
    identity: Identity,
}

/// What came through the door.
pub struct Entered {
    pub session: Session,
    pub hold: Option<Hold>,
    /// The first line of the answer.
    pub greeting: BytesMut,
}

impl<'a> Door<'a> {
    /// A connection that has said nothing yet.
    pub fn new(port: &'a Port, peer: IpAddr, place: Place, transport: Transport) -> Self {
        Self {
            port,
            peer,
            place,
            behind_proxy: false,
            transport,
            buffer: BytesMut::new(),
            ended: false,
            share: None,
            started: None,
            opened: Instant::now(),
            awaits_record: false,
            known: None,
            warrant: None,
            own_address: !port.is_proxy(peer),
        }
    }

    /// Finds out what it speaks and who it is.
    ///
    /// # Errors
    /// Where it is not let in.
    pub async fn open(mut self) -> (Self, Result<Entered, NoEntry>) {
        let entered = self.enter().await;
        if entered.is_ok() {
            self.place.is_known();
        }
        (self, entered)
    }

    async fn enter(&mut self) -> Result<Entered, NoEntry> {
        loop {
            match self.opening().await? {
                Opening::Tls => self.begin_tls().await?,
                Opening::Auth => self.authenticate().await?,
                Opening::Qgx => return self.hello().await,
                Opening::Http => return Err(NoEntry::Http),
                Opening::Stun => {
                    let message = "STUN is not spoken here.";
                    return Err(NoEntry::other("unsupported_protocol", message, "stun").told(Answer::Silence));
                }
                Opening::Relp => return self.relp().await,
                Opening::Lumberjack => return self.lumberjack().await,
                Opening::Proxy => self.proxied().await?,
                Opening::Json => return self.unacknowledged(Protocol::Ndjson, Framing::NewlineOrNul).await,
                Opening::Syslog => return self.unacknowledged(Protocol::Syslog, Framing::Newline).await,
                Opening::SyslogCounted => {
                    return self.unacknowledged(Protocol::SyslogCounted, Framing::Counted).await;
                }
                Opening::Lines => return self.unacknowledged(Protocol::Lines, Framing::Newline).await,
            }
        }
    }

    async fn opening(&mut self) -> Result<Opening, NoEntry> {
        loop {
            // The mark that editors put before a text says nothing about the protocol.
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.advance(BYTE_ORDER_MARK.len());
            }
            if self.ended && self.buffer.is_empty() {
                return Err(NoEntry::Gone);
            }
            let perhaps_mark =
                !self.ended && !self.buffer.is_empty() && BYTE_ORDER_MARK.starts_with(&self.buffer);
            if !perhaps_mark && let Some(opening) = detect(&self.buffer, self.ended) {
                return Ok(opening);
            }
            self.fill().await?;
        }
    }

    /// Reads more, within the deadlines.
    async fn fill(&mut self) -> Result<(), NoEntry> {
        if self.ended {
            return Ok(());
        }
        let config = &self.port.config;
        // Who took of the memory for openings is hurried from then on, wherever the bytes stand: in the buffer, or
        // inflated by a dialogue.
        let hurried = !self.awaits_record || self.buffer.len() > SMALL || self.share.is_some();
        let (deadline, late) = match self.started {
            Some(at) if hurried => {
                let message = "The connection did not say in time what it sends. End the first line.";
                (at + config.handshake, NoEntry::other("handshake_timeout", message, "unknown"))
            }
            _ => (Instant::now() + config.idle, NoEntry::Gone),
        };
        let (mut look, pause) = (self.opened + config.handshake, config.handshake);
        loop {
            if self.port.stop.is_cancelled() {
                return Err(NoEntry::Gone);
            }
            // Who never lets the socket run dry has no longer for it.
            let now = Instant::now();
            if now >= deadline {
                return Err(late);
            }
            // Strangers must not keep all others out by taking their time.
            if now >= look {
                if self.place.is_crowded() {
                    let refused = NoEntry::code(RefusalCode::TooManyConnections, "unknown", None);
                    return Err(refused.told(Answer::Silence));
                }
                look = now + pause;
            }
            self.buffer.reserve(LINE);
            // Before any waiting: TLS may hold more than the last read took, which the socket knows nothing of.
            match self.transport.try_read(&mut self.buffer, SMALL) {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    self.started.get_or_insert_with(Instant::now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::select! {
                        biased;
                        () = self.port.stop.cancelled() => return Err(NoEntry::Gone),
                        ready = tokio::time::timeout_at(deadline.min(look), self.transport.readable()) => {
                            match ready {
                                Ok(Err(_)) => return Err(NoEntry::Gone),
                                Err(_) | Ok(Ok(())) => continue,
                            }
                        }
                    }
                }
                Err(_) => return Err(NoEntry::Gone),
            }
            return Ok(());
        }
    }

    /// Answers, within the deadline.
    async fn say(&mut self, bytes: &[u8]) -> Result<(), NoEntry> {
        let mut replies = Replies::default();
        replies.push(bytes);
        let written = async {
            while replies.pending() {
                replies.write(&mut self.transport)?;
                if replies.pending() {
                    self.transport.writable().await?;
                }
            }
            io::Result::Ok(())
        };
        match tokio::time::timeout(self.port.config.write, written).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NoEntry::Gone),
        }
    }

    /// A line of the opening, without its end.
    async fn line(&mut self, protocol: &'static str) -> Result<BytesMut, NoEntry> {
        let mut scanned = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[scanned..]) {
                let mut line = self.buffer.split_to(scanned + end + 1);
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            if self.ended {
                return Ok(std::mem::take(&mut self.buffer));
            }
            if self.buffer.len() > LINE {
                let message = format!("The first line is longer than {LINE} bytes.");
                return Err(NoEntry::other("line_too_long", message, protocol));
            }
            scanned = self.buffer.len();
            self.fill().await?;
        }
    }

    async fn begin_tls(&mut self) -> Result<(), NoEntry> {
        let Some(config) = self.port.config.tls.clone() else {
            let message = "TLS is not set up on this port: set QGX_TLS_CERT and QGX_TLS_KEY.";
            return Err(NoEntry::other("tls_not_set_up", message, "tls").told(Answer::Silence));
        };
        if self.transport.is_tls() {
            return Err(NoEntry::other("tls_in_tls", "TLS within TLS.", "tls"));
        }
        // The handshake itself cannot wait for the list of authorities.
        let certificates = self.port.config.client_certificates.is_some();
        if certificates && let Err(code) = self.port.intake.access.know_trust().await {
            return Err(NoEntry::code(code, "tls", None).told(Answer::Silence));
        }
        let read = std::mem::take(&mut self.buffer).freeze();
        let transport = std::mem::replace(&mut self.transport, Transport::Closed);
        let handshake = tokio::time::timeout(self.port.config.handshake, transport.into_tls(read, config));
        match handshake.await.unwrap_or_else(|_| Err(io::Error::from(ErrorKind::TimedOut))) {
            Ok(transport) => self.transport = transport,
            Err(error) => return Err(no_tls(&error)),
        }
        self.certified().await
    }

    /// Who it is by the certificate it has shown, where it has.
    async fn certified(&mut self) -> Result<(), NoEntry> {
        let Some(chain) = self.transport.client_certificates() else { return Ok(()) };
        let warrant = Warrant::Certificate(chain.into());
        let refused = |code| NoEntry::code(code, "tls", None);
        let identity = warrant.identify(self.port, self.peer).await.map_err(refused)?;
        // Nobody can have said who it is before TLS, but by `AUTH` in plain.
        if let Some(known) = &self.known
            && !agrees(&identity, &known.identity)
        {
            return Err(NoEntry::code(RefusalCode::IdentityChanged, "tls", known.secret.as_deref()));
        }
        let secret = self.known.take().and_then(|known| known.secret);
        self.known = Some(Known { secret, identity });
        self.warrant = Some(warrant);
        self.place.is_known();
        Ok(())
    }

    async fn authenticate(&mut self) -> Result<(), NoEntry> {
        let line = self.line("auth").await?;
        let secret = String::from_utf8_lossy(&line[b"AUTH ".len().min(line.len())..]).trim().to_owned();
        self.identify(&secret, "auth").await
    }

    /// Who holds this secret; a second, different one is refused.
    async fn identify(&mut self, secret: &str, protocol: &'static str) -> Result<(), NoEntry> {
        let changed = || NoEntry::code(RefusalCode::IdentityChanged, protocol, Some(secret));
        match self.known.as_ref().and_then(|known| known.secret.as_deref()) {
            Some(shown) if shown == secret => return Ok(()),
            Some(_) => return Err(changed()),
            None => {}
        }
        let access = &self.port.intake.access;
        let identity = access.identify(secret, self.peer).await;
        let identity = identity.map_err(|code| NoEntry::code(code, protocol, Some(secret)))?;
        let token = identity.token;
        match &mut self.known {
            // The certificate came first.
            Some(known) if agrees(&known.identity, &identity) => known.secret = Some(secret.into()),
            Some(_) => return Err(changed()),
            None => self.known = Some(Known { secret: Some(secret.into()), identity }),
        }
        access.token_used(token, self.peer);
        Ok(())
    }

    /// Whether it has shown a credential already.
    fn has_shown(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.secret.is_some())
    }

    /// The identity known so far, or that of a peer without a credential.
    async fn identity(&mut self, protocol: &'static str) -> Result<(Option<Arc<str>>, Identity), NoEntry> {
        if let Some(known) = self.known.take() {
            return Ok((known.secret, known.identity));
        }
        let refused = |code| NoEntry::code(code, protocol, None);
        if self.own_address {
            match Warrant::Address.identify(self.port, self.peer).await {
                Ok(identity) => {
                    self.warrant = Some(Warrant::Address);
                    return Ok((None, identity));
                }
                Err(RefusalCode::AddressRuleEnded) => {}
                Err(code) => return Err(refused(code)),
            }
        }
        // What comes through a proxy does not come from this machine, whatever its address says.
        let identity = match self.behind_proxy {
            true => Err(RefusalCode::NoCredential),
            false => self.port.intake.access.identify_loopback(self.peer).await,
        };
        identity.map(|identity| (None, identity)).map_err(refused)
    }

    /// The credential that a record shows. It does not depend on the tenant's settings.
    fn token_of(&self, protocol: Protocol, frame: &[u8]) -> Option<String> {
        let mut draft = Draft::new(self.port.intake.limits, Zone::utc());
        draft.reset(received_now());
        // What is wrong with the record is told when it is known whose it is.
        let _ = protocol.read(frame, &mut draft);
        draft.token().map(str::to_owned)
    }

    /// Covers what stands in memory before anybody is known, `held` bytes of it beside the buffer.
    fn cover(&mut self, protocol: Protocol, held: usize) -> Result<(), NoEntry> {
        if self.buffer.len() + held <= SMALL {
            return Ok(());
        }
        if self.share.is_none() {
            self.started = Some(Instant::now());
        }
        if self.port.openings.cover(&mut self.share, self.buffer.capacity() + held) {
            return Ok(());
        }
        Err(NoEntry::code(RefusalCode::Busy, protocol.name(), None))
    }

    /// A session without more.
    fn start(
        &self,
        protocol: Protocol,
        framing: Framing,
        identity: Identity,
        secret: Option<Arc<str>>,
    ) -> Start {
        Start {
            protocol,
            framing,
            identity,
            secret,
            source: None,
            stream: None,
            peer: self.peer,
            patience: self.port.config.patience,
            dialogue: None,
        }
    }
}

/// Whether a token may be shown beside a certificate: it is of the same tenant, and bound to no other source.
fn agrees(certificate: &Identity, token: &Identity) -> bool {
    certificate.tenant.key == token.tenant.key
        && (token.source.is_none() || token.source == certificate.source)
}

/// Why a handshake failed. In TLS the client is told by an alert.
fn no_tls(error: &io::Error) -> NoEntry {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let code = match reason {
        Some(rustls::Error::InvalidCertificate(CertificateError::Revoked)) => RefusalCode::RevokedCertificate,
        Some(rustls::Error::InvalidCertificate(_)) => RefusalCode::BadCertificate,
        Some(rustls::Error::NoCertificatesPresented) => RefusalCode::NoCredential,
        _ => {
            return NoEntry::other("tls_failed", "The TLS handshake failed.", "tls").told(Answer::Silence);
        }
    };
    tracing::debug!(%error, "a client certificate is refused");
    NoEntry::code(code, "tls", None).told(Answer::Silence)
}
