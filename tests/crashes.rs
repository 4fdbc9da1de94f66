//! A server that is killed at any moment, over and over, while clients are at work: whatever they were
//! told still holds, nothing works twice, and nothing that was taken back returns.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{
    Answer, Browser, Launch, McpClient, OAuthClient, Params, Program, REDIRECT_URI, Site, Tokens,
    connect, postgres,
};

/// How often it is killed where every change is tested, and where there is time.
const FEW: usize = 4;
const MANY: usize = 200;

/// The longest that it may work before it is killed, in milliseconds.
const LIFE: u128 = 300;

fn start(database: &str) -> (Program, Site) {
    let program = Launch::serving()
        .env("PUBLIC_URL", "https://mcp.example.com")
        .env("DATABASE_URL", database)
        .env("RATE_LIMITS", "off")
        .env("CODE_TTL", "10m")
        .start();
    let site = program.site();
    (program, site)
}

/// Some time, another one whenever somebody asks.
fn a_while(at_most: u128) -> Duration {
    let millis = Uuid::new_v4().as_u128() % at_most;
    Duration::from_millis(u64::try_from(millis).unwrap())
}

async fn opens(site: &Site, token: &str) -> bool {
    let answer = McpClient::new(site, token)
        .request("ping", &json!({}))
        .await;
    answer.status != 401
}

/// Somebody who refreshes all the time.
struct Refreshing {
    client: OAuthClient,
    tokens: Tokens,
    /// The last refresh that was answered.
    last: Option<(String, Tokens)>,
}

impl Refreshing {
    async fn until_the_end(&mut self, site: &Site) {
        loop {
            let used = self.tokens.refresh_token().to_owned();
            let form = self.client.refresh_grant(&used);
            let Some(answer) = site.post("/token").form(&form).attempt().await else {
                return;
            };
            self.tokens = Tokens::of(&answer);
            self.last = Some((used, self.tokens.clone()));
        }
    }

    async fn check(&mut self, site: &Site) {
        self.client = self.client.clone().moved_to(site);
        assert!(
            opens(site, &self.tokens.access).await,
            "an access token is gone"
        );
        if let Some((used, given)) = &self.last {
            // Whoever comes again gets the same, and no second chain begins.
            assert_eq!(&Tokens::of(&self.client.refresh(used).await), given);
        }
        let again = self.client.refresh(self.tokens.refresh_token()).await;
        self.tokens = Tokens::of(&again);
        self.last = None;
    }
}

/// Clients that register as fast as they can: what they were told.
async fn register_until_the_end(site: &Site) -> Vec<Value> {
    let metadata = json!({
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "none",
    });
    let mut registered = Vec::new();
    while let Some(answer) = site.post("/register").json(&metadata).attempt().await {
        registered.push(answer.expect(201).json());
    }
    registered
}

async fn check_registrations(site: &Site, registered: &[Value]) {
    for client in registered {
        let text = |member: &str| client[member].as_str().unwrap().to_owned();
        let uri = text("registration_client_uri");
        let request = site.request(Method::GET, &uri);
        let found = request.bearer(&text("registration_access_token"));
        found.send().await.expect(200);
    }
}

/// A code that is redeemed, and what came of it.
async fn redeem(site: &Site, client: &OAuthClient, code: &str) -> Option<Answer> {
    tokio::time::sleep(a_while(LIFE)).await;
    let form = client.code_grant(code);
    site.post("/token").form(&form).attempt().await
}

async fn check_redemption(client: &OAuthClient, code: &str, told: Option<Answer>, site: &Site) {
    let client = client.clone().moved_to(site);
    let Some(told) = told else {
        // Nobody knows how far it came. It works once or not at all.
        let again = client.redeem(code).await;
        assert!(matches!(again.status, 200 | 400), "{again:?}");
        return;
    };
    let tokens = Tokens::of(&told);
    assert!(opens(site, &tokens.access).await, "a redemption is gone");
    let again = client.redeem(code).await;
    again.oauth_error(400, "invalid_grant");
}

/// A grant that is given back.
async fn revoke(site: &Site, client: &OAuthClient, token: &str) -> bool {
    tokio::time::sleep(a_while(LIFE)).await;
    let form = Params::of([("token", token), ("client_id", &client.id)]);
    let told = site.post("/revoke").form(&form).attempt().await;
    told.is_some_and(|answer| answer.status == 200)
}

async fn check_revocation(client: &OAuthClient, tokens: &Tokens, site: &Site) {
    let client = client.clone().moved_to(site);
    assert!(!opens(site, &tokens.access).await, "a revocation is gone");
    let refused = client.refresh(tokens.refresh_token()).await;
    refused.oauth_error(400, "invalid_grant");
}

async fn every_promise_is_kept(database: &str, kills: usize) {
    let (mut program, mut site) = start(database);
    let connected = connect(&site).await;
    let mut browser: Browser = connected.browser;
    let mut refreshing = Refreshing {
        client: connected.client,
        tokens: connected.tokens,
        last: None,
    };
    for _ in 0..kills {
        let client = OAuthClient::register(&site).await;
        let given_back = client.authorize_with(&mut browser).await;
        let code = client.code(&mut browser).await;
        let killed = async {
            tokio::time::sleep(a_while(LIFE)).await;
            program.signal("KILL");
        };
        let ((), registered, (), redeemed, revoked) = tokio::join!(
            killed,
            register_until_the_end(&site),
            refreshing.until_the_end(&site),
            redeem(&site, &client, &code),
            revoke(&site, &client, given_back.refresh_token()),
        );
        program.ended();
        (program, site) = start(database);
        browser = browser.moved_to(&site);
        check_registrations(&site, &registered).await;
        refreshing.check(&site).await;
        check_redemption(&client, &code, redeemed, &site).await;
        if revoked {
            check_revocation(&client, &given_back, &site).await;
        }
    }
}

async fn on_sqlite(kills: usize) {
    let home = TempDir::new().unwrap();
    let database = format!("sqlite://{}", home.path().join("state.db").display());
    every_promise_is_kept(&database, kills).await;
}

async fn on_postgres(kills: usize) {
    if let Some(database) = postgres::database().await {
        every_promise_is_kept(&database, kills).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept_through_crashes_on_sqlite() {
    on_sqlite(FEW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept_through_crashes_on_postgres() {
    on_postgres(FEW).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills the server 200 times"]
async fn every_promise_is_kept_through_many_crashes_on_sqlite() {
    on_sqlite(MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills the server 200 times"]
async fn every_promise_is_kept_through_many_crashes_on_postgres() {
    on_postgres(MANY).await;
}
