//! An identity provider that says whatever a story wants it to, right or wrong.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use remote_mcp_auth::{
    jose::Algorithm,
    web::fetch::{FetchAllow, FetchSettings, Fetcher},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    signing::SigningKey,
    support::{
        Arrival, Browser, Callback, OAuthClient, Params, TestServer, TlsSite, config_file,
        provider::SECRET,
    },
};

/// A running provider. It stops when it is dropped.
pub(crate) struct FakeProvider {
    site: TlsSite,
    script: Shared,
}

type Shared = Arc<Mutex<Script>>;

/// What it says.
pub(crate) struct Script {
    /// What it publishes.
    pub(crate) metadata: Value,
    pub(crate) keys: Value,
    pub(crate) signer: SigningKey,
    /// The header of its ID tokens, but for `alg`.
    pub(crate) header: Value,
    /// The claims that they have instead; `null`: not at all.
    pub(crate) claims: Value,
    /// The whole ID token instead; empty: none.
    pub(crate) id_token: Option<String>,
    pub(crate) user_info: Value,
    /// What an answer in the browser says besides.
    pub(crate) answer: Params,
    /// What the token endpoint says instead.
    pub(crate) refusal: Option<(u16, Value)>,
    /// How long its access tokens last, in seconds.
    pub(crate) expires_in: u64,
    /// What its API says, by path.
    pub(crate) api: HashMap<String, Value>,
    /// How often it was asked for tokens.
    pub(crate) redeemed: usize,
    pub(crate) refreshed: usize,
    /// The refresh token that is good.
    pub(crate) refresh_token: Option<String>,
    pub(crate) now: u64,
    codes: HashMap<String, Params>,
}

impl FakeProvider {
    pub(crate) async fn start() -> Self {
        let signer = SigningKey::generate(Algorithm::Es256);
        let script = Arc::new(Mutex::new(Script {
            metadata: json!({}),
            keys: json!({ "keys": [with_id(signer.jwk(), "1")] }),
            signer,
            header: json!({ "kid": "1" }),
            claims: json!({}),
            id_token: None,
            user_info: Value::Null,
            answer: Params::default(),
            refusal: None,
            expires_in: 3600,
            api: HashMap::new(),
            redeemed: 0,
            refreshed: 0,
            refresh_token: None,
            now: 0,
            codes: HashMap::new(),
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .route("/login/oauth/access_token", post(token))
            .route("/api/v3/{*path}", get(api))
            .with_state(Arc::clone(&script));
        let site = TlsSite::start(router).await;
        let issuer = site.url("");
        script.lock().expect("no panic").metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256", "HS256", "none"],
        });
        Self { site, script }
    }

    pub(crate) fn issuer(&self) -> String {
        self.site.url("")
    }

    /// What it says, to be changed.
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("no panic")
    }

    /// How often somebody has connected.
    pub(crate) fn connections(&self) -> usize {
        self.site.connections()
    }

    /// A server that has this provider, with these lines in its table, and others before it.
    pub(crate) async fn server(&self, lines: &str, before: &str) -> TestServer {
        let issuer = self.issuer();
        let file = format!(
            "{before}\n[[sign_in_providers]]\nid = \"idp\"\nname = \"Example SSO\"\n\
             issuer = \"{issuer}\"\nclient_id = \"us\"\nclient_secret = \"{SECRET}\"\n{lines}\n"
        );
        let allow = FetchAllow::new(vec!["localhost".to_owned()], Vec::new());
        let fetcher = Fetcher::with(FetchSettings {
            certificates: Some(self.site.authority()),
            ..FetchSettings::new(allow)
        });
        let server =
            TestServer::configured(config_file(&file), |builder| builder.fetcher(fetcher)).await;
        self.script().now = server.now();
        server
    }

    /// Where it sends a browser that came like this.
    pub(crate) fn answer(&self, departure: &Callback) -> String {
        let asked = departure.params();
        let asked_for = |name| asked.get(name).unwrap_or_default().to_owned();
        // RFC 7636 §4.3.
        assert_eq!(asked_for("code_challenge_method"), "S256");
        assert_eq!(asked_for("response_type"), "code");
        assert_eq!(asked_for("client_id"), "us");
        let mut script = self.script();
        let code = format!("code {}", script.codes.len());
        script.codes.insert(code.clone(), asked.clone());
        let answer = match script.answer.get("error") {
            Some(_) => Params::default(),
            None => Params::default().and("code", &code),
        };
        let answer = answer.and("state", &asked_for("state"));
        let besides = script.answer.encoded();
        let and = if besides.is_empty() { "" } else { "&" };
        let answer = answer.encoded();
        format!("{}?{answer}{and}{besides}", asked_for("redirect_uri"))
    }
}

