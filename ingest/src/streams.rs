//! The streams of this process: one connection each, and how far each has come.

use crate::record::arrival::received_now;
use domain::{SourceKey, TenantId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// Whose names of streams are told apart: two devices may both call theirs `boot-7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The source that the connection's token is bound to: nobody else gets onto its streams.
    Bound(SourceKey),
    /// The source that the connection names, and the token that does so (0: none, on the same machine): another token
    /// that names the source as well has its own streams there, or it could move this one's.
    Named {
        /// The source.
        source: SourceKey,
        /// The token's id.
        token: u64,
    },
    /// Records name their own sources: the token.
    Token(u64),
    /// Neither source nor token: where it comes from.
    Peer(IpAddr),
}

/// Begins the stored names of streams of token-bound sources.
const BOUND: &str = "bound/";
/// Begins those of streams of sources that a connection names.
const BY_TOKEN: &str = "token/";
/// Begins those of streams whose records name their own sources.
const MIXED: &str = "mixed/";
/// Begins the stored names of streams that stand for an `Idempotency-Key`.
pub const BY_HTTP: &str = "http/";
/// What a client's name of a stream may not begin with.
pub const RESERVED: [&str; 2] = [BOUND, BY_HTTP];

impl Owner {
    /// The source of all of a stream's records, where there is one: only then is there one place that tells how far the
    /// stream has come.
    pub fn source(&self) -> Option<&SourceKey> {
        match self {
            Self::Bound(source) | Self::Named { source, .. } => Some(source),
            Self::Token(_) | Self::Peer(_) => None,
        }
    }

    /// The name under which a stream's positions and ids are kept. They are kept by tenant, the record's source and name,
    /// so that the name must tell everybody's streams apart that may send records of one source: what two of them number
    /// alike would be taken for sent before, after it was acknowledged. Where records name their own sources nobody can
    /// tell how far the stream had come before this process knew it, so that its numbers hold for one [`Hold::life`].
    pub fn stored_name(&self, stream: &str, life: &str) -> Arc<str> {
        match self {
            Self::Bound(_) => format!("{BOUND}{stream}"),
            Self::Named { token, .. } => format!("{BY_TOKEN}{token}/{stream}"),
            Self::Token(token) => format!("{MIXED}{token}/{life}/{stream}"),
            Self::Peer(peer) => format!("{MIXED}{peer}/{life}/{stream}"),
        }
        .into()
    }
}

/// What a client resumes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Whose.
    pub tenant: TenantId,
    /// Whose of the tenant's senders.
    pub owner: Owner,
    /// The client's name of it.
    pub stream: Arc<str>,
}

/// Streams without a connection that are remembered.
const REMEMBERED: usize = 100_000;

/// The registry; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    known: Arc<Mutex<HashMap<StreamKey, Known>>>,
    next: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Known {
    holder: Option<(u64, CancellationToken)>,
    durable: u64,
    life: Arc<str>,
}

impl Known {
    fn new() -> Self {
        Self { holder: None, durable: 0, life: format!("{:016x}", received_now().as_nanos()).into() }
    }
}

/// A connection's hold on a stream, until dropped.
#[derive(Debug)]
pub struct Hold {
    streams: Streams,
    key: StreamKey,
    number: u64,
    /// Fires when another connection takes the stream.
    pub superseded: CancellationToken,
    /// The highest sequence that was durable when it was taken.
    pub durable: u64,
    /// Since when the stream is known, as text: another one after a restart, and in another process.
    pub life: Arc<str>,
}

impl Streams {
    /// Takes a stream; whoever held it is told so.
    pub fn take(&self, key: StreamKey) -> Hold {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let superseded = CancellationToken::new();
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED && !known.contains_key(&key) {
            known.retain(|_, stream| stream.holder.is_some());
        }
        let stream = known.entry(key.clone()).or_insert_with(Known::new);
        if let Some((_, former)) = stream.holder.replace((number, superseded.clone())) {
            former.cancel();
        }
        let (durable, life) = (stream.durable, Arc::clone(&stream.life));
        drop(known);
        Hold { streams: self.clone(), key, number, superseded, durable, life }
    }
}

impl Hold {
    /// Notes how far the stream is durable.
    pub fn durable(&self, sequence: u64) {
        let mut known = self.streams.known.lock();
        // Forgotten, or begun anew since: its numbers are of a life that is over.
        if let Some(stream) = known.get_mut(&self.key)
            && stream.life == self.life
        {
            stream.durable = stream.durable.max(sequence);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut known = self.streams.known.lock();
        if let Some(stream) = known.get_mut(&self.key)
            && stream.holder.as_ref().is_some_and(|(number, _)| *number == self.number)
        {
            stream.holder = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_connection_holds_a_stream() {
        let streams = Streams::default();
        let key = |stream: &str| StreamKey {
            tenant: TenantId::new("t_a").unwrap(),
            owner: Owner::Named { source: SourceKey::new("pump-1").unwrap(), token: 1 },
            stream: stream.into(),
        };
        let first = streams.take(key("a"));
        first.durable(7);
        first.durable(3);
        let other = streams.take(key("b"));
        let second = streams.take(key("a"));
        assert!(first.superseded.is_cancelled());
        assert!(!second.superseded.is_cancelled() && !other.superseded.is_cancelled());
        assert_eq!((second.durable, other.durable), (7, 0));
        drop(first);
        let third = streams.take(key("a"));
        assert!(second.superseded.is_cancelled());
        assert_eq!(third.durable, 7);
    }
}
