//! People who sign in with a name and a password, and the commands that say who they are.

use std::{
    fs,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tempfile::TempDir;

use crate::support::{
    Browser, Connected, Ended, Launch, OAuthClient, Page, Program, Site, TestServer, postgres,
};

const PASSWORD: &str = "the analytical engine";
const OTHER: &str = "weaves algebraical patterns";

/// A database, and what it lives in.
struct Home {
    url: String,
    _directory: Option<TempDir>,
}

impl Home {
    fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite://{}", directory.path().join("state.db").display());
        Self {
            url,
            _directory: Some(directory),
        }
    }

    async fn postgres() -> Option<Self> {
        Some(Self {
            url: postgres::database().await?,
            _directory: None,
        })
    }

    fn command(&self, arguments: &[&str], input: &str) -> Ended {
        let launch = Launch::bare().env("DATABASE_URL", &self.url);
        let launch = launch.env("ADMIN_ADDR", "off").input(input);
        launch.args(&[&["user"], arguments].concat()).run()
    }

    /// A command that succeeds. What it prints.
    #[track_caller]
    fn user(&self, arguments: &[&str], input: &str) -> String {
        let ended = self.command(arguments, input);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
        ended.stdout
    }

    /// A command that is refused. What it says.
    #[track_caller]
    fn refused(&self, arguments: &[&str], input: &str) -> String {
        let ended = self.command(arguments, input);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:#?}");
        ended.stderr
    }

    /// A program on this database, to which the operator has given no passcode.
    fn serve(&self) -> Program {
        let launch = Launch::serving().without_env("SIGN_IN_PASSCODE");
        launch.env("DATABASE_URL", &self.url).start()
    }
}

/// Opens the sign-in page.
async fn sign_in_page(browser: &mut Browser, client: &OAuthClient) -> Page {
    let page = browser.open(&client.authorize_url()).await.page();
    assert!(page.asks_for_password(), "{:#?}", page.answer);
    page
}

/// Tries to sign in, and returns the page that answers it.
async fn try_to_sign_in(site: &Site, username: &str, password: &str) -> Page {
    let client = OAuthClient::register(site).await;
    let mut browser = Browser::new(site);
    let form = sign_in_page(&mut browser, &client)
        .await
        .sign_in_form_of(username, password);
    browser.submit(&form).await.page()
}

/// Goes the whole way as somebody.
async fn connect_as(site: &Site, username: &str, password: &str) -> Connected {
    let client = OAuthClient::register(site).await;
    let mut browser = Browser::new(site);
    let form = sign_in_page(&mut browser, &client)
        .await
        .sign_in_form_of(username, password);
    let consent = browser.submit(&form).await.page();
    assert!(consent.asks_for_consent(), "{:#?}", consent.answer);
    let code = browser.submit(&consent.decision("allow")).await.client();
    let answer = client.redeem(&code.code()).await.expect(200);
    Connected {
        tokens: crate::support::Tokens::of(&answer),
        client,
        browser,
    }
}

#[tokio::test]
async fn somebody_who_was_added_signs_in_with_their_password_and_with_no_other() {
    let home = Home::sqlite();
    let added = home.user(&["add", "Ada"], &format!("{PASSWORD}\n"));
    assert_eq!(added, "added ada\n");
    let program = home.serve();
    let site = program.site();

    connect_as(&site, "ada", PASSWORD).await;
    // People type names as they like, and “é” in two ways.
    connect_as(&site, " ADA ", PASSWORD).await;
    for (username, password) in [
        ("ada", OTHER),
        ("ada", ""),
        ("charles", PASSWORD),
        ("", PASSWORD),
        ("owner", PASSWORD),
        ("a\u{202e}da", PASSWORD),
    ] {
        let page = try_to_sign_in(&site, username, password).await;
        assert_eq!(page.answer.status, 403, "{username:?}");
        page.answer.assert_page();
        assert!(page.asks_for_password());
        let text = page.text();
        assert!(text.contains("do not belong together"), "{text}");
    }
    let ended = program.terminate();
    // Nobody made up a passcode: there is somebody who can sign in.
    assert!(!ended.stdout.contains("passcode"), "{ended:#?}");
    for secret in [PASSWORD, OTHER] {
        assert!(!ended.stderr.contains(secret), "{ended:#?}");
    }
    assert!(ended.stderr.contains("signed_in"), "{ended:#?}");
    assert!(ended.stderr.contains("sign_in_failed"), "{ended:#?}");
}

