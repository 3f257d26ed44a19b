use super::fixture::{Fixture, key, wrong_fields};
use crate::*;
use domain::{Role, TenantId};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::IpAddr;

fn params(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = is_ca;
    params
}

/// An authority's certificate and key.
fn authority(name: &str) -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let made = params(name, IsCa::Ca(BasicConstraints::Unconstrained)).self_signed(&key).unwrap();
    (made.pem(), key)
}

fn message<T>(result: Result<T, ServiceError>) -> String {
    match result {
        Err(ServiceError::Invalid(problems)) => problems[0].message.clone(),
        Err(other) => panic!("{other}"),
        Ok(_) => "nothing is wrong".to_owned(),
    }
}

fn rule_of(fixture: &Fixture, address: &str) -> Option<(TenantId, Option<domain::SourceKey>)> {
    let trust = fixture.services.trust();
    let found = trust.borrow().rule_of(address.parse::<IpAddr>().unwrap()).cloned();
    found.map(|rule| (rule.tenant, rule.source))
}

#[tokio::test]
async fn an_authority_belongs_to_one_tenant() {
    let fixture = Fixture::new().await;
    let (ctx, other) = (fixture.local(), fixture.other_tenant().await);
    let (pem, key) = authority("Factory CA");
    let made = fixture.services.add_authority(&ctx, &fixture.tenant, &pem).await.unwrap();
    assert_eq!((made.tenant_slug.as_str(), made.subject.as_str()), ("default", "CN=Factory CA"));
    let trust = fixture.services.trust();
    assert_eq!(trust.borrow().authorities.len(), 1);
    assert_eq!(trust.borrow().authorities[0].tenant, fixture.tenant);

    let again = message(fixture.services.add_authority(&ctx, &other.key, &pem).await);
    assert!(again.contains("tenant default") && again.contains("other"), "{again}");
    // Another certificate of the same key and name speaks for the same leaves.
    let renewed = params("Factory CA", IsCa::Ca(BasicConstraints::Unconstrained)).self_signed(&key).unwrap();
    let again = message(fixture.services.add_authority(&ctx, &other.key, &renewed.pem()).await);
    assert!(again.contains("tenant default"), "{again}");

    let listed = fixture.services.authorities(&ctx).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&made));
    fixture.services.remove_authority(&ctx, &made.fingerprint.to_uppercase()).await.unwrap();
    assert!(trust.borrow().authorities.is_empty());
    let twice = fixture.services.remove_authority(&ctx, &made.fingerprint).await;
    assert!(matches!(twice, Err(ServiceError::NotFound { what: "authority" })));
    fixture.services.add_authority(&ctx, &other.key, &pem).await.unwrap();
}

