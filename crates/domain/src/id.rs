//! Identifiers, made valid once at the edge.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The immutable key of a tenant, `t_` and up to 30 characters of `[0-9a-z]`. Never used again after the
/// tenant is gone; the slug people see is something else.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// Why a string is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not `t_` followed by 1–30 characters of `[0-9a-z]`.
    #[error("not a tenant key: expected t_ and 1 to 30 of 0-9 and a-z")]
    Tenant,
    /// Empty, longer than [`SourceKey::MAX_BYTES`], or with control characters.
    #[error("not a source key: expected 1 to 255 bytes without control characters")]
    Source,
    /// Not a UUID.
    #[error("not an event id: expected a UUID")]
    Event,
}

impl TenantId {
    /// Checks the form.
    ///
    /// # Errors
    /// [`IdError::Tenant`] where the form is wrong.
    pub fn new(key: &str) -> Result<Self, IdError> {
        let body = key.strip_prefix("t_").ok_or(IdError::Tenant)?;
        let fits = (1..=30).contains(&body.len())
            && body.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        if fits { Ok(Self(key.into())) } else { Err(IdError::Tenant) }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TenantId {
    type Error = IdError;
    fn try_from(value: String) -> Result<Self, IdError> {
        Self::new(&value)
    }
}

impl From<TenantId> for String {
    fn from(value: TenantId) -> Self {
        value.0.as_ref().to_owned()
    }
}

/// The name of a source within its tenant: NFC, 1–255 bytes, no control characters. Case matters:
/// `pump-1` is not `PUMP-1`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct SourceKey(Arc<str>);

impl SourceKey {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Normalises to NFC and checks the form. Surrounding white space is dropped.
    ///
    /// # Errors
    /// [`IdError::Source`] where it is empty, too long, or has control characters.
    pub fn new(name: &str) -> Result<Self, IdError> {
        let key: Arc<str> = crate::text::nfc(name.trim()).as_ref().into();
        if key.is_empty() || key.len() > Self::MAX_BYTES || key.chars().any(char::is_control) {
            return Err(IdError::Source);
        }
        Ok(Self(key))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SourceKey {
    type Error = IdError;
    fn try_from(value: String) -> Result<Self, IdError> {
        Self::new(&value)
    }
}

impl From<SourceKey> for String {
    fn from(value: SourceKey) -> Self {
        value.0.as_ref().to_owned()
    }
}

/// An event's id: UUIDv8 over SHA-256(tenant, source, stream, sequence) on QGX lines, else UUIDv7 made at
/// ingestion. Ordered as its 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = Uuid))]
#[serde(transparent)]
pub struct EventId(pub uuid::Uuid);

impl EventId {
    /// Reads the hyphenated form.
    ///
    /// # Errors
    /// [`IdError::Event`] where it is no UUID.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        uuid::Uuid::try_parse(text).map(Self).map_err(|_| IdError::Event)
    }

    /// The id of the `sequence`-th line of `stream`: the same line sent again has the same id.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of_stream(tenant: &TenantId, source: &SourceKey, stream: &str, sequence: u64) -> Self {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for part in [tenant.as_str(), source.as_str(), stream] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(sequence.to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// A UUIDv7 (RFC 9562) of this instant; `random` supplies its 74 random bits.
    pub fn at(received_at: crate::Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(received_at.as_nanos() / 1_000_000).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
