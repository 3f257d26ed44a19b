//! How QGX lines open, and where a stream goes on.

use super::{Door, Entered};
use crate::access::{Identity, RefusalCode, Unknown};
use crate::intake::Intake;
use crate::protocol::qgx::{self, Hello};
use crate::protocol::{Framing, Protocol};
use crate::record::arrival::received_now;
use crate::session::{Session, Start, Stream, masked};
use crate::streams::{Hold, Owner, StreamKey};
use crate::tcp::no_entry::NoEntry;
use bytes::BytesMut;
use domain::SourceKey;
use std::sync::Arc;
use std::time::Duration;

/// How long a client without a memory of its stream waits to be told where it goes on. While more is not processed than can
/// be read meanwhile, it comes again.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let told = hello.source.as_deref().and_then(|source| SourceKey::new(source).ok());
        let rules = Arc::clone(&identity.tenant.masking.rules);
        let source = told.clone().map(|source| masked(&rules, source));
        let (stream, hold) = match &hello.stream {
            Some(name) => {
                // Senders whose names are masked alike have streams of their own.
                let apart = told.filter(|told| source.as_ref() != Some(told));
                let name = apart
                    .map_or_else(|| name.clone(), |told| format!("{name}/{}", rules.keyed(told.as_str())));
                let (stream, hold) = self.resume(&identity, source.as_ref(), &name, hello.acked).await?;
                (stream, Some(hold))
            }
            None => {
                let name = format!("c-{:016x}", received_now().as_nanos());
                (Stream { name: name.into(), last_seq: 0, resumable: false, resent: false }, None)
            }
        };
        let mut greeting = BytesMut::new();
        qgx::ok(&mut greeting, hello.stream.as_deref().unwrap_or(&stream.name), stream.last_seq);
        let start = Start {
            source,
            stream: Some(stream),
            ..self.start(Protocol::Qgx, Framing::Newline, identity, secret)
        };
        let mut session = Session::new(&self.port.intake, start);
        session.label(&hello.fields);
        Ok(Entered { session, hold, greeting })
    }

    /// Takes a stream, and finds out where it goes on. Streams are told apart by who sends them, so that nobody's word
    /// moves anybody else's.
    async fn resume(
        &self,
        identity: &Identity,
        source: Option<&SourceKey>,
        stream: &str,
        acked: Option<u64>,
    ) -> Result<(Stream, Hold), NoEntry> {
        let tenant = &identity.tenant.key;
        let owner = match (&identity.source, source, identity.token) {
            (Some(bound), _, _) => Owner::Bound(bound.clone()),
            (None, Some(named), token) => Owner::Named { source: named.clone(), token },
            (None, None, 0) => Owner::Peer(self.peer),
            (None, None, token) => Owner::Token(token),
        };
        let key = StreamKey { tenant: tenant.clone(), owner, stream: stream.into() };
        // Before anything is asked: from here on no other connection hands lines of it to the broker.
        let hold = self.port.intake.take_stream(key.clone());
        let last_seq = match acked {
            Some(acked) => self.after_acked(&key, &hold, acked).await?,
            None => self.after_all(&key, &hold).await?,
        };
        let resent = acked.is_some();
        Ok((Stream { name: key.stored().name, last_seq, resumable: true, resent }, hold))
    }

    /// Where a client goes on that has everything after `acked` and sends it again: at the latest point up to which
    /// everything is known to be stored. Of a stream of one source SQL's position is such a point, since its lines are
    /// processed in order; of one whose records name their own sources it is not. What is stored beyond the point the
    /// processor recognises when it comes again, so that nothing else need be looked at, and nobody waited for.
    async fn after_acked(&self, key: &StreamKey, hold: &Hold, acked: u64) -> Result<u64, NoEntry> {
        let stored = key.stored();
        let processed = match &stored.source {
            Some(source) => self.port.intake.positions.position(&stored.tenant, source, &stored.name).await,
            None => Ok(0),
        };
        let message = "How far this stream has come cannot be read just now. Try again in a moment.";
        let processed = processed.map_err(|_| busy(message))?;
        Ok(acked.max(processed).max(hold.durable()))
    }

    /// Where a client begins that has no memory of the stream: after every line of it that is stored or may be yet. New
    /// content with a number that was used would be acknowledged and then taken for sent before.
    async fn after_all(&self, key: &StreamKey, hold: &Hold) -> Result<u64, NoEntry> {
        let Intake { positions, budget, .. } = &*self.port.intake;
        let stored = key.stored();
        let asked = tokio::time::timeout(PATIENCE, async {
            hold.settled().await;
            let elsewhere = positions.others_let_go(key).await?;
            let highest = positions.highest(&stored, budget).await?;
            Ok::<_, Unknown>(highest.max(elsewhere))
        });
        match asked.await {
            Ok(Ok(highest)) => Ok(highest.max(hold.given())),
            Ok(Err(Unknown)) | Err(_) => Err(busy(
                "How far this stream has come is not known yet: what was received before is still being read. Try again in a \
                 moment, or say in `acked` from where you send it again.",
            )),
        }
    }
}

fn busy(message: &str) -> NoEntry {
    NoEntry::other(RefusalCode::Busy.code(), message, "qgx")
}
