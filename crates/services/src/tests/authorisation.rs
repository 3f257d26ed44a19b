//! The authorisation table: every use case, every kind of actor. A use case without a row is red.

use super::fixture::{Fixture, PASSWORD, key};
use crate::*;
use domain::api::*;
use domain::{EventId, Lang, Role, TimeRange, Timestamp};
use futures::StreamExt;
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::time::Duration;

type Case = for<'a> fn(&'a Services, &'a Ctx) -> BoxFuture<'a, Result<(), ServiceError>>;

/// One use case: its method, what it needs, a call.
macro_rules! case {
    ($name:literal, $needs:ident, |$services:ident, $ctx:ident| $call:expr) => {
        ($name, Needs::$needs, (|$services, $ctx| Box::pin(async move { $call.map(drop) })) as Case)
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    ReadEvents,
    ReadSources,
    SendEvents,
    WriteSources,
    IngestTokens,
    ResolveDeadLetters,
    ApiTokens,
    TenantSettings,
    OwnAccount,
    Platform,
}

const ACTORS: [&str; 11] = [
    "nobody",
    "viewer",
    "editor",
    "owner",
    "operator",
    "ingest token",
    "api viewer",
    "api editor",
    "api owner",
    "local",
    "owner with a given password",
];

impl Needs {
    /// Who passes, in the order of [`ACTORS`].
    fn passes(self) -> &'static str {
        match self {
            Self::ReadEvents | Self::ReadSources => ".xxxx.xxxx",
            Self::SendEvents => "..xxxx.xxx",
            Self::WriteSources | Self::IngestTokens | Self::ResolveDeadLetters => "..xxx..xxx",
            Self::ApiTokens | Self::TenantSettings => "...xx...xx",
            Self::OwnAccount => ".xxxx.....",
            Self::Platform => "....x....x",
        }
    }
}

/// What people may who were given their password, until they have chosen one of their own.
const BEFORE_A_NEW_PASSWORD: [&str; 3] = ["me", "change_password", "sessions"];

/// Open to anybody.
const OPEN: [&str; 1] = ["login"];

fn all_time() -> EventFilter {
    EventFilter { q: String::new(), range: TimeRange { from: Timestamp::from_secs(0), to: Timestamp::now() } }
}

fn event_id() -> EventId {
    EventId(uuid::Uuid::nil())
}

fn token(kind: TokenKind) -> TokenInput {
    TokenInput { kind, name: "t".to_owned(), source: None, role: None, expires_at: None }
}

fn no_tenant() -> domain::TenantId {
    domain::TenantId::new("t_nobody").unwrap()
}

fn user() -> NewUser {
    NewUser {
        email: "no e-mail".to_owned(),
        name: String::new(),
        password: None,
        tenant: None,
        role: Role::Viewer,
        operator: false,
    }
}

fn all_letters() -> LetterSelection {
    LetterSelection { filter: Some(LetterQuery::default()), ..LetterSelection::default() }
}

fn metric() -> MetricQuery {
    MetricQuery {
        metric: "cpu".to_owned(),
        sources: vec![],
        aggregate: Aggregate::Avg,
        range: TimeRange::ALL,
        step_secs: None,
    }
}

fn settings() -> TenantInput {
    TenantInput { name: "a".to_owned(), zone: "Asia/Seoul".to_owned(), retention: "30d".to_owned() }
}

