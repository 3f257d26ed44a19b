//! A certificate for the port, and clients that believe it.

use crate::rig::{Rig, soon};
use ingest::TcpConfig;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// See the module.
pub struct Tls {
    server: Arc<ServerConfig>,
    connector: TlsConnector,
}

impl Tls {
    /// With a certificate of its own.
    pub fn new() -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = key.cert.der().clone();
        let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], secret)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), connector: TlsConnector::from(Arc::new(client)) }
    }

    /// Settings of a port that has it.
    pub fn port(&self) -> TcpConfig {
        TcpConfig { tls: Some(Arc::clone(&self.server)), ..TcpConfig::default() }
    }

    /// A connection in TLS.
    pub async fn connect(&self, rig: &Rig) -> TlsStream<TcpStream> {
        self.connect_with(rig, |_| {}).await
    }

    /// A connection in TLS, with something before it.
    pub async fn connect_behind(&self, rig: &Rig, header: &[u8]) -> TlsStream<TcpStream> {
        let mut client = rig.connect().await;
        client.say(header).await;
        let name = ServerName::try_from("localhost").unwrap();
        soon(self.connector.connect(name, client.stream.into_inner())).await.unwrap()
    }

    /// A connection in TLS; what is written to the session comes in one piece with the end of the handshake.
    pub async fn connect_with(
        &self,
        rig: &Rig,
        first: impl FnOnce(&mut ClientConnection),
    ) -> TlsStream<TcpStream> {
        let tcp = rig.connect().await.stream.into_inner();
        let name = ServerName::try_from("localhost").unwrap();
        soon(self.connector.connect_with(name, tcp, first)).await.unwrap()
    }
}
