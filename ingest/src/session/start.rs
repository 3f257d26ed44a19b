//! How a session begins.

use crate::access::Identity;
use crate::protocol::dialogue::{Dialogue, Found};
use crate::protocol::{Framing, Protocol};
use crate::record::writer::Home;
use domain::SourceKey;
use domain::masking::Rules;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A stream of QGX lines.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The name it is stored under.
    pub name: Arc<str>,
    /// The sequence of the last line taken.
    pub last_seq: u64,
    /// The client chose the name: it may resume.
    pub resumable: bool,
    /// The client said that it sends again what was not acknowledged.
    pub resent: bool,
}

/// How a session begins.
#[derive(Debug)]
pub struct Start {
    /// What it speaks.
    pub protocol: Protocol,
    /// How its frames end.
    pub framing: Framing,
    /// Who it is.
    pub identity: Identity,
    /// The token's text, to tell another one from it.
    pub secret: Option<Arc<str>>,
    /// The source that `HELLO` names.
    pub source: Option<SourceKey>,
    /// QGX lines only.
    pub stream: Option<Stream>,
    /// From where.
    pub peer: IpAddr,
    /// How long a record may be kept waiting at a quota.
    pub patience: Duration,
    /// A dialogue under way, with what was found in it and not yet taken.
    pub dialogue: Option<(Dialogue, Option<Found>)>,
}

/// A source's name as it may be stored: with every event, and as part of a stream's name.
pub fn masked(rules: &Rules, source: SourceKey) -> SourceKey {
    match rules.in_text(source.as_str()).0 {
        Cow::Borrowed(_) => source,
        // It only lost letters and digits to stars, or was dropped whole.
        Cow::Owned(masked) => SourceKey::new(&masked)
            .unwrap_or_else(|_| SourceKey::new("masked").expect("a word is a valid source key")),
    }
}

/// Where records of a connection belong.
pub(super) fn home(
    identity: &Identity,
    source: Option<&SourceKey>,
    peer: IpAddr,
    protocol: Protocol,
) -> Home {
    let fallback = identity.name.as_deref().and_then(|name| SourceKey::new(name).ok());
    Home {
        tenant: identity.tenant.key.clone(),
        class: Arc::clone(&identity.tenant.class),
        group: identity.tenant.group,
        bound: identity.source.clone().or_else(|| source.cloned()),
        fallback: fallback
            .unwrap_or_else(|| SourceKey::new(&peer.to_string()).expect("an address is a valid source key")),
        protocol: protocol.name().into(),
    }
}
