//! Tenants, people, memberships, settings of the installation.

use super::SqlResult;
use async_trait::async_trait;
use domain::{Lang, Role, TenantId, Timestamp, api::Theme};

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantRow {
    /// Its key.
    pub key: TenantId,
    /// Short name in addresses; unique.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// IANA zone.
    pub zone: String,
    /// Retention class.
    pub class: String,
    /// Index group.
    pub index_group: u16,
    /// Events a second; `None`: no limit.
    pub quota_events_per_sec: Option<u64>,
    /// Bytes a second; `None`: no limit.
    pub quota_bytes_per_sec: Option<u64>,
    /// Bytes a day of its own zone; `None`: no limit.
    pub quota_bytes_per_day: Option<u64>,
    /// Made.
    pub created_at: Timestamp,
    /// No longer accepts or shows anything.
    pub suspended_at: Option<Timestamp>,
}

/// A person.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRow {
    /// Id: a UUID as text.
    pub id: String,
    /// Lower-case e-mail; unique.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// argon2id PHC string.
    pub password_hash: String,
    /// Operator of the platform.
    pub operator: bool,
    /// Chosen language.
    pub lang: Option<Lang>,
    /// Chosen theme.
    pub theme: Theme,
    /// Made.
    pub created_at: Timestamp,
    /// May not sign in.
    pub disabled_at: Option<Timestamp>,
    /// The password must be changed at the next sign-in.
    pub must_change_password: bool,
}

/// A person's place in a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct MembershipRow {
    /// Whose.
    pub user_id: String,
    /// Where.
    pub tenant: TenantRow,
    /// As what.
    pub role: Role,
}

/// Tenants and people.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Brings the schema up to this program's; answers the version.
    async fn migrate(&self) -> SqlResult<i64>;
    /// Makes a tenant; `Conflict("slug")` or `Conflict("key")`.
    async fn create_tenant(&self, tenant: &TenantRow) -> SqlResult<()>;
    /// Overwrites everything but key and creation.
    async fn update_tenant(&self, tenant: &TenantRow) -> SqlResult<()>;
    /// By key.
    async fn tenant(&self, key: &TenantId) -> SqlResult<Option<TenantRow>>;
    /// By slug.
    async fn tenant_by_slug(&self, slug: &str) -> SqlResult<Option<TenantRow>>;
    /// All, by slug.
    async fn tenants(&self) -> SqlResult<Vec<TenantRow>>;
    /// Makes a person; `Conflict("email")`.
    async fn create_user(&self, user: &UserRow) -> SqlResult<()>;
    /// Overwrites everything but id and creation; `Conflict("email")`.
    async fn update_user(&self, user: &UserRow) -> SqlResult<()>;
    /// Overwrites what a person chooses themselves, and nothing else; `NotFound`.
    async fn set_user_profile(&self, id: &str, name: &str, lang: Option<Lang>, theme: Theme)
    -> SqlResult<()>;
    /// Overwrites the password's hash and whether it must be changed, and nothing else; `NotFound`.
    async fn set_user_password(&self, id: &str, hash: &str, must_change: bool) -> SqlResult<()>;
    /// Shuts out since then, or lets in again, and changes nothing else; `NotFound`.
    async fn set_user_disabled(&self, id: &str, since: Option<Timestamp>) -> SqlResult<()>;
    /// By id.
    async fn user(&self, id: &str) -> SqlResult<Option<UserRow>>;
    /// By e-mail, in lower case.
    async fn user_by_email(&self, email: &str) -> SqlResult<Option<UserRow>>;
    /// All, by e-mail.
    async fn users(&self) -> SqlResult<Vec<UserRow>>;
    /// Sets the role in a tenant, making the membership where it is not there.
    async fn set_membership(&self, user_id: &str, tenant: &TenantId, role: Role) -> SqlResult<()>;
    /// A person's memberships, by slug.
    async fn memberships(&self, user_id: &str) -> SqlResult<Vec<MembershipRow>>;
    /// A value of the installation (sealed by the caller where it is secret).
    async fn setting(&self, name: &str) -> SqlResult<Option<String>>;
    /// Sets a value of the installation.
    async fn set_setting(&self, name: &str, value: &str) -> SqlResult<()>;
}
