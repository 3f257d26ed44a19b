use super::fixture::{Fixture, key, wrong_fields};
use crate::*;
use domain::api::{Refusal, TokenInput, TokenKind};
use domain::{Lang, Role, Timestamp};
use std::net::IpAddr;
use store::sql::{Accounts, Tokens};

fn peer() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

fn ingest(name: &str) -> TokenInput {
    TokenInput { kind: TokenKind::Ingest, name: name.to_owned(), source: None, role: None, expires_at: None }
}

fn code<T>(result: Result<T, RefusalCode>) -> &'static str {
    result.map_or_else(RefusalCode::code, |_| "ok")
}

#[tokio::test]
async fn a_token_identifies_until_it_is_revoked() {
    let fixture = Fixture::new().await;
    let ctx = fixture.person("kim@example.com", Role::Editor).await;
    let input = TokenInput { source: Some(key("pump-1")), ..ingest("펌프") };
    let made = fixture.services.create_token(&ctx, input).await.unwrap();
    assert!(made.info.prefix.starts_with("qgx_") && made.token.starts_with(&made.info.prefix[..8]));
    assert_eq!(made.info.created_by, "kim@example.com");
    let identity = fixture.services.identify(&made.token, peer()).await.unwrap();
    assert_eq!((identity.source, identity.name.as_deref()), (Some(key("pump-1")), Some("펌프")));
    assert_eq!((&identity.tenant.key, identity.token.to_string()), (&fixture.tenant, made.info.id.clone()));

    let listed = fixture.services.tokens(&ctx, None).await.unwrap();
    assert_eq!(listed[0].last_used_peer.as_deref(), Some("192.0.2.7"));
    assert_eq!(fixture.sql.tokens(&fixture.tenant).await.unwrap()[0].last_used_at, None);
    fixture.services.write_token_uses().await.unwrap();
    assert_eq!(fixture.sql.tokens(&fixture.tenant).await.unwrap()[0].last_used_at, listed[0].last_used_at);

    let mut revocations = fixture.services.revocations();
    assert!(!revocations.borrow_and_update().contains(&identity.token));
    let ended = fixture.services.revoke_token(&ctx, &made.info.id).await.unwrap();
    assert!(revocations.has_changed().unwrap() && revocations.borrow_and_update().contains(&identity.token));
    assert_eq!(code(fixture.services.identify(&made.token, peer()).await), "revoked_token");
    fixture.services.refresh_revocations().await.unwrap();
    assert!(revocations.borrow().contains(&identity.token));
    let twice = fixture.services.revoke_token(&ctx, &made.info.id).await.unwrap();
    assert_eq!(twice.revoked_at, ended.revoked_at);
    let owner = fixture.services.owner_of(&made.token).await;
    assert_eq!(owner, Some((fixture.tenant.clone(), identity.token)));
}

#[tokio::test]
async fn what_another_process_revoked_is_found_within_a_second() {
    let fixture = Fixture::new().await;
    let made = fixture.services.create_token(&fixture.local(), ingest("a")).await.unwrap();
    let identity = fixture.services.identify(&made.token, peer()).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    fixture.services.start_upkeep(stop.clone());
    let mut revocations = fixture.services.revocations();
    fixture.sql.revoke_token(&fixture.tenant, identity.token, Timestamp::now()).await.unwrap();
    let found = revocations.wait_for(|set| set.contains(&identity.token));
    let found = tokio::time::timeout(std::time::Duration::from_secs(5), found).await;
    assert!(found.is_ok_and(|set| set.is_ok()));
    assert_eq!(code(fixture.services.identify(&made.token, peer()).await), "revoked_token");
    stop.cancel();
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let fixture = Fixture::new().await;
    let other = fixture.other_tenant().await;
    let (api, _) = fixture.token(TokenKind::Api, None).await;
    let expired = fixture.services.create_token(&fixture.local(), ingest("old")).await.unwrap();
    let mut row = fixture.sql.tokens(&fixture.tenant).await.unwrap().remove(0);
    row.expires_at = Some(Timestamp::from_secs(1));
    row.hash = crate::secret::token_hash(&format!("qgx_{}", "e".repeat(40)));
    fixture.sql.create_token(&row).await.unwrap();
    let theirs = fixture
        .services
        .create_token(&Ctx::local_in(Lang::En, other.key.clone()), ingest("theirs"))
        .await
        .unwrap();
    let mut suspended = other.clone();
    suspended.suspended_at = Some(Timestamp::now());
    fixture.sql.update_tenant(&suspended).await.unwrap();
    let check = async |secret: &str, expect: &str| {
        assert_eq!(code(fixture.services.identify(secret, peer()).await), expect);
        let actor = fixture.services.token_actor(secret, Some(peer())).await;
        let fine = matches!(expect, "ok" | "wrong_kind");
        assert_eq!(actor.is_ok(), fine, "{expect}");
    };
    check(&expired.token, "ok").await;
    check(&api, "wrong_kind").await;
    check(&format!("qgx_{}", "e".repeat(40)), "expired_token").await;
    check(&format!("qgx_{}", "x".repeat(40)), "bad_token").await;
    check("qgx_short", "bad_token").await;
    check("", "bad_token").await;
    check(&theirs.token, "suspended").await;
}

