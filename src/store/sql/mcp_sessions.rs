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
    kept::to_json,
    news::{Event, News},
    quota::Quota,
    row::{Row, damaged},
    session_mail::end_streams,
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
        let quota = self.quotas.mcp_sessions_of_owner.of(owner);
        if !quota.take() {
            let count = sql("SELECT COUNT(*) AS count FROM mcp_sessions \
                 WHERE client_id = $1 AND user_id = $2")
            .bind(&owner.client)
            .bind(&owner.user);
            let excess = quota.counted(self.count(count).await?);
            if excess > 0 {
                let evict = sql("DELETE FROM mcp_sessions WHERE id IN \
                     (SELECT id FROM mcp_sessions WHERE client_id = $1 AND user_id = $2 \
                         ORDER BY expires_at LIMIT $3)")
                .bind(&owner.client)
                .bind(&owner.user)
                .bind(excess);
                self.db.run(evict).await?;
                self.shared.sessions.clear();
            }
        }
        let quota = &self.quotas.mcp_sessions;
        if !quota.take() {
            let count = sql("SELECT COUNT(*) AS count FROM mcp_sessions");
            let excess = quota.counted(self.count(count).await?);
            if excess > 0 {
                let evict = sql("DELETE FROM mcp_sessions WHERE id IN \
                     (SELECT id FROM mcp_sessions ORDER BY expires_at LIMIT $1)");
                self.db.run(evict.bind(excess)).await?;
                self.shared.sessions.clear();
            }
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
        atomically!(self.db, |tx| set_level(tx, &news, (owner, id), level))
    }

    async fn subscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<bool> {
        atomically!(self.db, |tx| subscribe(tx, (owner, id), uri))
    }

    async fn unsubscribe(&self, owner: &SessionOwner, id: &Digest, uri: &str) -> Result<()> {
        let remove = sql(
            "DELETE FROM session_subscriptions WHERE session = $1 AND digest = $4 AND EXISTS \
                 (SELECT 1 FROM mcp_sessions WHERE id = $1 AND client_id = $2 AND user_id = $3)",
        );
        let remove = of_session(remove, (owner, id)).bind(&Digest::of(uri));
        self.db.run(remove).await?;
        Ok(())
    }

    async fn subscriptions(&self, owner: &SessionOwner, id: &Digest) -> Result<Vec<Box<str>>> {
        let select = sql(
            "SELECT t.uri FROM session_subscriptions t JOIN mcp_sessions s ON s.id = t.session \
             WHERE t.session = $1 AND s.client_id = $2 AND s.user_id = $3",
        );
        let rows = self.db.read_all(of_session(select, (owner, id))).await?;
        let uris = rows.iter().map(|row| row.json("uri"));
        Ok(uris.collect::<DbResult<_>>()?)
    }
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
    end_streams(tx, id).await?;
    news.add(tx, Event::SessionChanged(*id)).await?;
    Ok(true)
}

async fn set_level(
    tx: &mut Tx,
    news: &News<'_>,
    session: (&SessionOwner, &Digest),
    level: u8,
) -> DbResult<()> {
    news.begin();
    let set = sql(
        "UPDATE mcp_sessions SET log_level = $4 WHERE id = $1 AND client_id = $2 AND user_id = $3",
    );
    tx.run(of_session(set, session).bind(i64::from(level)))
        .await?;
    news.add(tx, Event::SessionChanged(*session.1)).await
}

async fn subscribe(tx: &mut Tx, session: (&SessionOwner, &Digest), uri: &str) -> DbResult<bool> {
    // The session is locked, so that nobody counts at the same time.
    let lock = sql("UPDATE mcp_sessions SET expires_at = expires_at \
         WHERE id = $1 AND client_id = $2 AND user_id = $3");
    if tx.run(of_session(lock, session)).await? == 0 {
        return Ok(false);
    }
    let digest = Digest::of(uri);
    let select = sql(
        "SELECT COUNT(*) AS count, COUNT(CASE WHEN digest = $2 THEN 1 END) AS same \
         FROM session_subscriptions WHERE session = $1",
    );
    let found = tx.one(select.bind(session.1).bind(&digest)).await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    if found.is_set("same")? {
        return Ok(true);
    }
    if found.count("count")? >= MAX_SUBSCRIPTIONS {
        return Ok(false);
    }
    let insert =
        sql("INSERT INTO session_subscriptions (session, digest, uri) VALUES ($1, $2, $3)")
            .bind(session.1)
            .bind(&digest)
            .bind(to_json(&uri));
    tx.run(insert).await?;
    Ok(true)
}

/// A statement about a session of an owner, from `$1` to `$3`.
fn of_session(statement: Statement, (owner, id): (&SessionOwner, &Digest)) -> Statement {
    statement.bind(id).bind(&owner.client).bind(&owner.user)
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
