//! Signed-in browsers.

use crate::SqlDatabase;
use crate::dialect::{Merge, Upsert};
use crate::pool::{Row, values};
use async_trait::async_trait;
use domain::Timestamp;
use store::sql::{SessionRow, Sessions, SqlResult};

const SESSIONS: Upsert = Upsert {
    table: "sessions",
    key: &["session_id"],
    columns: &[
        ("site", Merge::Replace),
        ("user_id", Merge::Replace),
        ("session_data", Merge::Replace),
        ("user_agent", Merge::Replace),
        ("peer", Merge::Replace),
        ("created_at", Merge::Keep),
        ("last_seen_at", Merge::Replace),
        ("expires_at", Merge::Replace),
    ],
};

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
    async fn save_session(&self, session: &SessionRow) -> SqlResult<()> {
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
        self.pool.run(self.pool.dialect().upsert(&SESSIONS, 1), values, &[]).await.map(|_| ())
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
