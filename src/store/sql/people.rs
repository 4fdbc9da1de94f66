//! People whom identity providers know, in a database.

use async_trait::async_trait;

use super::{SqlStore, database::DbResult, row::Row, statement::sql};
use crate::{
    clock::Timestamp,
    model::{
        provider::Departure,
        user::{Profile, UserId},
    },
    secret::Digest,
    store::{People, Result},
};

#[async_trait]
impl People for SqlStore {
    async fn insert_departure(&self, state: Digest, departure: Departure) -> Result<()> {
        let count = sql("SELECT COUNT(*) AS count FROM departures");
        let evict = sql("DELETE FROM departures WHERE state IN \
             (SELECT state FROM departures ORDER BY expires_at LIMIT $1)");
        self.make_room(&self.quotas.departures, count, evict)
            .await?;
        let insert = sql(
            "INSERT INTO departures (state, provider, browser, return_to, allowed, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&state)
        .bind(departure.provider)
        .bind(&departure.browser)
        .bind(departure.return_to)
        .bind(departure.allowed)
        .bind(departure.expires_at);
        self.db.run(insert).await?;
        Ok(())
    }

    async fn take_departure(
        &self,
        state: &Digest,
        browser: &Digest,
        now: Timestamp,
    ) -> Result<Option<Departure>> {
        let take = sql(
            "DELETE FROM departures WHERE state = $1 AND browser = $2 AND expires_at > $3 \
             RETURNING provider, browser, return_to, allowed, expires_at",
        )
        .bind(state)
        .bind(browser)
        .bind(now);
        let taken = self.db.run_one(take).await?;
        Ok(taken.as_ref().map(departure).transpose()?)
    }

    async fn keep_profile(&self, user: &UserId, profile: Profile) -> Result<()> {
        let keep = sql(
            "INSERT INTO profiles (user_id, name, email) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, email = excluded.email",
        )
        .bind(user)
        .bind(profile.name)
        .bind(profile.email);
        self.db.run(keep).await?;
        Ok(())
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>> {
        let select = sql("SELECT name, email FROM profiles WHERE user_id = $1");
        let Some(row) = self.db.read(select.bind(user)).await? else {
            return Ok(None);
        };
        Ok(Some(Profile {
            name: row.maybe_text("name")?,
            email: row.maybe_text("email")?,
        }))
    }
}

fn departure(row: &Row) -> DbResult<Departure> {
    Ok(Departure {
        provider: row.text("provider")?,
        browser: row.digest("browser")?,
        return_to: row.text("return_to")?,
        allowed: row.maybe_text("allowed")?,
        expires_at: row.time("expires_at")?,
    })
}
