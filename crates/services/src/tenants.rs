//! Tenants: their settings, and making them.

use crate::check::Check;
use crate::secret::new_tenant_key;
use crate::{Ctx, ServiceError, Services, TenantInput};
use domain::api::TenantInfo;
use domain::{Permission, TenantId, Timestamp, Zone};
use store::sql::TenantRow;

/// The slug of the tenant made at the first start; it cannot be changed.
pub(crate) const DEFAULT_SLUG: &str = "default";
/// Tenants of an index group: with 1,000 field names each, a group has at most 5,000.
const TENANTS_PER_GROUP: usize = 5;

/// A tenant to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Short name in addresses: up to 40 of `[0-9a-z-]`; unique.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// IANA zone.
    pub zone: String,
    /// Retention class: `7d`, `30d`, `90d`, `1y`.
    pub retention: String,
}

impl NewTenant {
    /// With the usual zone and retention.
    pub fn named(slug: &str, name: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            name: name.to_owned(),
            zone: Zone::DEFAULT.to_owned(),
            retention: "30d".to_owned(),
        }
    }
}

impl Services {
    /// Sets name, zone and retention of the tenant. Retention holds for what arrives from now on. Needs
    /// [`Permission::TenantSettings`].
    ///
    /// # Errors
    /// `Invalid` for each wrong input.
    pub async fn update_tenant(&self, ctx: &Ctx, input: TenantInput) -> Result<TenantInfo, ServiceError> {
        let tenant = ctx.require(Permission::TenantSettings)?;
        let mut check = Check::new(ctx.lang);
        let name = check.text("name", &input.name, 1..=100);
        let zone = check.zone("zone", &input.zone);
        let class = check.class("retention", &input.retention);
        check.done()?;
        let row = self.sql().tenant(tenant).await?;
        let mut row = row.ok_or(ServiceError::NotFound { what: "tenant" })?;
        (row.name, row.zone, row.class) = (name, zone, class);
        self.sql().update_tenant(&row).await?;
        self.forget_tenant(tenant);
        Ok(tenant_info(&row))
    }

    /// Makes a tenant. Needs [`Permission::Platform`].
    ///
    /// # Errors
    /// `Invalid` for each wrong input, `Conflict("slug")`.
    pub async fn create_tenant(&self, ctx: &Ctx, input: NewTenant) -> Result<TenantInfo, ServiceError> {
        ctx.require_platform()?;
        let mut check = Check::new(ctx.lang);
        let row = TenantRow {
            key: tenant_key()?,
            slug: check.slug("slug", &input.slug),
            name: check.text("name", &input.name, 1..=100),
            zone: check.zone("zone", &input.zone),
            class: check.class("retention", &input.retention),
            index_group: 1,
            quota_events_per_sec: None,
            quota_bytes_per_sec: None,
            quota_bytes_per_day: None,
            created_at: Timestamp::now(),
            suspended_at: None,
        };
        check.done()?;
        self.insert_tenant(row).await
    }

    /// Writes a new tenant into the group that has room.
    pub(crate) async fn insert_tenant(&self, mut row: TenantRow) -> Result<TenantInfo, ServiceError> {
        let group = self.sql().tenants().await?.len() / TENANTS_PER_GROUP + 1;
        row.index_group = u16::try_from(group).unwrap_or(u16::MAX);
        self.sql().create_tenant(&row).await?;
        self.forget_tenant(&row.key);
        Ok(tenant_info(&row))
    }

    /// All tenants, by slug. Needs [`Permission::Platform`].
    ///
    /// # Errors
    /// As [`Ctx::require_platform`].
    pub async fn list_tenants(&self, ctx: &Ctx) -> Result<Vec<TenantInfo>, ServiceError> {
        ctx.require_platform()?;
        Ok(self.sql().tenants().await?.iter().map(tenant_info).collect())
    }

    /// A tenant by slug or key, for the command line. Needs [`Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("tenant")`.
    pub async fn find_tenant(&self, ctx: &Ctx, slug_or_key: &str) -> Result<TenantInfo, ServiceError> {
        ctx.require_platform()?;
        let by_slug = self.sql().tenant_by_slug(slug_or_key).await?;
        let row = match (by_slug, TenantId::new(slug_or_key)) {
            (Some(row), _) => Some(row),
            (None, Ok(key)) => self.sql().tenant(&key).await?,
            (None, Err(_)) => None,
        };
        row.map(|row| tenant_info(&row)).ok_or(ServiceError::NotFound { what: "tenant" })
    }

    /// The tenant's zone, for days and bucket edges.
    pub(crate) async fn zone_of(&self, tenant: &TenantId) -> Result<Zone, ServiceError> {
        let known = self.ingest_tenant(tenant).await?;
        known.map(|known| known.tenant.zone.clone()).ok_or(ServiceError::NotFound { what: "tenant" })
    }
}

/// A new key.
pub(crate) fn tenant_key() -> Result<TenantId, ServiceError> {
    TenantId::new(&new_tenant_key()?).map_err(|error| ServiceError::internal("tenant key", error))
}

/// What people see of a tenant.
pub(crate) fn tenant_info(row: &TenantRow) -> TenantInfo {
    TenantInfo {
        key: row.key.clone(),
        slug: row.slug.clone(),
        name: row.name.clone(),
        zone: row.zone.clone(),
        retention: row.class.clone(),
    }
}
