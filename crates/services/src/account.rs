//! One's own account: who am I, profile, password, sessions.

use crate::cache::FRESH;
use crate::check::Check;
use crate::tenants::tenant_info;
use crate::{Actor, Ctx, Person, ProfileInput, ServiceError, Services};
use domain::api::{Me, SessionInfo, UserProfile};
use domain::{Permission, Role, TenantId, Timestamp};
use std::time::Instant;
use store::sql::{MembershipRow, UserRow};

/// Whom a standing is of: a person, and the tenant they want.
pub(crate) type PersonKey = (String, Option<TenantId>);

/// What a person may, as the database had it a moment ago.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    tenant: TenantId,
    role: Role,
    operator: bool,
    must_change_password: bool,
}

impl Services {
    /// The person of a session, for one request, in the tenant they want where they belong to it, else in their first.
    /// `session_id` is `SessionRow::id`. Open to the web roles, which know the session to be good. `None` for people
    /// who are gone, disabled, or in no active tenant. Up to 3 s old.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] where the database fails.
    pub async fn person(
        &self,
        user_id: &str,
        session_id: &str,
        wanted_tenant: Option<&TenantId>,
    ) -> Result<Option<Person>, ServiceError> {
        let key: PersonKey = (user_id.to_owned(), wanted_tenant.cloned());
        let standing = match self.inner.people.get(&key) {
            Some(standing) => standing,
            None => {
                let read_at = Instant::now();
                let standing = self.standing(user_id, wanted_tenant).await?;
                self.inner.people.put(key, standing.clone(), read_at);
                standing
            }
        };
        Ok(standing.map(|standing| Person {
            user_id: user_id.to_owned(),
            session_id: session_id.to_owned(),
            tenant: standing.tenant,
            role: standing.role,
            operator: standing.operator,
            must_change_password: standing.must_change_password,
        }))
    }

    async fn standing(
        &self,
        user_id: &str,
        wanted: Option<&TenantId>,
    ) -> Result<Option<Standing>, ServiceError> {
        let Some(user) = self.sql().user(user_id).await?.filter(|user| user.disabled_at.is_none()) else {
            return Ok(None);
        };
        let places = self.active_memberships(user_id).await?;
        let place = places.iter().find(|p| Some(&p.tenant.key) == wanted).or(places.first());
        Ok(place.map(|place| Standing {
            tenant: place.tenant.key.clone(),
            role: place.role,
            operator: user.operator,
            must_change_password: user.must_change_password,
        }))
    }

    async fn active_memberships(&self, user_id: &str) -> Result<Vec<MembershipRow>, ServiceError> {
        let mut places = self.sql().memberships(user_id).await?;
        places.retain(|place| place.tenant.suspended_at.is_none());
        Ok(places)
    }

    /// Forgets what is remembered of a person.
    pub(crate) fn forget_person(&self, user_id: &str) {
        self.inner.people.forget(|(id, _), _| id == user_id);
    }

    /// Whether a stream that is open for longer may go on: the session is still there, the token still good.
    pub(crate) async fn still_allowed(&self, ctx: &Ctx, needed: Permission) -> Result<bool, ServiceError> {
        match &ctx.actor {
            Actor::Anonymous => Ok(false),
            Actor::Local(_) => Ok(true),
            Actor::Token(token) => self.token_still_good(token.id, &token.tenant).await,
            Actor::Person(person) => {
                let session = self.sql().session(&person.session_id, Timestamp::now()).await?;
                if session.is_none_or(|s| s.user_id.as_deref() != Some(person.user_id.as_str())) {
                    return Ok(false);
                }
                let now = self.person(&person.user_id, &person.session_id, Some(&person.tenant)).await?;
                Ok(now.is_some_and(|now| {
                    now.tenant == person.tenant && now.role.may(needed) && !now.must_change_password
                }))
            }
        }
    }

    /// Who asks, and how they like it. For people and API tokens. Needs [`Permission::ReadEvents`].
    ///
    /// # Errors
    /// As [`Ctx::require`], but open to people who must choose a new password.
    pub async fn me(&self, ctx: &Ctx) -> Result<Me, ServiceError> {
        let tenant = ctx.require_even_before_new_password(Permission::ReadEvents)?;
        let row = self.sql().tenant(tenant).await?.ok_or(ServiceError::NotFound { what: "tenant" })?;
        let tenant = tenant_info(&row);
        Ok(match &ctx.actor {
            Actor::Person(person) => {
                let user = self.own_row(person).await?;
                let places = self.active_memberships(&person.user_id).await?;
                let tenants = places.iter().map(|place| tenant_info(&place.tenant)).collect();
                Me { user: Some(profile(&user)), tenant, tenants, role: person.role }
            }
            Actor::Token(token) => Me { user: None, tenants: vec![tenant.clone()], tenant, role: token.role },
            Actor::Local(_) | Actor::Anonymous => {
                Me { user: None, tenants: vec![tenant.clone()], tenant, role: Role::Owner }
            }
        })
    }

