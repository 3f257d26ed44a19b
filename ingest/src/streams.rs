//! Streams: what they are called, who holds one, and how far each has come.

mod held;
mod unprocessed;

pub use held::{Handed, Hold, Streams};
pub use unprocessed::Unprocessed;

use domain::{SourceKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use services::StreamTaken;
use std::net::IpAddr;
use std::sync::Arc;
use store::broker::Route;

/// Whose names of streams are told apart: two devices may both call theirs `boot-7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The source of all of a stream's records, where there is one: then they stand in one partition, in order, and what is
    /// processed of them is the stream's beginning.
    pub fn source(&self) -> Option<&SourceKey> {
        match self {
            Self::Bound(source) | Self::Named { source, .. } => Some(source),
            Self::Token(_) | Self::Peer(_) => None,
        }
    }

    /// The name under which a stream's positions and ids are kept. They are kept by tenant, the record's source and name,
    /// so that the name must tell everybody's streams apart that may send records of one source: what two of them number
    /// alike would be taken for sent before, after it was acknowledged. It is the same for ever, or a line that is sent
    /// again after a restart would be another one.
    pub fn stored_name(&self, stream: &str) -> Arc<str> {
        match self {
            Self::Bound(_) => format!("{BOUND}{stream}"),
            Self::Named { token, .. } => format!("{BY_TOKEN}{token}/{stream}"),
            Self::Token(token) => format!("{MIXED}{token}/{stream}"),
            Self::Peer(peer) => format!("{MIXED}{peer}/{stream}"),
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

impl StreamKey {
    /// As its positions are kept.
    pub fn stored(&self) -> StoredStream {
        StoredStream {
            tenant: self.tenant.clone(),
            source: self.owner.source().cloned(),
            name: self.owner.stored_name(&self.stream),
        }
    }

    /// As other processes are told of it.
    fn taken(&self, at: Timestamp) -> StreamTaken {
        let stream = serde_json::to_string(&(&self.owner, &self.stream)).unwrap_or_default();
        StreamTaken { tenant: self.tenant.clone(), stream, at }
    }

    /// What another process told; `None` where it is of another version.
    fn of(taken: &StreamTaken) -> Option<Self> {
        let (owner, stream) = serde_json::from_str::<(Owner, Arc<str>)>(&taken.stream).ok()?;
        Some(Self { tenant: taken.tenant.clone(), owner, stream })
    }
}

/// A stream, as its positions are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoredStream {
    /// Whose.
    pub tenant: TenantId,
    /// The source of all its records; `None`: they name their own.
    pub source: Option<SourceKey>,
    /// [`Owner::stored_name`].
    pub name: Arc<str>,
}

impl StoredStream {
    /// The stream of a record that is stored; `None` where no `HELLO` can name it.
    pub fn of(route: &Route, name: &Arc<str>) -> Option<Self> {
        let source = if name.starts_with(MIXED) {
            None
        } else if name.starts_with(BY_TOKEN)
            || name.strip_prefix(BOUND).is_some_and(|name| !name.starts_with(BY_HTTP))
        {
            Some(route.source.clone())
        } else {
            return None;
        };
        Some(Self { tenant: route.tenant.clone(), source, name: Arc::clone(name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_record_tells_its_stream() {
        let (tenant, source) = (TenantId::new("t_a").unwrap(), SourceKey::new("pump-1").unwrap());
        let route = Route {
            tenant: tenant.clone(),
            source: source.clone(),
            class: "30d".into(),
            group: 1,
            protocol: "qgx".into(),
        };
        let check = |owner: Owner| {
            let key = StreamKey { tenant: tenant.clone(), owner, stream: "boot/7".into() };
            let stored = key.stored();
            assert_eq!(StoredStream::of(&route, &stored.name), Some(stored));
        };
        check(Owner::Bound(source.clone()));
        check(Owner::Named { source: source.clone(), token: 7 });
        check(Owner::Token(7));
        check(Owner::Peer([127, 0, 0, 1].into()));
        for upload in ["http/0123".into(), Owner::Bound(source.clone()).stored_name("http/0123")] {
            assert_eq!(StoredStream::of(&route, &upload), None, "{upload}");
        }
    }
}
