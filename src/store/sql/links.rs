//! What identity providers gave for people, in a database. Whoever replaces something names the version
//! that they have seen.

use async_trait::async_trait;

use super::{
    SqlStore,
    database::DbResult,
    row::{Row, damaged},
    statement::sql,
};
use crate::{
    clock::Timestamp,
    model::{
        provider::{Link, SealedTokens},
        user::UserId,
    },
    store::{Links, Result},
};

#[async_trait]
impl Links for SqlStore {
    async fn keep_link(&self, user: &UserId, provider: &str, sealed: SealedTokens) -> Result<()> {
        let keep = sql(
            "INSERT INTO links (user_id, provider, version, key_generation, sealed) \
             VALUES ($1, $2, 0, $3, $4) \
             ON CONFLICT (user_id, provider) DO UPDATE SET version = links.version + 1, \
                 key_generation = excluded.key_generation, sealed = excluded.sealed, \
                 claimed_until = NULL",
        )
        .bind(user)
        .bind(provider)
        .bind(sealed.key)
        .bind(&*sealed.bytes);
        self.db.run(keep).await?;
        Ok(())
    }

    async fn link(&self, user: &UserId, provider: &str) -> Result<Option<Link>> {
        let select = sql(
            "SELECT version, key_generation, sealed, claimed_until FROM links \
             WHERE user_id = $1 AND provider = $2",
        );
        let found = self.db.read(select.bind(user).bind(provider)).await?;
        Ok(found.as_ref().map(link).transpose()?)
    }

    async fn claim_link(
        &self,
        user: &UserId,
        provider: &str,
        version: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let claim = sql("UPDATE links SET claimed_until = $4 \
             WHERE user_id = $1 AND provider = $2 AND version = $3 \
                 AND (claimed_until IS NULL OR claimed_until <= $5)")
        .bind(user)
        .bind(provider)
        .bind(version)
        .bind(until)
        .bind(now);
        Ok(self.db.run(claim).await? > 0)
    }

    async fn replace_link(
        &self,
        user: &UserId,
        provider: &str,
        version: u64,
        sealed: Option<SealedTokens>,
    ) -> Result<bool> {
        let replace = match sealed {
            Some(sealed) => sql(
                "UPDATE links SET version = version + 1, claimed_until = NULL, \
                     key_generation = $4, sealed = $5 \
                 WHERE user_id = $1 AND provider = $2 AND version = $3",
            )
            .bind(user)
            .bind(provider)
            .bind(version)
            .bind(sealed.key)
            .bind(&*sealed.bytes),
            None => sql("UPDATE links SET claimed_until = NULL \
                 WHERE user_id = $1 AND provider = $2 AND version = $3")
            .bind(user)
            .bind(provider)
            .bind(version),
        };
        Ok(self.db.run(replace).await? > 0)
    }

    async fn end_link(&self, user: &UserId, provider: &str, version: u64) -> Result<bool> {
        let end = sql("DELETE FROM links WHERE user_id = $1 AND provider = $2 AND version = $3")
            .bind(user)
            .bind(provider)
            .bind(version);
        Ok(self.db.run(end).await? > 0)
    }
}

fn link(row: &Row) -> DbResult<Link> {
    let count = |column: &str| u64::try_from(row.int(column)?).map_err(|_| damaged(column));
    Ok(Link {
        version: count("version")?,
        sealed: SealedTokens {
            key: count("key_generation")?,
            bytes: row.bytes("sealed")?.into(),
        },
        claimed_until: row.maybe_time("claimed_until")?,
    })
}