#[rustfmt::skip]
fn table() -> Vec<(&'static str, Needs, Case)> {
    vec![
        case!("me", ReadEvents, |s, c| s.me(c).await),
        case!("search", ReadEvents, |s, c| s.search(c, all_time(), Order::Desc, 10, None).await),
        case!("histogram", ReadEvents, |s, c| s.histogram(c, all_time(), 60, None).await),
        case!("facets", ReadEvents, |s, c| s.facets(c, all_time(), vec!["level".to_owned()], 5).await),
        case!("fields", ReadEvents, |s, c| s.fields(c, all_time().range).await),
        case!("complete_values", ReadEvents, |s, c| s.complete_values(c, "site", "a", all_time().range).await),
        case!("event", ReadEvents, |s, c| s.event(c, event_id()).await),
        case!("surroundings", ReadEvents, |s, c| s.surroundings(c, event_id(), Duration::from_secs(9), 5).await),
        case!("nearest", ReadEvents, |s, c| s.nearest(c, all_time()).await),
        case!("export", ReadEvents, |s, c| s.export(c, all_time(), Order::Asc).next().await.unwrap_or(Ok(dummy()))),
        case!("metrics", ReadEvents, |s, c| s.metrics(c, metric()).await),
        case!("overview", ReadEvents, |s, c| s.overview(c).await),
        case!("subscribe", ReadEvents, |s, c| s.subscribe(c, LiveRequest::default()).await),
        case!("subscribe", IngestTokens, |s, c| s.subscribe(c, LiveRequest { refusals: true, ..Default::default() }).await),
        case!("sources", ReadSources, |s, c| s.sources(c, SourceListRequest::default()).await),
        case!("source", ReadSources, |s, c| s.source(c, &key("x")).await),
        case!("latest_values", ReadSources, |s, c| s.latest_values(c, &key("x")).await),
        case!("source_metrics", ReadSources, |s, c| s.source_metrics(c, &key("x")).await),
        case!("create_source", WriteSources, |s, c| s.create_source(c, key("x"), SourceInput::default()).await),
        case!("update_source", WriteSources, |s, c| s.update_source(c, &key("x"), SourceInput::default()).await),
        case!("delete_source", WriteSources, |s, c| s.delete_source(c, &key("x")).await),
        case!("import_sources", WriteSources, |s, c| s.import_sources(c, "key\nx\n").await),
        case!("sender", SendEvents, |s, c| s.sender(c).await),
        case!("create_token", IngestTokens, |s, c| s.create_token(c, token(TokenKind::Ingest)).await),
        case!("create_token", ApiTokens, |s, c| s.create_token(c, token(TokenKind::Api)).await),
        case!("tokens", IngestTokens, |s, c| s.tokens(c, None).await),
        case!("tokens", IngestTokens, |s, c| s.tokens(c, Some(TokenKind::Ingest)).await),
        case!("tokens", ApiTokens, |s, c| s.tokens(c, Some(TokenKind::Api)).await),
        case!("revoke_token", IngestTokens, |s, c| s.revoke_token(c, "999999").await),
        case!("remove_ended_token", IngestTokens, |s, c| s.remove_ended_token(c, "999999").await),
        case!("refusals", IngestTokens, |s, c| s.refusals(c).await),
        case!("dead_letters", ReadEvents, |s, c| s.dead_letters(c, LetterQuery::default(), None, 10).await),
        case!("dead_letter_codes", ReadEvents, |s, c| s.dead_letter_codes(c).await),
        case!("dead_letter", ReadEvents, |s, c| s.dead_letter(c, event_id()).await),
        case!("edit_dead_letter", ResolveDeadLetters, |s, c| s.edit_dead_letter(c, event_id(), LetterEdit::default()).await),
        case!("replay_dead_letter", ResolveDeadLetters, |s, c| s.replay_dead_letter(c, event_id()).await),
        case!("replay_dead_letters", ResolveDeadLetters, |s, c| s.replay_dead_letters(c, all_letters()).await),
        case!("discard_dead_letter", ResolveDeadLetters, |s, c| s.discard_dead_letter(c, event_id()).await),
        case!("discard_dead_letters", ResolveDeadLetters, |s, c| s.discard_dead_letters(c, all_letters()).await),
        case!("reopen_dead_letter", ResolveDeadLetters, |s, c| s.reopen_dead_letter(c, event_id()).await),
        case!("masking", TenantSettings, |s, c| s.masking(c).await),
        case!("change_masking", TenantSettings, |s, c| s.change_masking(c, None, None).await),
        case!("try_masking", TenantSettings, |s, c| s.try_masking(c, domain::masking::Rules::standard().remove(0), "x").await),
        case!("set_masking", TenantSettings, |s, c| s.set_masking(c, vec![]).await),
        case!("set_installation_masking", Platform, |s, c| s.set_installation_masking(c, vec![]).await),
        case!("update_tenant", TenantSettings, |s, c| s.update_tenant(c, settings()).await),
        case!("update_profile", OwnAccount, |s, c| s.update_profile(c, ProfileInput::default()).await),
        case!("change_password", OwnAccount, |s, c| s.change_password(c, PASSWORD, "short").await),
        case!("sessions", OwnAccount, |s, c| s.sessions(c).await),
        case!("revoke_session", OwnAccount, |s, c| s.revoke_session(c, "none").await),
        case!("revoke_other_sessions", OwnAccount, |s, c| s.revoke_other_sessions(c).await),
        case!("create_tenant", Platform, |s, c| s.create_tenant(c, NewTenant::named("-", "x")).await),
        case!("list_tenants", Platform, |s, c| s.list_tenants(c).await),
        case!("find_tenant", Platform, |s, c| s.find_tenant(c, "default").await),
        case!("add_authority", Platform, |s, c| s.add_authority(c, &no_tenant(), "no certificate").await),
        case!("authorities", Platform, |s, c| s.authorities(c).await),
        case!("remove_authority", Platform, |s, c| s.remove_authority(c, "none").await),
        case!("revoke_certificate", Platform, |s, c| s.revoke_certificate(c, &no_tenant(), "none").await),
        case!("revoked_certificates", Platform, |s, c| s.revoked_certificates(c).await),
        case!("restore_certificate", Platform, |s, c| s.restore_certificate(c, "none").await),
        case!("create_address_rule", Platform, |s, c| s.create_address_rule(c, &no_tenant(), "10.0.0.0/8", None).await),
        case!("address_rules", Platform, |s, c| s.address_rules(c).await),
        case!("delete_address_rule", Platform, |s, c| s.delete_address_rule(c, "0").await),
        case!("create_user", Platform, |s, c| s.create_user(c, user()).await),
        case!("list_users", Platform, |s, c| s.list_users(c).await),
        case!("set_user_password", Platform, |s, c| s.set_user_password(c, "nobody@example.com", PASSWORD).await),
        case!("set_user_role", Platform, |s, c| s.set_user_role(c, "nobody@example.com", c.tenant()?, Role::Viewer).await),
        case!("disable_user", Platform, |s, c| s.disable_user(c, "nobody@example.com").await),
        case!("unlock_user", Platform, |s, c| s.unlock_user(c, "nobody@example.com").await),
    ]
}