/// A key by that name.
pub(crate) fn with_id(mut key: Value, id: &str) -> Value {
    key["kid"] = id.into();
    key
}

/// Goes from the app to the provider, allowing what is asked.
pub(crate) async fn leave(browser: &mut Browser, client: &OAuthClient) -> Callback {
    let page = browser.open(&client.authorize_url()).await.page();
    let question = browser.submit(&page.provider_form("idp")).await.page();
    browser.submit(&question.decision("allow")).await.client()
}

/// The whole way, up to where it leads.
pub(crate) async fn sign_in(
    provider: &FakeProvider,
    browser: &mut Browser,
    client: &OAuthClient,
) -> Arrival {
    let departure = leave(browser, client).await;
    let back = provider.answer(&departure);
    browser.open(&back).await
}

fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, body.to_string()).into_response()
}

async fn metadata(State(script): State<Shared>) -> Response {
    json_answer(200, &script.lock().expect("no panic").metadata)
}

async fn keys(State(script): State<Shared>) -> Response {
    json_answer(200, &script.lock().expect("no panic").keys)
}

async fn user_info(State(script): State<Shared>, headers: HeaderMap) -> Response {
    let authorization = headers.get("authorization");
    assert!(authorization.is_some_and(|a| a.as_bytes().starts_with(b"Bearer access ")));
    json_answer(200, &script.lock().expect("no panic").user_info)
}

async fn api(State(script): State<Shared>, Path(path): Path<String>) -> Response {
    match script.lock().expect("no panic").api.get(&path) {
        Some(said) => json_answer(200, said),
        None => json_answer(404, &json!({ "message": "Not Found" })),
    }
}

async fn token(State(script): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let mut script = script.lock().expect("no panic");
    let sent = Params::parse(&body);
    // RFC 6749 §2.3.1: the secret is in the header or in the body.
    let is_us = sent.get("client_secret") == Some(SECRET) || headers.contains_key("authorization");
    assert!(is_us, "nobody says who they are");
    let invalid_grant = || json_answer(400, &json!({ "error": "invalid_grant" }));
    let mut answer = json!({ "token_type": "Bearer", "expires_in": script.expires_in });
    if sent.get("grant_type") == Some("refresh_token") {
        script.refreshed += 1;
        if let Some((status, body)) = &script.refusal {
            return json_answer(*status, body);
        }
        if script.refresh_token.is_none()
            || sent.get("refresh_token") != script.refresh_token.as_deref()
        {
            return invalid_grant();
        }
    } else {
        script.redeemed += 1;
        if let Some((status, body)) = &script.refusal {
            return json_answer(*status, body);
        }
        let code = sent.get("code").unwrap_or_default().to_owned();
        let Some(asked) = script.codes.remove(&code) else {
            return invalid_grant();
        };
        // RFC 7636 §4.6.
        let verifier = sent.get("code_verifier").unwrap_or_default();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        if asked.get("code_challenge") != Some(&challenge) {
            return invalid_grant();
        }
        answer["id_token"] = script
            .make_id_token(asked.get("nonce").unwrap_or_default())
            .into();
        if answer["id_token"] == "" {
            answer
                .as_object_mut()
                .expect("an object")
                .remove("id_token");
        }
    }
    let number = script.redeemed + script.refreshed;
    answer["access_token"] = format!("access {number}").into();
    if script.refresh_token.is_some() {
        // They are good once.
        script.refresh_token = Some(format!("refresh {number}"));
        answer["refresh_token"] = format!("refresh {number}").into();
    }
    json_answer(200, &answer)
}

impl Script {
    fn make_id_token(&self, nonce: &str) -> String {
        if let Some(whole) = &self.id_token {
            return whole.clone();
        }
        self.signer.sign(&self.header, &self.all_claims(nonce))
    }

    /// The claims of a token that is right, changed as the story wants it.
    pub(crate) fn all_claims(&self, nonce: &str) -> Value {
        let mut claims = json!({
            "iss": self.metadata["issuer"],
            "sub": "ada",
            "aud": "us",
            "iat": self.now,
            "exp": self.now + 300,
            "nonce": nonce,
            "name": "Ada Lovelace",
            "email": "ada@example.com",
            "email_verified": true,
        });
        let members = claims.as_object_mut().expect("an object");
        for (name, value) in self.claims.as_object().expect("an object") {
            members.insert(name.clone(), value.clone());
        }
        members.retain(|_, value| !value.is_null());
        claims
    }
}
