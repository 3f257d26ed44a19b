//! Ingest and API tokens.

use super::SqlResult;
use async_trait::async_trait;
use domain::{Role, SourceKey, TenantId, Timestamp, api::TokenKind};

/// A token. The secret is not stored: only its SHA-256.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRow {
    /// Number, from 1; goes with each record through the broker.
    pub id: u64,
    /// Whose.
    pub tenant: TenantId,
    /// What it is for.
    pub kind: TokenKind,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the whole token text, hex; unique.
    pub hash: String,
    /// First characters, to tell tokens apart.
    pub prefix: String,
    /// Bound to a source (ingest).
    pub source: Option<SourceKey>,
    /// Rights (API).
    pub role: Option<Role>,
    /// Made.
    pub created_at: Timestamp,
    /// By whom: a user id, or `cli`.
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

/// Tokens.
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// Makes a token (`id` is ignored) and answers its id.
    async fn create_token(&self, token: &TokenRow) -> SqlResult<u64>;
    /// By hash, of any tenant, revoked and expired ones too: the caller decides.
    async fn token_by_hash(&self, hash: &str) -> SqlResult<Option<TokenRow>>;
    /// One of the tenant's.
    async fn token(&self, tenant: &TenantId, id: u64) -> SqlResult<Option<TokenRow>>;
    /// The tenant's, newest first.
    async fn tokens(&self, tenant: &TenantId) -> SqlResult<Vec<TokenRow>>;
    /// Ends one; `NotFound` where the tenant has none such. Ending twice keeps the first time.
    async fn revoke_token(&self, tenant: &TenantId, id: u64, at: Timestamp) -> SqlResult<()>;
    /// Removes one that was ended, and says whether there was such a one. Ids are never used again.
    async fn remove_ended_token(&self, tenant: &TenantId, id: u64) -> SqlResult<bool>;
    /// Notes uses, coalesced: (id, time, peer).
    async fn touch_tokens(&self, uses: &[(u64, Timestamp, String)]) -> SqlResult<()>;
    /// Ids revoked or expired since an instant, of every tenant: what other processes must close.
    async fn revoked_since(&self, since: Timestamp, now: Timestamp) -> SqlResult<Vec<u64>>;
}
