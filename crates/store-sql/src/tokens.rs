//! Ingest and API tokens.

use crate::SqlDatabase;
use crate::fault::{Attempt, retrying, unreadable};
use crate::row::Row;
use crate::value::values;
use async_trait::async_trait;
use domain::api::TokenKind;
use domain::{Role, SourceKey, TenantId, Timestamp};
use store::sql::{SqlError, SqlResult, TokenRow, Tokens};

macro_rules! select_tokens {
    ($rest:literal) => {
        concat!(
            "SELECT token_id, tenant_key, kind, name, token_hash, token_prefix, source_key, role, created_at, ",
            "created_by, expires_at, revoked_at, last_used_at, last_used_peer FROM tokens ",
            $rest
        )
    };
}

fn kind_name(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Ingest => "ingest",
        TokenKind::Api => "api",
    }
}

fn token_row(row: &Row) -> SqlResult<TokenRow> {
    Ok(TokenRow {
        id: row.count(0)?,
        tenant: row.tenant(1)?,
        kind: match row.text(2)?.as_str() {
            "ingest" => TokenKind::Ingest,
            "api" => TokenKind::Api,
            _ => return Err(unreadable("a kind of token")),
        },
        name: row.text(3)?,
        hash: row.text(4)?,
        prefix: row.text(5)?,
        source: row.opt_text(6)?.map(|key| SourceKey::new(&key).map_err(unreadable)).transpose()?,
        role: row
            .opt_text(7)?
            .map(|name| Role::parse(&name).ok_or_else(|| unreadable("a role")))
            .transpose()?,
        created_at: row.time(8)?,
        created_by: row.text(9)?,
        expires_at: row.opt_time(10)?,
        revoked_at: row.opt_time(11)?,
        last_used_at: row.opt_time(12)?,
        last_used_peer: row.opt_text(13)?,
    })
}

impl SqlDatabase {
    async fn touch_tokens_once(&self, uses: &[(u64, Timestamp, String)]) -> Attempt<()> {
        // In the order of ids, as every process writes them: two that met would wait for each other.
        let mut uses: Vec<_> = uses.iter().collect();
        uses.sort_unstable_by_key(|(id, ..)| *id);
        let mut tx = self.pool.begin().await?;
        for (id, at, peer) in uses {
            let sql = "UPDATE tokens SET last_used_at = ?, last_used_peer = ? WHERE token_id = ? AND (last_used_at IS \
                       NULL OR last_used_at < ?)";
            tx.run(sql, values![*at, peer.as_str(), *id, *at]).await?;
        }
        tx.commit().await
    }
}

#[async_trait]
impl Tokens for SqlDatabase {
    async fn create_token(&self, token: &TokenRow) -> SqlResult<u64> {
        let sql = "INSERT INTO tokens (tenant_key, kind, name, token_hash, token_prefix, source_key, role, \
                   created_at, created_by, expires_at, revoked_at, last_used_at, last_used_peer) VALUES (?, ?, ?, ?, \
                   ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            &token.tenant,
            kind_name(token.kind),
            token.name.as_str(),
            token.hash.as_str(),
            token.prefix.as_str(),
            token.source.as_ref(),
            token.role.map(Role::name),
            token.created_at,
            token.created_by.as_str(),
            token.expires_at,
            token.revoked_at,
            token.last_used_at,
            token.last_used_peer.as_deref(),
        ];
        match self.pool.run(sql, values, &["token_hash"]).await {
            Err(SqlError::Conflict(_)) => return Err(SqlError::Conflict("hash")),
            done => done?,
        };
        Ok(self.token_by_hash(&token.hash).await?.ok_or(SqlError::NotFound)?.id)
    }

    async fn token_by_hash(&self, hash: &str) -> SqlResult<Option<TokenRow>> {
        let sql = select_tokens!("WHERE token_hash = ?");
        self.pool.row(sql, values![hash]).await?.map(|row| token_row(&row)).transpose()
    }

    async fn token(&self, tenant: &TenantId, id: u64) -> SqlResult<Option<TokenRow>> {
        let sql = select_tokens!("WHERE token_id = ? AND tenant_key = ?");
        self.pool.row(sql, values![id, tenant]).await?.map(|row| token_row(&row)).transpose()
    }

    async fn tokens(&self, tenant: &TenantId) -> SqlResult<Vec<TokenRow>> {
        let sql = select_tokens!("WHERE tenant_key = ? ORDER BY created_at DESC, token_id DESC");
        self.pool.rows(sql, values![tenant]).await?.iter().map(token_row).collect()
    }

    async fn revoke_token(&self, tenant: &TenantId, id: u64, at: Timestamp) -> SqlResult<()> {
        let sql =
            "UPDATE tokens SET revoked_at = ? WHERE token_id = ? AND tenant_key = ? AND revoked_at IS NULL";
        let changed = self.pool.run(sql, values![at, id, tenant], &[]).await?;
        if changed == 0 && self.token(tenant, id).await?.is_none() { Err(SqlError::NotFound) } else { Ok(()) }
    }

    async fn remove_ended_token(&self, tenant: &TenantId, id: u64) -> SqlResult<bool> {
        let sql = "DELETE FROM tokens WHERE token_id = ? AND tenant_key = ? AND revoked_at IS NOT NULL";
        Ok(self.pool.run(sql, values![id, tenant], &[]).await? > 0)
    }

    async fn touch_tokens(&self, uses: &[(u64, Timestamp, String)]) -> SqlResult<()> {
        if uses.is_empty() {
            return Ok(());
        }
        retrying(|| self.touch_tokens_once(uses)).await
    }

    async fn revoked_since(&self, since: Timestamp, now: Timestamp) -> SqlResult<Vec<u64>> {
        // Two reads by two indexes, instead of an OR over the whole table.
        let sql = "SELECT token_id FROM tokens WHERE revoked_at >= ? UNION SELECT token_id FROM tokens WHERE expires_at \
                   >= ? AND expires_at <= ? ORDER BY 1";
        self.pool.rows(sql, values![since, since, now]).await?.iter().map(|row| row.count(0)).collect()
    }
}
