//! How a connection begins: what it speaks, and who it is.

use super::Port;
use super::openings::OpeningShare;
use super::transport::Transport;
use crate::access::{Identity, RefusalCode};
use crate::protocol::detect::{Opening, detect};
use crate::protocol::frame::{Cut, Framer};
use crate::protocol::qgx::{self, Hello};
use crate::protocol::{Framing, Protocol};
use crate::record::{Draft, arrival::received_now};
use crate::session::{Session, Start, Stream};
use crate::streams::{Hold, Owner, StreamKey};
use bytes::{Buf, BytesMut};
use domain::{SourceKey, Zone};
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

/// Why a connection never became a session.
#[derive(Debug)]
pub enum NoEntry {
    /// It went, or never said anything.
    Gone,
    /// Turned away.
    Refused {
        /// Stable code.
        code: &'static str,
        /// For people.
        message: String,
        /// What it spoke, as far as known.
        protocol: &'static str,
        /// The credential it showed.
        secret: Option<String>,
        /// Whether the other side reads lines.
        answer: bool,
    },
    /// An HTTP request.
    Http,
}

impl NoEntry {
    fn code(code: RefusalCode, protocol: &'static str, secret: Option<&str>) -> Self {
        Self::Refused {
            code: code.code(),
            message: code.message(domain::Lang::En).to_owned(),
            protocol,
            secret: secret.map(str::to_owned),
            answer: true,
        }
    }

    fn other(code: &'static str, message: impl Into<String>, protocol: &'static str, answer: bool) -> Self {
        Self::Refused { code, message: message.into(), protocol, secret: None, answer }
    }
}

