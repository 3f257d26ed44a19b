//! Client certificates: which tenant's authority vouches for one, and which source it names.

use domain::{SourceKey, TenantId};
use parking_lot::Mutex;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use services::ingest_access::IngestAccess;
use services::trusted::TrustSet;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates between a client's and its authority.
const MOST_BETWEEN: usize = 4;

/// Whether a connection in TLS is asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Where any tenant has an authority; a client that has none may show a token.
    Optional,
    /// Always, and none is let in without.
    Required,
}

/// Verifies client certificates by the authorities of all tenants, as they are at each handshake.
///
/// No authority is named to the client: the list would tell everybody who the tenants are.
#[derive(Debug)]
pub struct ClientCertificates {
    asked: Asked,
    trust: watch::Receiver<Arc<TrustSet>>,
    provider: Arc<CryptoProvider>,
    prepared: Mutex<Arc<Prepared>>,
}

/// The authorities, ready to verify by.
#[derive(Debug, Default)]
struct Prepared {
    by: Arc<TrustSet>,
    tenants: Vec<(TenantId, Arc<dyn ClientCertVerifier>)>,
}

impl ClientCertificates {
    /// By the authorities that ingestion knows of.
    pub fn new(access: &dyn IngestAccess, asked: Asked) -> Arc<Self> {
        Arc::new(Self {
            asked,
            trust: access.trust(),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            prepared: Mutex::default(),
        })
    }

    fn prepared(&self) -> Arc<Prepared> {
        let set = Arc::clone(&self.trust.borrow());
        let mut prepared = self.prepared.lock();
        if !Arc::ptr_eq(&prepared.by, &set) {
            *prepared = Arc::new(Prepared::new(set, &self.provider));
        }
        Arc::clone(&prepared)
    }

    /// Whose a chain is, its leaf first.
    ///
    /// # Errors
    /// Where no tenant's authority vouches for it now, or those of more than one do.
    pub fn tenant_of(&self, chain: &[CertificateDer<'_>]) -> Result<TenantId, Error> {
        let (leaf, others) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.prepared().tenant_of(leaf, others, UnixTime::now())
    }
}

impl Prepared {
    fn new(set: Arc<TrustSet>, provider: &Arc<CryptoProvider>) -> Self {
        let mut roots: BTreeMap<&TenantId, RootCertStore> = BTreeMap::new();
        for authority in &set.authorities {
            let roots = roots.entry(&authority.tenant).or_insert_with(RootCertStore::empty);
            if let Err(error) = roots.add(CertificateDer::from(authority.certificate.as_slice()).into_owned())
            {
                tracing::warn!(%error, "an authority of client certificates cannot be used");
            }
        }
        let tenants = roots.into_iter().filter_map(|(tenant, roots)| {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            Some((tenant.clone(), verifier.ok()?))
        });
        let tenants = tenants.collect();
        Self { by: set, tenants }
    }

    fn tenant_of(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<TenantId, Error> {
        if self.by.revoked.contains(&fingerprint(leaf)) {
            return Err(CertificateError::Revoked.into());
        }
        // Every further certificate multiplies the paths that are tried, for each tenant, by whoever connects.
        if others.len() > MOST_BETWEEN {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let (mut found, mut reason) = (None, Error::from(CertificateError::UnknownIssuer));
        for (tenant, verifier) in &self.tenants {
            match verifier.verify_client_cert(leaf, others, now) {
                Ok(_) if found.is_some() => {
                    // An authority of one signed that of another: whose it is, nobody can say.
                    return Err(CertificateError::ApplicationVerificationFailure.into());
                }
                Ok(_) => found = Some(tenant.clone()),
                // Another tenant's authority may bear the same name.
                Err(Error::InvalidCertificate(
                    CertificateError::UnknownIssuer | CertificateError::BadSignature,
                )) => {}
                // Expired, or no client's, or too much to look through: it is no better with another tenant.
                Err(error) => {
                    reason = error;
                    break;
                }
            }
        }
        found.ok_or(reason)
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn offer_client_auth(&self) -> bool {
        self.asked == Asked::Required || !self.prepared().tenants.is_empty()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.asked == Asked::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.prepared().tenant_of(end_entity, intermediates, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// SHA-256 of a certificate, hex.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex::encode(Sha256::digest(certificate))
}

/// The source that a certificate is bound to: its first DNS name (SAN `dNSName`, RFC 5280 §4.2.1.6) that stands for one
/// host, else its common name.
pub fn source_of(leaf: &CertificateDer<'_>) -> Option<SourceKey> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let hosts = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(host) if !host.starts_with('*') => SourceKey::new(host).ok(),
        _ => None,
    });
    let common = certificate.subject().iter_common_name().filter_map(|name| {
        let name = name.as_str().ok()?.trim();
        SourceKey::new(name).ok()
    });
    hosts.chain(common).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    #[test]
    fn the_first_host_names_the_source_else_the_common_name() {
        fn check(hosts: &[&str], common: &str, expect: Option<&str>) {
            let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let mut params = CertificateParams::new(hosts).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            if !common.is_empty() {
                params.distinguished_name.push(DnType::CommonName, common);
            }
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let source = source_of(made.der());
            assert_eq!(source.as_ref().map(SourceKey::as_str), expect);
        }
        check(&["pump-1.example.com", "other"], "펌프", Some("pump-1.example.com"));
        check(&["*.example.com", "pump-2"], "", Some("pump-2"));
        check(&["*.example.com"], "펌프 3", Some("펌프 3"));
        check(&["10.0.0.1"], "gateway", Some("gateway"));
        check(&[], "", None);
    }
}
