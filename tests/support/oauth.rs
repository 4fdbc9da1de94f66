//! An OAuth client: it registers, sends people to `/authorize`, and trades codes for tokens.

use serde_json::{Value, json};

use super::{Answer, Browser, McpClient, Params, Site};

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
        }
    }

    /// The same with these members instead or besides.
    pub(crate) async fn register_with(site: &Site, members: Value) -> Self {
        let mut metadata = json!({
            "client_name": "Story client",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        for (name, value) in members.as_object().expect("an object of client metadata") {
            metadata[name] = value.clone();
        }
        let answer = site
            .post("/register")
            .json(&metadata)
            .send()
            .await
            .expect(201);
        let registered = answer.json();
        Self {
            site: site.clone(),
            id: registered["client_id"]
                .as_str()
                .expect("a client_id")
                .to_owned(),
            secret: registered["client_secret"].as_str().map(ToOwned::to_owned),
            redirect_uri: metadata["redirect_uris"][0]
                .as_str()
                .expect("a redirect URI")
                .to_owned(),
        }
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

    fn identified(&self, params: Params) -> Params {
        let params = params.and("client_id", &self.id);
        match &self.secret {
            Some(secret) => params.and("client_secret", secret),
            None => params,
        }
    }
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
