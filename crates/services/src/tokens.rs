//! Tokens: making, listing, ending them.

use crate::check::Check;
use crate::secret::{new_token, token_hash};
use crate::{Actor, Ctx, ServiceError, Services};
use domain::api::{NewToken, TokenInfo, TokenInput, TokenKind};
use domain::{Permission, Role, TenantId, Timestamp};
use std::collections::HashMap;
use store::sql::{SqlError, TokenRow};

/// Tokens of a tenant that are not ended.
const MOST_TOKENS: usize = 1_000;
/// What the command line's tokens say they were made by.
const BY_CLI: &str = "cli";

impl Services {
    /// Makes a token; its secret is shown here and never again. Needs [`Permission::IngestTokens`] or
    /// [`Permission::ApiTokens`], as the kind is.
    ///
    /// # Errors
    /// `Invalid` for each wrong input; `Forbidden` where the role is above the maker's.
    pub async fn create_token(&self, ctx: &Ctx, input: TokenInput) -> Result<NewToken, ServiceError> {
        let tenant = ctx.require(needed(input.kind))?;
        let now = Timestamp::now();
        let mut check = Check::new(ctx.lang);
        let name = check.text("name", &input.name, 1..=100);
        if input.kind == TokenKind::Api && input.source.is_some() {
            check.wrong("source", "API 토큰에는 소스를 지정할 수 없습니다.", "An API token has no source.");
        }
        if input.kind == TokenKind::Ingest && input.role.is_some() {
            check.wrong("role", "수집 토큰에는 역할을 지정할 수 없습니다.", "An ingest token has no role.");
        }
        if input.expires_at.is_some_and(|at| at <= now) {
            check.wrong(
                "expires_at",
                "만료 시각은 지금보다 뒤여야 합니다.",
                "The expiry must lie in the future.",
            );
        }
        check.done()?;
        let role = (input.kind == TokenKind::Api).then(|| input.role.unwrap_or(Role::Viewer));
        if role > Some(highest_role(&ctx.actor)) {
            return Err(ServiceError::Forbidden { needed: Permission::ApiTokens });
        }
        let active = self.sql().tokens(tenant).await?.iter().filter(|t| t.revoked_at.is_none()).count();
        if active >= MOST_TOKENS {
            let text = ctx.lang.pick(
                format!(
                    "테넌트마다 토큰을 {MOST_TOKENS}개까지 만들 수 있습니다. 쓰지 않는 토큰을 폐기하세요."
                ),
                format!("A tenant has at most {MOST_TOKENS} tokens. Revoke those not in use."),
            );
            return Err(ServiceError::TooLarge(text));
        }
        let token = new_token()?;
        let mut row = TokenRow {
            id: 0,
            tenant: tenant.clone(),
            kind: input.kind,
            name,
            hash: token_hash(&token),
            prefix: token[..8].to_owned(),
            source: input.source,
            role,
            created_at: now,
            created_by: maker(&ctx.actor),
            expires_at: input.expires_at,
            revoked_at: None,
            last_used_at: None,
            last_used_peer: None,
        };
        row.id = self.sql().create_token(&row).await?;
        let makers = self.makers(std::slice::from_ref(&row)).await?;
        Ok(NewToken { token, info: token_info(row, &makers) })
    }

    /// The tenant's tokens, newest first, ended ones too. Needs [`Permission::IngestTokens`] or
    /// [`Permission::ApiTokens`], as the kind is; of both kinds, those that the actor may see.
    ///
    /// # Errors
    /// As [`Ctx::require`].
    pub async fn tokens(&self, ctx: &Ctx, kind: Option<TokenKind>) -> Result<Vec<TokenInfo>, ServiceError> {
        let tenant = ctx.require(needed(kind.unwrap_or(TokenKind::Ingest)))?;
        let mut rows = self.sql().tokens(tenant).await?;
        rows.retain(|row| kind.is_none_or(|kind| row.kind == kind) && ctx.may(needed(row.kind)));
        self.overlay_uses(&mut rows);
        let makers = self.makers(&rows).await?;
        Ok(rows.into_iter().map(|row| token_info(row, &makers)).collect())
    }

