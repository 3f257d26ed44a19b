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
    /// durable. The client's word counts, since the processor may still be behind it; streams are told apart by who sends
    /// them, so that it moves nobody else's. Where records name their own sources only the first and last are known to
    /// have no gaps.
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
            (None, Some(named), token) => Owner::Named { source: named.clone(), token },
            (None, None, 0) => Owner::Peer(self.peer),
            (None, None, token) => Owner::Token(token),
        };
        let processed = match owner.source() {
            Some(source) => {
                // The names of streams of one source are the same in every life.
                let name = owner.stored_name(stream, "");
                let positions = &self.port.intake.positions;
                // Without its word, what another life of this process made durable must be found: numbers given anew
                // would be taken for old ones.
                let position = match acked {
                    0 => positions.durable(tenant, source, &name).await,
                    _ => positions.position(tenant, source, &name).await,
                };
                position.map_err(|_| NoEntry::code(RefusalCode::Unavailable, "qgx", None))?
            }
            None => 0,
        };
        let key = StreamKey { tenant: tenant.clone(), owner: owner.clone(), stream: stream.into() };
        let hold = self.port.intake.streams.take(key);
        let name = owner.stored_name(stream, &hold.life);
        let last_seq = acked.max(processed).max(hold.durable);
        Ok((Stream { name, last_seq, resumable: true }, hold))
    }
}
