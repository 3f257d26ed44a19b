//! What stands in for a credential: a client certificate, or the address. Unlike a token it is asked about again whenever
//! the lists that it stands on change.

use super::Port;
use super::certificates::source_of;
use crate::access::{Identity, RefusalCode};
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Clone)]
pub enum Warrant {
    /// The chain that was shown, its leaf first.
    Certificate(Arc<[CertificateDer<'static>]>),
    /// An address rule.
    Address,
}

impl Warrant {
    /// Who the peer is by it, now.
    ///
    /// # Errors
    /// The reason it is refused for.
    pub async fn identify(&self, port: &Port, peer: IpAddr) -> Result<Identity, RefusalCode> {
        let access = &port.intake.access;
        access.know_trust().await?;
        match self {
            Self::Certificate(chain) => {
                let certificates = port.config.client_certificates.as_ref();
                let certificates = certificates.ok_or(RefusalCode::RevokedCertificate)?;
                let tenant = certificates.tenant_of(chain).map_err(|error| {
                    tracing::debug!(%error, "a client certificate is good no more");
                    RefusalCode::RevokedCertificate
                })?;
                let source = chain.first().and_then(source_of);
                let name = source.as_ref().map(|source| source.as_str().into());
                access.identify_trusted(&tenant, source, name).await
            }
            Self::Address => {
                let rule = access.trust().borrow().rule_of(peer).cloned();
                let rule = rule.ok_or(RefusalCode::AddressRuleEnded)?;
                access.identify_trusted(&rule.tenant, rule.source, None).await
            }
        }
    }

    /// What a connection is told that was somebody else's by it before.
    pub fn changed(&self) -> RefusalCode {
        match self {
            Self::Certificate(_) => RefusalCode::RevokedCertificate,
            Self::Address => RefusalCode::AddressRuleEnded,
        }
    }
}
