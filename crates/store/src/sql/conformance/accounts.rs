//! Tenants, people, settings, and what text and keys must survive.

use super::{DAY_ONE, Outcome, Store, source, tenant, tenant_row, user_row};
use crate::sql::{MembershipRow, SourceRow, SqlError};
use domain::api::Theme;
use domain::{Lang, Role};
use std::collections::BTreeMap;

/// Every column comes back, and updates change all but key and creation.
pub async fn tenants_are_kept_whole(store: Store) -> Outcome {
    let mut row = tenant_row("acme");
    store.create_tenant(&row).await?;
    assert_eq!(store.tenant(&row.key).await?, Some(row.clone()));
    row.slug = "acme2".to_owned();
    row.name = "에이크미".to_owned();
    row.zone = "UTC".to_owned();
    row.class = "1y".to_owned();
    row.index_group = u16::MAX;
    row.quota_events_per_sec = Some(0);
    row.quota_bytes_per_sec = None;
    row.quota_bytes_per_day = Some(i64::MAX as u64);
    row.suspended_at = Some(DAY_ONE.plus_nanos(1));
    store.update_tenant(&row).await?;
    store.update_tenant(&row).await?;
    assert_eq!(store.tenant_by_slug("acme2").await?, Some(row.clone()));
    assert_eq!(store.tenant_by_slug("acme").await?, None);
    store.create_tenant(&tenant_row("aaa")).await?;
    assert_eq!(store.tenants().await?, [tenant_row("aaa"), row]);
    assert_eq!(store.tenant(&tenant("nobody")).await?, None);
    assert!(matches!(store.update_tenant(&tenant_row("nobody")).await, Err(SqlError::NotFound)));
    Ok(())
}

/// The taken one is named.
pub async fn tenant_keys_and_slugs_are_unique(store: Store) -> Outcome {
    store.create_tenant(&tenant_row("acme")).await?;
    let mut same_key = tenant_row("acme");
    same_key.slug = "other".to_owned();
    assert!(matches!(store.create_tenant(&same_key).await, Err(SqlError::Conflict("key"))));
    let mut same_slug = tenant_row("other");
    same_slug.slug = "acme".to_owned();
    assert!(matches!(store.create_tenant(&same_slug).await, Err(SqlError::Conflict("slug"))));
    store.create_tenant(&tenant_row("other")).await?;
    assert!(matches!(store.update_tenant(&same_slug).await, Err(SqlError::Conflict("slug"))));
    Ok(())
}

/// Every column comes back.
pub async fn people_are_kept_whole(store: Store) -> Outcome {
    let mut row = user_row("kim");
    store.create_user(&row).await?;
    assert_eq!(store.user(&row.id).await?, Some(row.clone()));
    row.email = "lee@example.org".to_owned();
    row.name = "이순신".to_owned();
    row.password_hash = "another".to_owned();
    row.operator = true;
    row.lang = Some(Lang::Ko);
    row.theme = Theme::Dark;
    row.disabled_at = Some(DAY_ONE);
    row.must_change_password = true;
    store.update_user(&row).await?;
    assert_eq!(store.user_by_email("lee@example.org").await?, Some(row.clone()));
    assert_eq!(store.user_by_email("kim@example.org").await?, None);
    let ann = user_row("ann");
    store.create_user(&ann).await?;
    assert_eq!(store.users().await?, [ann, row]);
    assert!(matches!(store.update_user(&user_row("nobody")).await, Err(SqlError::NotFound)));
    Ok(())
}

/// Who changes one thing of a person undoes nothing that somebody else changed meanwhile.
pub async fn people_are_changed_in_parts(store: Store) -> Outcome {
    let mut row = user_row("kim");
    store.create_user(&row).await?;
    row.disabled_at = Some(DAY_ONE);
    store.set_user_disabled(&row.id, row.disabled_at).await?;
    (row.password_hash, row.must_change_password) = ("another".to_owned(), true);
    store.set_user_password(&row.id, &row.password_hash, true).await?;
    (row.name, row.lang, row.theme) = ("이순신".to_owned(), Some(Lang::Ko), Theme::Dark);
    store.set_user_profile(&row.id, &row.name, row.lang, row.theme).await?;
    store.set_user_profile(&row.id, &row.name, row.lang, row.theme).await?;
    assert_eq!(store.user(&row.id).await?, Some(row.clone()));
    row.disabled_at = None;
    store.set_user_disabled(&row.id, None).await?;
    assert_eq!(store.user(&row.id).await?, Some(row));
    let nobody = store.set_user_disabled("id-of-nobody", None).await;
    assert!(matches!(nobody, Err(SqlError::NotFound)));
    Ok(())
}

