//! Sessions and tokens.

use super::{DAY_ONE, HOUR, Outcome, SECOND, Store, source, tenant};
use crate::sql::{SessionRow, SqlError, TokenRow};
use domain::api::TokenKind;
use domain::{Role, Timestamp};

fn session(id: &str, user: Option<&str>, made: i64) -> SessionRow {
    SessionRow {
        id: id.to_owned(),
        site: "app".to_owned(),
        user_id: user.map(str::to_owned),
        data: "{}".to_owned(),
        user_agent: "브라우저".to_owned(),
        peer: "::1".to_owned(),
        created_at: DAY_ONE.plus_nanos(made * SECOND),
        last_seen_at: DAY_ONE.plus_nanos(made * SECOND),
        expires_at: DAY_ONE.plus_nanos(HOUR),
    }
}

/// Saved, listed, ended one by one, all but one, and by time.
pub async fn sessions_live_and_end(store: Store) -> Outcome {
    let now = DAY_ONE.plus_nanos(10 * SECOND);
    let ended = DAY_ONE.plus_nanos(HOUR);
    for (id, made) in [("a", 1), ("b", 2), ("c", 3)] {
        store.create_session(&session(id, Some("kim"), made)).await?;
    }
    store.create_session(&session("d", None, 4)).await?;
    let twice = store.create_session(&session("d", None, 4)).await;
    assert!(matches!(twice, Err(SqlError::Conflict("id"))));
    let mut again = session("d", Some("lee"), 4);
    again.data = r#"{"k":1}"#.to_owned();
    again.last_seen_at = now;
    again.expires_at = DAY_ONE.plus_nanos(2 * HOUR);
    assert!(store.save_session(&again).await?);
    assert!(store.save_session(&again).await?, "what does not change is there all the same");
    assert_eq!(store.session("d", now).await?, Some(again));
    let ids = |rows: Vec<SessionRow>| rows.into_iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(store.user_sessions("kim", now).await?), ["c", "b", "a"]);
    store.delete_session("b").await?;
    store.delete_session("b").await?;
    assert!(!store.save_session(&session("b", Some("kim"), 2)).await?, "an ended session does not come back");
    assert_eq!(store.session("b", now).await?, None);
    assert_eq!(store.delete_user_sessions("kim", Some("c")).await?, 1);
    assert_eq!(ids(store.user_sessions("kim", now).await?), ["c"]);
    assert_eq!(store.session("c", ended).await?, None, "expired ones are not there");
    assert_eq!(ids(store.user_sessions("kim", ended).await?), Vec::<String>::new());
    assert_eq!(store.delete_expired_sessions(ended).await?, 1);
    assert_eq!(store.delete_user_sessions("lee", None).await?, 1);
    assert_eq!(store.session("d", now).await?, None);
    Ok(())
}

fn token(owner: &str, hash: &str) -> TokenRow {
    TokenRow {
        id: 0,
        tenant: tenant(owner),
        kind: TokenKind::Ingest,
        name: "line 1".to_owned(),
        hash: hash.to_owned(),
        prefix: "qgx_ab12".to_owned(),
        source: Some(source("pump-1")),
        role: None,
        created_at: DAY_ONE,
        created_by: "cli".to_owned(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        last_used_peer: None,
    }
}

/// Made, used, ended.
pub async fn tokens_live_and_end(store: Store) -> Outcome {
    let mut first = token("acme", "h1");
    first.id = store.create_token(&first).await?;
    let mut second = TokenRow {
        kind: TokenKind::Api,
        source: None,
        role: Some(Role::Editor),
        expires_at: Some(DAY_ONE),
        ..token("acme", "h2")
    };
    second.id = store.create_token(&second).await?;
    assert!(first.id > 0 && second.id > first.id);
    assert!(matches!(store.create_token(&token("acme", "h1")).await, Err(SqlError::Conflict("hash"))));
    assert_eq!(store.token_by_hash("h1").await?, Some(first.clone()));
    assert_eq!(store.token_by_hash("H1").await?, None);
    assert_eq!(store.tokens(&first.tenant).await?, [second.clone(), first.clone()]);

    let (early, late) = (DAY_ONE.plus_nanos(1), DAY_ONE.plus_nanos(2));
    store
        .touch_tokens(&[
            (first.id, late, "::1".into()),
            (first.id, early, "::2".into()),
            (999, late, "".into()),
        ])
        .await?;
    store.touch_tokens(&[]).await?;
    first.last_used_at = Some(late);
    first.last_used_peer = Some("::1".to_owned());
    assert_eq!(store.token(&first.tenant, first.id).await?, Some(first.clone()));

    store.revoke_token(&first.tenant, first.id, early).await?;
    store.revoke_token(&first.tenant, first.id, late).await?;
    first.revoked_at = Some(early);
    assert_eq!(store.token_by_hash("h1").await?, Some(first.clone()));

    assert!(!store.remove_ended_token(&second.tenant, second.id).await?, "it has not ended");
    assert!(!store.remove_ended_token(&tenant("other"), first.id).await?);
    assert!(store.remove_ended_token(&first.tenant, first.id).await?);
    assert!(!store.remove_ended_token(&first.tenant, first.id).await?);
    assert_eq!(store.tokens(&first.tenant).await?, [second.clone()]);
    store.revoke_token(&second.tenant, second.id, late).await?;
    assert!(store.remove_ended_token(&second.tenant, second.id).await?);
    let next = store.create_token(&token("acme", "h3")).await?;
    assert!(next > second.id, "an id is never used again");
    Ok(())
}

/// Another tenant neither sees nor ends them.
pub async fn tokens_belong_to_a_tenant(store: Store) -> Outcome {
    let id = store.create_token(&token("acme", "h1")).await?;
    let other = tenant("other");
    assert_eq!(store.token(&other, id).await?, None);
    assert_eq!(store.tokens(&other).await?, []);
    assert!(matches!(store.revoke_token(&other, id, DAY_ONE).await, Err(SqlError::NotFound)));
    assert_eq!(store.token(&tenant("acme"), id).await?.and_then(|it| it.revoked_at), None);
    Ok(())
}

/// Revoked ones and those that ran out, since an instant.
pub async fn revocations_are_told(store: Store) -> Outcome {
    let at = |secs: i64| DAY_ONE.plus_nanos(secs * SECOND);
    let expiring = |hash: &str, at: Timestamp| TokenRow { expires_at: Some(at), ..token("acme", hash) };
    let revoked = store.create_token(&token("acme", "h1")).await?;
    let old = store.create_token(&token("acme", "h2")).await?;
    let ran_out = store.create_token(&expiring("h3", at(10))).await?;
    store.create_token(&expiring("h4", at(30))).await?;
    store.create_token(&token("acme", "h5")).await?;
    store.revoke_token(&tenant("acme"), revoked, at(10)).await?;
    store.revoke_token(&tenant("acme"), old, at(1)).await?;
    assert_eq!(store.revoked_since(at(5), at(20)).await?, [revoked, ran_out]);
    assert_eq!(store.revoked_since(at(11), at(20)).await?, Vec::<u64>::new());
    Ok(())
}
