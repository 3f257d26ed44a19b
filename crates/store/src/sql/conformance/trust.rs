//! Authorities, revoked certificates, address rules.

use super::{DAY_ONE, HOUR, Outcome, Store, source, tenant};
use crate::sql::SqlError;
use crate::sql::trust::{Added, AddressRuleRow, AuthorityRow, RevokedCertificateRow};

fn authority(owner: &str, fingerprint: &str, key: &str) -> AuthorityRow {
    AuthorityRow {
        fingerprint: fingerprint.to_owned(),
        tenant: tenant(owner),
        subject: "CN=공장 인증기관".to_owned(),
        key_hash: key.to_owned(),
        certificate: "MIIB".repeat(2_000),
        expires_at: DAY_ONE.plus_nanos(HOUR),
        created_at: DAY_ONE,
        created_by: "cli".to_owned(),
    }
}

/// A key of an authority belongs to one tenant; each change is counted.
pub async fn authorities_belong_to_one_tenant(store: Store) -> Outcome {
    assert_eq!(store.trust_generation().await?, 0);
    let first = authority("acme", "f1", "k1");
    assert!(matches!(store.add_authority(&first).await?, Added::Done(_)));
    let known = store.trust_generation().await?;
    assert_ne!(known, 0);
    // Another certificate of the same key, and the same certificate.
    for again in [authority("other", "f2", "k1"), authority("other", "f1", "k9")] {
        assert_eq!(store.add_authority(&again).await?, Added::Taken(first.clone()));
    }
    let second = authority("other", "f2", "k2");
    assert!(matches!(store.add_authority(&second).await?, Added::Done(_)));
    assert_eq!(store.authorities().await?, [first, second.clone()]);
    assert!(store.trust_generation().await? > known);
    store.remove_authority("f1").await?;
    assert!(matches!(store.remove_authority("f1").await, Err(SqlError::NotFound)));
    assert_eq!(store.authorities().await?, [second]);
    assert!(matches!(store.add_authority(&authority("other", "f1", "k1")).await?, Added::Done(_)));
    Ok(())
}

/// Revoked once, restored once.
pub async fn certificates_are_revoked_and_restored(store: Store) -> Outcome {
    let mut row = RevokedCertificateRow {
        fingerprint: "leaf".to_owned(),
        tenant: tenant("acme"),
        revoked_at: DAY_ONE,
        revoked_by: "cli".to_owned(),
    };
    store.revoke_certificate(&row).await?;
    let before = store.trust_generation().await?;
    let first = row.clone();
    row.revoked_at = DAY_ONE.plus_nanos(HOUR);
    store.revoke_certificate(&row).await?;
    assert_eq!(store.revoked_certificates().await?, [first]);
    store.restore_certificate("leaf").await?;
    assert!(matches!(store.restore_certificate("leaf").await, Err(SqlError::NotFound)));
    assert_eq!(store.revoked_certificates().await?, []);
    assert!(store.trust_generation().await? > before);
    Ok(())
}

/// No address belongs to two tenants; within a tenant, networks may lie in each other.
pub async fn address_rules_of_two_tenants_never_overlap(store: Store) -> Outcome {
    let rule = |owner: &str, network: &str, first: &str, last: &str| AddressRuleRow {
        id: 0,
        network: network.to_owned(),
        first: first.to_owned(),
        last: last.to_owned(),
        tenant: tenant(owner),
        source: Some(source("부산-1")),
        created_at: DAY_ONE,
        created_by: "cli".to_owned(),
    };
    let mut wide = rule("acme", "10.0.0.0/8", "4:0a000000", "4:0affffff");
    let Added::Done(id) = store.add_address_rule(&wide).await? else { panic!("nothing is in the way") };
    wide.id = id;
    let inside = rule("acme", "10.1.0.0/16", "4:0a010000", "4:0a01ffff");
    let Added::Done(second) = store.add_address_rule(&inside).await? else {
        panic!("it is the tenant's own")
    };
    assert_ne!(id, second);
    for (network, first, last) in [
        ("10.2.0.0/16", "4:0a020000", "4:0a02ffff"),
        ("0.0.0.0/0", "4:00000000", "4:ffffffff"),
        ("10.255.255.255/32", "4:0affffff", "4:0affffff"),
        ("10.0.0.0/8", "4:0a000000", "4:0affffff"),
    ] {
        let taken = store.add_address_rule(&rule("other", network, first, last)).await?;
        assert_eq!(taken, Added::Taken(wide.clone()), "{network}");
    }
    let again = store.add_address_rule(&rule("acme", "10.0.0.0/8", "4:0a000000", "4:0affffff")).await?;
    assert_eq!(again, Added::Taken(wide.clone()));
    let mut beside = rule("other", "11.0.0.0/8", "4:0b000000", "4:0bffffff");
    beside.source = None;
    assert!(matches!(store.add_address_rule(&beside).await?, Added::Done(_)));
    let networks = |rows: Vec<AddressRuleRow>| rows.into_iter().map(|it| it.network).collect::<Vec<_>>();
    assert_eq!(networks(store.address_rules().await?), ["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8"]);
    assert_eq!(store.address_rules().await?[2].source, None);
    store.remove_address_rule(id).await?;
    assert!(matches!(store.remove_address_rule(id).await, Err(SqlError::NotFound)));
    let taken = store.add_address_rule(&rule("other", "10.0.0.0/8", "4:0a000000", "4:0affffff")).await?;
    assert!(matches!(taken, Added::Taken(row) if row.id == second));
    let free = store.add_address_rule(&rule("other", "10.2.0.0/16", "4:0a020000", "4:0a02ffff")).await?;
    assert!(matches!(free, Added::Done(last) if last > second), "{free:?}");
    Ok(())
}
