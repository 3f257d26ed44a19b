//! People of the installation: the first start, and what operators do for others.

use crate::account::profile;
use crate::check::Check;
use crate::secret::{new_id, new_password};
use crate::tenants::{DEFAULT_SLUG, tenant_info, tenant_key};
use crate::{Ctx, ServiceError, Services};
use domain::api::{TenantInfo, Theme, UserProfile};
use domain::{Lang, Role, TenantId, Timestamp, Zone};
use store::sql::{SqlError, TenantRow, UserRow};

/// The owner's e-mail where none is set.
const DEFAULT_OWNER: &str = "owner@qgx.local";

/// The owner of the first start, as the settings name them.
#[derive(Clone, Default)]
pub struct OwnerSetup {
    /// `QGX_OWNER_EMAIL`; `None`: `owner@qgx.local`.
    pub email: Option<String>,
    /// `QGX_OWNER_PASSWORD`; `None`: one is made.
    pub password: Option<String>,
}

/// What the first start made, or found.
#[derive(Clone)]
pub struct Bootstrap {
    /// The default tenant, or where somebody removed it, the first.
    pub tenant: TenantInfo,
    /// The owner's login name.
    pub owner_email: String,
    /// The password, only where it was made now: to be shown once.
    pub generated_password: Option<String>,
    /// Whether the owner was made now.
    pub created: bool,
}

/// A person to make.
#[derive(Clone)]
pub struct NewUser {
    /// Login name.
    pub email: String,
    /// What people call them; may be empty.
    pub name: String,
    /// `None`: one is made, to be changed at the first sign-in.
    pub password: Option<String>,
    /// The tenant they belong to.
    pub tenant: Option<TenantId>,
    /// As what.
    pub role: Role,
    /// Also operator of the platform.
    pub operator: bool,
}

/// A person just made.
#[derive(Clone)]
pub struct CreatedUser {
    /// Who.
    pub profile: UserProfile,
    /// The password, where it was made now: to be shown once.
    pub generated_password: Option<String>,
}

/// A person as operators see them.
#[derive(Debug, Clone, PartialEq)]
pub struct UserInfo {
    /// Who.
    pub profile: UserProfile,
    /// Operator of the platform.
    pub operator: bool,
    /// May not sign in since.
    pub disabled_at: Option<Timestamp>,
    /// Made.
    pub created_at: Timestamp,
    /// Where, as what.
    pub memberships: Vec<(TenantInfo, Role)>,
}

impl Services {
    /// Makes the default tenant and its owner where there are none; for the process that starts, not for a request.
    /// Called again it changes nothing, and mends a start that was cut off half-way.
    ///
    /// # Errors
    /// `Invalid("email")` or `Invalid("password")`, in English, where the settings are wrong.
    pub async fn bootstrap(&self, setup: OwnerSetup) -> Result<Bootstrap, ServiceError> {
        self.inner.passwords.warm_up().await?;
        let tenant = self.default_tenant().await?;
        if let Some(found) = self.present_owner(&tenant).await? {
            return Ok(found);
        }
        let owner = NewUser {
            email: setup.email.unwrap_or_else(|| DEFAULT_OWNER.to_owned()),
            name: String::new(),
            password: setup.password,
            tenant: Some(tenant.key.clone()),
            role: Role::Owner,
            operator: true,
        };
        // Who starts the server reads the password right there: no second errand.
        let made = match self.make_user(Lang::En, owner, Change::AtWill).await {
            Ok(made) => made,
            Err(conflict @ ServiceError::Conflict { .. }) => {
                // Another process was quicker.
                return self.present_owner(&tenant).await?.ok_or(conflict);
            }
            Err(error) => return Err(error),
        };
        Ok(Bootstrap {
            tenant,
            owner_email: made.profile.email,
            generated_password: made.generated_password,
            created: true,
        })
    }

    /// Who was there before: the first operator, else the first person of all.
    async fn present_owner(&self, tenant: &TenantInfo) -> Result<Option<Bootstrap>, ServiceError> {
        let users = self.sql().users().await?;
        let Some(owner) = users.into_iter().min_by_key(|user| (!user.operator, user.created_at)) else {
            return Ok(None);
        };
        // A start that was cut off may have made the person but not the place.
        if owner.operator && self.sql().memberships(&owner.id).await?.is_empty() {
            self.sql().set_membership(&owner.id, &tenant.key, Role::Owner).await?;
        }
        Ok(Some(Bootstrap {
            tenant: tenant.clone(),
            owner_email: owner.email,
            generated_password: None,
            created: false,
        }))
    }

    async fn default_tenant(&self) -> Result<TenantInfo, ServiceError> {
        let tenants = self.sql().tenants().await?;
        if let Some(row) = tenants.iter().find(|row| row.slug == DEFAULT_SLUG).or(tenants.first()) {
            return Ok(tenant_info(row));
        }
        let row = TenantRow {
            key: tenant_key()?,
            slug: DEFAULT_SLUG.to_owned(),
            name: "기본".to_owned(),
            zone: Zone::DEFAULT.to_owned(),
            class: "30d".to_owned(),
            index_group: 1,
            quota_events_per_sec: None,
            quota_bytes_per_sec: None,
            quota_bytes_per_day: None,
            created_at: Timestamp::now(),
            suspended_at: None,
        };
        match self.insert_tenant(row).await {
            // Another process was quicker.
            Err(ServiceError::Conflict { .. }) => {
                let row = self.sql().tenant_by_slug(DEFAULT_SLUG).await?;
                row.map(|row| tenant_info(&row)).ok_or(ServiceError::NotFound { what: "tenant" })
            }
            made => made,
        }
    }