/// At creation and at update.
pub async fn emails_are_unique(store: Store) -> Outcome {
    store.create_user(&user_row("kim")).await?;
    let mut other = user_row("lee");
    other.email = "kim@example.org".to_owned();
    assert!(matches!(store.create_user(&other).await, Err(SqlError::Conflict("email"))));
    store.create_user(&user_row("lee")).await?;
    assert!(matches!(store.update_user(&other).await, Err(SqlError::Conflict("email"))));
    Ok(())
}

/// Set twice, the later role stands; to what is not there, nothing is joined.
pub async fn memberships_join_tenants(store: Store) -> Outcome {
    let (kim, acme, base) = (user_row("kim"), tenant_row("acme"), tenant_row("base"));
    store.create_user(&kim).await?;
    store.create_tenant(&base).await?;
    store.create_tenant(&acme).await?;
    store.set_membership(&kim.id, &base.key, Role::Viewer).await?;
    store.set_membership(&kim.id, &acme.key, Role::Viewer).await?;
    store.set_membership(&kim.id, &base.key, Role::Owner).await?;
    let of = |tenant, role| MembershipRow { user_id: kim.id.clone(), tenant, role };
    assert_eq!(store.memberships(&kim.id).await?, [of(acme, Role::Viewer), of(base, Role::Owner)]);
    assert_eq!(store.memberships("id-of-lee").await?, []);
    let nobody = store.set_membership(&kim.id, &tenant("nobody"), Role::Owner).await;
    assert!(matches!(nobody, Err(SqlError::NotFound)));
    Ok(())
}

/// The later value stands.
pub async fn settings_are_overwritten(store: Store) -> Outcome {
    assert_eq!(store.setting("a").await?, None);
    store.set_setting("a", "1").await?;
    store.set_setting("a", "2").await?;
    store.set_setting("b", "").await?;
    assert_eq!(store.setting("a").await?.as_deref(), Some("2"));
    assert_eq!(store.setting("b").await?.as_deref(), Some(""));
    Ok(())
}

fn registered(key: &str) -> SourceRow {
    SourceRow {
        tenant: tenant("acme"),
        key: source(key),
        name: String::new(),
        kind: String::new(),
        attributes: BTreeMap::new(),
        offline_after_secs: 300,
        created_at: DAY_ONE,
        first_seen: None,
        last_seen: None,
        protocol: None,
        events: 0,
        bytes: 0,
        ts_min: None,
        ts_max: None,
    }
}

/// `pump-1` is not `PUMP-1`, `é` is not `e`, and `ss` is not `ß`.
pub async fn keys_are_case_sensitive(store: Store) -> Outcome {
    let names = ["PUMP-1", "Pump-1", "pump-1", "e", "é", "ss", "ß", "가", "각"];
    for name in names {
        store.create_source(&registered(name)).await?;
    }
    for name in names {
        let found = store.source(&tenant("acme"), &source(name)).await?;
        assert_eq!(found.map(|it| it.key), Some(source(name)));
    }
    store.set_setting("Key", "upper").await?;
    store.set_setting("key", "lower").await?;
    assert_eq!(store.setting("Key").await?.as_deref(), Some("upper"));
    Ok(())
}

/// Emoji, rare hanja, NUL's neighbours, quotes, and long text.
pub async fn four_byte_text_comes_back_whole(store: Store) -> Outcome {
    let long = "가😀".repeat(2_000);
    for text in ["😀 𠀀 🇰🇷", "it's \"quoted\" \\ %_", "\u{1}\t\n", long.as_str()] {
        store.set_setting("text", text).await?;
        assert_eq!(store.setting("text").await?.as_deref(), Some(text));
    }
    let mut pump = registered("펌프 🚰 𠀀");
    pump.attributes = BTreeMap::from([("장소 📍".to_owned(), "부산 🌊".to_owned())]);
    store.create_source(&pump).await?;
    assert_eq!(store.source(&pump.tenant, &pump.key).await?, Some(pump));
    Ok(())
}
