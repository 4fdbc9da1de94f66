//! Real clients whose server ends and comes back while they are connected: they go on.

use tempfile::TempDir;

use crate::{
    real_clients::script_of_ours,
    support::{Balancer, Launch, PASSCODE, Program, outside},
};

#[tokio::test(flavor = "multi_thread")]
async fn typescript_sdk_1_stays_connected() {
    stays_connected("typescript-sdk-1.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_sdk_2_stays_connected() {
    stays_connected("typescript-sdk-2.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_sdk_2_stays_connected_when_it_asked_for_our_versions_first() {
    stays_connected("typescript-sdk-2.mjs", &["auto"]).await;
}

/// On SQLite, when the server is asked to end and when it is killed. The script says when, and
/// goes on when it is told that the server is back.
async fn stays_connected(script: &str, arguments: &[&str]) {
    let Some(mut client) = script_of_ours(script).await else {
        return;
    };
    let home = TempDir::new().expect("a directory");
    let database = format!("sqlite://{}", home.path().join("state.db").display());
    // The address that stays the same.
    let balancer = Balancer::start().await;
    let public_url = format!("http://localhost:{}", balancer.addr().port());
    let start = || {
        let server = Launch::serving()
            .env("PUBLIC_URL", &public_url)
            .env("DATABASE_URL", &database)
            .start();
        balancer.to([server.site().addr()]);
        server
    };
    let mut server = Some(start());
    client
        .arg(format!("{public_url}/mcp"))
        .args(arguments)
        .env("SIGN_IN_PASSCODE", PASSCODE)
        .env("RESTARTS", "TERM KILL TERM");
    outside::talk(client, |line| {
        let signal = line.strip_prefix("restart: ")?;
        end(server.take()?, signal);
        server = Some(start());
        Some("restarted".to_owned())
    })
    .await;
}

fn end(server: Program, signal: &str) {
    server.signal(signal);
    let ended = server.ended();
    // Nobody hears more of one that is killed.
    let code = if signal == "TERM" { Some(0) } else { None };
    assert_eq!(ended.code, code, "{ended:?}");
}