    /// Makes a person. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `Invalid` for each wrong input, `NotFound("tenant")`, `Conflict("email")`.
    pub async fn create_user(&self, ctx: &Ctx, user: NewUser) -> Result<CreatedUser, ServiceError> {
        ctx.require_platform()?;
        self.make_user(ctx.lang, user, Change::AtFirstSignIn).await
    }

    async fn make_user(
        &self,
        lang: Lang,
        user: NewUser,
        change: Change,
    ) -> Result<CreatedUser, ServiceError> {
        let generated = if user.password.is_none() { Some(new_password()?) } else { None };
        let password = user.password.as_ref().or(generated.as_ref()).map_or("", String::as_str);
        let mut check = Check::new(lang);
        let email = check.email("email", &user.email);
        let name = check.text("name", &user.name, 0..=100);
        check.password("password", password, &email);
        check.done()?;
        if let Some(tenant) = &user.tenant
            && self.sql().tenant(tenant).await?.is_none()
        {
            return Err(ServiceError::NotFound { what: "tenant" });
        }
        let row = UserRow {
            id: new_id()?,
            email,
            name,
            password_hash: self.inner.passwords.hash(password).await?,
            operator: user.operator,
            lang: None,
            theme: Theme::default(),
            created_at: Timestamp::now(),
            disabled_at: None,
            must_change_password: generated.is_some() && change == Change::AtFirstSignIn,
        };
        self.sql().create_user(&row).await?;
        if let Some(tenant) = &user.tenant {
            self.sql().set_membership(&row.id, tenant, user.role).await?;
        }
        Ok(CreatedUser { profile: profile(&row), generated_password: generated })
    }

    /// All people, by e-mail. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// As [`Ctx::require_platform`].
    pub async fn list_users(&self, ctx: &Ctx) -> Result<Vec<UserInfo>, ServiceError> {
        ctx.require_platform()?;
        let mut list = Vec::new();
        for user in self.sql().users().await? {
            let places = self.sql().memberships(&user.id).await?;
            list.push(UserInfo {
                profile: profile(&user),
                operator: user.operator,
                disabled_at: user.disabled_at,
                created_at: user.created_at,
                memberships: places.iter().map(|p| (tenant_info(&p.tenant), p.role)).collect(),
            });
        }
        Ok(list)
    }

    /// Sets somebody's password and ends all their sessions. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("user")`, `Invalid("password")`.
    pub async fn set_user_password(&self, ctx: &Ctx, email: &str, new: &str) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        let user = self.user_named(email).await?;
        let mut check = Check::new(ctx.lang);
        check.password("password", new, &user.email);
        check.done()?;
        let hash = self.inner.passwords.hash(new).await?;
        self.sql().set_user_password(&user.id, &hash, false).await?;
        self.sql().delete_user_sessions(&user.id, None).await?;
        self.forget_person(&user.id);
        self.inner.logins.unlock(&user.email);
        Ok(())
    }

    /// Gives a person a role in a tenant. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("user")`, `NotFound("tenant")`.
    pub async fn set_user_role(
        &self,
        ctx: &Ctx,
        email: &str,
        tenant: &TenantId,
        role: Role,
    ) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        let user = self.user_named(email).await?;
        if self.sql().tenant(tenant).await?.is_none() {
            return Err(ServiceError::NotFound { what: "tenant" });
        }
        self.sql().set_membership(&user.id, tenant, role).await?;
        self.forget_person(&user.id);
        Ok(())
    }

    /// Shuts somebody out and ends their sessions. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("user")`.
    pub async fn disable_user(&self, ctx: &Ctx, email: &str) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        let user = self.user_named(email).await?;
        let since = user.disabled_at.unwrap_or_else(Timestamp::now);
        self.sql().set_user_disabled(&user.id, Some(since)).await?;
        self.sql().delete_user_sessions(&user.id, None).await?;
        self.forget_person(&user.id);
        Ok(())
    }

    /// Lets somebody in again: no longer disabled, their failed sign-ins forgotten. Needs
    /// [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("user")`.
    pub async fn unlock_user(&self, ctx: &Ctx, email: &str) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        let user = self.user_named(email).await?;
        self.inner.logins.unlock(&user.email);
        self.sql().set_user_disabled(&user.id, None).await?;
        self.forget_person(&user.id);
        Ok(())
    }

    async fn user_named(&self, email: &str) -> Result<UserRow, ServiceError> {
        let user = self.sql().user_by_email(&email.trim().to_lowercase()).await;
        match user {
            Ok(Some(user)) => Ok(user),
            Ok(None) | Err(SqlError::NotFound) => Err(ServiceError::NotFound { what: "user" }),
            Err(error) => Err(error.into()),
        }
    }
}

/// When a password that was made for somebody is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    AtFirstSignIn,
    AtWill,
}
