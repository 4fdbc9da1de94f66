//! A database that does what it is told, and whose word that it did gets lost on the way.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use remote_mcp_auth::store::{Authorizations as _, Redemption, SqlStore};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream, unix},
};

use super::{
    LIMITS,
    given::{NOW, code_of, digest, issue, opens},
};
use crate::support::postgres;

/// The name of the socket in the directory that `host` names.
const SOCKET: &str = ".s.PGSQL.5432";

/// A way to Postgres on which one answer to a COMMIT gets lost, and the connection with it.
struct BadLine {
    directory: TempDir,
    is_bad: Arc<AtomicBool>,
}

impl BadLine {
    fn to(socket: PathBuf) -> Self {
        let directory = TempDir::new().unwrap();
        let listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
        let is_bad = Arc::new(AtomicBool::new(false));
        let bad = Arc::clone(&is_bad);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&bad)));
            }
        });
        Self { directory, is_bad }
    }
}

async fn carry(client: UnixStream, server: UnixStream, is_bad: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let loses = Arc::new(AtomicBool::new(false));
    let losing = Arc::clone(&loses);
    let asking = async move {
        while let Some(said) = heard(&mut from_client).await {
            let commits = said.windows(6).any(|word| word == b"COMMIT");
            if commits && is_bad.swap(false, Ordering::SeqCst) {
                loses.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(&said).await.is_err() {
                return;
            }
        }
    };
    let answering = async move {
        while let Some(said) = heard(&mut from_server).await {
            // It has been done, or there would be no answer.
            if losing.load(Ordering::SeqCst) || to_client.write_all(&said).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}

async fn heard(from: &mut unix::OwnedReadHalf) -> Option<Vec<u8>> {
    let mut said = vec![0; 64 * 1024];
    let length = from
        .read(&mut said)
        .await
        .ok()
        .filter(|length| *length > 0)?;
    said.truncate(length);
    Some(said)
}

/// The directory of the socket that a URL names.
fn directory_of(url: &str) -> &Path {
    Path::new(url.split_once("host=").unwrap().1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_whose_redemption_was_not_heard_of_was_redeemed_all_the_same() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let home = directory_of(&url);
    let line = BadLine::to(home.join(SOCKET));
    let through_it = line.directory.path().to_str().unwrap();
    let url = url.replace(home.to_str().unwrap(), through_it);
    let store = SqlStore::postgres(&url, 2, LIMITS).await.unwrap();
    let code = digest("code");
    store.insert_code(code, code_of("app")).await.unwrap();

    line.is_bad.store(true, Ordering::SeqCst);
    let redeemed = store.redeem_code(&code, issue("app", "app", NOW), NOW);
    assert_eq!(redeemed.await.unwrap(), Redemption::Redeemed);
    assert!(!line.is_bad.load(Ordering::SeqCst), "nothing got lost");
    assert!(opens(&store, "app access", NOW).await);
}
