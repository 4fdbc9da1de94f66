//! Clients in a database.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    SqlStore,
    database::{DbResult, Tx, atomically},
    kept::to_json,
    news::{Event, News},
    row::Row,
    statement::{Statement, sql},
};
use crate::{
    model::{
        client::{Client, ClientId, DocumentCopy},
        client_metadata::ClientMetadata,
        grant::Revocation,
    },
    secret::Digest,
    store::{Clients, Result},
};

impl SqlStore {
    /// Keeps a client, new or not.
    async fn keep_client(&self, client: &Client) -> Result<()> {
        let count = sql("SELECT COUNT(*) AS count FROM clients WHERE proven = 0");
        // One that is let in at this very moment is none of them any more.
        let evict = sql("DELETE FROM clients WHERE proven = 0 AND seq IN \
             (SELECT seq FROM clients WHERE proven = 0 ORDER BY seq LIMIT $1)");
        self.make_room(&self.quotas.clients, count, evict).await?;
        let keep = sql(
            "INSERT INTO clients (id, secret, registration_token, issued_at, \
                 fresh_until, declined_refresh_tokens, metadata, proven) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0) \
             ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, \
                 registration_token = excluded.registration_token, \
                 issued_at = excluded.issued_at, fresh_until = excluded.fresh_until, \
                 declined_refresh_tokens = excluded.declined_refresh_tokens, \
                 metadata = excluded.metadata",
        );
        self.db.run(with_client(keep, client)).await?;
        Ok(())
    }
}

#[async_trait]
impl Clients for SqlStore {
    async fn insert_client(&self, client: Client) -> Result<()> {
        self.keep_client(&client).await
    }

    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        if cannot_be(id) {
            return Ok(None);
        }
        let select = sql(
            "SELECT id AS client_id, secret, registration_token, issued_at, \
                 fresh_until, declined_refresh_tokens, metadata \
             FROM clients WHERE id = $1",
        );
        let found = self.db.read(select.bind(id)).await?;
        Ok(found.as_ref().map(client).transpose()?.map(Arc::new))
    }

    async fn keep_document(&self, client: Client) -> Result<()> {
        let replace = sql("UPDATE clients SET secret = $2, registration_token = $3, \
                 issued_at = $4, fresh_until = $5, declined_refresh_tokens = $6, metadata = $7 \
             WHERE id = $1");
        let replaced = self.db.run(with_client(replace, &client)).await?;
        if replaced == 0 {
            self.keep_client(&client).await?;
        }
        Ok(())
    }

    async fn update_client(&self, registration_token: &Digest, client: Client) -> Result<bool> {
        let update = sql("UPDATE clients SET secret = $2, registration_token = $3, \
                 issued_at = $4, fresh_until = $5, declined_refresh_tokens = $6, metadata = $7 \
             WHERE id = $1 AND registration_token = $8");
        let update = with_client(update, &client).bind(registration_token);
        Ok(self.db.run(update).await? > 0)
    }

    async fn remove_client(&self, id: &ClientId, registration_token: &Digest) -> Result<bool> {
        if cannot_be(id) {
            return Ok(false);
        }
        let news = self.shared.news();
        atomically!(self.db, |tx| remove(tx, &news, id, registration_token))
    }
}

async fn remove(
    tx: &mut Tx,
    news: &News<'_>,
    id: &ClientId,
    registration_token: &Digest,
) -> DbResult<bool> {
    news.begin();
    let remove = sql("DELETE FROM clients WHERE id = $1 AND registration_token = $2");
    if tx.run(remove.bind(id).bind(registration_token)).await? == 0 {
        return Ok(false);
    }
    // In this order: whoever redeems one of its codes at the moment is waited for here, and the
    // grant that they began is seen below. After that there is no code left.
    let codes = sql("DELETE FROM codes WHERE client_id = $1");
    tx.run(codes.bind(id)).await?;
    let consents = sql("DELETE FROM consents WHERE client_id = $1");
    tx.run(consents.bind(id)).await?;
    let grants = sql("DELETE FROM grants WHERE client_id = $1 RETURNING id");
    for row in tx.all(grants.bind(id)).await? {
        let ended = Revocation::Grant(row.grant_id("id")?);
        news.add(tx, Event::Revoked(ended)).await?;
    }
    Ok(true)
}

/// Notes that a person has let this client in: it is kept for good.
pub(super) async fn mark_proven(tx: &mut Tx, id: &ClientId) -> DbResult<()> {
    let mark = sql("UPDATE clients SET proven = 1 WHERE id = $1 AND proven = 0");
    tx.run(mark.bind(id)).await?;
    Ok(())
}

/// Postgres has no texts with this character, and we hand out no such identifier.
fn cannot_be(id: &ClientId) -> bool {
    id.as_str().contains('\0')
}

/// A statement about a client, from `$1` to `$7`.
fn with_client(statement: Statement, client: &Client) -> Statement {
    statement
        .bind(&client.id)
        .bind(client.secret)
        .bind(client.registration_token)
        .bind(client.issued_at)
        .bind(client.document.map(|copy| copy.fresh_until))
        .bind(client.metadata.declined_refresh_tokens)
        .bind(to_json(&client.metadata))
}

fn client(row: &Row) -> DbResult<Client> {
    let fresh_until = row.maybe_time("fresh_until")?;
    Ok(Client {
        id: row.client()?,
        issued_at: row.time("issued_at")?,
        secret: row.maybe_digest("secret")?,
        registration_token: row.maybe_digest("registration_token")?,
        document: fresh_until.map(|fresh_until| DocumentCopy { fresh_until }),
        metadata: ClientMetadata {
            declined_refresh_tokens: row.is_set("declined_refresh_tokens")?,
            ..row.json("metadata")?
        },
    })
}
