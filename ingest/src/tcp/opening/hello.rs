//! How QGX lines open, and where a stream goes on.

use super::{Door, Entered};
use crate::access::{Identity, RefusalCode};
use crate::protocol::qgx::{self, Hello};
use crate::protocol::{Framing, Protocol};
use crate::record::arrival::received_now;
use crate::session::{Session, Start, Stream};
use crate::streams::{Hold, Owner, StreamKey};
use crate::tcp::no_entry::NoEntry;
use bytes::BytesMut;
use domain::SourceKey;
use std::sync::Arc;

impl Door<'_> {
    pub(super) async fn hello(&mut self) -> Result<Entered, NoEntry> {
        const PROTOCOL: &str = "qgx";
        let line = self.line(PROTOCOL).await?;
        let hello = Hello::parse(&line).map_err(|message| NoEntry::other("bad_hello", message, PROTOCOL))?;
        if let Some(token) = &hello.token {
            self.identify(token, PROTOCOL).await?;
        }
        let (secret, identity) = self.identity(PROTOCOL).await?;
        // Checked by `Hello::parse`.
        let source = hello.source.as_deref().and_then(|source| SourceKey::new(source).ok());
        let (stream, hold) = match &hello.stream {
            Some(name) => {
                let (stream, hold) = self.resume(&identity, source.as_ref(), name, hello.acked).await?;
                (stream, Some(hold))
            }
            None => {
                let name = format!("c-{:016x}", received_now().as_nanos());
                (Stream { name: name.into(), last_seq: 0, resumable: false }, None)
            }
        };
        let mut greeting = BytesMut::new();
        qgx::ok(&mut greeting, hello.stream.as_deref().unwrap_or(&stream.name), stream.last_seq);
        let start = Start {
            source,
            stream: Some(stream),
            ..self.start(Protocol::Qgx, Framing::Newline, identity, secret)
        };
        let session = Session::new(&self.port.intake, start);
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
    ) -> Result<(Stream, Hold), NoEntry> {
        let tenant = &identity.tenant.key;
        let owner = match (&identity.source, source, identity.token) {
            (Some(bound), _, _) => Owner::Bound(bound.clone()),
            (None, Some(named), _) => Owner::Source(named.clone()),
            (None, None, 0) => Owner::Peer(self.peer),
            (None, None, token) => Owner::Token(token),
        };
        let name = owner.stored_name(stream);
        let processed = match &owner {
            Owner::Bound(source) | Owner::Source(source) => {
                let position = self.port.intake.positions.position(tenant, source, &name).await;
                position.map_err(|_| NoEntry::code(RefusalCode::Unavailable, "qgx", None))?
            }
            Owner::Token(_) | Owner::Peer(_) => 0,
        };
        let key = StreamKey { tenant: tenant.clone(), owner, stream: Arc::clone(&name) };
        let hold = self.port.intake.streams.take(key);
        let last_seq = acked.max(processed).max(hold.durable);
        Ok((Stream { name, last_seq, resumable: true }, hold))
    }
}
