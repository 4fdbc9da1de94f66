//! MCP sessions in a database.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    SqlStore,
    database::{DbResult, Tx, atomically},
    news::{Event, News},
    quota::Quota,
    row::{Row, damaged},
    statement::{Statement, sql},
};
use crate::{
    clock::Timestamp,
    model::{
        USE_RECORDED_EVERY,
        mcp_session::{McpSession, ProtocolVersion},
    },
    secret::Digest,
    store::{MAX_SUBSCRIPTIONS, McpSessions, Result, SessionOwner},
};

/// Owners whose sessions we know the number of. Whoever is not among them is counted.
const KNOWN_OWNERS: usize = 10_000;

/// The cap of each owner.
#[derive(Debug)]
pub(super) struct OwnerQuotas {
    cap: usize,
    by_owner: Mutex<HashMap<SessionOwner, Arc<Quota>>>,
}

impl OwnerQuotas {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            cap,
            by_owner: Mutex::default(),
        }
    }

    fn of(&self, owner: &SessionOwner) -> Arc<Quota> {
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = by_owner.get(owner) {
            return Arc::clone(quota);
        }
        if by_owner.len() >= KNOWN_OWNERS {
            by_owner.clear();
        }
        let quota = Arc::new(Quota::new(self.cap));
        by_owner.insert(owner.clone(), Arc::clone(&quota));
        quota
    }
}

impl SqlStore {
    async fn make_room_for_session(&self, owner: &SessionOwner) -> Result<()> {
        let theirs = |statement: Statement| statement.bind(&owner.client).bind(&owner.user);
        let count = theirs(sql("SELECT COUNT(*) AS count FROM mcp_sessions \
             WHERE client_id = $1 AND user_id = $2"));
        let evict = theirs(sql("DELETE FROM mcp_sessions WHERE id IN \
             (SELECT id FROM mcp_sessions WHERE client_id = $1 AND user_id = $2 \
                 ORDER BY expires_at LIMIT $3)"));
        let quota = self.quotas.mcp_sessions_of_owner.of(owner);
        if self.make_room(&quota, count, evict).await? {
            self.shared.sessions.clear();
        }
        let count = sql("SELECT COUNT(*) AS count FROM mcp_sessions");
        let evict = sql("DELETE FROM mcp_sessions WHERE id IN \
             (SELECT id FROM mcp_sessions ORDER BY expires_at LIMIT $1)");
        let quota = &self.quotas.mcp_sessions;
        if self.make_room(quota, count, evict).await? {
            self.shared.sessions.clear();
        }
        Ok(())
    }

