//! An OAuth client: it registers, sends people to `/authorize`, and trades codes for tokens.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json, value::Index};

use super::{Answer, Browser, McpClient, Params, Request, Site};

/// The verifier and the challenge of RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Where the stories' clients take their codes.
pub(crate) const REDIRECT_URI: &str = "https://client.example/callback";

/// A registered client.
#[derive(Clone)]
pub(crate) struct OAuthClient {
    site: Site,
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    pub(crate) redirect_uri: String,
    registration: Option<Registration>,
}

/// Where a client manages what it has registered, and with what (RFC 7592 §3).
#[derive(Clone)]
pub(crate) struct Registration {
    pub(crate) uri: String,
    pub(crate) token: String,
}

/// What the token endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) scope: String,
}

/// A client that has been allowed in, and the browser that allowed it.
pub(crate) struct Connected {
    pub(crate) client: OAuthClient,
    pub(crate) browser: Browser,
    pub(crate) tokens: Tokens,
}

/// Registers a client, signs in, allows it, and redeems the code.
pub(crate) async fn connect(site: &Site) -> Connected {
    let client = OAuthClient::register(site).await;
    let mut browser = Browser::new(site);
    let tokens = client.authorize_with(&mut browser).await;
    Connected {
        client,
        browser,
        tokens,
    }
}

impl Connected {
    /// The same client and browser, of the same server at another address.
    pub(crate) fn moved_to(self, site: &Site) -> Self {
        Self {
            client: self.client.moved_to(site),
            browser: self.browser.moved_to(site),
            tokens: self.tokens,
        }
    }

    pub(crate) fn mcp(&self, site: &Site) -> McpClient {
        McpClient::new(site, &self.tokens.access)
    }
}

impl OAuthClient {
    /// A public client with one https redirect URI.
    pub(crate) async fn register(site: &Site) -> Self {
        Self::register_with(site, json!({})).await
    }

    /// A public client with this redirect URI.
    pub(crate) async fn register_at(site: &Site, redirect_uri: &str) -> Self {
        Self::register_with(site, json!({ "redirect_uris": [redirect_uri] })).await
    }

    /// A public client that need not register.
    pub(crate) fn known_as(site: &Site, id: &str, redirect_uri: &str) -> Self {
        Self {
            site: site.clone(),
            id: id.to_owned(),
            secret: None,
            redirect_uri: redirect_uri.to_owned(),
            registration: None,
        }
    }

    /// The same client, of the same server at another address.
    pub(crate) fn moved_to(mut self, site: &Site) -> Self {
        self.site = site.clone();
        self
    }

    /// The same client with this secret.
    pub(crate) fn with_secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// A client with a secret.
    pub(crate) async fn register_confidential(site: &Site) -> Self {
        let members = json!({ "token_endpoint_auth_method": "client_secret_basic" });
        Self::register_with(site, members).await
    }

    /// The same with these members instead or besides.
    pub(crate) async fn register_with(site: &Site, members: Value) -> Self {
        let metadata = metadata(members);
        let request = site.post("/register").json(&metadata);
        let registered = request.send().await.expect(201).json();
        let mut client = Self::known_as(site, text(&registered, "client_id"), "");
        client.learn(&registered);
        client
    }

    /// Takes over what an answer about its registration says.
    fn learn(&mut self, registered: &Value) {
        text(&registered["redirect_uris"], 0).clone_into(&mut self.redirect_uri);
        self.secret = registered["client_secret"].as_str().map(ToOwned::to_owned);
        self.registration = Some(Registration {
            uri: text(registered, "registration_client_uri").to_owned(),
            token: text(registered, "registration_access_token").to_owned(),
        });
    }

    /// Where and with what it manages its registration.
    pub(crate) fn registration(&self) -> &Registration {
        self.registration.as_ref().expect("a registered client")
    }

    /// A request to its registration, with its token.
    pub(crate) fn manage(&self, method: Method) -> Request {
        let Registration { uri, token } = self.registration();
        self.site.request(method, uri).bearer(token)
    }

    /// What an update to these members holds: all that a client has to send (RFC 7592 §2.2).
    pub(crate) fn update_of(&self, members: Value) -> Value {
        let mut update = metadata(members);
        update["client_id"] = self.id.as_str().into();
        update
    }

