//! What can be administered, and how it is done.

use crate::serve::stores::Needs;
use domain::api::{
    LetterEdit, LetterQuery, LetterSelection, SourceInput, SourceListRequest, TokenInput, TokenKind,
};
use domain::{EventId, Lang, Role, SourceKey, TenantId, Timestamp};
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
    /// A tenant's dead letters, the latest first.
    DeadLetterList { tenant: String, query: LetterQuery, limit: u32 },
    /// One, with its bytes.
    DeadLetterShow { tenant: String, id: EventId },
    /// Make something else of its bytes.
    DeadLetterEdit { tenant: String, id: EventId, base64: String },
    /// Make events of some.
    DeadLetterReplay { tenant: String, selection: LetterSelection },
    /// Want no events of some.
    DeadLetterDiscard { tenant: String, selection: LetterSelection },
    /// Take a discard back.
    DeadLetterReopen { tenant: String, id: EventId },
    /// Let an authority's client certificates speak for a tenant.
    AuthorityAdd { tenant: String, certificate: String },
    /// All authorities.
    AuthorityList,
    /// Believe an authority no more.
    AuthorityRemove { fingerprint: String },
    /// End a client certificate.
    CertificateRevoke { tenant: String, fingerprint: String },
    /// All certificates that were ended.
    CertificateList,
    /// Let a certificate that was ended be good again.
    CertificateRestore { fingerprint: String },
    /// Let a network speak for a tenant.
    AddressRuleCreate { tenant: String, network: String, source: Option<SourceKey> },
    /// All address rules.
    AddressRuleList,
    /// Remove an address rule.
    AddressRuleDelete { id: String },
    /// How the pipeline does.
    Status,
    /// Take the embedded stores at one moment, into a new folder below the data directory.
    BackupStage { into: std::path::PathBuf },
}

impl Command {
    /// Which stores it works on, beside the SQL store.
    pub fn needs(&self) -> Needs {
        match self {
            Self::TenantCreate { .. }
            | Self::TenantList
            | Self::UserCreate { .. }
            | Self::UserList
            | Self::UserSetPassword { .. }
            | Self::UserDisable { .. }
            | Self::UserUnlock { .. }
            | Self::SourceCreate { .. }
            | Self::SourceList { .. }
            | Self::TokenCreate { .. }
            | Self::TokenList { .. }
            | Self::TokenRevoke { .. }
            | Self::AuthorityAdd { .. }
            | Self::AuthorityList
            | Self::AuthorityRemove { .. }
            | Self::CertificateRevoke { .. }
            | Self::CertificateList
            | Self::CertificateRestore { .. }
            | Self::AddressRuleCreate { .. }
            | Self::AddressRuleList
            | Self::AddressRuleDelete { .. }
            | Self::DeadLetterList { .. }
            | Self::DeadLetterShow { .. }
            | Self::DeadLetterEdit { .. }
            | Self::DeadLetterDiscard { .. }
            | Self::DeadLetterReopen { .. } => Needs::SQL,
            Self::DeadLetterReplay { .. } => Needs { broker: true, index: false },
            _ => Needs::ALL,
        }
    }
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
        Command::DeadLetterList { tenant, query, limit } => {
            letters(services, &within(services, &ctx, &tenant).await?, query, limit as usize).await?
        }
        Command::DeadLetterShow { tenant, id } => {
            json!(services.dead_letter(&within(services, &ctx, &tenant).await?, id).await?)
        }
        Command::DeadLetterEdit { tenant, id, base64 } => {
            let edit = LetterEdit { base64: Some(base64), ..LetterEdit::default() };
            json!(services.edit_dead_letter(&within(services, &ctx, &tenant).await?, id, edit).await?)
        }
        Command::DeadLetterReplay { tenant, selection } => {
            json!(services.replay_dead_letters(&within(services, &ctx, &tenant).await?, selection).await?)
        }
        Command::DeadLetterDiscard { tenant, selection } => {
            json!(services.discard_dead_letters(&within(services, &ctx, &tenant).await?, selection).await?)
        }
        Command::DeadLetterReopen { tenant, id } => {
            json!(services.reopen_dead_letter(&within(services, &ctx, &tenant).await?, id).await?)
        }
        Command::AuthorityAdd { tenant, certificate } => {
            let tenant = services.find_tenant(&ctx, &tenant).await?.key;
            json!(services.add_authority(&ctx, &tenant, &certificate).await?)
        }
        Command::AuthorityList => json!(services.authorities(&ctx).await?),
        Command::AuthorityRemove { fingerprint } => {
            services.remove_authority(&ctx, &fingerprint).await?;
            json!({ "fingerprint": fingerprint })
        }
        Command::CertificateRevoke { tenant, fingerprint } => {
            let tenant = services.find_tenant(&ctx, &tenant).await?.key;
            json!(services.revoke_certificate(&ctx, &tenant, &fingerprint).await?)
        }
        Command::CertificateList => json!(services.revoked_certificates(&ctx).await?),
        Command::CertificateRestore { fingerprint } => {
            services.restore_certificate(&ctx, &fingerprint).await?;
            json!({ "fingerprint": fingerprint })
        }
        Command::AddressRuleCreate { tenant, network, source } => {
            let tenant = services.find_tenant(&ctx, &tenant).await?.key;
            json!(services.create_address_rule(&ctx, &tenant, &network, source).await?)
        }
        Command::AddressRuleList => json!(services.address_rules(&ctx).await?),
        Command::AddressRuleDelete { id } => {
            services.delete_address_rule(&ctx, &id).await?;
            json!({ "id": id })
        }
        Command::Status => status(services).await?,
        Command::BackupStage { into } => {
            let staged = crate::backup::stage::take(services.stores(), &into).await;
            json!(staged.map_err(|error| ServiceError::internal("take a backup", format!("{error:#}")))?)
        }
    })
}

async fn within(services: &Services, ctx: &Ctx, tenant: &str) -> Result<Ctx, ServiceError> {
    let found: TenantId = services.find_tenant(ctx, tenant).await?.key;
    Ok(Ctx::local_in(ctx.lang, found))
}

async fn letters(
    services: &Services,
    ctx: &Ctx,
    query: LetterQuery,
    most: usize,
) -> Result<Value, ServiceError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    while all.len() < most {
        let limit = u32::try_from(most - all.len()).unwrap_or(u32::MAX).min(200);
        let page = services.dead_letters(ctx, query.clone(), cursor.as_deref(), limit).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(json!(all))
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
    let stages: Vec<Value> = services.status().stages().iter().map(crate::internal::stage).collect();
    let stores = services.stores();
    // A process that has not all roles may have neither.
    let (index, broker_bytes) = (stores.index.stats().await.ok(), stores.broker.stored_bytes().await.ok());
    Ok(json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "stages": stages,
        "index": index.map(|index| json!({
            "indexes": index.indexes,
            "segments": index.segments,
            "events": index.events,
            "bytes": index.bytes,
        })),
        "broker_bytes": broker_bytes,
        "processes": services.processes().iter().map(crate::internal::process).collect::<Vec<_>>(),
    }))
}
