//! Sessions in the SQL store, bound to one web site of the product.

use async_trait::async_trait;
use domain::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::sql::{SessionRow, SqlStore};
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result, SessionStore};

/// Keys of what a session holds.
pub mod key {
    /// Who signed in.
    pub const USER: &str = "user";
    /// The selected tenant.
    pub const TENANT: &str = "tenant";
    /// The browser, as it calls itself.
    pub const USER_AGENT: &str = "user_agent";
    /// Where it was seen last.
    pub const PEER: &str = "peer";
    /// When it signed in, in nanoseconds.
    pub const CREATED: &str = "created";
    /// When it was seen last, in nanoseconds, to the minute.
    pub const SEEN: &str = "seen";
}

/// The SQL store as `tower_sessions` wants it.
#[derive(Clone)]
pub struct SqlSessions {
    sql: Arc<dyn SqlStore>,
    site: &'static str,
    ended: Arc<AtomicBool>,
}

impl std::fmt::Debug for SqlSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlSessions").field("site", &self.site).finish_non_exhaustive()
    }
}

/// What the store keeps of a cookie's secret, and what lists of sessions call it.
pub fn stored_id(id: &Id) -> String {
    Sha256::digest(id.0.to_be_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SqlSessions {
    /// For the sessions of one site.
    pub fn new(sql: Arc<dyn SqlStore>, site: &'static str) -> Self {
        Self { sql, site, ended: Arc::default() }
    }

    /// Whether a session was to be written that somebody has ended meanwhile: whoever still has its cookie is signed out.
    pub fn ended_meanwhile(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn row(&self, record: &Record) -> Result<SessionRow> {
        let now = Timestamp::now();
        let text = |key: &str| record.data.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let time =
            |key: &str| record.data.get(key).and_then(serde_json::Value::as_i64).map(Timestamp::from_nanos);
        let expires = record.expiry_date.unix_timestamp();
        Ok(SessionRow {
            id: stored_id(&record.id),
            site: self.site.to_owned(),
            user_id: text(key::USER),
            data: serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?,
            user_agent: cut(text(key::USER_AGENT).unwrap_or_default(), 255),
            peer: text(key::PEER).unwrap_or_default(),
            created_at: time(key::CREATED).unwrap_or(now),
            last_seen_at: time(key::SEEN).unwrap_or(now),
            expires_at: Timestamp::from_secs(expires),
        })
    }
}

/// At most so many bytes, at a character's border.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn failed(error: store::sql::SqlError) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for SqlSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.sql.create_session(&self.row(record)?).await.map_err(failed)
    }

    async fn save(&self, record: &Record) -> Result<()> {
        if !self.sql.save_session(&self.row(record)?).await.map_err(failed)? {
            self.ended.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let row = self.sql.session(&stored_id(id), Timestamp::now()).await.map_err(failed)?;
        let Some(row) = row.filter(|row| row.site == self.site) else { return Ok(None) };
        let data: HashMap<String, serde_json::Value> =
            serde_json::from_str(&row.data).map_err(|error| Error::Decode(error.to_string()))?;
        let expiry_date = time::OffsetDateTime::from_unix_timestamp(row.expires_at.as_secs())
            .map_err(|error| Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.sql.delete_session(&stored_id(id)).await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::sql::Accounts;

    #[tokio::test]
    async fn a_session_that_was_ended_does_not_come_back() {
        let sql = store_sql::SqlDatabase::connect("sqlite::memory:").await.unwrap();
        sql.migrate().await.unwrap();
        let sessions = SqlSessions::new(sql, "app");
        let expiry_date = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
        let mut record = Record { id: Id(7), data: HashMap::new(), expiry_date };
        sessions.create(&mut record).await.unwrap();
        sessions.save(&record).await.unwrap();
        assert!(!sessions.ended_meanwhile());
        sessions.delete(&record.id).await.unwrap();
        sessions.save(&record).await.unwrap();
        assert!(sessions.ended_meanwhile());
        assert_eq!(sessions.load(&record.id).await.unwrap(), None);
    }
}