    /// Updates its registration, and returns what it is told.
    pub(crate) async fn update(&mut self, members: Value) -> Value {
        let request = self.manage(Method::PUT).json(&self.update_of(members));
        let updated = request.send().await.expect(200).json();
        self.learn(&updated);
        updated
    }

    /// Deletes its registration.
    pub(crate) async fn delete(&self) -> Answer {
        self.manage(Method::DELETE).send().await
    }

    /// The parameters of a proper authorization request.
    pub(crate) fn authorization(&self) -> Params {
        Params::of([
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "story-state"),
            ("scope", "mcp"),
            ("resource", &self.site.url("/mcp")),
        ])
    }

    /// The URL that the person's browser is sent to.
    pub(crate) fn authorize_url(&self) -> String {
        self.authorize_url_with(&self.authorization())
    }

    pub(crate) fn authorize_url_with(&self, params: &Params) -> String {
        self.site.url(&format!("/authorize?{}", params.encoded()))
    }

    /// A code, for a browser that allows it.
    pub(crate) async fn code(&self, browser: &mut Browser) -> String {
        browser.approve(&self.authorize_url()).await.code()
    }

    /// Tokens, for a browser that allows it.
    pub(crate) async fn authorize_with(&self, browser: &mut Browser) -> Tokens {
        let code = self.code(browser).await;
        Tokens::of(&self.redeem(&code).await)
    }

    /// The form that redeems a code.
    pub(crate) fn code_grant(&self, code: &str) -> Params {
        self.identified(Params::of([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
            ("resource", &self.site.url("/mcp")),
        ]))
    }

    /// The form that refreshes.
    pub(crate) fn refresh_grant(&self, refresh_token: &str) -> Params {
        self.identified(Params::of([
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ]))
    }

    pub(crate) async fn redeem(&self, code: &str) -> Answer {
        self.token(&self.code_grant(code)).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.token(&self.refresh_grant(refresh_token)).await
    }

    /// A form post to the token endpoint.
    pub(crate) async fn token(&self, params: &Params) -> Answer {
        self.site.post("/token").form(params).send().await
    }

    /// A form post to an endpoint where clients say who they are, with what this one says.
    pub(crate) async fn ask(&self, path: &str, params: Params) -> Answer {
        let form = self.identified(params);
        self.site.post(path).form(&form).send().await
    }

    /// Gives a token back (RFC 7009).
    pub(crate) async fn revoke(&self, token: &str) -> Answer {
        self.ask("/revoke", Params::of([("token", token)])).await
    }

    /// Asks about a token (RFC 7662).
    pub(crate) async fn introspect(&self, token: &str) -> Answer {
        self.ask("/introspect", Params::of([("token", token)]))
            .await
    }

    fn identified(&self, params: Params) -> Params {
        let params = params.and("client_id", &self.id);
        match &self.secret {
            Some(secret) => params.and("client_secret", secret),
            None => params,
        }
    }
}

/// The metadata of a public client with one https redirect URI, but for these members.
fn metadata(members: Value) -> Value {
    let mut metadata = json!({
        "client_name": "Story client",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let Value::Object(members) = members else {
        panic!("client metadata is an object, not {members}");
    };
    for (name, value) in members {
        metadata[name] = value;
    }
    metadata
}

#[track_caller]
fn text(json: &Value, member: impl Index) -> &str {
    let Some(text) = json[member].as_str() else {
        panic!("a text is missing in {json}");
    };
    text
}

/// Credentials for the `Authorization` header.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

impl Tokens {
    /// Reads a successful token response.
    // RFC 6749 §5.1: JSON, `token_type`, an integer `expires_in`, and never cached.
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Self {
        let answer = answer.clone().expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer", "{body}");
        assert!(body["expires_in"].is_u64(), "{body}");
        Self {
            access: body["access_token"]
                .as_str()
                .expect("an access token")
                .to_owned(),
            refresh: body["refresh_token"].as_str().map(ToOwned::to_owned),
            scope: body["scope"]
                .as_str()
                .expect("the scope that was granted")
                .to_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn refresh_token(&self) -> &str {
        self.refresh.as_deref().expect("a refresh token")
    }
}
