//! The file of a database and its schema.

use std::{fs, os::unix::fs::PermissionsExt as _};

use remote_mcp_auth::store::{Keys as _, OpenError, SqlStore};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::{LIMITS, given::NOW};
use crate::support::postgres;

/// As a version with one more step in its schema's history would leave it.
const NEWER: &str = "INSERT INTO _sqlx_migrations \
     (version, description, success, checksum, execution_time) \
     VALUES (1000, 'later', TRUE, 'x', 0)";

fn assert_newer(opened: Result<SqlStore, OpenError>) {
    let Err(refused) = opened else {
        panic!("a newer schema was accepted");
    };
    let said = refused.to_string();
    assert!(said.contains("newer version"), "{said}");
    assert!(said.contains("1000"), "{said}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_on_sqlite() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    drop(SqlStore::sqlite(&path, LIMITS).await.unwrap());
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let newer = NEWER.replace("'x'", "x'00'");
    connection
        .execute(sqlx::AssertSqlSafe(newer))
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert_newer(SqlStore::sqlite(&path, LIMITS).await);
}

#[tokio::test]
async fn a_newer_schema_is_refused_on_postgres() {
    let Some(url) = postgres::database().await else {
        return;
    };
    drop(SqlStore::postgres(&url, 2, LIMITS).await.unwrap());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute(NEWER).await.unwrap();
    connection.close().await.unwrap();
    assert_newer(SqlStore::postgres(&url, 2, LIMITS).await);
}

#[tokio::test]
async fn nobody_else_can_read_the_file() {
    let home = TempDir::new().unwrap();
    let store = SqlStore::sqlite(&home.path().join("state.db"), LIMITS).await;
    store.unwrap().keys("states", NOW).await.unwrap();
    let mut files = 0;
    for entry in fs::read_dir(home.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert!(files > 0);
}
