//! TLS of the public ports: the operator's certificate, read again when its file changes, or one made here.

use crate::config::Tls;
use anyhow::{Context, Result, bail};
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}

impl Certificate {
    /// The certificate that the settings name; `None` without TLS. A self-signed one is kept in `data_dir`.
    ///
    /// # Errors
    /// Where the files are no certificate and key, or cannot be written.
    pub fn from_settings(tls: &Tls, data_dir: &Path) -> Result<Option<Arc<Self>>> {
        let (cert, key) = match tls {
            Tls::Off => return Ok(None),
            Tls::Files { cert, key } => (cert.clone(), key.clone()),
            Tls::SelfSigned => {
                let files = (data_dir.join("self-signed.crt"), data_dir.join("self-signed.key"));
                if !files.0.exists() || !files.1.exists() {
                    make_self_signed(&files.0, &files.1)?;
                }
                files
            }
        };
        let current = RwLock::new(Arc::new(load(&cert, &key)?));
        Ok(Some(Arc::new(Self { cert, key, current })))
    }

    /// What listeners need; `alpn` are the protocols offered, such as `h2`.
    ///
    /// # Panics
    /// Never: the provider has the default protocol versions.
    pub fn server_config(self: &Arc<Self>, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        self.server_config_asking(alpn, Arc::new(NoClientAuth))
    }

    /// As [`Certificate::server_config`], where clients may show a certificate.
    ///
    /// # Panics
    /// As [`Certificate::server_config`].
    pub fn server_config_asking(
        self: &Arc<Self>,
        alpn: &[&[u8]],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.clone() as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// Reads the files again when they change, until stopped.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = self.modified();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let modified = self.modified();
            if modified == seen {
                continue;
            }
            seen = modified;
            match load(&self.cert, &self.key) {
                Ok(fresh) => {
                    *self.current.write() = Arc::new(fresh);
                    tracing::info!("the TLS certificate was read again");
                }
                Err(error) => {
                    tracing::error!(%error, "the changed TLS certificate cannot be used; the old one stays")
                }
            }
        }
    }

    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.cert, &self.key].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
    }
}

fn load(cert: &Path, key: &Path) -> Result<CertifiedKey> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .with_context(|| format!("{} cannot be read", cert.display()))?
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is no PEM certificate", cert.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate; give the chain in PEM", cert.display());
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} is no PEM private key", key.display()))?;
    let signer = any_supported_type(&secret).with_context(|| {
        format!("{} is a key of an unsupported kind; use RSA, ECDSA or Ed25519", key.display())
    })?;
    let certified = CertifiedKey::new(chain, signer);
    certified
        .keys_match()
        .with_context(|| format!("{} and {} do not belong together", cert.display(), key.display()))?;
    Ok(certified)
}

fn make_self_signed(cert: &Path, key: &Path) -> Result<()> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(sysinfo::System::host_name().ok());
    let made =
        rcgen::generate_simple_self_signed(names).context("a self-signed certificate cannot be made")?;
    crate::serve::data_dir::write_secret(key, made.signing_key.serialize_pem().as_bytes())?;
    std::fs::write(cert, made.cert.pem()).with_context(|| format!("{} cannot be written", cert.display()))
}
