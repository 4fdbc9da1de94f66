//! Users in a database. What is begun on behalf of one refers to them, so that the database itself
//! keeps anything from beginning after they are removed.

use async_trait::async_trait;

use super::{
    SqlStore,
    database::{DbResult, Tx, atomically},
    news::{Event, News},
    row::{Row, damaged},
    statement::sql,
};
use crate::{
    model::{
        grant::Revocation,
        user::{NamedUser, UserId, UserName},
    },
    secret::PasswordHash,
    store::{Result, Users},
};

#[async_trait]
impl Users for SqlStore {
    async fn add_user(&self, user: NamedUser) -> Result<bool> {
        let insert = sql(
            "INSERT INTO users (name, password, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(user.name.as_str())
        .bind(user.password.expose())
        .bind(user.created_at);
        Ok(self.db.run(insert).await? > 0)
    }

    async fn user(&self, name: &UserName) -> Result<Option<NamedUser>> {
        let select = sql("SELECT name, password, created_at FROM users WHERE name = $1");
        let found = self.db.read(select.bind(name.as_str())).await?;
        Ok(found.as_ref().map(user).transpose()?)
    }

    async fn users(&self) -> Result<Vec<NamedUser>> {
        let select = sql("SELECT name, password, created_at FROM users ORDER BY name");
        let rows = self.db.read_all(select).await?;
        Ok(rows.iter().map(user).collect::<DbResult<_>>()?)
    }

    async fn has_users(&self) -> Result<bool> {
        let select = sql("SELECT name FROM users LIMIT 1");
        Ok(self.db.read(select).await?.is_some())
    }

    async fn set_password(&self, name: &UserName, password: PasswordHash) -> Result<bool> {
        atomically!(self.db, |tx| set_password(tx, name, &password))
    }

    async fn replace_password_hash(
        &self,
        name: &UserName,
        previous: &PasswordHash,
        password: PasswordHash,
    ) -> Result<()> {
        let update = sql("UPDATE users SET password = $3 WHERE name = $1 AND password = $2")
            .bind(name.as_str())
            .bind(previous.expose())
            .bind(password.expose());
        self.db.run(update).await?;
        Ok(())
    }

    async fn remove_user(&self, name: &UserName) -> Result<bool> {
        let news = self.shared.news();
        atomically!(self.db, |tx| remove(tx, &news, name))
    }
}

async fn set_password(tx: &mut Tx, name: &UserName, password: &PasswordHash) -> DbResult<bool> {
    let update = sql("UPDATE users SET password = $2 WHERE name = $1");
    let update = update.bind(name.as_str()).bind(password.expose());
    if tx.run(update).await? == 0 {
        return Ok(false);
    }
    let sign_out = sql("DELETE FROM browser_sessions WHERE member = $1");
    tx.run(sign_out.bind(name.as_str())).await?;
    Ok(true)
}

async fn remove(tx: &mut Tx, news: &News<'_>, name: &UserName) -> DbResult<bool> {
    news.begin();
    // Sessions and codes go with it. Whoever keeps one at the moment, or redeems one, is waited for
    // here, and the grant that they began is seen below.
    let remove = sql("DELETE FROM users WHERE name = $1");
    if tx.run(remove.bind(name.as_str())).await? == 0 {
        return Ok(false);
    }
    let user = UserId::named(name);
    let consents = sql("DELETE FROM consents WHERE user_id = $1");
    tx.run(consents.bind(&user)).await?;
    let grants = sql("DELETE FROM grants WHERE user_id = $1 RETURNING id");
    for row in tx.all(grants.bind(&user)).await? {
        let ended = Revocation::Grant(row.grant_id("id")?);
        news.add(tx, Event::Revoked(ended)).await?;
    }
    Ok(true)
}

fn user(row: &Row) -> DbResult<NamedUser> {
    Ok(NamedUser {
        name: UserName::parse(&row.text("name")?).map_err(|_| damaged("name"))?,
        password: PasswordHash::phc(row.text("password")?),
        created_at: row.time("created_at")?,
    })
}