    /// Sets one's own name, language and theme. Needs [`Permission::OwnAccount`].
    ///
    /// # Errors
    /// As [`Ctx::require_person`]; `Invalid("name")`.
    pub async fn update_profile(&self, ctx: &Ctx, input: ProfileInput) -> Result<UserProfile, ServiceError> {
        let person = ctx.require_person()?;
        let mut check = Check::new(ctx.lang);
        let name = check.text("name", &input.name, 0..=100);
        check.done()?;
        self.sql().set_user_profile(&person.user_id, &name, input.lang, input.theme).await?;
        Ok(profile(&self.own_row(person).await?))
    }

    /// Sets a new password and ends the person's other sessions. Needs [`Permission::OwnAccount`].
    ///
    /// # Errors
    /// `Invalid("current")` where it is not the present one (limited like sign-in), `Invalid("new")` where the new one
    /// has fewer than 10 characters, is the e-mail, or the present one.
    pub async fn change_password(&self, ctx: &Ctx, current: &str, new: &str) -> Result<(), ServiceError> {
        let person = ctx.require_person_even_before_new_password()?;
        let user = self.own_row(person).await?;
        let mut check = Check::new(ctx.lang);
        check.password("new", new, &user.email);
        if new == current {
            check.wrong(
                "new",
                "지금과 다른 비밀번호를 쓰세요.",
                "Use a password other than the present one.",
            );
        }
        check.done()?;
        let mut attempt = self.inner.logins.begin(&user.email, ctx.peer)?;
        attempt.counts();
        if !self.inner.passwords.verify(current, Some(&user.password_hash)).await? {
            let message =
                ctx.lang.pick("지금 비밀번호가 맞지 않습니다.", "This is not the present password.");
            return Err(ServiceError::invalid("current", message));
        }
        attempt.succeeded();
        let hash = self.inner.passwords.hash(new).await?;
        self.sql().set_user_password(&person.user_id, &hash, false).await?;
        self.forget_person(&person.user_id);
        self.sql().delete_user_sessions(&person.user_id, Some(&person.session_id)).await?;
        Ok(())
    }

    /// One's own signed-in browsers, newest first. Needs [`Permission::OwnAccount`].
    ///
    /// # Errors
    /// As [`Ctx::require_person`].
    pub async fn sessions(&self, ctx: &Ctx) -> Result<Vec<SessionInfo>, ServiceError> {
        let person = ctx.require_person_even_before_new_password()?;
        let rows = self.sql().user_sessions(&person.user_id, Timestamp::now()).await?;
        let info = rows.into_iter().map(|row| SessionInfo {
            current: row.id == person.session_id,
            id: row.id,
            user_agent: row.user_agent,
            peer: row.peer,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
        });
        Ok(info.collect())
    }

    /// Signs one of one's own browsers out. Needs [`Permission::OwnAccount`].
    ///
    /// # Errors
    /// `NotFound("session")` where the person has none such.
    pub async fn revoke_session(&self, ctx: &Ctx, id: &str) -> Result<(), ServiceError> {
        let person = ctx.require_person()?;
        let own = self.sql().session(id, Timestamp::now()).await?;
        if own.is_none_or(|session| session.user_id.as_deref() != Some(person.user_id.as_str())) {
            return Err(ServiceError::NotFound { what: "session" });
        }
        self.sql().delete_session(id).await?;
        Ok(())
    }

    /// Signs every other browser of one's own out; answers how many. Needs [`Permission::OwnAccount`].
    ///
    /// # Errors
    /// As [`Ctx::require_person`].
    pub async fn revoke_other_sessions(&self, ctx: &Ctx) -> Result<u64, ServiceError> {
        let person = ctx.require_person()?;
        Ok(self.sql().delete_user_sessions(&person.user_id, Some(&person.session_id)).await?)
    }

    async fn own_row(&self, person: &Person) -> Result<UserRow, ServiceError> {
        self.sql().user(&person.user_id).await?.ok_or(ServiceError::Unauthenticated)
    }
}

/// What others and the person see of a person.
pub(crate) fn profile(user: &UserRow) -> UserProfile {
    UserProfile {
        id: user.id.clone(),
        email: user.email.clone(),
        name: user.name.clone(),
        lang: user.lang,
        theme: user.theme,
    }
}

// The promise of the crate's front page.
const _: () = assert!(FRESH.as_secs() < 5);
