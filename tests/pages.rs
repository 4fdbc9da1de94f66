//! The pages in a real Chromium: what people see, do and are told. Pictures are left in
//! `target/pages`.

use std::{path::PathBuf, time::Duration};

use tokio::{process::Command, sync::Mutex};

use crate::support::{PASSCODE, TestServer, files_server, hostile_server, outside};

#[tokio::test]
async fn every_page_of_a_first_connection_can_be_read_by_everybody() {
    tell("first_look", &TestServer::start().await).await;
}

#[tokio::test]
async fn somebody_with_a_keyboard_leaves_out_what_they_do_not_want_to_allow() {
    tell("leaving_one_out", &files_server("").await).await;
}

#[tokio::test]
async fn a_person_sees_what_is_connected_and_takes_it_back() {
    let server = files_server("access_token_ttl = \"30d\"").await;
    tell("taking_back", &server).await;
}

#[tokio::test]
async fn every_page_is_the_operators_own_and_can_be_read_in_any_colour() {
    // Yellow: on white, nobody could read it.
    for accent in ["#0a7d4f", "#ffe600"] {
        tell("branded", &files_server(&branding(accent)).await).await;
    }
}

#[tokio::test]
async fn the_pictures_of_the_readme_can_be_taken_anew() {
    let client = r#"
        [[clients]]
        client_id = "notes"
        client_name = "Notes Assistant"
        redirect_uris = ["https://notes.example/callback"]
        token_endpoint_auth_method = "none"
    "#;
    let branding = branding("#0a7d4f");
    let file = format!("access_token_ttl = \"30d\"\n{branding}\n{client}");
    tell("portraits", &files_server(&file).await).await;
}

/// What an operator says of the server.
fn branding(accent: &str) -> String {
    let logo = outside::here("tests/pages/logo.png");
    format!(
        r#"
        [branding]
        name = "Paper & Sons"
        logo = "{}"
        accent = "{accent}"
        privacy_url = "https://paper.example/privacy"
        support_url = "mailto:help@paper.example"
        "#,
        logo.display()
    )
}

#[tokio::test]
async fn whatever_happens_on_the_way_leads_on() {
    tell("detours", &TestServer::start().await).await;
}

#[tokio::test]
async fn several_ways_to_sign_in_are_offered_and_one_that_is_out_of_reach_says_so() {
    // Nobody listens at the port of the provider.
    let file = r#"
        [[sign_in_providers]]
        id = "sso"
        name = "Example SSO"
        issuer = "https://localhost:1"
        client_id = "us"
        client_secret = "secret"
        anyone = true

        [[sign_in_providers]]
        id = "github"
        preset = "github"
        client_id = "us"
        client_secret = "secret"
        emails = ["ada@example.com"]
    "#;
    let server = TestServer::one_reading(file).await;
    tell("ways_to_sign_in", &server).await;
}

#[tokio::test]
async fn who_guesses_is_told_to_wait() {
    tell("guessing", &TestServer::start().await).await;
}

#[tokio::test]
async fn nothing_that_others_wrote_runs_or_misleads() {
    tell("hostile_names", &hostile_server().await).await;
}

#[tokio::test]
async fn everything_works_without_scripts() {
    tell("without_scripts", &TestServer::start().await).await;
}

/// One browser at a time: several would keep a small machine from everything else.
static TURN: Mutex<()> = Mutex::const_new(());

/// Tells one of the stories of `tests/pages/stories.mjs`. Where that cannot be, it says so.
async fn tell(story: &str, server: &TestServer) {
    let Some(chromium) = browser(story).await else {
        return;
    };
    let _turn = TURN.lock().await;
    let mut command = Command::new("node");
    command
        .arg(outside::here("tests/pages/run.mjs"))
        .args([story, server.public_url()])
        .env("CHROMIUM", chromium)
        .env("SIGN_IN_PASSCODE", PASSCODE);
    // The story asks for the clock to be turned, in minutes.
    outside::talk(command, |line| {
        let minutes = line.strip_prefix("advance ")?.parse().ok()?;
        server.advance(Duration::from_mins(minutes));
        Some("done".to_owned())
    })
    .await;
}

/// The browser, if everything is there that the stories need.
async fn browser(story: &str) -> Option<PathBuf> {
    if !outside::has_node(story).await {
        return None;
    }
    outside::packages(story, "tests/pages")?;
    outside::chromium(story)
}
