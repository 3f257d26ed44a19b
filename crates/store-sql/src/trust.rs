//! Authorities of client certificates, and address rules.

use crate::SqlDatabase;
use crate::dialect::{Merge, Upsert};
use crate::fault::{Attempt, retrying, unreadable};
use crate::pool::Tx;
use crate::row::Row;
use crate::value::{Value, values};
use async_trait::async_trait;
use domain::SourceKey;
use store::sql::trust::{Added, AddressRuleRow, AuthorityRow, RevokedCertificateRow, Trust};
use store::sql::{SqlError, SqlResult};

macro_rules! select_authorities {
    ($rest:literal) => {
        concat!(
            "SELECT fingerprint, tenant_key, subject, key_hash, certificate, expires_at, created_at, created_by FROM ",
            "client_authorities ",
            $rest
        )
    };
}

macro_rules! select_rules {
    ($rest:literal) => {
        concat!(
            "SELECT rule_id, network, first_address, last_address, tenant_key, source_key, created_at, created_by FROM ",
            "address_rules ",
            $rest
        )
    };
}

/// Counts a change. Every change begins with it: on MySQL its row lock lets one change happen at a time, so that what a
/// change has looked for and not found is not there when it commits.
const GENERATION: Upsert =
    Upsert { table: "trust_state", key: &["state_id"], columns: &[("generation", Merge::Add)] };

fn authority_row(row: &Row) -> SqlResult<AuthorityRow> {
    Ok(AuthorityRow {
        fingerprint: row.text(0)?,
        tenant: row.tenant(1)?,
        subject: row.text(2)?,
        key_hash: row.text(3)?,
        certificate: row.text(4)?,
        expires_at: row.time(5)?,
        created_at: row.time(6)?,
        created_by: row.text(7)?,
    })
}

fn rule_row(row: &Row) -> SqlResult<AddressRuleRow> {
    Ok(AddressRuleRow {
        id: row.count(0)?,
        network: row.text(1)?,
        first: row.text(2)?,
        last: row.text(3)?,
        tenant: row.tenant(4)?,
        source: row.opt_text(5)?.map(|key| SourceKey::new(&key).map_err(unreadable)).transpose()?,
        created_at: row.time(6)?,
        created_by: row.text(7)?,
    })
}

fn revoked_row(row: &Row) -> SqlResult<RevokedCertificateRow> {
    Ok(RevokedCertificateRow {
        fingerprint: row.text(0)?,
        tenant: row.tenant(1)?,
        revoked_at: row.time(2)?,
        revoked_by: row.text(3)?,
    })
}

impl SqlDatabase {
    /// A transaction that changes who is trusted.
    async fn begin_trust(&self) -> Attempt<Tx> {
        let mut tx = self.pool.begin().await?;
        tx.upsert(&GENERATION, values![1_i64, 1_i64]).await?;
        Ok(tx)
    }