/// An export of nothing passes too.
fn dummy() -> domain::Event {
    domain::Event {
        id: event_id(),
        source: key("x"),
        ts: Timestamp::default(),
        received_at: Timestamp::default(),
        kind: domain::EventKind::Event,
        level: None,
        message: None,
        fields: Default::default(),
        raw: None,
    }
}

#[tokio::test]
async fn every_use_case_asks_every_actor() {
    let fixture = Fixture::new().await;
    let owner = fixture.sql_user("owner@example.com").await;
    let actors = [
        Ctx::of(Actor::Anonymous, Lang::En),
        fixture.person("viewer@example.com", Role::Viewer).await,
        fixture.person("editor@example.com", Role::Editor).await,
        fixture.person("second@example.com", Role::Owner).await,
        fixture.signed_in(&owner, "operator").await,
        fixture.token(TokenKind::Ingest, None).await.1,
        fixture.token(TokenKind::Api, None).await.1,
        fixture.token(TokenKind::Api, Some(Role::Editor)).await.1,
        fixture.token(TokenKind::Api, Some(Role::Owner)).await.1,
        fixture.local(),
        fixture.given_password("given@example.com").await,
    ];
    let mut wrong = Vec::new();
    for (name, needs, call) in table() {
        let given = if BEFORE_A_NEW_PASSWORD.contains(&name) { 'x' } else { 'p' };
        let passes = needs.passes().chars().chain([given]);
        for ((actor, ctx), expect) in ACTORS.iter().zip(&actors).zip(passes) {
            let found = match call(&fixture.services, ctx).await {
                Err(ServiceError::Unauthenticated) => '0',
                Err(ServiceError::Forbidden { .. }) => '.',
                Err(error @ ServiceError::MustChangePassword) => {
                    assert_eq!(error.status(), 403);
                    'p'
                }
                Err(ServiceError::Internal(cause)) => panic!("{name}: {}", cause.source()),
                Ok(()) | Err(_) => 'x',
            };
            let expect = if *actor == "nobody" { '0' } else { expect };
            if found != expect {
                wrong.push(format!("{name} ({needs:?}) as {actor}: {found}, not {expect}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Methods that take a context, read from the source itself.
fn use_cases() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (place, _) in text.match_indices("    pub ") {
            let head = text[place..].split('{').next().unwrap_or_default();
            let Some((before, rest)) = head.split_once("fn ") else { continue };
            if matches!(before.trim(), "pub" | "pub async")
                && head.contains("&self")
                && head.contains("ctx: &Ctx")
            {
                names.extend(rest.split(['(', '<']).next().map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn every_use_case_has_a_row() {
    let known: BTreeSet<String> =
        table().iter().map(|row| row.0.to_owned()).chain(OPEN.map(str::to_owned)).collect();
    assert_eq!(use_cases(), known);
}
