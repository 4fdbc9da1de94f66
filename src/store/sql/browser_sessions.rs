//! Browser sessions in a database.

use async_trait::async_trait;

use super::{SqlStore, database::DbResult, row::Row, statement::sql};
use crate::{
    clock::Timestamp,
    model::user::{BrowserSession, UserId},
    secret::Digest,
    store::{BrowserSessions, Result},
};

#[async_trait]
impl BrowserSessions for SqlStore {
    async fn insert_browser_session(&self, id: Digest, session: BrowserSession) -> Result<()> {
        let insert = sql(
            "INSERT INTO browser_sessions (id, user_id, authenticated_at, expires_at, member) \
             SELECT $1, $2, $3, $4, $5 \
                 WHERE $5 IS NULL OR EXISTS (SELECT 1 FROM users WHERE name = $5) \
             ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, \
                 authenticated_at = excluded.authenticated_at, \
                 expires_at = excluded.expires_at, member = excluded.member",
        )
        .bind(&id)
        .bind(&session.user)
        .bind(session.authenticated_at)
        .bind(session.expires_at)
        .bind(member(&session.user));
        self.db.run(insert).await?;
        Ok(())
    }

    async fn browser_session(&self, id: &Digest, now: Timestamp) -> Result<Option<BrowserSession>> {
        let select = sql(
            "SELECT user_id, authenticated_at, expires_at FROM browser_sessions \
             WHERE id = $1 AND expires_at > $2",
        );
        let found = self.db.read(select.bind(id).bind(now)).await?;
        Ok(found.as_ref().map(session).transpose()?)
    }

    async fn end_browser_session(&self, id: &Digest) -> Result<()> {
        let end = sql("DELETE FROM browser_sessions WHERE id = $1");
        self.db.run(end.bind(id)).await?;
        Ok(())
    }

    async fn end_browser_sessions(&self, user: &UserId) -> Result<()> {
        let end = sql("DELETE FROM browser_sessions WHERE user_id = $1");
        self.db.run(end.bind(user)).await?;
        Ok(())
    }
}

/// The user that a row refers to: nobody, if the person has no name here.
pub(super) fn member(user: &UserId) -> Option<String> {
    Some(user.name()?.as_str().to_owned())
}

fn session(row: &Row) -> DbResult<BrowserSession> {
    Ok(BrowserSession {
        user: row.user()?,
        authenticated_at: row.time("authenticated_at")?,
        expires_at: row.time("expires_at")?,
    })
}