#[tokio::test]
async fn users_are_added_to_a_server_that_runs_and_from_then_on_its_own_passcode_is_void() {
    let home = Home::sqlite();
    let program = home.serve();
    let site = program.site();
    let passcode = program.told("sign-in passcode: ");
    let page = try_to_sign_in(&site, "owner", &passcode).await;
    assert!(page.asks_for_consent(), "{:#?}", page.answer);

    home.user(&["add", "ada"], PASSWORD);
    let page = try_to_sign_in(&site, "owner", &passcode).await;
    assert_eq!(page.answer.status, 403, "{:#?}", page.answer);
    connect_as(&site, "ada", PASSWORD).await;

    // With the last of them gone it would let the operator in again.
    home.user(&["remove", "ada"], "");
    let page = try_to_sign_in(&site, "owner", &passcode).await;
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
}

#[tokio::test]
async fn the_owner_stays_where_the_operator_has_chosen_a_passcode() {
    let home = Home::sqlite();
    home.user(&["add", "ada"], PASSWORD);
    let server = TestServer::with([("database_url", &*home.url)]).await;
    connect_as(&server, "ada", PASSWORD).await;
    for name in ["owner", ""] {
        let page = try_to_sign_in(&server, name, crate::support::PASSCODE).await;
        assert!(page.asks_for_consent(), "{:#?}", page.answer);
    }
    let page = try_to_sign_in(&server, "ada", crate::support::PASSCODE).await;
    assert_eq!(page.answer.status, 403);
    // Names are not lost over a mistyped password, and passwords are never repeated.
    assert!(page.has("input[name=username][value=ada]:not([readonly])"));
    assert!(!page.answer.body.contains(crate::support::PASSCODE));
}

#[tokio::test]
async fn only_failures_count_against_guessing() {
    let home = Home::sqlite();
    home.user(&["add", "ada"], PASSWORD);
    let limit = ("limits.sign_in_failures_per_address", "3");
    let server = TestServer::with([("database_url", &*home.url), limit]).await;
    for _ in 0..5 {
        let page = try_to_sign_in(&server, "ada", PASSWORD).await;
        assert!(page.asks_for_consent(), "{:#?}", page.answer);
    }
    for (name, status) in [("ada", 403), ("nobody", 403), ("ada", 403), ("ada", 429)] {
        let page = try_to_sign_in(&server, name, OTHER).await;
        assert_eq!(page.answer.status, status, "{:#?}", page.answer);
    }
}

#[tokio::test]
async fn users_who_are_not_there_take_as_long_as_those_who_are() {
    let home = Home::sqlite();
    home.user(&["add", "ada"], PASSWORD);
    let off = ("rate_limits", "off");
    let server = TestServer::with([("database_url", &*home.url), off]).await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = sign_in_page(&mut browser, &client).await;
    let mut fastest = async |name| {
        let form = page.sign_in_form_of(name, OTHER);
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            browser
                .post(&form.action, &form.fields, &[])
                .await
                .expect(403);
            fastest = fastest.min(begun.elapsed());
        }
        fastest
    };
    // Hashing takes some hundredths of a second, everything else a fraction of that. The fastest of
    // several is what the work itself takes, whatever else the machine does.
    fastest("nobody").await;
    let (known, unknown) = (fastest("ada").await, fastest("nobody").await);
    assert!(
        unknown * 2 > known && known * 2 > unknown,
        "{known:?} and {unknown:?}"
    );
}

#[tokio::test]
async fn a_flood_of_sign_ins_does_not_fill_the_memory() {
    let home = Home::sqlite();
    home.user(&["add", "ada"], PASSWORD);
    let launch = Launch::serving().env("DATABASE_URL", &home.url);
    let program = launch.env("RATE_LIMITS", "off").start();
    let site = program.site();
    let client = OAuthClient::register(&site).await;
    let mut browser = Browser::new(&site);
    let page = sign_in_page(&mut browser, &client).await;
    let form = page.sign_in_form_of("nobody", OTHER);
    let guesses = (0..100).map(|_| {
        let (mut browser, form) = (browser.clone(), form.clone());
        async move {
            let answer = browser.post(&form.action, &form.fields, &[]).await;
            answer.expect(403);
        }
    });
    join_all(guesses).await;

    // Linux counts the most that a process has had. A password takes 19 MiB, and they are 100.
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", program.pid())) else {
        return;
    };
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = most.and_then(|most| most.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(kilobytes.unwrap() < 300_000, "{kilobytes:?} kB");
}

#[test]
fn what_the_commands_refuse_is_said_plainly() {
    let home = Home::sqlite();
    home.user(&["add", "ada"], PASSWORD);
    for (arguments, input, said) in [
        (["add", "ada"], PASSWORD, "there is a user ada already"),
        (["add", "ADA"], PASSWORD, "there is a user ada already"),
        (
            ["add", "charles"],
            "fourteen chars",
            "15 characters at least",
        ),
        (["add", "charles"], "", "15 characters at least"),
        (["add", "owner"], PASSWORD, "the built-in user"),
        (["add", "ada lovelace"], PASSWORD, "must not contain blanks"),
        (["add", "a\u{202e}da"], PASSWORD, "bidirectional"),
        (["add", ""], PASSWORD, "must not be empty"),
        (["remove", "charles"], "", "there is no user charles"),
        (
            ["set-password", "charles"],
            PASSWORD,
            "there is no user charles",
        ),
        (["set-password", "ada"], "short", "15 characters at least"),
    ] {
        let refused = home.refused(&arguments, input);
        assert!(refused.contains(said), "{arguments:?}: {refused}");
        assert!(input.is_empty() || !refused.contains(input), "{refused}");
    }
    let listed = home.user(&["list"], "");
    assert!(listed.starts_with("ada, added 20"), "{listed}");
    assert_eq!(listed.lines().count(), 1, "{listed}");
    home.user(&["remove", "ada"], "");
    assert_eq!(home.user(&["list"], ""), "there are no users\n");
}