    async fn find_session(
        &self,
        owner: &SessionOwner,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<McpSession>> {
        if let Some((whose, session)) = self.shared.sessions.find(id, now) {
            let is_theirs = whose == *owner && session.expires_at > now;
            return Ok(is_theirs.then_some(session));
        }
        let begun = self.shared.sessions.epoch();
        let select = sql(
            "SELECT protocol_version, client_capabilities, log_level, expires_at \
             FROM mcp_sessions \
             WHERE id = $1 AND client_id = $2 AND user_id = $3 AND expires_at > $4",
        )
        .bind(id)
        .bind(&owner.client)
        .bind(&owner.user)
        .bind(now);
        let found = self.db.read(select).await?;
        let found = found.as_ref().map(session).transpose()?;
        if let Some(session) = found {
            let recent = ((owner.clone(), session), None);
            self.shared.sessions.keep(begun, *id, recent, now);
        }
        Ok(found)
    }
}

#[async_trait]
impl McpSessions for SqlStore {
    async fn insert_mcp_session(
        &self,
        owner: &SessionOwner,
        id: Digest,
        session: McpSession,
    ) -> Result<()> {
        self.make_room_for_session(owner).await?;
        let insert = sql(
            "INSERT INTO mcp_sessions (id, user_id, client_id, protocol_version, \
                 client_capabilities, log_level, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&id)
        .bind(&owner.user)
        .bind(&owner.client)
        .bind(session.protocol_version.as_str())
        .bind(i64::from(session.client_capabilities))
        .bind(session.log_level.map(i64::from))
        .bind(session.expires_at);
        self.db.run(insert).await?;
        Ok(())
    }

    async fn mcp_session(
        &self,
        owner: &SessionOwner,
        id: &Digest,
        now: Timestamp,
        idle_timeout: Duration,
    ) -> Result<Option<McpSession>> {
        let Some(found) = self.find_session(owner, id, now).await? else {
            return Ok(None);
        };
        let renewed = now + idle_timeout;
        if renewed.since(found.expires_at) < USE_RECORDED_EVERY {
            return Ok(Some(found));
        }
        let begun = self.shared.sessions.epoch();
        let renew = sql("UPDATE mcp_sessions \
             SET expires_at = CASE WHEN expires_at < $5 THEN $5 ELSE expires_at END \
             WHERE id = $1 AND client_id = $2 AND user_id = $3 AND expires_at > $4 \
             RETURNING protocol_version, client_capabilities, log_level, expires_at")
        .bind(id)
        .bind(&owner.client)
        .bind(&owner.user)
        .bind(now)
        .bind(renewed);
        let renewed = self.db.run_one(renew).await?;
        let renewed = renewed.as_ref().map(session).transpose()?;
        match renewed {
            Some(session) => {
                let recent = ((owner.clone(), session), None);
                self.shared.sessions.keep(begun, *id, recent, now);
            }
            // It was ended elsewhere, and we had not heard of it.
            None => self.shared.sessions.remove(id),
        }
        Ok(renewed)
    }

    async fn end_mcp_session(&self, owner: &SessionOwner, id: &Digest) -> Result<bool> {
        let news = self.shared.news();
        atomically!(self.db, |tx| end(tx, &news, owner, id))
    }

    async fn set_log_level(&self, owner: &SessionOwner, id: &Digest, level: u8) -> Result<()> {
        let news = self.shared.news();
        atomically!(self.db, |tx| set_log_level(tx, &news, owner, id, level))
    }

    async fn subscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<bool> {
        let insert = sql("INSERT INTO mcp_subscriptions (session_id, digest, uri) \
             SELECT id, $4, $5 FROM mcp_sessions \
             WHERE id = $1 AND client_id = $2 AND user_id = $3 \
                 AND (SELECT COUNT(*) FROM mcp_subscriptions WHERE session_id = $1) < $6 \
             ON CONFLICT (session_id, digest) DO NOTHING")
        .bind(id)
        .bind(&owner.client)
        .bind(&owner.user)
        .bind(&Digest::of(uri))
        .bind(uri.as_bytes())
        .bind(MAX_SUBSCRIPTIONS);
        if self.db.run(insert).await? > 0 {
            return Ok(true);
        }
        let kept = self.subscriptions(owner, id).await?;
        Ok(kept.iter().any(|kept| **kept == *uri))
    }

    async fn unsubscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<()> {
        let delete = sql("DELETE FROM mcp_subscriptions \
             WHERE session_id = $1 AND digest = $4 AND EXISTS \
                 (SELECT 1 FROM mcp_sessions WHERE id = $1 AND client_id = $2 AND user_id = $3)")
        .bind(id)
        .bind(&owner.client)
        .bind(&owner.user)
        .bind(&Digest::of(uri));
        self.db.run(delete).await?;
        Ok(())
    }

    async fn subscriptions(&self, owner: &SessionOwner, id: &Digest) -> Result<Vec<Box<str>>> {
        let select = sql("SELECT uri FROM mcp_subscriptions \
             JOIN mcp_sessions ON mcp_sessions.id = mcp_subscriptions.session_id \
             WHERE session_id = $1 AND client_id = $2 AND user_id = $3")
        .bind(id)
        .bind(&owner.client)
        .bind(&owner.user);
        let rows = self.db.read_all(select).await?;
        let uris = rows.iter().map(|row| {
            let uri = String::from_utf8(row.bytes("uri")?).map_err(|_| damaged("uri"))?;
            Ok(uri.into())
        });
        Ok(uris.collect::<DbResult<_>>()?)
    }
}

async fn set_log_level(
    tx: &mut Tx,
    news: &News<'_>,
    owner: &SessionOwner,
    id: &Digest,
    level: u8,
) -> DbResult<()> {
    news.begin();
    let update = sql("UPDATE mcp_sessions SET log_level = $4 \
         WHERE id = $1 AND client_id = $2 AND user_id = $3")
    .bind(id)
    .bind(&owner.client)
    .bind(&owner.user)
    .bind(i64::from(level));
    if tx.run(update).await? > 0 {
        news.add(tx, Event::SessionChanged(*id)).await?;
    }
    Ok(())
}

async fn end(tx: &mut Tx, news: &News<'_>, owner: &SessionOwner, id: &Digest) -> DbResult<bool> {
    news.begin();
    let remove = sql("DELETE FROM mcp_sessions WHERE id = $1 AND client_id = $2 AND user_id = $3")
        .bind(id)
        .bind(&owner.client)
        .bind(&owner.user);
    if tx.run(remove).await? == 0 {
        return Ok(false);
    }
    news.add(tx, Event::SessionChanged(*id)).await?;
    Ok(true)
}

fn session(row: &Row) -> DbResult<McpSession> {
    let version = ProtocolVersion::parse(&row.text("protocol_version")?);
    let capabilities = u8::try_from(row.int("client_capabilities")?);
    let log_level = row.maybe_int("log_level")?.map(u8::try_from).transpose();
    Ok(McpSession {
        protocol_version: version.ok_or_else(|| damaged("protocol_version"))?,
        client_capabilities: capabilities.map_err(|_| damaged("client_capabilities"))?,
        log_level: log_level.map_err(|_| damaged("log_level"))?,
        expires_at: row.time("expires_at")?,
    })
}
