//! Client certificates and address rules: who speaks for a tenant on the TCP port without a token. Operators decide.

mod reading;

use crate::ingest_access::RefusalCode;
use crate::trusted::{TrustSet, TrustedAuthority, TrustedNetwork};
use crate::{Actor, Ctx, ServiceError, Services};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::api::{AddressRuleInfo, AuthorityInfo, RevokedCertificateInfo};
use domain::{SourceKey, TenantId, Timestamp};
use reading::{comparable, read_authority, read_fingerprint, read_network};
use std::collections::HashMap;
use std::sync::Arc;
use store::sql::{Added, AddressRuleRow, AuthorityRow, RevokedCertificateRow, SqlError};

impl Services {
    /// Lets the certificates that an authority has signed speak for a tenant. Takes one certificate (PEM), which must
    /// be an authority's. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `Invalid("certificate")` where it is none, or where its key belongs to a tenant already, which is named.
    pub async fn add_authority(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        pem: &str,
    ) -> Result<AuthorityInfo, ServiceError> {
        ctx.require_platform()?;
        let slugs = self.slugs().await?;
        let slug = slugs.get(tenant).cloned().ok_or(ServiceError::NotFound { what: "tenant" })?;
        let found = read_authority(pem)
            .map_err(|problem| ServiceError::invalid("certificate", problem.text(ctx.lang)))?;
        let row = AuthorityRow {
            fingerprint: found.fingerprint,
            tenant: tenant.clone(),
            subject: found.subject,
            key_hash: found.key_hash,
            certificate: STANDARD.encode(&found.der),
            expires_at: found.expires_at,
            created_at: Timestamp::now(),
            created_by: maker(&ctx.actor),
        };
        if let Added::Taken(other) = self.sql().add_authority(&row).await? {
            let owner = named(&slugs, &other.tenant);
            let text = ctx.lang.pick(
                format!("이 인증 기관의 키는 이미 테넌트 {owner}에 속합니다({}).", other.subject),
                format!(
                    "The key of this authority belongs to tenant {owner} already ({}); {slug} cannot have it too.",
                    other.subject
                ),
            );
            return Err(ServiceError::invalid("certificate", text));
        }
        self.refresh_trust().await?;
        Ok(authority_info(row, &slugs))
    }

    /// All authorities, by tenant. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// As [`Ctx::require_platform`].
    pub async fn authorities(&self, ctx: &Ctx) -> Result<Vec<AuthorityInfo>, ServiceError> {
        ctx.require_platform()?;
        let slugs = self.slugs().await?;
        let rows = self.sql().authorities().await?;
        Ok(rows.into_iter().map(|row| authority_info(row, &slugs)).collect())
    }

