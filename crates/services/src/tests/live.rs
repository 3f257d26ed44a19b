use super::fixture::{Fixture, key, next, wrong_fields};
use crate::*;
use domain::api::{LiveMessage, LiveTotals, Refusal, SourceState, TokenKind};
use domain::{Role, Timestamp};
use store::sql::Sessions;

fn totals() -> LiveTotals {
    LiveTotals {
        at: Timestamp::now(),
        events: 3,
        bytes: 30,
        levels: [0; 10],
        sources: vec![],
        freshness_p99_ms: 1.0,
    }
}

fn refusal() -> Refusal {
    Refusal {
        at: Timestamp::now(),
        peer: "192.0.2.1".to_owned(),
        protocol: "qgx".to_owned(),
        code: "bad_token".to_owned(),
        token: None,
        count: 1,
    }
}

fn name(message: &LiveMessage) -> &'static str {
    match message {
        LiveMessage::Totals(_) => "totals",
        LiveMessage::Tail { .. } => "tail",
        LiveMessage::Source { .. } => "source",
        LiveMessage::Refusal(_) => "refusal",
        LiveMessage::TokenSeen { .. } => "token",
        LiveMessage::Heartbeat { .. } => "heartbeat",
        LiveMessage::Lagged { .. } => "lagged",
    }
}

#[tokio::test]
async fn a_page_hears_what_it_asked_for() {
    let fixture = Fixture::new().await;
    let ctx = fixture.person("kim@example.com", Role::Editor).await;
    let hub = fixture.services.live();
    let request = LiveRequest {
        totals: true,
        tails: vec![("t1".to_owned(), "level>=warn".to_owned())],
        refusals: true,
    };
    let mut stream = fixture.services.subscribe(&ctx, request).await.unwrap();
    assert_eq!(next(&mut stream).await.as_ref().map(name), Some("heartbeat"));
    let tails = hub.tails();
    assert_eq!((tails.len(), tails[0].query.text.as_str()), (1, "level>=warn"));
    hub.publish_totals(&fixture.tenant, totals());
    hub.publish_source(&fixture.tenant, key("pump-1"), SourceState::Online);
    hub.publish_token_seen(&fixture.tenant, 7, key("pump-1"));
    fixture.services.refused(refusal(), None);
    hub.publish_tail(tails[0].id, vec![], 4);
    let mut names = Vec::new();
    for _ in 0..5 {
        names.push(next(&mut stream).await.as_ref().map(name).expect("a message"));
    }
    names.sort_unstable();
    assert_eq!(names, ["refusal", "source", "tail", "token", "totals"]);
    drop(stream);
    assert!(hub.tails().is_empty());
}

#[tokio::test]
async fn a_page_hears_nothing_else() {
    let fixture = Fixture::new().await;
    let other = fixture.other_tenant().await;
    let hub = fixture.services.live();
    let mut stream = fixture.services.subscribe(&fixture.local(), LiveRequest::default()).await.unwrap();
    assert_eq!(next(&mut stream).await.as_ref().map(name), Some("heartbeat"));
    hub.publish_totals(&fixture.tenant, totals());
    hub.publish_source(&other.key, key("theirs"), SourceState::Online);
    hub.publish_refusal(Some(&fixture.tenant), refusal());
    hub.publish_refusal(None, refusal());
    hub.publish_source(&fixture.tenant, key("ours"), SourceState::Offline);
    let expect = LiveMessage::Source { key: key("ours"), state: SourceState::Offline };
    assert_eq!(next(&mut stream).await, Some(expect));
}

#[tokio::test]
async fn a_slow_reader_is_told_and_holds_nobody_up() {
    let fixture = Fixture::new().await;
    let hub = fixture.services.live();
    let request = LiveRequest { totals: true, ..LiveRequest::default() };
    let mut stream = fixture.services.subscribe(&fixture.local(), request).await.unwrap();
    assert_eq!(next(&mut stream).await.as_ref().map(name), Some("heartbeat"));
    for _ in 0..500 {
        hub.publish_totals(&fixture.tenant, totals());
    }
    let (mut missed, mut heard) = (0, 0);
    while missed + heard < 500 {
        match next(&mut stream).await.expect("a message") {
            LiveMessage::Lagged { missed: more } => missed += more,
            LiveMessage::Totals(_) => heard += 1,
            _ => {}
        }
    }
    assert!(missed > 0 && heard > 0 && missed + heard == 500, "{missed} {heard}");
}

#[tokio::test]
async fn a_stream_may_go_on_while_its_reader_may() {
    let fixture = Fixture::new().await;
    let kim = fixture.person("kim@example.com", Role::Editor).await;
    let (_, token) = fixture.token(TokenKind::Api, None).await;
    let may = async |ctx: &Ctx, needed| fixture.services.still_allowed(ctx, needed).await.unwrap();
    use domain::Permission::{IngestTokens, ReadEvents};
    assert!(may(&kim, IngestTokens).await && may(&token, ReadEvents).await);
    fixture
        .services
        .set_user_role(&fixture.local(), "kim@example.com", &fixture.tenant, Role::Viewer)
        .await
        .unwrap();
    assert!(may(&kim, ReadEvents).await && !may(&kim, IngestTokens).await);
    fixture.sql.delete_session("session of kim@example.com").await.unwrap();
    assert!(!may(&kim, ReadEvents).await);
    let Actor::Token(actor) = &token.actor else { panic!("a token") };
    fixture.services.revoke_token(&fixture.local(), &actor.id.to_string()).await.unwrap();
    assert!(!may(&token, ReadEvents).await);
}

#[tokio::test]
async fn streams_have_limits_and_an_end() {
    let fixture = Fixture::new().await;
    let ctx = fixture.person("kim@example.com", Role::Viewer).await;
    let open = async || fixture.services.subscribe(&ctx, LiveRequest::default()).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(open().await.unwrap());
    }
    assert!(matches!(open().await, Err(ServiceError::RateLimited { .. })));
    held.pop();
    held.push(open().await.unwrap());
    let wrong = LiveRequest { tails: vec![("a".to_owned(), "(".to_owned())], ..LiveRequest::default() };
    assert_eq!(wrong_fields(fixture.services.subscribe(&fixture.local(), wrong).await), ["tails.a"]);
    ctx.cancel.cancel();
    let mut last = held.remove(0);
    while next(&mut last).await.is_some() {}
}

#[tokio::test]
async fn sources_that_come_and_go_are_told_to_watchers() {
    let fixture = Fixture::new().await;
    fixture.services.create_source(&fixture.local(), key("pump-1"), Default::default()).await.unwrap();
    let mut stream = fixture.services.subscribe(&fixture.local(), LiveRequest::default()).await.unwrap();
    assert_eq!(next(&mut stream).await.as_ref().map(name), Some("heartbeat"));
    fixture.services.follow_sources().await.unwrap();
    fixture.store(&fixture.tenant, &[super::fixture::Sample::default()]).await;
    fixture.services.follow_sources().await.unwrap();
    let expect = LiveMessage::Source { key: key("pump-1"), state: SourceState::Online };
    assert_eq!(next(&mut stream).await, Some(expect));
}