    /// Ends a token: its connections are closed and its requests refused, here at once, elsewhere within 5 s. Ending
    /// it twice keeps the first time. Needs [`Permission::IngestTokens`] or [`Permission::ApiTokens`], as its kind is.
    ///
    /// # Errors
    /// `NotFound("token")` where the tenant has none such.
    pub async fn revoke_token(&self, ctx: &Ctx, id: &str) -> Result<TokenInfo, ServiceError> {
        let tenant = ctx.require(Permission::IngestTokens)?;
        let unknown = || ServiceError::NotFound { what: "token" };
        let id = id.parse::<u64>().map_err(|_| unknown())?;
        let row = self.sql().token(tenant, id).await?.ok_or_else(unknown)?;
        ctx.require(needed(row.kind))?;
        match self.sql().revoke_token(tenant, id, Timestamp::now()).await {
            Err(SqlError::NotFound) => return Err(unknown()),
            other => other?,
        }
        self.token_ended(id);
        let mut rows = vec![self.own_token(tenant, id).await?];
        self.overlay_uses(&mut rows);
        let makers = self.makers(&rows).await?;
        rows.pop().map(|row| token_info(row, &makers)).ok_or_else(unknown)
    }

    /// Removes a token that was ended before, so that what makes a new one at each start leaves no row a start.
    /// Whoever still shows it is told that there is no such token. Needs [`Permission::IngestTokens`] or
    /// [`Permission::ApiTokens`], as its kind is.
    ///
    /// # Errors
    /// `NotFound("token")` where the tenant has none such, or it has not ended.
    pub async fn remove_ended_token(&self, ctx: &Ctx, id: &str) -> Result<(), ServiceError> {
        let tenant = ctx.require(Permission::IngestTokens)?;
        let unknown = || ServiceError::NotFound { what: "token" };
        let id = id.parse::<u64>().map_err(|_| unknown())?;
        let row = self.sql().token(tenant, id).await?.ok_or_else(unknown)?;
        ctx.require(needed(row.kind))?;
        if self.sql().remove_ended_token(tenant, id).await? { Ok(()) } else { Err(unknown()) }
    }

    async fn own_token(&self, tenant: &TenantId, id: u64) -> Result<TokenRow, ServiceError> {
        self.sql().token(tenant, id).await?.ok_or(ServiceError::NotFound { what: "token" })
    }

    /// The e-mails of who made these.
    async fn makers(&self, rows: &[TokenRow]) -> Result<HashMap<String, String>, ServiceError> {
        let makers: Vec<&str> = rows.iter().map(|row| row.created_by.as_str()).collect();
        self.emails_of(&makers).await
    }

    /// The e-mails of people by what [`maker`] says of them; who is no person, or is gone, is not among them.
    pub(crate) async fn emails_of(&self, makers: &[&str]) -> Result<HashMap<String, String>, ServiceError> {
        let mut emails = HashMap::new();
        for id in makers {
            if id.contains(':') || *id == BY_CLI || emails.contains_key(*id) {
                continue;
            }
            if let Some(user) = self.sql().user(id).await? {
                emails.insert((*id).to_owned(), user.email);
            }
        }
        Ok(emails)
    }
}

/// What it takes to deal with tokens of a kind.
fn needed(kind: TokenKind) -> Permission {
    match kind {
        TokenKind::Ingest => Permission::IngestTokens,
        TokenKind::Api => Permission::ApiTokens,
    }
}

fn highest_role(actor: &Actor) -> Role {
    match actor {
        Actor::Person(person) => person.role,
        Actor::Token(token) => token.role,
        Actor::Local(_) => Role::Owner,
        Actor::Anonymous => Role::Viewer,
    }
}

/// Who does something, as it is stored: a person's id, `token:` and a token's, or the command line.
pub(crate) fn maker(actor: &Actor) -> String {
    match actor {
        Actor::Person(person) => person.user_id.clone(),
        Actor::Token(token) => format!("token:{}", token.id),
        Actor::Local(_) | Actor::Anonymous => BY_CLI.to_owned(),
    }
}

fn token_info(row: TokenRow, makers: &HashMap<String, String>) -> TokenInfo {
    TokenInfo {
        id: row.id.to_string(),
        kind: row.kind,
        name: row.name,
        prefix: format!("{}…", row.prefix),
        source: row.source,
        role: row.role,
        created_at: row.created_at,
        created_by: makers.get(&row.created_by).cloned().unwrap_or(row.created_by),
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        last_used_at: row.last_used_at,
        last_used_peer: row.last_used_peer,
    }
}
