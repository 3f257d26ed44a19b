use super::fixture::{Fixture, wrong_fields};
use crate::*;
use domain::api::{TokenInput, TokenKind};
use domain::masking::{Action, Kind, Rule, Rules};
use domain::{Lang, Role};

fn rule(kind: Kind, action: Action) -> Rule {
    Rule { kind, action, pattern: String::new() }
}

/// What becomes of a text that comes in with a token.
async fn masked(fixture: &Fixture, ctx: &Ctx, text: &str) -> String {
    let input = TokenInput {
        kind: TokenKind::Ingest,
        name: "a".to_owned(),
        source: None,
        role: None,
        expires_at: None,
    };
    let token = fixture.services.create_token(ctx, input).await.unwrap().token;
    let identity = fixture.services.identify(&token, "::1".parse().unwrap()).await.unwrap();
    identity.tenant.masking.rules.in_text(text).0.into_owned()
}

#[tokio::test]
async fn a_tenants_own_rules_stand_in_place_of_the_installations() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    let stranger = Ctx::local_in(Lang::En, fixture.other_tenant().await.key);
    let text = "900101-1234567 kim@example.com";
    assert_eq!(fixture.services.masking(&ctx).await.unwrap(), Rules::standard());
    assert_eq!(masked(&fixture, &ctx, text).await, "900101-******* kim@example.com");

    let own = vec![rule(Kind::Email, Action::Drop)];
    fixture.services.set_masking(&ctx, own.clone()).await.unwrap();
    assert_eq!(fixture.services.masking(&ctx).await.unwrap(), own);
    assert_eq!(masked(&fixture, &ctx, text).await, "900101-1234567 ", "at once in this process");
    assert_eq!(fixture.services.masking(&stranger).await.unwrap(), Rules::standard());

    let everybody = vec![rule(Kind::KrRrn, Action::Hash)];
    fixture.services.set_installation_masking(&Ctx::local(Lang::En), everybody.clone()).await.unwrap();
    assert_eq!(fixture.services.masking(&ctx).await.unwrap(), own);
    assert_eq!(fixture.services.masking(&stranger).await.unwrap(), everybody);
    fixture.services.set_masking(&ctx, everybody).await.unwrap();
    let (one, other) = (masked(&fixture, &ctx, text).await, masked(&fixture, &stranger, text).await);
    assert!(one.starts_with("kr_rrn_") && one != other, "each tenant has its own key: {one} {other}");

    fixture.services.set_masking(&ctx, vec![]).await.unwrap();
    assert_eq!(masked(&fixture, &ctx, text).await, text);
}

#[tokio::test]
async fn rules_are_changed_one_by_one_and_tried() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    let services = &fixture.services;
    let (phone, email) = (rule(Kind::Phone, Action::Mask), rule(Kind::Email, Action::Drop));
    let standard = Rules::standard().remove(0);
    let text = "900101-1234567 010-1234-5678";
    assert_eq!(
        services.try_masking(&ctx, phone.clone(), text).await.unwrap(),
        "900101-******* ***-****-5678"
    );
    assert_eq!(
        masked(&fixture, &ctx, text).await,
        "900101-******* 010-1234-5678",
        "nothing is set by a trial"
    );
    services.change_masking(&ctx, None, Some(phone.clone())).await.unwrap();
    assert_eq!(services.masking(&ctx).await.unwrap(), [standard.clone(), phone.clone()]);
    services.change_masking(&ctx, Some(standard.clone()), Some(email.clone())).await.unwrap();
    services.change_masking(&ctx, Some(phone.clone()), None).await.unwrap();
    assert_eq!(services.masking(&ctx).await.unwrap(), [email]);
    let gone = services.change_masking(&ctx, Some(phone), None).await;
    assert!(matches!(gone, Err(ServiceError::NotFound { what: "rule" })), "{gone:?}");
    let wrong = rule(Kind::Pattern, Action::Mask);
    assert_eq!(wrong_fields(services.try_masking(&ctx, wrong.clone(), text).await), ["rule"]);
    assert_eq!(wrong_fields(services.change_masking(&ctx, None, Some(wrong)).await), ["rules"]);
}

#[tokio::test]
async fn rules_that_cannot_be_followed_are_refused() {
    let fixture = Fixture::new().await;
    let owner = fixture.person("kim@example.com", Role::Owner).await;
    let wrong = vec![rule(Kind::Pattern, Action::Mask)];
    assert_eq!(wrong_fields(fixture.services.set_masking(&owner, wrong).await), ["rules"]);
    let right = vec![Rule { pattern: "EMP-####".to_owned(), ..rule(Kind::Pattern, Action::Mask) }];
    fixture.services.set_masking(&owner, right).await.unwrap();
    assert_eq!(masked(&fixture, &fixture.local(), "EMP-1234").await, "********");
}
