//! Who is trusted without a token: authorities of client certificates, and address rules. Of the whole installation, not
//! of a tenant: each row names whose it is.

use super::SqlResult;
use async_trait::async_trait;
use domain::{SourceKey, TenantId, Timestamp};

/// An authority whose client certificates speak for a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorityRow {
    /// SHA-256 of its certificate (DER), hex.
    pub fingerprint: String,
    /// Whose.
    pub tenant: TenantId,
    /// Its subject, as people read it.
    pub subject: String,
    /// SHA-256 of its subject and public key, hex; unique: what it has signed belongs to one tenant, whichever of its
    /// certificates is shown.
    pub key_hash: String,
    /// Its certificate: DER in base64.
    pub certificate: String,
    /// It is good until.
    pub expires_at: Timestamp,
    /// Added.
    pub created_at: Timestamp,
    /// By whom: a user id, or `cli`.
    pub created_by: String,
}

/// A client certificate that is good no more.
#[derive(Debug, Clone, PartialEq)]
pub struct RevokedCertificateRow {
    /// SHA-256 of the certificate (DER), hex.
    pub fingerprint: String,
    /// Whose.
    pub tenant: TenantId,
    /// Since when.
    pub revoked_at: Timestamp,
    /// By whom: a user id, or `cli`.
    pub revoked_by: String,
}

/// A network whose connections speak for a tenant where they show no credential.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressRuleRow {
    /// Number, from 1; never used again.
    pub id: u64,
    /// CIDR with no bits beyond its prefix; unique.
    pub network: String,
    /// Its first address, as text that compares as addresses do: `4:` and 8 hexadecimal digits, or `6:` and 32.
    pub first: String,
    /// Its last address, likewise.
    pub last: String,
    /// Whose.
    pub tenant: TenantId,
    /// Binds its connections to a source.
    pub source: Option<SourceKey>,
    /// Made.
    pub created_at: Timestamp,
    /// By whom: a user id, or `cli`.
    pub created_by: String,
}

/// What came of adding something that another one may stand in the way of.
#[derive(Debug, Clone, PartialEq)]
pub enum Added<T> {
    /// It is there, with this number where it has one.
    Done(u64),
    /// Nothing was changed: this one is in the way.
    Taken(T),
}

/// Authorities, revoked certificates, address rules.
#[async_trait]
pub trait Trust: Send + Sync + 'static {
    /// Another number after each change of what this trait holds; 0 before the first.
    async fn trust_generation(&self) -> SqlResult<u64>;

    /// Adds an authority, unless one of the same key is there.
    async fn add_authority(&self, authority: &AuthorityRow) -> SqlResult<Added<AuthorityRow>>;
    /// All, by tenant and subject.
    async fn authorities(&self) -> SqlResult<Vec<AuthorityRow>>;
    /// Removes one; `NotFound` where there is none such.
    async fn remove_authority(&self, fingerprint: &str) -> SqlResult<()>;

    /// Ends a certificate. Ending twice keeps the first time.
    async fn revoke_certificate(&self, certificate: &RevokedCertificateRow) -> SqlResult<()>;
    /// All, the latest first.
    async fn revoked_certificates(&self) -> SqlResult<Vec<RevokedCertificateRow>>;
    /// Takes the revocation back; `NotFound` where there is none such.
    async fn restore_certificate(&self, fingerprint: &str) -> SqlResult<()>;

    /// Adds a rule (`id` is ignored), unless one of another tenant has an address in common with it, or one of the same
    /// network is there.
    async fn add_address_rule(&self, rule: &AddressRuleRow) -> SqlResult<Added<AddressRuleRow>>;
    /// All, by first address, the wider first.
    async fn address_rules(&self) -> SqlResult<Vec<AddressRuleRow>>;
    /// Removes one; `NotFound` where there is none such.
    async fn remove_address_rule(&self, id: u64) -> SqlResult<()>;
}
