//! First records that are large.

use crate::rig::{Rig, soon};
use ingest::{IntakeConfig, TcpConfig};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_first_record_in_tls_is_read_whole() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = key.cert.der().clone();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], secret)
        .unwrap();
    let config = TcpConfig { tls: Some(Arc::new(server)), ..TcpConfig::default() };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    // Less than a TLS record, more than is read at a time, a large record of several; nothing comes after it.
    for length in [12 << 10, 100 << 10] {
        let message = "y".repeat(length);
        let tcp = rig.connect().await.stream.into_inner();
        let mut tls = soon(connector.connect(name.clone(), tcp)).await.unwrap();
        soon(tls.write_all(format!("{{\"message\":\"{message}\"}}\n").as_bytes())).await.unwrap();
        soon(tls.flush()).await.unwrap();
        soon(async {
            while !rig.broker.records(store::broker::Topic::Events).iter().any(|r| r.payload.len() > length) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        })
        .await;
    }
    assert_eq!(rig.events(2).await.len(), 2);
    rig.all_memory_is_back().await;
}
