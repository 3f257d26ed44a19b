//! Client certificates and address rules.

use crate::rig::{Client, Rig, soon};
use domain::{SourceKey, TenantId};
use ingest::TcpConfig;
use ingest::tcp::certificates::{Asked, ClientCertificates};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use services::trusted::{TrustSet, TrustedAuthority, TrustedNetwork};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use store::broker::Topic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// An authority of client certificates.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(hosts: &[&str], common: &str) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn of(&self, tenant: &str) -> TrustedAuthority {
        TrustedAuthority {
            tenant: TenantId::new(tenant).unwrap(),
            certificate: self.certificate.as_ref().to_vec(),
        }
    }

    fn sign(&self, hosts: &[&str], common: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = params(hosts, common).signed_by(&key, &self.issuer).unwrap().der().clone();
        Leaf { certificate, key: key.serialize_der() }
    }
}

struct Leaf {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Leaf {
    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.certificate))
    }
}

/// A port that knows authorities of tenants.
struct Guarded {
    rig: Rig,
    roots: RootCertStore,
}

impl Guarded {
    async fn start(set: TrustSet, asked: Asked) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = key.cert.der().clone();
        let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let rig = Rig::guarded(set, |access| {
            let certificates = ClientCertificates::new(access, asked);
            let server =
                ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_client_cert_verifier(certificates.clone())
                    .with_single_cert(vec![certificate.clone()], secret)
                    .unwrap();
            TcpConfig {
                tls: Some(Arc::new(server)),
                client_certificates: Some(certificates),
                ..TcpConfig::default()
            }
        })
        .await;
        let mut roots = RootCertStore::empty();
        roots.add(key.cert.der().clone()).unwrap();
        Self { rig, roots }
    }

    async fn with(authorities: Vec<TrustedAuthority>) -> Self {
        Self::start(TrustSet::new(1, authorities, HashSet::new(), vec![]), Asked::Optional).await
    }

    /// Shows a certificate, sends bytes, and answers what came back until `until` of it or the end is seen.
    async fn say(&self, leaf: Option<&Leaf>, bytes: &str, until: &str) -> String {
        let (mut tls, _) = self.open(leaf, bytes).await;
        read_until(&mut tls, until).await
    }

    async fn open(
        &self,
        leaf: Option<&Leaf>,
        bytes: &str,
    ) -> (tokio_rustls::client::TlsStream<tokio::net::TcpStream>, bool) {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let config = match leaf {
            Some(leaf) => {
                let key = PrivateKeyDer::try_from(leaf.key.clone()).unwrap();
                config.with_client_auth_cert(vec![leaf.certificate.clone()], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        let tcp = self.rig.connect().await.stream.into_inner();
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = soon(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.unwrap();
        // A client that is refused may learn it only now.
        let written = tls.write_all(bytes.as_bytes()).await.is_ok() && tls.flush().await.is_ok();
        (tls, written)
    }
}

async fn read_until(tls: &mut tokio_rustls::client::TlsStream<tokio::net::TcpStream>, until: &str) -> String {
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match soon(tls.read(&mut piece)).await {
            Ok(count) if count > 0 => answer.extend_from_slice(&piece[..count]),
            _ => break,
        }
        if !until.is_empty() && String::from_utf8_lossy(&answer).contains(until) {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn sources(rig: &Rig) -> Vec<(String, String)> {
    let records = rig.broker.records(Topic::Events);
    records.iter().map(|it| (it.route.tenant.to_string(), it.route.source.to_string())).collect()
}

#[tokio::test]
async fn a_certificate_speaks_for_the_tenant_of_its_authority() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let guarded = Guarded::with(vec![one.of("t_one"), two.of("t_two")]).await;
    let leaf = one.sign(&["pump-1"], "ignored");
    // Its name beats HELLO's and the record's.
    let hello = "HELLO {\"source\":\"other\",\"stream\":\"s\"}\n{\"source\":\"third\",\"message\":\"a\"}\n";
    assert!(guarded.say(Some(&leaf), hello, "ACK 1").await.contains("OK "));
    let of_two = two.sign(&[], "펌프 2");
    guarded.say(Some(&of_two), "HELLO {}\nplain\n", "ACK 1").await;
    let got = sources(&guarded.rig);
    let expect = [("t_one", "pump-1"), ("t_two", "펌프 2")];
    assert_eq!(got, expect.map(|(tenant, source)| (tenant.to_owned(), source.to_owned())));
    let events = guarded.rig.events(2).await;
    assert_eq!(events[0]["s"]["source"], serde_json::json!(["third", "other"]));
}

#[tokio::test]
async fn every_protocol_goes_by_a_certificate() {
    let one = Authority::new("one");
    let guarded = Guarded::with(vec![one.of("t_one")]).await;
    let leaf = one.sign(&["gate"], "");
    for bytes in ["<13>1 2026-11-22T00:00:00Z h a - - - hi\n", "{\"message\":\"hi\"}\n", "hi\n"] {
        let (mut tls, _) = guarded.open(Some(&leaf), bytes).await;
        let _ = tls.shutdown().await;
        read_until(&mut tls, "").await;
    }
    guarded.rig.events(3).await;
    assert!(sources(&guarded.rig).iter().all(|(_, source)| source == "gate"));
}

#[tokio::test]
async fn a_certificate_of_nobody_is_refused_and_counted() {
    let (one, stranger) = (Authority::new("one"), Authority::new("one"));
    let guarded = Guarded::with(vec![one.of("t_one")]).await;
    let check = async |leaf: &Leaf| guarded.say(Some(leaf), "HELLO {\"token\":\"qgx_good\"}\nx\n", "").await;
    assert_eq!(check(&stranger.sign(&["pump-1"], "")).await, "");
    assert_eq!(guarded.rig.refusals(1).await, ["bad_certificate"]);
    let mut old = params(&["old"], "");
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = old.signed_by(&key, &one.issuer).unwrap().der().clone();
    assert_eq!(check(&Leaf { certificate, key: key.serialize_der() }).await, "");
    assert_eq!(guarded.rig.refusals(2).await, ["bad_certificate"; 2]);
    assert_eq!(guarded.rig.broker.records(Topic::Events).len(), 0);
}

#[tokio::test]
async fn an_authority_below_another_tenants_speaks_for_neither() {
    let one = Authority::new("one");
    let key = KeyPair::generate().unwrap();
    let mut below = params(&[], "below");
    below.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = below.signed_by(&key, &one.issuer).unwrap().der().clone();
    let below = Authority { certificate, issuer: Issuer::new(below, key) };
    let guarded = Guarded::with(vec![one.of("t_one"), below.of("t_two")]).await;
    let leaf = below.sign(&["pump"], "");
    // Alone it leads to t_two; with the certificate between, to t_one as well.
    assert!(guarded.say(Some(&leaf), "HELLO {}\na\n", "ACK 1").await.contains("ACK 1"));
    let certificates = ClientCertificates::new(&*guarded.rig.access, Asked::Optional);
    assert_eq!(certificates.tenant_of(std::slice::from_ref(&leaf.certificate)).unwrap().as_str(), "t_two");
    assert!(certificates.tenant_of(&[leaf.certificate.clone(), below.certificate.clone()]).is_err());
}

#[tokio::test]
async fn without_a_certificate_a_token_counts_unless_one_is_required() {
    let one = Authority::new("one");
    let guarded = Guarded::with(vec![one.of("t_one")]).await;
    let hello = "HELLO {\"token\":\"qgx_good\"}\na\n";
    assert!(guarded.say(None, hello, "ACK 1").await.contains("ACK 1"));
    let set = TrustSet::new(1, vec![one.of("t_one")], HashSet::new(), vec![]);
    let strict = Guarded::start(set, Asked::Required).await;
    assert_eq!(strict.say(None, hello, "").await, "");
    assert_eq!(strict.rig.refusals(1).await, ["no_credential"]);
    assert!(strict.say(Some(&one.sign(&["x"], "")), hello, "ACK 1").await.contains("ACK 1"));
}

#[tokio::test]
async fn a_token_beside_a_certificate_must_agree_with_it() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let guarded = Guarded::with(vec![one.of("t_one"), two.of("t_two")]).await;
    let leaf = |authority: &Authority, host: &str| authority.sign(&[host], "");
    let check = async |leaf: &Leaf, bytes: &str, expect: &str| {
        let answer = guarded.say(Some(leaf), bytes, expect).await;
        assert!(answer.contains(expect), "{bytes}: {answer}");
    };
    // qgx_good is of t_one; qgx_bound too, and bound to pump-1.
    check(&leaf(&one, "pump-1"), "HELLO {\"token\":\"qgx_good\"}\na\n", "ACK 1").await;
    check(&leaf(&one, "pump-1"), "HELLO {\"token\":\"qgx_bound\"}\na\n", "ACK 1").await;
    check(&leaf(&one, "pump-2"), "HELLO {\"token\":\"qgx_bound\"}\na\n", "identity_changed").await;
    check(&leaf(&two, "pump-1"), "HELLO {\"token\":\"qgx_good\"}\na\n", "identity_changed").await;
    check(&leaf(&two, "pump-1"), "AUTH qgx_good\nhi\n", "identity_changed").await;
    check(&leaf(&two, "pump-1"), "{\"qgx_token\":\"qgx_good\"}\n", "identity_changed").await;
    let refusals = guarded.rig.refusals(4).await;
    assert_eq!(refusals, ["identity_changed"; 4]);
    let of_two = sources(&guarded.rig).into_iter().filter(|(tenant, _)| tenant == "t_two").count();
    assert_eq!(of_two, 0);
}

#[tokio::test]
async fn a_removed_authority_and_a_revoked_certificate_close_connections() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let (first, second, third) = (one.sign(&["a"], ""), one.sign(&["b"], ""), two.sign(&["c"], ""));
    let guarded = Guarded::with(vec![one.of("t_one"), two.of("t_two")]).await;
    let mut open = Vec::new();
    for leaf in [&first, &second, &third] {
        let (mut tls, _) = guarded.open(Some(leaf), "HELLO {}\nx\n").await;
        read_until(&mut tls, "ACK 1").await;
        open.push(tls);
    }
    let access = &guarded.rig.access;
    let set = |generation, authorities, revoked: Vec<String>| {
        let revoked = revoked.into_iter().collect();
        access.trust.send_replace(Arc::new(TrustSet::new(generation, authorities, revoked, vec![])));
    };
    set(2, vec![one.of("t_one"), two.of("t_two")], vec![first.fingerprint()]);
    let said = read_until(&mut open[0], "").await;
    assert!(said.contains("revoked_certificate"), "{said}");
    open[1].write_all(b"still\n").await.unwrap();
    assert!(read_until(&mut open[1], "ACK 2").await.contains("ACK 2"));
    assert_eq!(guarded.say(Some(&first), "HELLO {}\n", "").await, "");
    set(3, vec![two.of("t_two")], vec![]);
    let said = read_until(&mut open[1], "").await;
    assert!(said.contains("revoked_certificate"), "{said}");
    open[2].write_all(b"still\n").await.unwrap();
    assert!(read_until(&mut open[2], "ACK 2").await.contains("ACK 2"));
}

fn networks(rules: &[(&str, &str, Option<&str>)]) -> TrustSet {
    let rule = |(network, tenant, source): &(&str, &str, Option<&str>)| TrustedNetwork {
        network: network.parse().unwrap(),
        tenant: TenantId::new(tenant).unwrap(),
        source: source.and_then(|name| SourceKey::new(name).ok()),
    };
    TrustSet::new(1, vec![], HashSet::new(), rules.iter().map(rule).collect())
}

async fn by_address(rules: &[(&str, &str, Option<&str>)]) -> Rig {
    let proxies = vec!["127.0.0.9/32".parse().unwrap()];
    Rig::guarded(networks(rules), |_| TcpConfig { proxy_protocol_from: proxies, ..TcpConfig::default() })
        .await
}

async fn answer(mut client: Client, bytes: &str) -> String {
    client.say(bytes).await;
    let _ = client.stream.get_mut().shutdown().await;
    client.rest().await
}

#[tokio::test]
async fn an_address_speaks_for_the_tenant_of_its_rule_after_tokens() {
    let rig = by_address(&[("127.0.0.2/32", "t_two", Some("gate")), ("192.0.2.0/24", "t_three", None)]).await;
    let check = async |from: [u8; 4], bytes: &str, expect: Option<(&str, &str)>| {
        let before = rig.broker.records(Topic::Events).len();
        let said = answer(rig.connect_from(from).await, bytes).await;
        let new = sources(&rig).split_off(before);
        let expect: Vec<_> =
            expect.into_iter().map(|(tenant, source)| (tenant.to_owned(), source.to_owned())).collect();
        assert_eq!(new, expect, "{bytes}: {said}");
    };
    check([127, 0, 0, 2], "plain\n", Some(("t_two", "gate"))).await;
    check([127, 0, 0, 2], "HELLO {\"source\":\"mine\"}\nx\n", Some(("t_two", "gate"))).await;
    // A token comes before the address, wherever it stands.
    check([127, 0, 0, 2], "HELLO {\"token\":\"qgx_bound\"}\nx\n", Some(("t_one", "pump-1"))).await;
    check([127, 0, 0, 2], "{\"qgx_token\":\"qgx_bound\",\"message\":\"x\"}\n", Some(("t_one", "pump-1")))
        .await;
    // A bad one is no reason to look at the address.
    check([127, 0, 0, 2], "HELLO {\"token\":\"qgx_wrong\"}\nx\n", None).await;
    // What a trusted proxy says counts; the proxy's own address, or that of a liar, does not.
    check([127, 0, 0, 9], "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\nx\n", Some(("t_three", "192.0.2.7"))).await;
    check([127, 0, 0, 2], "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\nx\n", None).await;
}

#[tokio::test]
async fn the_address_of_a_proxy_itself_is_nobodys() {
    let rig = by_address(&[("127.0.0.0/24", "t_two", None)]).await;
    for bytes in ["PROXY UNKNOWN\r\nx\n", "PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\nx\n"] {
        let said = answer(rig.connect_from([127, 0, 0, 9]).await, bytes).await;
        assert!(said.contains("no_credential"), "{said}");
    }
    assert_eq!(rig.broker.records(Topic::Events).len(), 0);
}

#[tokio::test]
async fn a_record_with_somebody_elses_token_is_refused_where_the_address_counts() {
    let rig = by_address(&[("127.0.0.2/32", "t_two", None)]).await;
    let mut client = rig.connect_from([127, 0, 0, 2]).await;
    client.hello("{}").await;
    client.say("{\"qgx_token\":\"qgx_good\",\"message\":\"x\"}\n{\"message\":\"y\"}\n").await;
    let others = client.acked(2).await;
    assert!(others[0].starts_with("NACK 1 ") && others[0].contains("identity_changed"), "{others:?}");
    assert_eq!(rig.refusals(1).await, ["identity_changed"]);
    assert_eq!(rig.messages(1).await, ["y"]);
}

#[tokio::test]
async fn a_rule_that_ends_closes_its_connections() {
    let rig = by_address(&[("127.0.0.2/32", "t_two", None), ("127.0.0.3/32", "t_two", None)]).await;
    let mut first = rig.connect_from([127, 0, 0, 2]).await;
    let mut second = rig.connect_from([127, 0, 0, 3]).await;
    first.hello("{}").await;
    second.hello("{}").await;
    rig.access.trust.send_replace(Arc::new(networks(&[("127.0.0.3/32", "t_two", None)])));
    assert!(first.line().await.contains("address_rule_ended"));
    second.say("x\n").await;
    second.acked(1).await;
    // Somebody else's now.
    rig.access.trust.send_replace(Arc::new(networks(&[("127.0.0.3/32", "t_one", None)])));
    assert!(second.line().await.contains("address_rule_ended"));
}

#[tokio::test]
async fn hello_gives_fields_to_every_record() {
    let rig = Rig::start().await;
    let mut client = rig.connect().await;
    client.hello("{\"fields\":{\"file\":\"/var/log/공장.log\",\"id\":\"900101-1234567\"}}").await;
    client.say("plain\n{\"file\":\"own\",\"n\":1}\n").await;
    client.acked(2).await;
    let events = rig.events(2).await;
    assert_eq!(events[0]["s"]["file"], "/var/log/공장.log");
    assert_eq!(events[1]["s"]["file"], serde_json::json!(["own", "/var/log/공장.log"]));
    // What must not be stored is hidden there too.
    assert!(!events[0]["s"]["id"].as_str().unwrap().contains("1234567"), "{}", events[0]);
}
