use super::fixture::{Fixture, PASSWORD, wrong_fields};
use crate::*;
use domain::api::Theme;
use domain::{Lang, Role};
use std::net::IpAddr;
use store::sql::{Accounts, Sessions};

impl Fixture {
    /// The id of somebody.
    pub(crate) async fn sql_user(&self, email: &str) -> String {
        self.sql.user_by_email(email).await.unwrap().unwrap().id
    }
}

fn from(peer: &str) -> Ctx {
    Ctx { peer: Some(peer.parse::<IpAddr>().unwrap()), ..Ctx::of(Actor::Anonymous, Lang::Ko) }
}

#[tokio::test]
async fn the_first_start_makes_tenant_and_owner_once() {
    let fixture = Fixture::empty(|_| ()).await;
    let first = fixture.services.bootstrap(OwnerSetup::default()).await.unwrap();
    assert!(first.created);
    assert_eq!((first.owner_email.as_str(), first.tenant.slug.as_str()), ("owner@qgx.local", "default"));
    assert_eq!((first.tenant.zone.as_str(), first.tenant.retention.as_str()), ("Asia/Seoul", "30d"));
    let password = first.generated_password.expect("a password was made");
    assert_eq!(password.chars().count(), 20);
    let found = fixture.services.login(&from("192.0.2.1"), "owner@qgx.local", &password).await.unwrap();
    assert!(!found.must_change_password);
    let person = fixture.services.person(&found.user_id, "s", None).await.unwrap().unwrap();
    assert_eq!((person.role, person.operator, &person.tenant), (Role::Owner, true, &first.tenant.key));

    let setup = OwnerSetup { email: Some("else@example.com".to_owned()), password: None };
    let again = fixture.services.bootstrap(setup).await.unwrap();
    assert!(!again.created && again.generated_password.is_none());
    assert_eq!((again.owner_email.as_str(), again.tenant.key), ("owner@qgx.local", first.tenant.key));
    assert_eq!(fixture.sql.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_mended() {
    let fixture = Fixture::new().await;
    let mut cut_off = fixture.sql.user_by_email("owner@example.com").await.unwrap().unwrap();
    let fresh = Fixture::empty(|_| ()).await;
    cut_off.id = "u-1".to_owned();
    fresh.sql.create_user(&cut_off).await.unwrap();
    assert_eq!(fresh.services.person("u-1", "s", None).await.unwrap(), None);
    let made = fresh.services.bootstrap(OwnerSetup::default()).await.unwrap();
    assert!(!made.created);
    let places = fresh.sql.memberships("u-1").await.unwrap();
    assert_eq!((&places[0].tenant.key, places[0].role), (&made.tenant.key, Role::Owner));
}

#[tokio::test]
async fn wrong_owner_settings_are_named() {
    let fixture = Fixture::empty(|_| ()).await;
    let setup = OwnerSetup { email: Some("nobody".to_owned()), password: Some("short".to_owned()) };
    assert_eq!(wrong_fields(fixture.services.bootstrap(setup).await), ["email", "password"]);
}

#[tokio::test]
async fn sign_in_answers_alike_and_slows_down() {
    let fixture = Fixture::new().await;
    fixture.person("gone@example.com", Role::Viewer).await;
    fixture.services.disable_user(&fixture.local(), "gone@example.com").await.unwrap();
    let check = async |peer: &str, email: &str, password: &str, expect: &str| {
        let found = fixture.services.login(&from(peer), email, password).await;
        assert_eq!(found.as_ref().map_or_else(ServiceError::code, |_| "ok"), expect, "{peer} {email}");
    };
    check("192.0.2.1", " Owner@Example.com ", PASSWORD, "ok").await;
    check("192.0.2.1", "nobody@example.com", PASSWORD, "bad_credentials").await;
    check("192.0.2.1", "gone@example.com", PASSWORD, "bad_credentials").await;
    check("192.0.2.1", &"x".repeat(1_000), PASSWORD, "bad_credentials").await;
    for _ in 0..5 {
        check("192.0.2.1", "owner@example.com", "wrong", "bad_credentials").await;
    }
    check("192.0.2.1", "owner@example.com", PASSWORD, "rate_limited").await;
    check("192.0.2.1", "nobody@example.com", PASSWORD, "bad_credentials").await;
    // The owner's other machine is not shut out by it.
    check("192.0.2.2", "owner@example.com", PASSWORD, "ok").await;
    fixture.services.unlock_user(&fixture.local(), "owner@example.com").await.unwrap();
    check("192.0.2.1", "owner@example.com", PASSWORD, "ok").await;
    for account in 0..20 {
        check("192.0.2.9", &format!("a{account}@example.com"), "wrong", "bad_credentials").await;
    }
    check("192.0.2.9", "owner@example.com", PASSWORD, "rate_limited").await;
}

#[tokio::test]
async fn a_person_is_in_their_tenant_and_gone_when_disabled() {
    let fixture = Fixture::new().await;
    let other = fixture.other_tenant().await;
    fixture.person("kim@example.com", Role::Viewer).await;
    let id = fixture.sql_user("kim@example.com").await;
    let place = async |wanted: Option<&domain::TenantId>| {
        fixture.services.person(&id, "s", wanted).await.unwrap().map(|person| (person.tenant, person.role))
    };
    let own = Some((fixture.tenant.clone(), Role::Viewer));
    assert_eq!(place(None).await, own);
    assert_eq!(place(Some(&other.key)).await, own);
    fixture
        .services
        .set_user_role(&fixture.local(), "kim@example.com", &other.key, Role::Editor)
        .await
        .unwrap();
    assert_eq!(place(Some(&other.key)).await, Some((other.key.clone(), Role::Editor)));
    fixture.services.disable_user(&fixture.local(), "kim@example.com").await.unwrap();
    assert_eq!(place(None).await, None);
    assert_eq!(fixture.sql.user_sessions(&id, domain::Timestamp::now()).await.unwrap(), []);
    assert_eq!(fixture.services.person("nobody", "s", None).await.unwrap(), None);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let fixture = Fixture::new().await;
    let ctx = fixture.person("kim@example.com", Role::Viewer).await;
    let id = fixture.sql_user("kim@example.com").await;
    fixture.signed_in(&id, "phone").await;
    let change = async |current: &str, new: &str| {
        wrong_fields(fixture.services.change_password(&ctx, current, new).await)
    };
    assert_eq!(change(PASSWORD, "short").await, ["new"]);
    assert_eq!(change(PASSWORD, "Kim@example.com").await, ["new"]);
    assert_eq!(change(PASSWORD, PASSWORD).await, ["new"]);
    assert_eq!(change("something else", "a new password").await, ["current"]);
    assert_eq!(fixture.services.sessions(&ctx).await.unwrap().len(), 2);
    assert_eq!(change(PASSWORD, "a new password").await, Vec::<String>::new());
    let left = fixture.services.sessions(&ctx).await.unwrap();
    assert!(matches!(left.as_slice(), [only] if only.current));
    let login =
        async |password| fixture.services.login(&from("192.0.2.1"), "kim@example.com", password).await;
    assert!(login("a new password").await.is_ok());
    assert!(matches!(login(PASSWORD).await, Err(ServiceError::BadCredentials)));
}

#[tokio::test]
async fn sessions_are_ones_own() {
    let fixture = Fixture::new().await;
    let kim = fixture.person("kim@example.com", Role::Viewer).await;
    let lee = fixture.person("lee@example.com", Role::Owner).await;
    let theirs = fixture.services.sessions(&kim).await.unwrap().remove(0).id;
    let refused = fixture.services.revoke_session(&lee, &theirs).await;
    assert!(matches!(refused, Err(ServiceError::NotFound { what: "session" })));
    fixture.services.revoke_session(&kim, &theirs).await.unwrap();
    assert_eq!(fixture.services.sessions(&kim).await.unwrap(), []);
    fixture.signed_in(&fixture.sql_user("lee@example.com").await, "phone").await;
    assert_eq!(fixture.services.revoke_other_sessions(&lee).await.unwrap(), 1);
}

#[tokio::test]
async fn profile_and_tenant_settings() {
    let fixture = Fixture::new().await;
    let ctx = fixture.person("kim@example.com", Role::Owner).await;
    let input = ProfileInput { name: " 김영희 ".to_owned(), lang: Some(Lang::En), theme: Theme::Dark };
    fixture.services.update_profile(&ctx, input).await.unwrap();
    let user = fixture.services.me(&ctx).await.unwrap().user.expect("a person");
    assert_eq!((user.name.as_str(), user.lang, user.theme), ("김영희", Some(Lang::En), Theme::Dark));
    let long = ProfileInput { name: "x".repeat(101), ..ProfileInput::default() };
    assert_eq!(wrong_fields(fixture.services.update_profile(&ctx, long).await), ["name"]);

    let settings = |zone: &str, retention: &str| TenantInput {
        name: "부산 공장".to_owned(),
        zone: zone.to_owned(),
        retention: retention.to_owned(),
    };
    let wrong = fixture.services.update_tenant(&ctx, settings("Mars/Base", "2d")).await;
    assert_eq!(wrong_fields(wrong), ["zone", "retention"]);
    fixture.services.update_tenant(&ctx, settings("America/New_York", "90d")).await.unwrap();
    let me = fixture.services.me(&ctx).await.unwrap();
    assert_eq!((me.tenant.zone.as_str(), me.tenant.retention.as_str()), ("America/New_York", "90d"));
    let known = fixture.services.identify_loopback("127.0.0.1".parse().unwrap()).await.unwrap();
    assert_eq!((known.tenant.zone.name(), &*known.tenant.class), ("America/New_York", "90d"));
}

#[tokio::test]
async fn operators_make_people_and_tenants() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    let other = fixture.other_tenant().await;
    let again = fixture.services.create_tenant(&ctx, NewTenant::named("other", "x")).await;
    assert!(matches!(again, Err(ServiceError::Conflict { what: "slug" })));
    let user = NewUser {
        email: "Lee@Example.com".to_owned(),
        name: "이철수".to_owned(),
        password: None,
        tenant: Some(other.key.clone()),
        role: Role::Editor,
        operator: false,
    };
    let made = fixture.services.create_user(&ctx, user.clone()).await.unwrap();
    let password = made.generated_password.expect("a password was made");
    let found = fixture.services.login(&from("192.0.2.1"), "lee@example.com", &password).await.unwrap();
    assert!(found.must_change_password);
    let own = fixture.signed_in(&found.user_id, "lee's session").await;
    assert!(matches!(fixture.services.tokens(&own, None).await, Err(ServiceError::MustChangePassword)));
    fixture.services.change_password(&own, &password, "a password of my own").await.unwrap();
    let own = fixture.signed_in(&found.user_id, "lee's next session").await;
    assert!(fixture.services.tokens(&own, None).await.is_ok());
    let twice = fixture.services.create_user(&ctx, user).await;
    assert!(matches!(twice, Err(ServiceError::Conflict { what: "email" })));
    let users = fixture.services.list_users(&ctx).await.unwrap();
    let lee = users.iter().find(|user| user.profile.email == "lee@example.com").expect("is listed");
    assert_eq!(lee.memberships[0].1, Role::Editor);
    fixture.services.set_user_password(&ctx, "lee@example.com", "another password").await.unwrap();
    let found = fixture.services.login(&from("192.0.2.1"), "lee@example.com", "another password").await;
    assert!(!found.unwrap().must_change_password);
    assert_eq!(fixture.services.find_tenant(&ctx, "other").await.unwrap().key, other.key);
    assert_eq!(fixture.services.find_tenant(&ctx, other.key.as_str()).await.unwrap().slug, "other");
}

#[tokio::test]
async fn secrets_are_sealed_under_the_first_key() {
    let fixture = Fixture::empty(|_| ()).await;
    let sealed = fixture.services.seal("totp").unwrap();
    assert_eq!(fixture.services.open(&sealed).unwrap(), "totp");
    let bare = Fixture::empty(|config| config.secret_keys.clear()).await;
    assert!(bare.services.seal("totp").is_err());
}
