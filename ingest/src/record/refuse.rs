//! Why a record is not taken.

use std::borrow::Cow;

/// A record that is not stored as an event: on QGX lines a `NACK`, elsewhere a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not JSON where JSON was expected (RFC 8259).
    #[error("not JSON: {0}")]
    InvalidJson(String),
    /// JSON, but not an object.
    #[error("expected a JSON object")]
    NotAnObject,
    /// More fields than an event may have.
    #[error("more than {0} fields")]
    TooManyFields(usize),
    /// Nested deeper than an event may be.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// A field's name, with those it is nested in, is too long.
    #[error("a field name is longer than {0} bytes")]
    NameTooLong(usize),
    /// Longer than a frame may be.
    #[error("longer than {limit} bytes: {length} bytes so far as counted")]
    FrameTooLarge {
        /// The limit.
        limit: usize,
        /// The length, as far as counted.
        length: u64,
    },
    /// Its JSON is longer than topics allow, even without the original bytes.
    #[error("as an event it is longer than {limit} bytes: {length} bytes")]
    RecordTooLarge {
        /// The limit.
        limit: usize,
        /// The length.
        length: usize,
    },
    /// The connection ended in the middle of it.
    #[error("the connection ended in the middle of a frame")]
    Truncated,
    /// Nothing in it.
    #[error("an empty line")]
    Empty,
    /// A frame's length or delimiter is not what its protocol has.
    #[error("broken framing: {0}")]
    Framing(Cow<'static, str>),
    /// The record names another credential than the connection's.
    #[error("the identity of a connection cannot change")]
    IdentityChanged,
}

impl RecordError {
    /// Stable code, for programs and as a metric's `reason`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidJson(_) => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::TooManyFields(_) => "too_many_fields",
            Self::TooDeep(_) => "too_deep",
            Self::NameTooLong(_) => "name_too_long",
            Self::FrameTooLarge { .. } => "frame_too_large",
            Self::RecordTooLarge { .. } => "record_too_large",
            Self::Truncated => "truncated",
            Self::Empty => "empty_line",
            Self::Framing(_) => "framing",
            Self::IdentityChanged => "identity_changed",
        }
    }
}