#[test]
fn without_a_database_there_are_no_users() {
    for arguments in [
        &["add", "ada"][..],
        &["list"],
        &["remove", "ada"],
        &["set-password", "ada"],
    ] {
        let ended = Launch::bare()
            .args(&[&["user"], arguments].concat())
            .input(PASSWORD)
            .run();
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.stderr.contains("DATABASE_URL"), "{ended:#?}");
    }
}

#[tokio::test]
async fn another_password_signs_out_and_leaves_apps_connected() {
    let home = Home::sqlite();
    home.user(&["add", "ada"], PASSWORD);
    let program = home.serve();
    let site = program.site();
    let mut connected = connect_as(&site, "ada", PASSWORD).await;
    let changed = home.user(&["set-password", "ada"], OTHER);
    assert_eq!(changed, "ada has another password\n");

    sign_in_page(&mut connected.browser, &connected.client).await;
    assert_eq!(
        try_to_sign_in(&site, "ada", PASSWORD).await.answer.status,
        403
    );
    connect_as(&site, "ada", OTHER).await;
    let mut mcp = connected.mcp(&site);
    mcp.initialize("2025-11-25").await;
    let refreshed = connected.client.refresh(connected.tokens.refresh_token());
    refreshed.await.expect(200);
}

#[tokio::test]
async fn whoever_is_removed_is_out_at_once_on_sqlite() {
    let home = Home::sqlite();
    home.user(&["add", "ada"], PASSWORD);
    home.user(&["add", "grace"], PASSWORD);
    let server = TestServer::with([("database_url", &*home.url)]).await;
    let connected = connect_as(&server, "ada", PASSWORD).await;
    let bystander = connect_as(&server, "grace", PASSWORD).await;
    let mut mcp = connected.mcp(&server);
    mcp.initialize("2025-11-25").await;

    // The command tells the server that runs on the file.
    let admin = server.admin().addr().to_string();
    let removed = Launch::bare()
        .env("DATABASE_URL", &home.url)
        .env("ADMIN_ADDR", &admin)
        .args(&["user", "remove", "ada"])
        .run();
    assert_eq!(removed.code, Some(0), "{removed:#?}");
    assert_eq!(mcp.ping().await, 401);
    assert_is_out(&server, connected).await;
    let mut mcp = bystander.mcp(&server);
    mcp.initialize("2025-11-25").await;

    // Somebody else of that name begins with nothing.
    home.user(&["add", "ada"], OTHER);
    assert_eq!(
        try_to_sign_in(&server, "ada", PASSWORD).await.answer.status,
        403
    );
    connect_as(&server, "ada", OTHER).await;
}

/// Neither the browser nor the client of somebody who was removed gets anywhere.
async fn assert_is_out(site: &Site, mut connected: Connected) {
    let refreshed = connected.client.refresh(connected.tokens.refresh_token());
    let refused = refreshed.await.expect(400).json();
    assert_eq!(refused["error"], "invalid_grant");
    connected.browser = connected.browser.moved_to(site);
    sign_in_page(&mut connected.browser, &connected.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_the_same_on_every_replica_and_removed_from_all_at_once() {
    let Some(home) = Home::postgres().await else {
        return;
    };
    home.user(&["add", "ada"], PASSWORD);
    let replica = async || TestServer::with([("database_url", &*home.url)]).await;
    let (one, other) = (replica().await, replica().await);
    let here = connect_as(&one, "ada", PASSWORD).await;
    let there = connect_as(&other, "ada", PASSWORD).await;
    let mut streams = Vec::new();
    for (connected, site) in [(&here, &one), (&there, &other)] {
        let mut mcp = connected.mcp(site);
        mcp.initialize("2025-11-25").await;
        streams.push(mcp.stream().await);
    }

    home.user(&["remove", "ada"], "");
    // What was open on their behalf ends, wherever it was.
    for stream in &mut streams {
        let ended = tokio::time::timeout(Duration::from_secs(20), async {
            while let Ok(Some(_)) = stream.chunk().await {}
        });
        ended.await.expect("the stream ends");
    }
    assert_is_out(&one, here).await;
    assert_is_out(&other, there).await;
}
