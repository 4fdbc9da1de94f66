//! The flows of `tests/curl`, each against the real binary on a port of its own.

use tokio::process::Command;

use crate::support::{Launch, PASSCODE, outside};

#[tokio::test]
async fn claudes_whole_dance() {
    flow("claude.sh", Launch::serving(), &[]).await;
}

#[tokio::test]
async fn refresh() {
    flow(
        "refresh.sh",
        Launch::serving().env("REFRESH_GRACE", "8s"),
        &["8"],
    )
    .await;
}

#[tokio::test]
async fn replay_of_a_code() {
    flow("code_replay.sh", Launch::serving(), &[]).await;
}

#[tokio::test]
async fn refusals() {
    flow("refusals.sh", Launch::serving(), &[]).await;
}

async fn flow(script: &str, launch: Launch, arguments: &[&str]) {
    for (program, asks_version) in [
        ("bash", "--version"),
        ("curl", "--version"),
        ("openssl", "version"),
    ] {
        if !outside::has(script, program, asks_version).await {
            return;
        }
    }
    let server = launch.start();
    let mut command = Command::new("bash");
    command
        .arg(outside::here("tests/curl").join(script))
        .args([server.site().public_url(), PASSCODE])
        .args(arguments);
    outside::run(command, &server).await;
}
