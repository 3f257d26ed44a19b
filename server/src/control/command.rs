//! What can be administered, and how it is done.

use domain::api::{SourceInput, SourceListRequest, TokenInput, TokenKind};
use domain::{Lang, Role, SourceKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use services::{Ctx, NewTenant, NewUser, ServiceError, Services, UserInfo};

/// A command, as it goes over the control socket.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what they are called; `tenant` is a slug or a key")]
pub enum Command {
    /// Make a tenant.
    TenantCreate { slug: String, name: String, zone: String, retention: String },
    /// All tenants.
    TenantList,
    /// Make a person.
    UserCreate {
        email: String,
        name: String,
        password: Option<String>,
        tenant: Option<String>,
        role: Role,
        operator: bool,
    },
    /// All people.
    UserList,
    /// Set a password; ends the person's sessions.
    UserSetPassword { email: String, password: String },
    /// Keep a person out.
    UserDisable { email: String },
    /// Let a person try again who mistyped the password too often.
    UserUnlock { email: String },
    /// Register a source.
    SourceCreate { tenant: String, key: SourceKey, name: String, kind: String },
    /// A tenant's sources.
    SourceList { tenant: String },
    /// Make a token.
    TokenCreate {
        tenant: String,
        kind: TokenKind,
        name: String,
        source: Option<SourceKey>,
        role: Option<Role>,
        expires_at: Option<Timestamp>,
    },
    /// A tenant's tokens.
    TokenList { tenant: String, kind: Option<TokenKind> },
    /// End a token.
    TokenRevoke { tenant: String, id: String },
    /// How the pipeline does.
    Status,
}

/// The most sources that a list prints.
const SOURCES_MAX: usize = 10_000;

/// Does it.
///
/// # Errors
/// As the service.
pub async fn execute(services: &Services, command: Command, lang: Lang) -> Result<Value, ServiceError> {
    let ctx = Ctx::local(lang);
    Ok(match command {
        Command::TenantCreate { slug, name, zone, retention } => {
            json!(services.create_tenant(&ctx, NewTenant { slug, name, zone, retention }).await?)
        }
        Command::TenantList => json!(services.list_tenants(&ctx).await?),
        Command::UserCreate { email, name, password, tenant, role, operator } => {
            let tenant = match tenant {
                Some(named) => Some(services.find_tenant(&ctx, &named).await?.key),
                None => None,
            };
            let user = NewUser { email, name, password, tenant, role, operator };
            let made = services.create_user(&ctx, user).await?;
            json!({ "user": made.profile, "password": made.generated_password })
        }
        Command::UserList => services.list_users(&ctx).await?.iter().map(person).collect(),
        Command::UserSetPassword { email, password } => {
            services.set_user_password(&ctx, &email, &password).await?;
            json!({ "email": email })
        }
        Command::UserDisable { email } => {
            services.disable_user(&ctx, &email).await?;
            json!({ "email": email })
        }
        Command::UserUnlock { email } => {
            services.unlock_user(&ctx, &email).await?;
            json!({ "email": email })
        }
        Command::SourceCreate { tenant, key, name, kind } => {
            let ctx = within(services, &ctx, &tenant).await?;
            let input = SourceInput { name, kind, ..SourceInput::default() };
            json!(services.create_source(&ctx, key, input).await?)
        }
        Command::SourceList { tenant } => sources(services, &within(services, &ctx, &tenant).await?).await?,
        Command::TokenCreate { tenant, kind, name, source, role, expires_at } => {
            let ctx = within(services, &ctx, &tenant).await?;
            let input = TokenInput { kind, name, source, role, expires_at };
            json!(services.create_token(&ctx, input).await?)
        }
        Command::TokenList { tenant, kind } => {
            json!(services.tokens(&within(services, &ctx, &tenant).await?, kind).await?)
        }
        Command::TokenRevoke { tenant, id } => {
            json!(services.revoke_token(&within(services, &ctx, &tenant).await?, &id).await?)
        }
        Command::Status => status(services).await?,
    })
}

async fn within(services: &Services, ctx: &Ctx, tenant: &str) -> Result<Ctx, ServiceError> {
    let found: TenantId = services.find_tenant(ctx, tenant).await?.key;
    Ok(Ctx::local_in(ctx.lang, found))
}

async fn sources(services: &Services, ctx: &Ctx) -> Result<Value, ServiceError> {
    let mut request = SourceListRequest { limit: 200, ..SourceListRequest::default() };
    let mut all = Vec::new();
    loop {
        let page = services.sources(ctx, request.clone()).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) if all.len() < SOURCES_MAX => request.cursor = Some(next),
            _ => return Ok(json!(all)),
        }
    }
}

fn person(user: &UserInfo) -> Value {
    let memberships: Vec<Value> = user
        .memberships
        .iter()
        .map(|(tenant, role)| json!({ "tenant": tenant.slug, "role": role }))
        .collect();
    json!({
        "id": user.profile.id,
        "email": user.profile.email,
        "name": user.profile.name,
        "operator": user.operator,
        "disabled_at": user.disabled_at,
        "created_at": user.created_at,
        "memberships": memberships,
    })
}

async fn status(services: &Services) -> Result<Value, ServiceError> {
    let stages: Vec<Value> = services
        .status()
        .stages()
        .iter()
        .map(|stage| {
            json!({
                "stage": stage.stage.name(),
                "records_per_sec": stage.records_per_sec,
                "bytes_per_sec": stage.bytes_per_sec,
                "backlog_records": stage.backlog.records,
                "oldest_secs": stage.age.map(|age| age.as_secs_f64()),
                "failing": stage.failing,
            })
        })
        .collect();
    let stores = services.stores();
    let index = stores.index.stats().await?;
    Ok(json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "stages": stages,
        "index": {
            "indexes": index.indexes,
            "segments": index.segments,
            "events": index.events,
            "bytes": index.bytes,
        },
        "broker_bytes": stores.broker.stored_bytes().await?,
    }))
}
