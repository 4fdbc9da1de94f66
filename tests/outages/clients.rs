//! The clients, what they do over and over, and what they were promised.

use std::{
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use super::Load;
use crate::support::{
    Answer, Browser, Connected, McpClient, ModernClient, OAuthClient, Page, Params, REDIRECT_URI,
    Site, Tokens, connect, initialize_message,
};

/// How long a client thinks before it asks again. The machine has others to serve.
const THOUGHT: Duration = Duration::from_millis(10);

/// The longest that what was revoked may be good for, and some for a busy machine.
const REVOKED_WITHIN: Duration = Duration::from_millis(5_500);

/// How many give their access back, one after the other.
const LEAVING: usize = 8;

/// Before they work.
pub(super) struct Clients {
    registering: Arc<AtomicUsize>,
    authorizing: (Arc<AtomicUsize>, Browser),
    refreshing: (Arc<AtomicUsize>, OAuthClient, Tokens),
    opening: (Arc<AtomicUsize>, String),
    legacy: (Arc<AtomicUsize>, McpClient),
    modern: (Arc<AtomicUsize>, ModernClient),
    leaving: Vec<(OAuthClient, Tokens)>,
}

/// What they were told.
pub(super) struct Promised {
    registered: Vec<Value>,
    granted: Vec<(OAuthClient, Tokens)>,
    sessions: Vec<McpClient>,
    given_back: Vec<(OAuthClient, Tokens)>,
}

impl Clients {
    pub(super) async fn connect(load: &Load) -> Self {
        let [here, there] = &load.replicas;
        let Connected {
            client,
            mut browser,
            tokens,
        } = connect(here).await;
        let mut leaving = Vec::new();
        for _ in 0..LEAVING {
            let client = OAuthClient::register(there).await;
            let tokens = client.authorize_with(&mut browser).await;
            leaving.push((client, tokens));
        }
        let caller = OAuthClient::register(there).await;
        let caller = caller.authorize_with(&mut browser).await.access;
        let session = McpClient::initialized(here, &caller, "2025-11-25").await;
        Self {
            registering: load.counting("registering"),
            authorizing: (load.counting("authorizing"), browser),
            refreshing: (load.counting("refreshing"), client, tokens),
            opening: (load.counting("opening sessions"), caller.clone()),
            legacy: (load.counting("calling in a session"), session),
            modern: (
                load.counting("calling without one"),
                ModernClient::new(here, &caller),
            ),
            leaving,
        }
    }

    /// Works until it is over.
    pub(super) async fn work(self, load: &Load) -> Promised {
        let (counter, mut browser) = self.authorizing;
        let (session, legacy) = self.legacy;
        let (registered, mut granted, refreshed, mut sessions, (), (), ()) = tokio::join!(
            register(load, &self.registering),
            authorize(load, &counter, &mut browser),
            refresh(load, self.refreshing),
            open(load, self.opening),
            call_in_session(load, &session, &legacy),
            call(load, self.modern),
            leave(load, &self.leaving),
        );
        granted.push(refreshed);
        sessions.push(legacy);
        Promised {
            registered,
            granted,
            sessions,
            given_back: self.leaving,
        }
    }
}

/// One more is done.
async fn achieved(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(THOUGHT).await;
}

async fn register(load: &Load, counter: &AtomicUsize) -> Vec<Value> {
    let metadata = json!({
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "none",
    });
    let mut registered = Vec::new();
    while !load.over.is_cancelled() {
        let register = |site: Site| site.post("/register").json(&metadata).send();
        registered.push(load.insist(201, register).await.json());
        achieved(counter).await;
    }
    registered
}

/// Lets one client in after the other. Where a step fails, the person begins again: nobody knows
/// whether it was taken.
async fn authorize(
    load: &Load,
    counter: &AtomicUsize,
    browser: &mut Browser,
) -> Vec<(OAuthClient, Tokens)> {
    let mut granted = Vec::new();
    while !load.over.is_cancelled() {
        if let Some(let_in) = let_in(load, browser).await {
            granted.push(let_in);
            achieved(counter).await;
        }
    }
    granted
}

async fn let_in(load: &Load, browser: &mut Browser) -> Option<(OAuthClient, Tokens)> {
    let metadata = json!({
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    let register = |site: Site| site.post("/register").json(&metadata).send();
    let registered = load.ask(201, register).await?.json();
    let id = registered["client_id"].as_str().unwrap();
    let client = OAuthClient::known_as(load.replica(), id, REDIRECT_URI);

    let cookies = browser.cookies().iter();
    let cookies: Vec<String> = cookies
        .map(|cookie| format!("{}={}", cookie.name, cookie.value))
        .collect();
    let cookies = cookies.join("; ");
    let url = client.authorize_url();
    let visit = |url: &str| {
        let (url, cookies) = (url.to_owned(), cookies.clone());
        move |site: Site| site.get(&url).header("cookie", &cookies).send()
    };
    let answer = load.ask(303, visit(&url)).await?;
    let url = answer.header("location").to_owned();
    let answer = load.ask(200, visit(&url)).await?;
    let page = Page { url, answer };
    let form = page.decision("allow");
    let decide = |site: Site| {
        let post = site.post(&form.action).header("cookie", &cookies);
        let post = post.header("origin", site.public_url());
        let post = post.header("sec-fetch-site", "same-origin");
        post.form(&form.fields).send()
    };
    let answer = load.ask(303, decide).await?;
    let (_, query) = answer.header("location").split_once('?').unwrap();
    let code = Params::parse(query).get("code").unwrap().to_owned();
    let redeem = |site: Site| site.post("/token").form(&client.code_grant(&code)).send();
    let answer = load.ask(200, redeem).await?;
    Some((client, Tokens::of(&answer)))
}

/// The same token again and again until it is answered, then the next one.
async fn refresh(
    load: &Load,
    (counter, client, mut tokens): (Arc<AtomicUsize>, OAuthClient, Tokens),
) -> (OAuthClient, Tokens) {
    while !load.over.is_cancelled() {
        tokens = refreshed(load, &client, &tokens).await;
        opens(load, &tokens).await;
        achieved(&counter).await;
    }
    (client, tokens)
}

async fn refreshed(load: &Load, client: &OAuthClient, tokens: &Tokens) -> Tokens {
    let form = client.refresh_grant(tokens.refresh_token());
    let answer = load.insist(200, |site| site.post("/token").form(&form).send());
    Tokens::of(&answer.await)
}

/// Both replicas let it in.
async fn opens(load: &Load, tokens: &Tokens) {
    for _ in &load.replicas {
        let list = |site: Site| list_tools(&site, &tokens.access);
        load.insist(200, list).await;
    }
}

fn list_tools(site: &Site, token: &str) -> impl Future<Output = Answer> + use<> {
    let client = ModernClient::new(site, token);
    async move { client.request("tools/list", &json!({})).await }
}

async fn open(load: &Load, (counter, token): (Arc<AtomicUsize>, String)) -> Vec<McpClient> {
    let message = initialize_message("2025-11-25");
    let mut sessions = Vec::new();
    while !load.over.is_cancelled() {
        let open = |site: Site| {
            let client = McpClient::new(&site, &token);
            let message = &message;
            async move { client.post(message).await }
        };
        let answer = load.insist(200, open).await;
        let mut client = McpClient::new(load.replica(), &token);
        client.session = Some(answer.header("mcp-session-id").to_owned());
        sessions.push(client);
        achieved(&counter).await;
    }
    sessions
}

async fn call_in_session(load: &Load, counter: &AtomicUsize, client: &McpClient) {
    // One that only reads, and one that writes.
    let level = |level: &str| ("logging/setLevel", json!({ "level": level }));
    let methods = [("tools/list", json!({})), level("error"), level("info")];
    for (method, params) in methods.iter().cycle() {
        if load.over.is_cancelled() {
            return;
        }
        let call = |site: Site| {
            let client = client.at(&site);
            async move { client.request(method, params).await }
        };
        let answer = load.insist(200, call).await.rpc();
        assert!(answer["error"].is_null(), "{answer}");
        achieved(counter).await;
    }
}

async fn call(load: &Load, (counter, client): (Arc<AtomicUsize>, ModernClient)) {
    while !load.over.is_cancelled() {
        let call = |site: Site| {
            let client = client.at(&site);
            async move { client.request("tools/list", &json!({})).await }
        };
        load.insist(200, call).await;
        achieved(&counter).await;
    }
}

/// One after the other gives its access back, all the time that there is.
async fn leave(load: &Load, leaving: &[(OAuthClient, Tokens)]) {
    for (client, tokens) in leaving {
        opens(load, tokens).await;
        let form = Params::of([("token", tokens.refresh_token()), ("client_id", &client.id)]);
        load.insist(200, |site| site.post("/revoke").form(&form).send())
            .await;
        let revoked = Instant::now();
        for site in &load.replicas {
            while list_tools(site, &tokens.access).await.status != 401 {
                let since = revoked.elapsed();
                assert!(since < REVOKED_WITHIN, "it opens {since:?} later");
                tokio::time::sleep(THOUGHT).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl Promised {
    pub(super) async fn check(&self, load: &Load) {
        for client in &self.registered {
            let text = |member: &str| client[member].as_str().unwrap();
            let uri = text("registration_client_uri");
            let find = |site: Site| {
                let request = site.request(Method::GET, uri);
                request.bearer(text("registration_access_token")).send()
            };
            load.insist(200, find).await;
        }
        for (client, tokens) in &self.granted {
            opens(load, tokens).await;
            let tokens = refreshed(load, client, tokens).await;
            opens(load, &tokens).await;
        }
        for session in &self.sessions {
            for site in &load.replicas {
                assert_eq!(session.at(site).ping().await, 200);
            }
        }
        for (client, tokens) in &self.given_back {
            for site in &load.replicas {
                assert_eq!(list_tools(site, &tokens.access).await.status, 401);
                let client = client.clone().moved_to(site);
                let refused = client.refresh(tokens.refresh_token()).await;
                refused.oauth_error(400, "invalid_grant");
            }
        }
        let (registered, granted) = (self.registered.len(), self.granted.len());
        let sessions = self.sessions.len();
        println!(
            "{registered} registrations, {granted} grants and {sessions} sessions are still good"
        );
    }
}