#[tokio::test]
async fn only_certificates_of_authorities_are_taken() {
    let fixture = Fixture::new().await;
    let (pem, key) = authority("CA");
    let issuing = params("CA", IsCa::Ca(BasicConstraints::Unconstrained));
    let issuer = Issuer::from_params(&issuing, &key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = params("pump-1", IsCa::NoCa).signed_by(&leaf_key, &issuer).unwrap();
    let mut old = params("Old CA", IsCa::Ca(BasicConstraints::Unconstrained));
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let old = old.self_signed(&key).unwrap();
    let check = async |pem: String, expect: &str| {
        let wrong = fixture.services.add_authority(&fixture.local(), &fixture.tenant, &pem).await;
        let text = message(wrong);
        assert!(text.contains(expect), "{text}");
    };
    check("hello".to_owned(), "no certificate in PEM").await;
    check(leaf_key.serialize_pem(), "no certificate in PEM").await;
    check(leaf.pem(), "not the certificate of an authority").await;
    check(format!("{pem}{pem}"), "several certificates").await;
    check(old.pem(), "expired").await;
    check(format!("subject: CN=CA\n{pem}"), "nothing is wrong").await;
}

#[tokio::test]
async fn a_revoked_certificate_is_told_until_it_is_restored() {
    let fixture = Fixture::new().await;
    let ctx = fixture.local();
    let fingerprint = "AB:".repeat(31) + "CD";
    let made = fixture.services.revoke_certificate(&ctx, &fixture.tenant, &fingerprint).await.unwrap();
    assert_eq!(made.fingerprint, "ab".repeat(31) + "cd");
    assert!(fixture.services.trust().borrow().revoked.contains(&made.fingerprint));
    assert_eq!(fixture.services.revoked_certificates(&ctx).await.unwrap(), [made]);
    fixture.services.restore_certificate(&ctx, &fingerprint).await.unwrap();
    assert!(fixture.services.trust().borrow().revoked.is_empty());
    let wrong = fixture.services.revoke_certificate(&ctx, &fixture.tenant, "AB:CD").await;
    assert_eq!(wrong_fields(wrong), ["fingerprint"]);
}

#[tokio::test]
async fn address_rules_never_reach_into_another_tenant() {
    let fixture = Fixture::new().await;
    let (ctx, other) = (fixture.local(), fixture.other_tenant().await);
    let create = async |tenant: &TenantId, network: &str, source: Option<&str>| {
        fixture.services.create_address_rule(&ctx, tenant, network, source.map(key)).await
    };
    let made = create(&fixture.tenant, "10.0.0.0/8", None).await.unwrap();
    create(&fixture.tenant, "10.1.2.3", Some("gateway")).await.unwrap();
    create(&other.key, "2001:db8::/32", None).await.unwrap();
    // All of IPv6 has no address of IPv4 in it.
    let overlap = message(create(&other.key, "10.9.0.0/16", None).await);
    assert_eq!(overlap, "10.9.0.0/16 of tenant other overlaps 10.0.0.0/8 of tenant default.");
    let overlap = message(create(&fixture.tenant, "::/0", None).await);
    assert_eq!(overlap, "::/0 of tenant default overlaps 2001:db8::/32 of tenant other.");
    assert_eq!(rule_of(&fixture, "10.9.9.9"), Some((fixture.tenant.clone(), None)));
    assert_eq!(rule_of(&fixture, "10.1.2.3"), Some((fixture.tenant.clone(), Some(key("gateway")))));
    assert_eq!(rule_of(&fixture, "2001:db8::1"), Some((other.key.clone(), None)));
    assert_eq!(rule_of(&fixture, "11.0.0.1"), None);
    let networks: Vec<_> =
        fixture.services.address_rules(&ctx).await.unwrap().into_iter().map(|rule| rule.network).collect();
    assert_eq!(networks, ["10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32"]);
    fixture.services.delete_address_rule(&ctx, &made.id).await.unwrap();
    assert_eq!(rule_of(&fixture, "10.9.9.9"), None);
    for id in [made.id.as_str(), "x", "-1"] {
        let refused = fixture.services.delete_address_rule(&ctx, id).await;
        assert!(matches!(refused, Err(ServiceError::NotFound { what: "address rule" })), "{id}");
    }
    // Nobody of a tenant sees or makes any, whatever their role in it.
    let owner = fixture.person("kim@example.com", Role::Owner).await;
    let refused = fixture.services.address_rules(&owner).await;
    assert!(matches!(refused, Err(ServiceError::Forbidden { .. })));
}

#[tokio::test]
async fn what_another_process_changed_is_found_within_seconds() {
    let fixture = Fixture::new().await;
    let elsewhere = Services::new(fixture.services.stores().clone(), fixture.services.inner.config.clone());
    let stop = tokio_util::sync::CancellationToken::new();
    fixture.services.start_upkeep(stop.clone());
    let mut trust = fixture.services.trust();
    elsewhere.create_address_rule(&fixture.local(), &fixture.tenant, "192.0.2.0/24", None).await.unwrap();
    let found = trust.wait_for(|set| set.rule_of("192.0.2.7".parse().unwrap()).is_some());
    let found = tokio::time::timeout(std::time::Duration::from_secs(5), found).await;
    assert!(found.is_ok_and(|set| set.is_ok()));
    stop.cancel();
}

#[tokio::test]
async fn a_suspended_tenant_is_trusted_by_nobody() {
    use store::sql::Accounts;
    let fixture = Fixture::new().await;
    let mut other = fixture.other_tenant().await;
    let identify = async |tenant: &TenantId| {
        let found = fixture.services.identify_trusted(tenant, Some(key("pump-1")), None).await;
        found.map(|identity| (identity.tenant.key.clone(), identity.source, identity.token))
    };
    let known = identify(&fixture.tenant).await;
    assert_eq!(known, Ok((fixture.tenant.clone(), Some(key("pump-1")), 0)));
    other.suspended_at = Some(domain::Timestamp::now());
    fixture.sql.update_tenant(&other).await.unwrap();
    assert_eq!(identify(&other.key).await, Err(RefusalCode::Suspended));
}
