//! Why a connection is turned away.

use crate::access::RefusalCode;

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
        /// How the other side is told.
        answer: Answer,
    },
    /// It said goodbye in RELP before it sent a record.
    Left,
    /// An HTTP request.
    Http,
}

/// How somebody who is turned away is told why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Not at all: the protocol has no word for it.
    Silence,
    /// By an `ERR` line.
    Line,
    /// In RELP: the transaction is refused, where there is one, and the session ends.
    Relp(Option<u64>),
}

impl NoEntry {
    pub(super) fn code(code: RefusalCode, protocol: &'static str, secret: Option<&str>) -> Self {
        Self::Refused {
            code: code.code(),
            message: code.message(domain::Lang::En).to_owned(),
            protocol,
            secret: secret.map(str::to_owned),
            answer: Answer::Line,
        }
    }

    pub(super) fn other(code: &'static str, message: impl Into<String>, protocol: &'static str) -> Self {
        Self::Refused { code, message: message.into(), protocol, secret: None, answer: Answer::Line }
    }

    /// The same, told in another way.
    pub(super) fn told(self, by: Answer) -> Self {
        match self {
            Self::Refused { code, message, protocol, secret, .. } => {
                Self::Refused { code, message, protocol, secret, answer: by }
            }
            // A RELP session that is open is closed in its own words.
            Self::Gone if matches!(by, Answer::Relp(_)) => Self::Left,
            other => other,
        }
    }
}
