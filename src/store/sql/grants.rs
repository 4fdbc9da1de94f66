//! Grants and their tokens in a database.
//!
//! Every step that changes something under a grant locks the grant's row first. So such steps come
//! one after the other, and none of them meets a grant that is being ended.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{
    SqlStore,
    database::{DbResult, Tx, atomically},
    news::{Event, News},
    rotation::{replace, rotate},
    row::Row,
    statement::sql,
};
use crate::{
    clock::Timestamp,
    model::grant::{
        Authorization, Grant, GrantId, Origin, Revocation, Rotation, SealedAnswer, SessionOwner,
        StoredAccessToken, StoredRefreshToken,
    },
    secret::Digest,
    store::{
        Grants, Issue, MAX_ACCESS_TOKENS, MAX_REFRESH_TOKENS, RefreshOutcome, Result, Successor,
    },
};

/// How many tokens of a grant there have been.
pub(super) struct Counts {
    pub(super) access: usize,
    pub(super) refresh: usize,
}

#[async_trait]
impl Grants for SqlStore {
    async fn access_token(
        &self,
        token: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<StoredAccessToken>>> {
        let is_live = |stored: &Arc<StoredAccessToken>| stored.authorization.expires_at > now;
        if let Some(recent) = self.shared.tokens.find(token, now) {
            return Ok(Some(recent).filter(is_live));
        }
        let begun = self.shared.tokens.epoch();
        let select = sql(
            "SELECT g.user_id, g.client_id, g.last_used_at, t.grant_id, t.scopes, \
                 t.resource, t.jkt, t.issued_at, t.expires_at \
             FROM access_tokens t JOIN grants g ON g.id = t.grant_id \
             WHERE t.digest = $1 AND t.expires_at > $2",
        );
        let Some(found) = self.db.read(select.bind(token).bind(now)).await? else {
            return Ok(None);
        };
        let stored = Arc::new(access_token(*token, &found)?);
        let recent = (Arc::clone(&stored), Some(stored.authorization.grant));
        self.shared.tokens.keep(begun, *token, recent, now);
        Ok(Some(stored))
    }

    async fn refresh_token(
        &self,
        token: &Digest,
        now: Timestamp,
    ) -> Result<Option<StoredRefreshToken>> {
        let select = sql(
            "SELECT g.id, g.user_id, g.client_id, g.client_name, g.scopes, \
                 g.resource, g.jkt, g.address, g.device, g.created_at, g.last_used_at, t.issued_at, t.expires_at, \
                 t.predecessor, t.repeatable_until, t.answer \
             FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id \
             WHERE t.digest = $1 AND t.expires_at > $2",
        );
        let found = self.db.read(select.bind(token).bind(now)).await?;
        Ok(found.as_ref().map(refresh_token).transpose()?)
    }

    async fn issue(&self, issue: Issue, now: Timestamp) -> Result<()> {
        atomically!(self.db, |tx| begin(tx, &issue, now))
    }

    async fn rotate_refresh_token(
        &self,
        token: &Digest,
        successor: Successor,
        now: Timestamp,
    ) -> Result<RefreshOutcome> {
        let news = self.shared.news();
        atomically!(self.db, |tx| rotate(tx, &news, token, &successor, now))
    }

    async fn replace_answer(
        &self,
        token: &Digest,
        previous: &SealedAnswer,
        answer: SealedAnswer,
        access: Authorization,
        now: Timestamp,
    ) -> Result<bool> {
        let answers = (previous, &answer);
        atomically!(self.db, |tx| replace(tx, token, answers, &access, now))
    }

    async fn touch_grant(&self, grant: GrantId, now: Timestamp) -> Result<()> {
        let touch = sql("UPDATE grants SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2");
        self.db.run(touch.bind(grant).bind(now)).await?;
        Ok(())
    }

    async fn grants(&self, now: Timestamp) -> Result<Vec<Grant>> {
        let select = sql(
            "SELECT g.id, g.user_id, g.client_id, g.client_name, g.scopes, \
                 g.resource, g.jkt, g.address, g.device, g.created_at, g.last_used_at \
             FROM grants g \
             WHERE EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = g.id \
                     AND r.expires_at > $1 AND r.repeatable_until IS NULL) \
                 OR EXISTS (SELECT 1 FROM access_tokens a WHERE a.grant_id = g.id \
                     AND a.expires_at > $1) \
             ORDER BY g.created_at, g.id",
        );
        let rows = self.db.read_all(select.bind(now)).await?;
        Ok(rows.iter().map(grant).collect::<DbResult<_>>()?)
    }

    async fn revoke_grant(&self, grant: GrantId) -> Result<bool> {
        let news = self.shared.news();
        atomically!(self.db, |tx| revoke(tx, &news, grant))
    }

    async fn revoke_access_token(&self, token: &Digest) -> Result<bool> {
        let news = self.shared.news();
        atomically!(self.db, |tx| remove_access(tx, &news, token))
    }

    fn revocations(&self) -> broadcast::Receiver<Revocation> {
        self.shared.subscribe()
    }
}

/// Begins a grant, or goes on with it, and keeps its tokens.
pub(super) async fn begin(tx: &mut Tx, issue: &Issue, now: Timestamp) -> DbResult<()> {
    let grant = &issue.grant;
    let refresh_ends = issue.refresh.map_or(Timestamp::default(), |(_, end)| end);
    let upsert = sql(
        "INSERT INTO grants (id, user_id, client_id, client_name, scopes, resource, \
             jkt, created_at, last_used_at, ends_at, address, device, access_count, \
             refresh_count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 1) \
         ON CONFLICT (id) DO UPDATE SET access_count = grants.access_count + 1, \
             last_used_at = CASE WHEN grants.last_used_at < $9 THEN $9 \
                 ELSE grants.last_used_at END, \
             ends_at = CASE WHEN grants.ends_at < $10 THEN $10 ELSE grants.ends_at END \
         RETURNING access_count, refresh_count",
    )
    .bind(grant.id)
    .bind(&grant.user)
    .bind(&grant.client)
    .bind(grant.client_name.as_str())
    .bind(&grant.scopes)
    .bind(&*grant.resource)
    .bind(grant.jkt.map(|jkt| jkt.to_string()))
    .bind(grant.created_at)
    .bind(now)
    .bind(issue.access.expires_at.max(refresh_ends))
    .bind(grant.origin.address.map(|address| address.to_string()))
    .bind(grant.origin.device.as_deref().map(str::to_owned));
    let counts = counts(tx.one(upsert).await?)?;
    keep_access(tx, &issue.access, counts.access).await?;
    // A grant that was there already has the refresh token that it began with, if any.
    if let Some((token, expires_at)) = &issue.refresh
        && counts.access == 1
    {
        let refresh = NewRefresh {
            grant: grant.id,
            token,
            expires_at: *expires_at,
            predecessor: None,
            number: counts.refresh,
        };
        keep_refresh(tx, refresh, now).await?;
    }
    Ok(())
}

async fn revoke(tx: &mut Tx, news: &News<'_>, grant: GrantId) -> DbResult<bool> {
    news.begin();
    end(tx, news, grant).await
}

async fn remove_access(tx: &mut Tx, news: &News<'_>, token: &Digest) -> DbResult<bool> {
    news.begin();
    let remove = sql("DELETE FROM access_tokens WHERE digest = $1");
    if tx.run(remove.bind(token)).await? == 0 {
        return Ok(false);
    }
    let ended = Event::Revoked(Revocation::AccessToken(*token));
    news.add(tx, ended).await?;
    Ok(true)
}

/// Locks a grant, noting that it is used. `false` if there is none.
pub(super) async fn lock(tx: &mut Tx, grant: GrantId, now: Timestamp) -> DbResult<bool> {
    let lock = sql(
        "UPDATE grants SET last_used_at = CASE WHEN last_used_at < $2 THEN $2 \
             ELSE last_used_at END \
         WHERE id = $1",
    );
    Ok(tx.run(lock.bind(grant).bind(now)).await? > 0)
}

pub(super) fn counts(row: Option<Row>) -> DbResult<Counts> {
    let row = row.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Counts {
        access: row.count("access_count")?,
        refresh: row.count("refresh_count")?,
    })
}

