//! Authorizations on their way, in a database.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    SqlStore,
    browser_sessions::member,
    clients::mark_proven,
    database::{DbResult, Tx, atomically},
    grants::begin,
    kept,
    row::Row,
    statement::sql,
};
use crate::{
    clock::Timestamp,
    model::{
        authorization::{CodeGrant, PendingAuthorization, StoredCode},
        grant::GrantId,
    },
    secret::Digest,
    store::{Authorizations, Consent, Issue, Redemption, Result},
};

/// The two kinds of requests.
#[derive(Clone, Copy)]
enum Kind {
    /// Waits for a person.
    Pending = 0,
    /// Was pushed by a client.
    Pushed = 1,
}

impl SqlStore {
    async fn insert_request(
        &self,
        kind: Kind,
        id: Digest,
        request: PendingAuthorization,
    ) -> Result<()> {
        let quota = match kind {
            Kind::Pending => &self.quotas.pending,
            Kind::Pushed => &self.quotas.pushed,
        };
        let count = sql("SELECT COUNT(*) AS count FROM requests WHERE kind = $1");
        let evict = sql("DELETE FROM requests WHERE seq IN \
             (SELECT seq FROM requests WHERE kind = $1 ORDER BY seq LIMIT $2)");
        let [count, evict] = [count, evict].map(|statement| statement.bind(kind as i64));
        self.make_room(quota, count, evict).await?;
        let insert = sql(
            "INSERT INTO requests (kind, id, browser, request, expires_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(kind as i64)
        .bind(&id)
        .bind(request.browser)
        .bind(kept::request_to_json(&request))
        .bind(request.expires_at);
        self.db.run(insert).await?;
        Ok(())
    }

    async fn request(
        &self,
        kind: Kind,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<PendingAuthorization>> {
        let select = sql("SELECT browser, request, expires_at FROM requests \
             WHERE kind = $1 AND id = $2 AND expires_at > $3")
        .bind(kind as i64)
        .bind(id)
        .bind(now);
        let found = self.db.read(select).await?;
        Ok(found.as_ref().map(kept::request).transpose()?)
    }
}

#[async_trait]
impl Authorizations for SqlStore {
    async fn insert_pending(&self, id: Digest, pending: PendingAuthorization) -> Result<()> {
        self.insert_request(Kind::Pending, id, pending).await
    }

    async fn pending(
        &self,
        id: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>> {
        let Some(found) = self.request(Kind::Pending, id, now).await? else {
            return Ok(None);
        };
        if found.browser.is_some() {
            return Ok((found.browser == Some(*browser)).then(|| Arc::new(found)));
        }
        // One of those who come with it is the first.
        let bind = sql("UPDATE requests SET browser = $3 \
             WHERE kind = $1 AND id = $2 AND (browser IS NULL OR browser = $3) \
             RETURNING browser, request, expires_at")
        .bind(Kind::Pending as i64)
        .bind(id)
        .bind(browser);
        let bound = self.db.run_one(bind).await?;
        Ok(bound.as_ref().map(kept::request).transpose()?.map(Arc::new))
    }

    async fn insert_pushed(&self, id: Digest, pending: PendingAuthorization) -> Result<()> {
        self.insert_request(Kind::Pushed, id, pending).await
    }

    async fn pushed(
        &self,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>> {
        Ok(self.request(Kind::Pushed, id, now).await?.map(Arc::new))
    }

    async fn take_pending(
        &self,
        id: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Arc<PendingAuthorization>>> {
        let take = sql("DELETE FROM requests \
             WHERE kind = $1 AND id = $2 AND expires_at > $4 AND (browser IS NULL OR browser = $3) \
             RETURNING browser, request, expires_at")
        .bind(Kind::Pending as i64)
        .bind(id)
        .bind(browser)
        .bind(now);
        let Some(taken) = self.db.run_one(take).await? else {
            return Ok(None);
        };
        let mut taken = kept::request(&taken)?;
        taken.browser = Some(*browser);
        Ok(Some(Arc::new(taken)))
    }

    async fn insert_code(&self, code: Digest, grant: CodeGrant) -> Result<()> {
        let insert = sql(
            "INSERT INTO codes (digest, client_id, code, expires_at, member) \
             SELECT $1, $2, $3, $4, $5 \
                 WHERE $5 IS NULL OR EXISTS (SELECT 1 FROM users WHERE name = $5)",
        )
        .bind(&code)
        .bind(&grant.client)
        .bind(kept::code_to_json(&grant))
        .bind(grant.expires_at)
        .bind(member(&grant.user));
        self.db.run(insert).await?;
        Ok(())
    }

    async fn code(&self, code: &Digest, now: Timestamp) -> Result<Option<StoredCode>> {
        let select = sql("SELECT code, expires_at, redeemed FROM codes \
             WHERE digest = $1 AND (redeemed IS NOT NULL OR expires_at > $2)")
        .bind(code)
        .bind(now);
        let found = self.db.read(select).await?;
        Ok(found.as_ref().map(stored_code).transpose()?)
    }

    async fn redeem_code(&self, code: &Digest, issue: Issue, now: Timestamp) -> Result<Redemption> {
        let redeemed = atomically!(self.db, |tx| redeem(tx, code, &issue, now));
        match redeemed {
            // It may have been done, and the database's word been lost. Nobody would believe the client
            // when it comes back: that would be a second time.
            Err(_) if self.came_of(code, issue.grant.id).await => Ok(Redemption::Redeemed),
            redeemed => redeemed,
        }
    }

    async fn remember_consent(&self, consent: Consent) -> Result<()> {
        let insert = sql(
            "INSERT INTO consents (digest, user_id, client_id) VALUES ($1, $2, $3) \
             ON CONFLICT (digest) DO NOTHING",
        )
        .bind(&exactly(&consent))
        .bind(&consent.user)
        .bind(&consent.client);
        self.db.run(insert).await?;
        Ok(())
    }

    async fn is_consent_remembered(&self, consent: &Consent) -> Result<bool> {
        let select = sql("SELECT 1 AS found FROM consents WHERE digest = $1");
        let found = self.db.read(select.bind(&exactly(consent))).await?;
        Ok(found.is_some())
    }
}

impl SqlStore {
    /// Whether a code was redeemed for that grant, as far as can be told at the moment.
    async fn came_of(&self, code: &Digest, grant: GrantId) -> bool {
        let select = sql("SELECT 1 AS found FROM codes WHERE digest = $1 AND redeemed = $2");
        let found = self.db.read(select.bind(code).bind(grant)).await;
        matches!(found, Ok(Some(_)))
    }
}

async fn redeem(tx: &mut Tx, code: &Digest, issue: &Issue, now: Timestamp) -> DbResult<Redemption> {
    let redeem = sql("UPDATE codes SET redeemed = $2 \
         WHERE digest = $1 AND redeemed IS NULL AND expires_at > $3")
    .bind(code)
    .bind(issue.grant.id)
    .bind(now);
    if tx.run(redeem).await? == 0 {
        // Whoever was first is done: their mark was waited for.
        let first = sql("SELECT redeemed FROM codes WHERE digest = $1 AND redeemed IS NOT NULL");
        return Ok(match tx.one(first.bind(code)).await? {
            Some(row) => Redemption::AlreadyRedeemed(row.grant_id("redeemed")?),
            None => Redemption::Unknown,
        });
    }
    mark_proven(tx, &issue.grant.client).await?;
    begin(tx, issue, now).await?;
    Ok(Redemption::Redeemed)
}

fn stored_code(row: &Row) -> DbResult<StoredCode> {
    let redeemed = row.maybe_text("redeemed")?;
    Ok(StoredCode {
        code: Arc::new(kept::code(row)?),
        redeemed: redeemed.map(|_| row.grant_id("redeemed")).transpose()?,
    })
}

/// Everything that a consent is about, in one digest. As JSON, so that no two say the same.
fn exactly(consent: &Consent) -> Digest {
    let parts = [
        consent.user.as_str(),
        consent.client.as_str(),
        &consent.appearance.to_base64url(),
        consent.redirect_uri.as_str(),
        &consent.scopes.to_string(),
    ];
    Digest::derive("consent", &kept::to_json(&parts))
}
