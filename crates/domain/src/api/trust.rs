//! Who is trusted without a token: authorities of client certificates, and address rules.

use crate::{SourceKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// An authority whose client certificates speak for a tenant on the TCP port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityInfo {
    /// SHA-256 of its certificate, hex: what it is removed by.
    pub fingerprint: String,
    /// Whose, by key.
    pub tenant: TenantId,
    /// Whose, by short name.
    pub tenant_slug: String,
    /// Its subject.
    pub subject: String,
    /// It is good until.
    pub expires_at: Timestamp,
    /// Added.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// A client certificate that is good no more, whatever its authority says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokedCertificateInfo {
    /// SHA-256 of the certificate, hex.
    pub fingerprint: String,
    /// Whose, by key.
    pub tenant: TenantId,
    /// Whose, by short name.
    pub tenant_slug: String,
    /// Since when.
    pub revoked_at: Timestamp,
    /// By whom.
    pub revoked_by: String,
}

/// A network whose connections speak for a tenant on the TCP port where they show no credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddressRuleInfo {
    /// Its id.
    pub id: String,
    /// CIDR.
    pub network: String,
    /// Whose, by key.
    pub tenant: TenantId,
    /// Whose, by short name.
    pub tenant_slug: String,
    /// The source that its connections are bound to.
    pub source: Option<SourceKey>,
    /// Made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}
