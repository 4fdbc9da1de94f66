//! The server's own keys in a database: made by whoever needs one first.

use async_trait::async_trait;

use super::{SqlStore, row::damaged, statement::sql};
use crate::{
    secret::ServerKey,
    store::{Keys, Result},
};

#[async_trait]
impl Keys for SqlStore {
    async fn key(&self, name: &str) -> Result<ServerKey> {
        let made = ServerKey::mint();
        let insert = sql("INSERT INTO server_keys (name, key) VALUES ($1, $2) \
             ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(made.expose().as_slice());
        self.db.run(insert).await?;
        let select = sql("SELECT key FROM server_keys WHERE name = $1");
        let kept = self.db.read(select.bind(name)).await?;
        let kept = kept.ok_or_else(|| damaged("key"))?;
        Ok(ServerKey::from_bytes(kept.bytes_32("key")?))
    }
}
