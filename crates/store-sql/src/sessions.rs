//! Signed-in browsers.

use crate::SqlDatabase;
use crate::row::Row;
use crate::value::values;
use async_trait::async_trait;
use domain::Timestamp;
use store::sql::{SessionRow, Sessions, SqlError, SqlResult};

macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT session_id, site, user_id, session_data, user_agent, peer, created_at, last_seen_at, expires_at ",
            "FROM sessions ",
            $rest
        )
    };
}

fn session_row(row: &Row) -> SqlResult<SessionRow> {
    Ok(SessionRow {
        id: row.text(0)?,
        site: row.text(1)?,
        user_id: row.opt_text(2)?,
        data: row.text(3)?,
        user_agent: row.text(4)?,
        peer: row.text(5)?,
        created_at: row.time(6)?,
        last_seen_at: row.time(7)?,
        expires_at: row.time(8)?,
    })
}

#[async_trait]
impl Sessions for SqlDatabase {
    async fn create_session(&self, session: &SessionRow) -> SqlResult<()> {
        let sql = "INSERT INTO sessions (session_id, site, user_id, session_data, user_agent, peer, created_at, \
                   last_seen_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            session.id.as_str(),
            session.site.as_str(),
            session.user_id.as_deref(),
            session.data.as_str(),
            session.user_agent.as_str(),
            session.peer.as_str(),
            session.created_at,
            session.last_seen_at,
            session.expires_at,
        ];
        match self.pool.run(sql, values, &["session_id", "PRIMARY"]).await {
            Err(SqlError::Conflict(_)) => Err(SqlError::Conflict("id")),
            done => done.map(|_| ()),
        }
    }

    async fn save_session(&self, session: &SessionRow) -> SqlResult<bool> {
        let sql = "UPDATE sessions SET site = ?, user_id = ?, session_data = ?, user_agent = ?, peer = ?, \
                   last_seen_at = ?, expires_at = ? WHERE session_id = ?";
        let values = values![
            session.site.as_str(),
            session.user_id.as_deref(),
            session.data.as_str(),
            session.user_agent.as_str(),
            session.peer.as_str(),
            session.last_seen_at,
            session.expires_at,
            session.id.as_str(),
        ];
        if self.pool.run(sql, values, &[]).await? > 0 {
            return Ok(true);
        }
        // A driver may count a row that was found but not changed as none.
        let sql = "SELECT 1 FROM sessions WHERE session_id = ?";
        Ok(self.pool.row(sql, values![session.id.as_str()]).await?.is_some())
    }

    async fn session(&self, id: &str, now: Timestamp) -> SqlResult<Option<SessionRow>> {
        let sql = select_sessions!("WHERE session_id = ? AND expires_at > ?");
        self.pool.row(sql, values![id, now]).await?.map(|row| session_row(&row)).transpose()
    }

    async fn delete_session(&self, id: &str) -> SqlResult<()> {
        self.pool.run("DELETE FROM sessions WHERE session_id = ?", values![id], &[]).await.map(|_| ())
    }

    async fn user_sessions(&self, user_id: &str, now: Timestamp) -> SqlResult<Vec<SessionRow>> {
        let sql =
            select_sessions!("WHERE user_id = ? AND expires_at > ? ORDER BY created_at DESC, session_id");
        self.pool.rows(sql, values![user_id, now]).await?.iter().map(session_row).collect()
    }

    async fn delete_user_sessions(&self, user_id: &str, but: Option<&str>) -> SqlResult<u64> {
        // No session has an empty id.
        let sql = "DELETE FROM sessions WHERE user_id = ? AND session_id <> ?";
        self.pool.run(sql, values![user_id, but.unwrap_or_default()], &[]).await
    }

    async fn delete_expired_sessions(&self, now: Timestamp) -> SqlResult<u64> {
        self.pool.run("DELETE FROM sessions WHERE expires_at <= ?", values![now], &[]).await
    }
}