/// A connection at the door.
pub struct Door<'a> {
    pub port: &'a Port,
    pub peer: IpAddr,
    pub transport: Transport,
    pub buffer: BytesMut,
    /// The other side has ended.
    pub ended: bool,
    /// Covers a large first record.
    pub share: Option<OpeningShare>,
    /// Since its first byte, or since its first record is large.
    started: Option<Instant>,
    /// What it speaks is known: a slow first record may take its time.
    awaits_record: bool,
    /// From `AUTH`.
    known: Option<(Arc<str>, Identity)>,
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
    pub fn new(port: &'a Port, peer: IpAddr, transport: Transport) -> Self {
        Self {
            port,
            peer,
            transport,
            buffer: BytesMut::new(),
            ended: false,
            share: None,
            started: None,
            awaits_record: false,
            known: None,
        }
    }

    /// Finds out what it speaks and who it is.
    ///
    /// # Errors
    /// Where it is not let in.
    pub async fn open(mut self) -> (Self, Result<Entered, NoEntry>) {
        let entered = self.enter().await;
        (self, entered)
    }

    async fn enter(&mut self) -> Result<Entered, NoEntry> {
        loop {
            match self.opening().await? {
                Opening::Tls => self.begin_tls().await?,
                Opening::Auth => self.authenticate().await?,
                Opening::Qgx => return self.hello().await,
                Opening::Http => return Err(NoEntry::Http),
                Opening::Relp => return Err(unspoken("relp")),
                Opening::Lumberjack => return Err(unspoken("lumberjack")),
                Opening::Proxy => return Err(unspoken("proxy")),
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
        let hurried = !self.awaits_record || self.buffer.len() > SMALL;
        let (deadline, late) = match self.started {
            Some(at) if hurried => {
                let message = "The connection did not say in time what it sends. End the first line.";
                (at + config.handshake, NoEntry::other("handshake_timeout", message, "unknown", true))
            }
            _ => (Instant::now() + config.idle, NoEntry::Gone),
        };
        loop {
            if self.port.stop.is_cancelled() {
                return Err(NoEntry::Gone);
            }
            // Who never lets the socket run dry has no longer for it.
            if Instant::now() >= deadline {
                return Err(late);
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
                        ready = tokio::time::timeout_at(deadline, self.transport.readable()) => match ready {
                            Err(_) => return Err(late),
                            Ok(Err(_)) => return Err(NoEntry::Gone),
                            Ok(Ok(())) => continue,
                        },
                    }
                }
                Err(_) => return Err(NoEntry::Gone),
            }
            return Ok(());
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
                return Err(NoEntry::other("line_too_long", message, protocol, true));
            }
            scanned = self.buffer.len();
            self.fill().await?;
        }
    }

    async fn begin_tls(&mut self) -> Result<(), NoEntry> {
        let Some(config) = self.port.config.tls.clone() else {
            let message = "TLS is not set up on this port: set QGX_TLS_CERT and QGX_TLS_KEY.";
            return Err(NoEntry::other("tls_not_set_up", message, "tls", false));
        };
        if self.transport.is_tls() {
            return Err(NoEntry::other("tls_in_tls", "TLS within TLS.", "tls", true));
        }
        let read = std::mem::take(&mut self.buffer).freeze();
        let transport = std::mem::replace(&mut self.transport, Transport::Closed);
        let handshake = tokio::time::timeout(self.port.config.handshake, transport.into_tls(read, config));
        match handshake.await.unwrap_or_else(|_| Err(io::Error::from(ErrorKind::TimedOut))) {
            Ok(transport) => self.transport = transport,
            Err(_) => return Err(NoEntry::other("tls_failed", "The TLS handshake failed.", "tls", false)),
        }
        Ok(())
    }

    async fn authenticate(&mut self) -> Result<(), NoEntry> {
        let line = self.line("auth").await?;
        let secret = String::from_utf8_lossy(&line[b"AUTH ".len().min(line.len())..]).trim().to_owned();
        self.identify(&secret, "auth").await
    }

    /// Who holds this secret; a second, different one is refused.
    async fn identify(&mut self, secret: &str, protocol: &'static str) -> Result<(), NoEntry> {
        if let Some((known, _)) = &self.known {
            if **known == *secret {
                return Ok(());
            }
            return Err(NoEntry::code(RefusalCode::IdentityChanged, protocol, Some(secret)));
        }
        let access = &self.port.intake.access;
        match access.identify(secret, self.peer).await {
            Ok(identity) => {
                access.token_used(identity.token, self.peer);
                self.known = Some((secret.into(), identity));
                Ok(())
            }
            Err(code) => Err(NoEntry::code(code, protocol, Some(secret))),
        }
    }

    /// The identity known so far, or that of a peer without a credential.
    async fn identity(&mut self, protocol: &'static str) -> Result<(Option<Arc<str>>, Identity), NoEntry> {
        if let Some((secret, identity)) = self.known.take() {
            return Ok((Some(secret), identity));
        }
        let identity = self.port.intake.access.identify_loopback(self.peer).await;
        identity.map(|identity| (None, identity)).map_err(|code| NoEntry::code(code, protocol, None))
    }

    async fn hello(&mut self) -> Result<Entered, NoEntry> {
        const PROTOCOL: &str = "qgx";
        let line = self.line(PROTOCOL).await?;
        let hello =
            Hello::parse(&line).map_err(|message| NoEntry::other("bad_hello", message, PROTOCOL, true))?;
        if let Some(token) = &hello.token {
            self.identify(token, PROTOCOL).await?;
        }
        let (secret, identity) = self.identity(PROTOCOL).await?;
        // Checked by `Hello::parse`.
        let source = hello.source.as_deref().and_then(|source| SourceKey::new(source).ok());
        let (stream, hold) = match &hello.stream {
            Some(name) => {
                let (last_seq, hold) = self.resume(&identity, source.as_ref(), name, hello.acked).await?;
                (Stream { name: name.as_str().into(), last_seq, resumable: true }, Some(hold))
            }
            None => {
                let name = format!("c-{:016x}", received_now().as_nanos());
                (Stream { name: name.into(), last_seq: 0, resumable: false }, None)
            }
        };
        let mut greeting = BytesMut::new();
        qgx::ok(&mut greeting, &stream.name, stream.last_seq);
        let session = self.session(Protocol::Qgx, Framing::Newline, identity, secret, source, Some(stream));
        Ok(Entered { session, hold, greeting })
    }

    /// Where a stream goes on: the highest of what the client got, what the processor has, what this process made
    /// durable. Where records name their own sources only the first and last are known to have no gaps.
    async fn resume(
        &self,
        identity: &Identity,
        source: Option<&SourceKey>,
        stream: &str,
        acked: u64,
    ) -> Result<(u64, Hold), NoEntry> {
        let tenant = &identity.tenant.key;
        let bound = identity.source.as_ref().or(source);
        let processed = match bound {
            None => 0,
            Some(source) => {
                let position = self.port.intake.positions.position(tenant, source, stream).await;
                position.map_err(|_| NoEntry::code(RefusalCode::Unavailable, "qgx", None))?
            }
        };
        let owner = match (bound, identity.token) {
            (Some(source), _) => Owner::Source(source.clone()),
            (None, 0) => Owner::Peer(self.peer),
            (None, token) => Owner::Token(token),
        };
        let key = StreamKey { tenant: tenant.clone(), owner, stream: stream.into() };
        let hold = self.port.intake.streams.take(key);
        Ok((acked.max(processed).max(hold.durable), hold))
    }

    async fn unacknowledged(&mut self, protocol: Protocol, framing: Framing) -> Result<Entered, NoEntry> {
        if self.known.is_none()
            && let Some(token) = self.first_token(protocol, framing).await?
        {
            self.identify(&token, protocol.name()).await?;
        }
        let (secret, identity) = self.identity(protocol.name()).await?;
        let session = self.session(protocol, framing, identity, secret, None, None);
        Ok(Entered { session, hold: None, greeting: BytesMut::new() })
    }

    /// The credential that the first record shows. Waits for the record; takes nothing off the buffer.
    async fn first_token(&mut self, protocol: Protocol, framing: Framing) -> Result<Option<String>, NoEntry> {
        let limit = self.port.intake.limits.frame_bytes;
        self.awaits_record = true;
        loop {
            match first_frame(&self.buffer, framing, limit, self.ended) {
                First::Frame(frame) => {
                    // Which credential it shows does not depend on the tenant's settings.
                    let mut draft = Draft::new(self.port.intake.limits, Zone::utc());
                    draft.reset(received_now());
                    let protocol = if protocol == Protocol::Ndjson && framing == Framing::NewlineOrNul {
                        // GELF and NDJSON differ in an underscore.
                        if memchr::memmem::find(frame, b"\"_qgx_token\"").is_some() {
                            Protocol::Gelf
                        } else {
                            protocol
                        }
                    } else {
                        protocol
                    };
                    let _ = protocol.read(frame, &mut draft);
                    return Ok(draft.token().map(str::to_owned));
                }
                First::None => return Ok(None),
                First::Partial => {}
            }
            if self.buffer.len() > SMALL {
                if self.share.is_none() {
                    self.started = Some(Instant::now());
                }
                if !self.port.openings.cover(&mut self.share, self.buffer.capacity()) {
                    return Err(NoEntry::code(RefusalCode::Busy, protocol.name(), None));
                }
            }
            self.fill().await?;
        }
    }

    fn session(
        &self,
        protocol: Protocol,
        framing: Framing,
        identity: Identity,
        secret: Option<Arc<str>>,
        source: Option<SourceKey>,
        stream: Option<Stream>,
    ) -> Session {
        let start = Start {
            protocol,
            framing,
            identity,
            secret,
            source,
            stream,
            peer: self.peer,
            patience: self.port.config.patience,
        };
        Session::new(&self.port.intake, start)
    }
}