#[tokio::test]
async fn loopback_is_the_default_tenant_only_while_alone() {
    let check = async |fixture: &Fixture, peer: &str, expect: &str| {
        let found = fixture.services.identify_loopback(peer.parse().unwrap()).await;
        assert_eq!(code(found), expect, "{peer}");
    };
    let fixture = Fixture::new().await;
    check(&fixture, "127.0.0.1", "ok").await;
    check(&fixture, "::1", "ok").await;
    check(&fixture, "::ffff:127.0.0.1", "ok").await;
    check(&fixture, "192.0.2.1", "no_credential").await;
    fixture.other_tenant().await;
    check(&fixture, "127.0.0.1", "no_credential").await;

    for configure in [(|config| config.embedded = false) as fn(&mut ServicesConfig), |config| {
        config.loopback_default_tenant = false
    }] {
        let fixture = Fixture::empty(configure).await;
        fixture.services.bootstrap(OwnerSetup::default()).await.unwrap();
        check(&fixture, "127.0.0.1", "no_credential").await;
    }
    check(&Fixture::empty(|_| ()).await, "127.0.0.1", "no_credential").await;
}

#[tokio::test]
async fn wrong_inputs_and_rights_beyond_ones_own() {
    let fixture = Fixture::new().await;
    let owner = fixture.person("kim@example.com", Role::Owner).await;
    let create = async |input| wrong_fields(fixture.services.create_token(&owner, input).await);
    assert_eq!(create(ingest(" ")).await, ["name"]);
    assert_eq!(create(TokenInput { role: Some(Role::Viewer), ..ingest("a") }).await, ["role"]);
    assert_eq!(
        create(TokenInput { expires_at: Some(Timestamp::from_secs(1)), ..ingest("a") }).await,
        ["expires_at"]
    );
    let api = TokenInput { kind: TokenKind::Api, ..ingest("a") };
    assert_eq!(create(TokenInput { source: Some(key("x")), ..api.clone() }).await, ["source"]);
    let made = fixture.services.create_token(&owner, api).await.unwrap();
    assert_eq!(made.info.role, Some(Role::Viewer));

    // An editor deals with ingest tokens, and does not even see the others.
    let editor = fixture.person("lee@example.com", Role::Editor).await;
    fixture.services.create_token(&editor, ingest("b")).await.unwrap();
    let kinds: Vec<_> =
        fixture.services.tokens(&editor, None).await.unwrap().into_iter().map(|t| t.kind).collect();
    assert_eq!(kinds, [TokenKind::Ingest]);
    let refused = fixture.services.revoke_token(&editor, &made.info.id).await;
    assert!(matches!(refused, Err(ServiceError::Forbidden { .. })));

    // Another tenant's token is not there.
    let other = fixture.other_tenant().await;
    let stranger = Ctx::local_in(Lang::En, other.key);
    for id in [made.info.id.as_str(), "0", "x", "-1"] {
        let refused = fixture.services.revoke_token(&stranger, id).await;
        assert!(matches!(refused, Err(ServiceError::NotFound { what: "token" })), "{id}");
    }
}

#[tokio::test]
async fn only_tokens_that_ended_are_removed_and_only_the_tenants_own() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    let made = fixture.services.create_token(&ctx, ingest("a")).await.unwrap();
    let stranger = Ctx::local_in(Lang::En, fixture.other_tenant().await.key);
    let left = async || fixture.services.tokens(&ctx, None).await.unwrap().len();
    let removed = async |ctx: &Ctx| fixture.services.remove_ended_token(ctx, &made.info.id).await;
    let not_there = |outcome| matches!(outcome, Err(ServiceError::NotFound { what: "token" }));
    assert!(not_there(removed(&ctx).await), "it has not ended");
    fixture.services.revoke_token(&ctx, &made.info.id).await.unwrap();
    assert!(not_there(removed(&stranger).await));
    assert_eq!(left().await, 1);
    removed(&ctx).await.unwrap();
    assert_eq!(left().await, 0);
    assert!(not_there(removed(&ctx).await));
}

#[tokio::test]
async fn a_sender_has_its_tokens_source() {
    let fixture = Fixture::new().await;
    let input = TokenInput { source: Some(key("pump-1")), ..ingest("a") };
    let made = fixture.services.create_token(&fixture.local(), input).await.unwrap();
    let actor = fixture.services.token_actor(&made.token, None).await.unwrap();
    let sender = fixture.services.sender(&Ctx::of(Actor::Token(actor), Lang::En)).await.unwrap();
    assert_eq!((sender.source, sender.token.to_string()), (Some(key("pump-1")), made.info.id));
    let editor = fixture.person("kim@example.com", Role::Editor).await;
    let sender = fixture.services.sender(&editor).await.unwrap();
    assert_eq!((sender.source, sender.token, sender.name), (None, 0, None));
}

#[tokio::test]
async fn refusals_are_shown_to_those_they_concern() {
    let fixture = Fixture::new().await;
    let refusal = |code: &str| Refusal {
        at: Timestamp::now(),
        peer: "192.0.2.1:5000".to_owned(),
        protocol: "ndjson".to_owned(),
        code: code.to_owned(),
        token: None,
        count: 1,
    };
    fixture.services.refused(refusal("no_credential"), None);
    fixture.services.refused(refusal("expired_token"), Some(fixture.tenant.clone()));
    let codes = async |ctx: &Ctx| {
        let list = fixture.services.refusals(ctx).await.unwrap();
        let mut codes: Vec<_> = list.into_iter().map(|refusal| refusal.code).collect();
        codes.sort();
        codes
    };
    assert_eq!(codes(&fixture.local()).await, ["expired_token", "no_credential"]);
    let other = fixture.other_tenant().await;
    assert_eq!(codes(&fixture.local()).await, ["expired_token"]);
    assert!(codes(&Ctx::local_in(Lang::En, other.key)).await.is_empty());
}
