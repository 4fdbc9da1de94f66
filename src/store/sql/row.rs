//! A row, and what its columns mean. They were written by us, so what cannot be read is damage.

use serde::de::DeserializeOwned;
use sqlx::{
    Column as _, ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, TypeInfo as _,
    postgres::PgRow, sqlite::SqliteRow,
};

use super::{database::DbResult, statement::Value};
use crate::{
    clock::Timestamp,
    jose::Thumbprint,
    model::{client::ClientId, grant::GrantId, scope::ScopeSet, user::UserId},
    secret::Digest,
};

/// A row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    fn get<T>(&self, column: &str) -> DbResult<T>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// All of it, column by column.
    pub(super) fn cells(&self) -> DbResult<Vec<(String, Value)>> {
        match self {
            Self::Sqlite(row) => cells(row),
            Self::Postgres(row) => cells(row),
        }
    }

    pub(super) fn int(&self, column: &str) -> DbResult<i64> {
        self.get(column)
    }

    pub(super) fn maybe_int(&self, column: &str) -> DbResult<Option<i64>> {
        self.get(column)
    }

    pub(super) fn is_set(&self, column: &str) -> DbResult<bool> {
        Ok(self.int(column)? != 0)
    }

    pub(super) fn count(&self, column: &str) -> DbResult<usize> {
        Ok(usize::try_from(self.int(column)?).unwrap_or(0))
    }

    pub(super) fn text(&self, column: &str) -> DbResult<String> {
        self.get(column)
    }

    pub(super) fn maybe_text(&self, column: &str) -> DbResult<Option<String>> {
        self.get(column)
    }

    pub(super) fn bytes(&self, column: &str) -> DbResult<Vec<u8>> {
        self.get(column)
    }

    pub(super) fn maybe_bytes(&self, column: &str) -> DbResult<Option<Vec<u8>>> {
        self.get(column)
    }

    pub(super) fn time(&self, column: &str) -> DbResult<Timestamp> {
        self.int(column).map(timestamp)
    }

    pub(super) fn maybe_time(&self, column: &str) -> DbResult<Option<Timestamp>> {
        let millis: Option<i64> = self.get(column)?;
        Ok(millis.map(timestamp))
    }

    /// 32 bytes: a digest or a key.
    pub(super) fn bytes_32(&self, column: &str) -> DbResult<[u8; 32]> {
        let bytes: Vec<u8> = self.get(column)?;
        bytes.try_into().map_err(|_| damaged(column))
    }

    pub(super) fn digest(&self, column: &str) -> DbResult<Digest> {
        self.bytes_32(column).map(Digest::from_bytes)
    }

    pub(super) fn maybe_digest(&self, column: &str) -> DbResult<Option<Digest>> {
        let bytes = self.maybe_bytes(column)?;
        bytes.map(|_| self.digest(column)).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> DbResult<T> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|error| sqlx::Error::ColumnDecode {
            index: column.to_owned(),
            source: Box::new(error),
        })
    }

    pub(super) fn user(&self) -> DbResult<UserId> {
        self.text("user_id").map(UserId::new)
    }

    pub(super) fn client(&self) -> DbResult<ClientId> {
        Ok(ClientId::presented(&self.text("client_id")?))
    }

    pub(super) fn grant_id(&self, column: &str) -> DbResult<GrantId> {
        GrantId::parse(&self.text(column)?).ok_or_else(|| damaged(column))
    }

    pub(super) fn scopes(&self) -> DbResult<ScopeSet> {
        Ok(ScopeSet::parse(&self.text("scopes")?))
    }

    pub(super) fn jkt(&self) -> DbResult<Option<Thumbprint>> {
        let text = self.maybe_text("jkt")?;
        text.map(|text| Thumbprint::parse(&text).ok_or_else(|| damaged("jkt")))
            .transpose()
    }
}

fn cells<'r, R>(row: &'r R) -> DbResult<Vec<(String, Value)>>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
{
    let columns = row.columns().iter().enumerate();
    let cells = columns.map(|(index, column)| {
        let value = match column.type_info().name() {
            "INTEGER" | "INT8" => Value::Int(row.try_get(index)?),
            "TEXT" => Value::Text(row.try_get(index)?),
            "BLOB" | "BYTEA" => Value::Bytes(row.try_get(index)?),
            _ => return Err(damaged(column.name())),
        };
        Ok((column.name().to_owned(), value))
    });
    cells.collect()
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A column that cannot have been written by us.
pub(super) fn damaged(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: "this is not what the server wrote".into(),
    }
}