fn unspoken(protocol: &'static str) -> NoEntry {
    let message =
        format!("{protocol} is not spoken here yet; send syslog, NDJSON, GELF, Influx or QGX lines.");
    NoEntry::other("unsupported_protocol", message, protocol, false)
}

enum First<'a> {
    Frame(&'a [u8]),
    /// There will be none to look at.
    None,
    Partial,
}

/// The first frame that is not blank.
fn first_frame(buffer: &[u8], framing: Framing, limit: usize, ended: bool) -> First<'_> {
    let mut framer = Framer::new(framing, limit);
    let mut at = 0;
    loop {
        match framer.cut(&buffer[at..]) {
            Cut::Frame(frame, used) if frame.iter().all(u8::is_ascii_whitespace) => at += used,
            Cut::Frame(frame, _) => return First::Frame(frame),
            Cut::Used(used) if used > 0 && at + used < buffer.len() && buffer.len() <= limit => at += used,
            Cut::Partial if !ended && buffer.len() <= limit => return First::Partial,
            Cut::Used(_) if !ended && buffer.len() <= limit => return First::Partial,
            Cut::Partial => {
                return match framer.finish(&buffer[at..]) {
                    Some(Ok(frame)) => First::Frame(frame),
                    _ => First::None,
                };
            }
            Cut::Used(_) | Cut::Oversized(..) | Cut::Broken(_) => return First::None,
        }
    }
}
