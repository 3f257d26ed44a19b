//! People, their browsers and their tenants.

use crate::{Lang, Role, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// Who is asking, and how they like it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// The person; `None` for an API token.
    pub user: Option<UserProfile>,
    /// The selected tenant.
    pub tenant: TenantInfo,
    /// All tenants the person belongs to.
    pub tenants: Vec<TenantInfo>,
    /// The role in the selected tenant.
    pub role: Role,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserProfile {
    /// Id.
    pub id: String,
    /// E-mail, the login name.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// Language; `None`: the browser's.
    pub lang: Option<Lang>,
    /// Theme.
    pub theme: Theme,
}

/// Light, dark, or as the system has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TenantInfo {
    /// Its key.
    pub key: TenantId,
    /// Short name in addresses.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// IANA zone.
    pub zone: String,
    /// Retention class: `7d`, `30d`, `90d`, `1y`.
    pub retention: String,
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// Opaque; not the cookie's value.
    pub id: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// From where.
    pub peer: String,
    /// Signed in.
    pub created_at: Timestamp,
    /// Last seen, to the minute.
    pub last_seen_at: Timestamp,
    /// The asker's own.
    pub current: bool,
}

/// What people may set of themselves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProfileInput {
    /// What others call them, up to 100 characters.
    #[serde(default)]
    pub name: String,
    /// Language; `None`: the browser's.
    #[serde(default)]
    pub lang: Option<Lang>,
    /// Theme.
    #[serde(default)]
    pub theme: Theme,
}

/// What owners may set of their tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TenantInput {
    /// What people call it, 1–100 characters.
    pub name: String,
    /// IANA zone.
    pub zone: String,
    /// Retention class: `7d`, `30d`, `90d`, `1y`.
    pub retention: String,
}
