//! Tokens.

use crate::{Role, SourceKey, Timestamp};
use serde::{Deserialize, Serialize};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Sends events.
    Ingest,
    /// Calls the API.
    Api,
}

/// A token as lists show it; the secret is shown once, at creation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenInfo {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub kind: TokenKind,
    /// What people call it.
    pub name: String,
    /// The first characters, to tell tokens apart: `qgx_ab12…`.
    pub prefix: String,
    /// The source it is bound to (ingest).
    pub source: Option<SourceKey>,
    /// The rights it has (API).
    pub role: Option<Role>,
    /// Made.
    pub created_at: Timestamp,
    /// By whom (e-mail).
    pub created_by: String,
    /// Ends.
    pub expires_at: Option<Timestamp>,
    /// Ended by a person.
    pub revoked_at: Option<Timestamp>,
    /// Last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_peer: Option<String>,
}

/// What to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    /// What it is for.
    pub kind: TokenKind,
    /// What people call it, 1–100 characters.
    pub name: String,
    /// Bind to a source (ingest).
    #[serde(default)]
    pub source: Option<SourceKey>,
    /// Rights (API); at most the maker's. `None`: viewer.
    #[serde(default)]
    pub role: Option<Role>,
    /// Ends at.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A new token, with its secret, shown once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// The secret: `qgx_` and 40 characters.
    pub token: String,
    /// What lists show.
    pub info: TokenInfo,
}