pub(super) async fn keep_access(tx: &mut Tx, token: &Authorization, number: usize) -> DbResult<()> {
    let insert = sql(
        "INSERT INTO access_tokens (digest, grant_id, number, scopes, resource, jkt, \
             issued_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&token.token)
    .bind(token.grant)
    .bind(number)
    .bind(&token.scopes)
    .bind(&*token.resource)
    .bind(token.jkt.map(|jkt| jkt.to_string()))
    .bind(token.issued_at)
    .bind(token.expires_at);
    tx.run(insert).await?;
    if number > MAX_ACCESS_TOKENS {
        let prune = sql("DELETE FROM access_tokens WHERE grant_id = $1 AND number <= $2");
        let prune = prune.bind(token.grant).bind(number - MAX_ACCESS_TOKENS);
        tx.run(prune).await?;
    }
    Ok(())
}

/// A refresh token that is about to be kept.
pub(super) struct NewRefresh<'a> {
    pub(super) grant: GrantId,
    pub(super) token: &'a Digest,
    pub(super) expires_at: Timestamp,
    pub(super) predecessor: Option<Digest>,
    pub(super) number: usize,
}

pub(super) async fn keep_refresh(tx: &mut Tx, new: NewRefresh<'_>, now: Timestamp) -> DbResult<()> {
    let insert = sql(
        "INSERT INTO refresh_tokens (digest, grant_id, number, issued_at, \
             expires_at, predecessor) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.token)
    .bind(new.grant)
    .bind(new.number)
    .bind(now)
    .bind(new.expires_at)
    .bind(new.predecessor);
    tx.run(insert).await?;
    if new.number > MAX_REFRESH_TOKENS {
        let prune = sql("DELETE FROM refresh_tokens WHERE grant_id = $1 AND number <= $2")
            .bind(new.grant)
            .bind(new.number - MAX_REFRESH_TOKENS);
        tx.run(prune).await?;
    }
    Ok(())
}

/// Ends a grant. Its tokens go with it. `false` if there is none.
pub(super) async fn end(tx: &mut Tx, news: &News<'_>, grant: GrantId) -> DbResult<bool> {
    let remove = sql("DELETE FROM grants WHERE id = $1 RETURNING user_id, client_id");
    let Some(ended) = tx.one(remove.bind(grant)).await? else {
        return Ok(false);
    };
    let forget = sql("DELETE FROM consents WHERE client_id = $1 AND user_id = $2")
        .bind(&ended.client()?)
        .bind(&ended.user()?);
    tx.run(forget).await?;
    news.add(tx, Event::Revoked(Revocation::Grant(grant)))
        .await?;
    Ok(true)
}

fn access_token(token: Digest, row: &Row) -> DbResult<StoredAccessToken> {
    let authorization = Authorization {
        owner: SessionOwner {
            user: row.user()?,
            client: row.client()?,
        },
        grant: row.grant_id("grant_id")?,
        scopes: row.scopes()?,
        resource: row.text("resource")?.into(),
        jkt: row.jkt()?,
        token,
        issued_at: row.time("issued_at")?,
        expires_at: row.time("expires_at")?,
    };
    Ok(StoredAccessToken::new(
        authorization,
        row.time("last_used_at")?,
    ))
}

fn refresh_token(row: &Row) -> DbResult<StoredRefreshToken> {
    Ok(StoredRefreshToken {
        grant: Arc::new(grant(row)?),
        issued_at: row.time("issued_at")?,
        expires_at: row.time("expires_at")?,
        predecessor: row.maybe_digest("predecessor")?,
        rotation: rotation(row)?,
    })
}

/// The answer is gone some time after it could be repeated; that there was one is not.
pub(super) fn rotation(row: &Row) -> DbResult<Option<Rotation>> {
    let Some(repeatable_until) = row.maybe_time("repeatable_until")? else {
        return Ok(None);
    };
    let answer = row.maybe_bytes("answer")?.unwrap_or_default();
    Ok(Some(Rotation {
        repeatable_until,
        answer: SealedAnswer(answer.into()),
    }))
}

pub(super) fn grant(row: &Row) -> DbResult<Grant> {
    Ok(Grant {
        id: row.grant_id("id")?,
        user: row.user()?,
        client: row.client()?,
        client_name: row.text("client_name")?,
        scopes: row.scopes()?,
        resource: row.text("resource")?.into(),
        jkt: row.jkt()?,
        origin: Origin {
            address: row
                .maybe_text("address")?
                .and_then(|text| text.parse().ok()),
            device: row.maybe_text("device")?.map(String::into_boxed_str),
        },
        created_at: row.time("created_at")?,
        last_used_at: row.time("last_used_at")?,
    })
}