    /// Believes an authority no more: connections that rely on it are closed, here at once, elsewhere within 5 s. Needs
    /// [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("authority")`.
    pub async fn remove_authority(&self, ctx: &Ctx, fingerprint: &str) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        let fingerprint = read_fingerprint(ctx.lang, fingerprint)?;
        found(self.sql().remove_authority(&fingerprint).await, "authority")?;
        self.refresh_trust().await
    }

    /// Ends one client certificate: its connections are closed, here at once, elsewhere within 5 s. Takes its SHA-256
    /// fingerprint as `openssl x509 -fingerprint -sha256` prints it, or without colons. Needs
    /// [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `Invalid("fingerprint")`.
    pub async fn revoke_certificate(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        fingerprint: &str,
    ) -> Result<RevokedCertificateInfo, ServiceError> {
        ctx.require_platform()?;
        let slugs = self.slugs().await?;
        if !slugs.contains_key(tenant) {
            return Err(ServiceError::NotFound { what: "tenant" });
        }
        let row = RevokedCertificateRow {
            fingerprint: read_fingerprint(ctx.lang, fingerprint)?,
            tenant: tenant.clone(),
            revoked_at: Timestamp::now(),
            revoked_by: maker(&ctx.actor),
        };
        self.sql().revoke_certificate(&row).await?;
        self.refresh_trust().await?;
        Ok(revoked_info(row, &slugs))
    }

    /// All certificates that were ended, the latest first. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// As [`Ctx::require_platform`].
    pub async fn revoked_certificates(&self, ctx: &Ctx) -> Result<Vec<RevokedCertificateInfo>, ServiceError> {
        ctx.require_platform()?;
        let slugs = self.slugs().await?;
        let rows = self.sql().revoked_certificates().await?;
        Ok(rows.into_iter().map(|row| revoked_info(row, &slugs)).collect())
    }

    /// Lets a certificate that was ended be good again. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("certificate")`.
    pub async fn restore_certificate(&self, ctx: &Ctx, fingerprint: &str) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        let fingerprint = read_fingerprint(ctx.lang, fingerprint)?;
        found(self.sql().restore_certificate(&fingerprint).await, "certificate")?;
        self.refresh_trust().await
    }

    /// Lets the connections of a network that show no credential speak for a tenant, and bind them to a source where
    /// one is given. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `Invalid("network")` where it is none, or where it has an address in common with a rule of another tenant: both
    /// are named.
    pub async fn create_address_rule(
        &self,
        ctx: &Ctx,
        tenant: &TenantId,
        network: &str,
        source: Option<SourceKey>,
    ) -> Result<AddressRuleInfo, ServiceError> {
        ctx.require_platform()?;
        let slugs = self.slugs().await?;
        let slug = slugs.get(tenant).cloned().ok_or(ServiceError::NotFound { what: "tenant" })?;
        let network = read_network(ctx.lang, network)?;
        let mut row = AddressRuleRow {
            id: 0,
            network: network.to_string(),
            first: comparable(network.network()),
            last: comparable(network.broadcast()),
            tenant: tenant.clone(),
            source,
            created_at: Timestamp::now(),
            created_by: maker(&ctx.actor),
        };
        row.id = match self.sql().add_address_rule(&row).await? {
            Added::Done(id) => id,
            Added::Taken(other) => {
                let owner = named(&slugs, &other.tenant);
                let text = ctx.lang.pick(
                    format!(
                        "테넌트 {slug}의 {network}은(는) 테넌트 {owner}의 {}과(와) 겹칩니다.",
                        other.network
                    ),
                    format!("{network} of tenant {slug} overlaps {} of tenant {owner}.", other.network),
                );
                return Err(ServiceError::invalid("network", text));
            }
        };
        self.refresh_trust().await?;
        Ok(rule_info(row, &slugs))
    }

    /// All address rules, by network. Needs [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// As [`Ctx::require_platform`].
    pub async fn address_rules(&self, ctx: &Ctx) -> Result<Vec<AddressRuleInfo>, ServiceError> {
        ctx.require_platform()?;
        let slugs = self.slugs().await?;
        let rows = self.sql().address_rules().await?;
        Ok(rows.into_iter().map(|row| rule_info(row, &slugs)).collect())
    }

    /// Removes a rule: connections that rely on it are closed, here at once, elsewhere within 5 s. Needs
    /// [`domain::Permission::Platform`].
    ///
    /// # Errors
    /// `NotFound("address rule")`.
    pub async fn delete_address_rule(&self, ctx: &Ctx, id: &str) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        let id = id.parse().map_err(|_| ServiceError::NotFound { what: "address rule" })?;
        found(self.sql().remove_address_rule(id).await, "address rule")?;
        self.refresh_trust().await
    }

    /// Reads who is trusted, where that has changed since the last look.
    pub(crate) async fn refresh_trust(&self) -> Result<(), ServiceError> {
        let access = &self.inner.access;
        // Before the lists: what changes in between is read again by the next look.
        let generation = self.sql().trust_generation().await?;
        if access.trust_known.get().is_some() && access.trust.borrow().generation == generation {
            return Ok(());
        }
        let authorities = self.sql().authorities().await?.into_iter().filter_map(trusted_authority).collect();
        let revoked = self.sql().revoked_certificates().await?.into_iter().map(|row| row.fingerprint);
        let rules = self.sql().address_rules().await?.into_iter().filter_map(trusted_network).collect();
        let fresh = TrustSet::new(generation, authorities, revoked.collect(), rules);
        access.trust.send_replace(Arc::new(fresh));
        let _ = access.trust_known.set(());
        Ok(())
    }

    /// As [`Services::refresh_trust`], where nobody has looked yet.
    pub(crate) async fn know_trust(&self) -> Result<(), RefusalCode> {
        if self.inner.access.trust_known.get().is_some() {
            return Ok(());
        }
        self.refresh_trust().await.map_err(|error| {
            error.log("ingestion");
            RefusalCode::Unavailable
        })
    }

    /// Short names of all tenants.
    async fn slugs(&self) -> Result<HashMap<TenantId, String>, ServiceError> {
        Ok(self.sql().tenants().await?.into_iter().map(|row| (row.key, row.slug)).collect())
    }
}

fn trusted_authority(row: AuthorityRow) -> Option<TrustedAuthority> {
    match STANDARD.decode(&row.certificate) {
        Ok(certificate) => Some(TrustedAuthority { tenant: row.tenant, certificate }),
        Err(error) => {
            tracing::error!(fingerprint = row.fingerprint, %error, "a stored authority cannot be read");
            None
        }
    }
}

fn trusted_network(row: AddressRuleRow) -> Option<TrustedNetwork> {
    match row.network.parse() {
        Ok(network) => Some(TrustedNetwork { network, tenant: row.tenant, source: row.source }),
        Err(error) => {
            tracing::error!(rule = row.id, %error, "a stored address rule cannot be read");
            None
        }
    }
}

fn maker(actor: &Actor) -> String {
    match actor {
        Actor::Person(person) => person.user_id.clone(),
        Actor::Token(token) => format!("token:{}", token.id),
        Actor::Local(_) | Actor::Anonymous => "cli".to_owned(),
    }
}

fn named(slugs: &HashMap<TenantId, String>, tenant: &TenantId) -> String {
    slugs.get(tenant).cloned().unwrap_or_else(|| tenant.to_string())
}

fn found(outcome: Result<(), SqlError>, what: &'static str) -> Result<(), ServiceError> {
    match outcome {
        Err(SqlError::NotFound) => Err(ServiceError::NotFound { what }),
        other => Ok(other?),
    }
}

fn authority_info(row: AuthorityRow, slugs: &HashMap<TenantId, String>) -> AuthorityInfo {
    AuthorityInfo {
        tenant_slug: named(slugs, &row.tenant),
        fingerprint: row.fingerprint,
        tenant: row.tenant,
        subject: row.subject,
        expires_at: row.expires_at,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}

fn revoked_info(row: RevokedCertificateRow, slugs: &HashMap<TenantId, String>) -> RevokedCertificateInfo {
    RevokedCertificateInfo {
        tenant_slug: named(slugs, &row.tenant),
        fingerprint: row.fingerprint,
        tenant: row.tenant,
        revoked_at: row.revoked_at,
        revoked_by: row.revoked_by,
    }
}

fn rule_info(row: AddressRuleRow, slugs: &HashMap<TenantId, String>) -> AddressRuleInfo {
    AddressRuleInfo {
        id: row.id.to_string(),
        tenant_slug: named(slugs, &row.tenant),
        network: row.network,
        tenant: row.tenant,
        source: row.source,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}
