//! The server's own keys in a database: made by whoever needs one first.

use async_trait::async_trait;

use super::{
    SqlStore,
    database::DbResult,
    row::{Row, damaged},
    statement::sql,
};
use crate::{
    clock::Timestamp,
    secret::ServerKey,
    store::{DatedKey, Keys, Result},
};

#[async_trait]
impl Keys for SqlStore {
    async fn keys(&self, name: &str, now: Timestamp) -> Result<Vec<DatedKey>> {
        let select = sql(
            "SELECT generation, key, made_at FROM server_keys WHERE name = $1 \
             ORDER BY generation DESC",
        )
        .bind(name);
        let mut rows = self.db.read_all(select.clone()).await?;
        if rows.is_empty() {
            self.add_key(name, 0, now).await?;
            rows = self.db.read_all(select).await?;
        }
        Ok(rows.iter().map(dated_key).collect::<DbResult<_>>()?)
    }

    async fn add_key(&self, name: &str, generation: u64, now: Timestamp) -> Result<()> {
        let insert = sql(
            "INSERT INTO server_keys (name, generation, key, made_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name, generation) DO NOTHING",
        )
        .bind(name)
        .bind(generation)
        .bind(ServerKey::mint().expose().as_slice())
        .bind(now);
        self.db.run(insert).await?;
        Ok(())
    }
}

fn dated_key(row: &Row) -> DbResult<DatedKey> {
    let generation = u64::try_from(row.int("generation")?);
    Ok(DatedKey {
        generation: generation.map_err(|_| damaged("generation"))?,
        key: ServerKey::from_bytes(row.bytes_32("key")?),
        made_at: row.time("made_at")?,
    })
}