    async fn add_authority_once(&self, authority: &AuthorityRow) -> Attempt<Added<AuthorityRow>> {
        let mut tx = self.begin_trust().await?;
        let known = select_authorities!("WHERE key_hash = ? OR fingerprint = ?");
        let values = values![authority.key_hash.as_str(), authority.fingerprint.as_str()];
        if let Some(row) = tx.rows(known, values).await?.first() {
            return Ok(Added::Taken(authority_row(row)?));
        }
        let sql = "INSERT INTO client_authorities (fingerprint, tenant_key, subject, key_hash, certificate, expires_at, \
                   created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            authority.fingerprint.as_str(),
            &authority.tenant,
            authority.subject.as_str(),
            authority.key_hash.as_str(),
            authority.certificate.as_str(),
            authority.expires_at,
            authority.created_at,
            authority.created_by.as_str(),
        ];
        tx.run(sql, values).await?;
        tx.commit().await?;
        Ok(Added::Done(0))
    }

    async fn revoke_certificate_once(&self, certificate: &RevokedCertificateRow) -> Attempt<()> {
        const REVOKED: Upsert = Upsert {
            table: "revoked_certificates",
            key: &["fingerprint"],
            columns: &[("tenant_key", Merge::Keep), ("revoked_at", Merge::Keep), ("revoked_by", Merge::Keep)],
        };
        let mut tx = self.begin_trust().await?;
        let values = values![
            certificate.fingerprint.as_str(),
            &certificate.tenant,
            certificate.revoked_at,
            certificate.revoked_by.as_str(),
        ];
        tx.upsert(&REVOKED, values).await?;
        tx.commit().await
    }

    async fn add_address_rule_once(&self, rule: &AddressRuleRow) -> Attempt<Added<AddressRuleRow>> {
        let mut tx = self.begin_trust().await?;
        let in_the_way = select_rules!(
            "WHERE network = ? OR (tenant_key <> ? AND first_address <= ? AND last_address >= ?) ORDER BY first_address, \
             last_address DESC"
        );
        let values = values![rule.network.as_str(), &rule.tenant, rule.last.as_str(), rule.first.as_str()];
        if let Some(row) = tx.rows(in_the_way, values).await?.first() {
            return Ok(Added::Taken(rule_row(row)?));
        }
        let sql = "INSERT INTO address_rules (network, first_address, last_address, tenant_key, source_key, created_at, \
                   created_by) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            rule.network.as_str(),
            rule.first.as_str(),
            rule.last.as_str(),
            &rule.tenant,
            rule.source.as_ref(),
            rule.created_at,
            rule.created_by.as_str(),
        ];
        tx.run(sql, values).await?;
        let made = tx.rows(select_rules!("WHERE network = ?"), values![rule.network.as_str()]).await?;
        let id = made.first().map_or(Ok(0), |row| row.count(0))?;
        tx.commit().await?;
        Ok(Added::Done(id))
    }

    /// Deletes one row that must be there.
    async fn remove_trusted(&self, sql: &'static str, key: Value) -> SqlResult<()> {
        let removed = retrying(|| async {
            let mut tx = self.begin_trust().await?;
            let removed = tx.run(sql, vec![key.clone()]).await?;
            tx.commit().await?;
            Ok(removed)
        });
        if removed.await? == 0 { Err(SqlError::NotFound) } else { Ok(()) }
    }
}

#[async_trait]
impl Trust for SqlDatabase {
    async fn trust_generation(&self) -> SqlResult<u64> {
        let found = self.pool.row("SELECT generation FROM trust_state WHERE state_id = 1", vec![]).await?;
        found.map_or(Ok(0), |row| row.count(0))
    }

    async fn add_authority(&self, authority: &AuthorityRow) -> SqlResult<Added<AuthorityRow>> {
        retrying(|| self.add_authority_once(authority)).await
    }

    async fn authorities(&self) -> SqlResult<Vec<AuthorityRow>> {
        let sql = select_authorities!("ORDER BY tenant_key, subject, fingerprint");
        self.pool.rows(sql, vec![]).await?.iter().map(authority_row).collect()
    }

    async fn remove_authority(&self, fingerprint: &str) -> SqlResult<()> {
        self.remove_trusted("DELETE FROM client_authorities WHERE fingerprint = ?", fingerprint.into()).await
    }

    async fn revoke_certificate(&self, certificate: &RevokedCertificateRow) -> SqlResult<()> {
        retrying(|| self.revoke_certificate_once(certificate)).await
    }

    async fn revoked_certificates(&self) -> SqlResult<Vec<RevokedCertificateRow>> {
        let sql = "SELECT fingerprint, tenant_key, revoked_at, revoked_by FROM revoked_certificates ORDER BY revoked_at \
                   DESC, fingerprint";
        self.pool.rows(sql, vec![]).await?.iter().map(revoked_row).collect()
    }

    async fn restore_certificate(&self, fingerprint: &str) -> SqlResult<()> {
        self.remove_trusted("DELETE FROM revoked_certificates WHERE fingerprint = ?", fingerprint.into())
            .await
    }

    async fn add_address_rule(&self, rule: &AddressRuleRow) -> SqlResult<Added<AddressRuleRow>> {
        retrying(|| self.add_address_rule_once(rule)).await
    }

    async fn address_rules(&self) -> SqlResult<Vec<AddressRuleRow>> {
        let sql = select_rules!("ORDER BY first_address, last_address DESC");
        self.pool.rows(sql, vec![]).await?.iter().map(rule_row).collect()
    }

    async fn remove_address_rule(&self, id: u64) -> SqlResult<()> {
        self.remove_trusted("DELETE FROM address_rules WHERE rule_id = ?", id.into()).await
    }
}
