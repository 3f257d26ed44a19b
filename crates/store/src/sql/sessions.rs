//! Signed-in browsers.

use super::SqlResult;
use async_trait::async_trait;
use domain::Timestamp;

/// A session. `id` is SHA-256 of the cookie's secret in hex, so that a read of the database signs nobody in.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    /// Hash of the cookie's secret.
    pub id: String,
    /// Which web it is for: `app`, `admin`, `chat`.
    pub site: String,
    /// Whose; `None` before sign-in.
    pub user_id: Option<String>,
    /// What tower-sessions keeps: JSON.
    pub data: String,
    /// As the browser calls itself, cut at 255 bytes.
    pub user_agent: String,
    /// From where.
    pub peer: String,
    /// Made.
    pub created_at: Timestamp,
    /// Last seen.
    pub last_seen_at: Timestamp,
    /// Ends.
    pub expires_at: Timestamp,
}

/// Sessions.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Makes a session; `Conflict("id")`.
    async fn create_session(&self, session: &SessionRow) -> SqlResult<()>;
    /// Overwrites everything but id and creation of a session that is there; false where it is gone, which it stays:
    /// somebody ended it.
    async fn save_session(&self, session: &SessionRow) -> SqlResult<bool>;
    /// By id; expired ones are not there.
    async fn session(&self, id: &str, now: Timestamp) -> SqlResult<Option<SessionRow>>;
    /// Removes one; nothing where it is gone.
    async fn delete_session(&self, id: &str) -> SqlResult<()>;
    /// A person's sessions, newest first.
    async fn user_sessions(&self, user_id: &str, now: Timestamp) -> SqlResult<Vec<SessionRow>>;
    /// Removes a person's sessions but one; answers how many.
    async fn delete_user_sessions(&self, user_id: &str, but: Option<&str>) -> SqlResult<u64>;
    /// Removes expired ones; answers how many.
    async fn delete_expired_sessions(&self, now: Timestamp) -> SqlResult<u64>;
}
