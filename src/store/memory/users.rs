//! No users in memory: whoever was added would be gone with the next start, and so would be what they
//! have allowed.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    model::user::{NamedUser, UserName},
    secret::PasswordHash,
    store::{Result, StoreError, Users},
};

#[async_trait]
impl Users for MemoryStore {
    async fn add_user(&self, _: NamedUser) -> Result<bool> {
        Err(StoreError(
            "users are kept in a database only; set --database-url (DATABASE_URL)".into(),
        ))
    }

    async fn user(&self, _: &UserName) -> Result<Option<NamedUser>> {
        Ok(None)
    }

    async fn users(&self) -> Result<Vec<NamedUser>> {
        Ok(Vec::new())
    }

    async fn has_users(&self) -> Result<bool> {
        Ok(false)
    }

    async fn set_password(&self, _: &UserName, _: PasswordHash) -> Result<bool> {
        Ok(false)
    }

    async fn replace_password_hash(
        &self,
        _: &UserName,
        _: &PasswordHash,
        _: PasswordHash,
    ) -> Result<()> {
        Ok(())
    }

    async fn remove_user(&self, _: &UserName) -> Result<bool> {
        Ok(false)
    }
}
