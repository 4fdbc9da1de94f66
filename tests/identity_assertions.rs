//! People whom an identity provider vouches for: enterprise-managed authorization by the assertion
//! grant (RFC 7523 §2.1, draft-ietf-oauth-identity-assertion-authz-grant).

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use remote_mcp_auth::jose::Algorithm;
use serde_json::{Value, json};

use crate::{
    signing::SigningKey,
    support::{Answer, OAuthClient, Params, TestServer, Tokens, vendor::Vendor},
};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";
const ISSUER: &str = "https://idp.example";

/// Two clients, of which the provider's assertions may be brought by one.
const FILE: &str = r#"
[[scopes]]
name = "read"
description = "Read what is there"
tools = ["best_*"]

[[scopes]]
name = "write"
description = "Change what is there"

[[clients]]
client_id = "company-app"
client_secret = "a secret of the company"
grant_types = ["urn:ietf:params:oauth:grant-type:jwt-bearer"]

[[clients]]
client_id = "other-app"
client_secret = "a secret of the others"
grant_types = ["urn:ietf:params:oauth:grant-type:jwt-bearer"]

[[clients]]
client_id = "public-app"
redirect_uris = ["https://client.example/callback"]
"#;

/// A company: its identity provider, and the server that trusts it.
struct Company {
    provider: Vendor,
    key: SigningKey,
    server: TestServer,
    app: OAuthClient,
}

impl Company {
    /// With these lines in the provider's table besides.
    async fn start(lines: &str) -> Self {
        let provider = Vendor::start().await;
        let key = SigningKey::generate(Algorithm::Rs256);
        provider.keys.publish(&json!({ "keys": [key.jwk()] }));
        let jwks_uri = provider.jwks_uri();
        let file = format!(
            "{FILE}\n[[assertion_issuers]]\nissuer = \"{ISSUER}\"\njwks_uri = \"{jwks_uri}\"\n\
             clients = [\"company-app\", \"public-app\"]\n{lines}\n"
        );
        let server = provider.server_reading(&file).await;
        let app = OAuthClient::known_as(&server, "company-app", "");
        Self {
            app: app.with_secret("a secret of the company"),
            provider,
            key,
            server,
        }
    }

    /// What the provider says (draft-ietf-oauth-identity-assertion-authz-grant §3).
    fn claims(&self) -> Value {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        json!({
            "iss": ISSUER,
            "sub": "alice",
            "aud": self.server.public_url(),
            "client_id": "company-app",
            "resource": self.server.url("/mcp"),
            "scope": "read",
            "jti": NEXT.fetch_add(1, Ordering::Relaxed).to_string(),
            "iat": self.server.now(),
            "exp": self.server.now() + 300,
        })
    }

    /// The same with another claim instead, or without it where the value is null.
    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        let members = claims.as_object_mut().unwrap();
        members.insert(name.to_owned(), value);
        members.retain(|_, value| !value.is_null());
        claims
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign(&json!({ "typ": "oauth-id-jag+jwt" }), claims)
    }

    /// Trades an assertion for a token.
    async fn bring(&self, assertion: &str) -> Answer {
        self.app.ask("/token", form(assertion)).await
    }
}

fn form(assertion: &str) -> Params {
    Params::of([("grant_type", GRANT_TYPE), ("assertion", assertion)])
}

#[tokio::test]
async fn a_person_whom_the_provider_vouches_for_needs_no_browser() {
    let company = Company::start("").await;
    let server = &company.server;
    let metadata = server.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.expect(200).json();
    let profiles = &metadata["authorization_grant_profiles_supported"];
    assert_eq!(*profiles, json!([PROFILE]));
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&json!(GRANT_TYPE)));

    let answer = company.bring(&company.sign(&company.claims())).await;
    let tokens = Tokens::of(&answer);
    assert_eq!(tokens.scope, "read");
    // RFC 7521 §4.1: the provider decides again next time.
    assert_eq!(tokens.refresh, None);
    let opened = server.post("/mcp").bearer(&tokens.access).send().await;
    assert_ne!(opened.status, 401);

    // One person with one client is one grant, whoever comes how often.
    company
        .bring(&company.sign(&company.claims()))
        .await
        .expect(200);
    let bob = company.claims_with("sub", json!("bob"));
    company.bring(&company.sign(&bob)).await.expect(200);
    let grants = server.admin().get("/grants").send().await.json();
    let mut people: Vec<&str> = grants["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant["user"].as_str().unwrap())
        .collect();
    people.sort_unstable();
    // By issuer and subject, which nobody can give away (§7.9 of the extension).
    assert_eq!(
        people,
        ["https://idp.example#alice", "https://idp.example#bob"]
    );
    assert_eq!(company.provider.keys.fetched(), 1);
}

#[tokio::test]
async fn it_is_off_until_the_operator_names_a_provider() {
    let server = TestServer::start().await;
    let metadata = server.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.expect(200).json();
    assert_eq!(metadata.get("authorization_grant_profiles_supported"), None);
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(!grants.contains(&json!(GRANT_TYPE)));
    let client = OAuthClient::register_confidential(&server).await;
    let answer = client.ask("/token", form("a.b.c")).await;
    answer.oauth_error(400, "unsupported_grant_type");
}

#[tokio::test]
async fn an_assertion_that_is_not_in_order_is_refused() {
    let company = Company::start("").await;
    let now = company.server.now();
    let stranger = SigningKey::generate(Algorithm::Rs256);
    let header = json!({ "typ": "oauth-id-jag+jwt" });
    let plain = |typ: &str| company.key.sign(&json!({ "typ": typ }), &company.claims());
    let claiming = |name: &str, value: Value| company.sign(&company.claims_with(name, value));
    let none = {
        let signed = company.key.sign_text(
            r#"{"typ":"oauth-id-jag+jwt","alg":"none"}"#,
            &company.claims().to_string(),
        );
        format!("{}.", signed.rsplit_once('.').unwrap().0)
    };
    for (assertion, says) in [
        ("not.a.jwt".to_owned(), "base64url"),
        (none, "(alg)"),
        (plain("JWT"), "(typ)"),
        (plain("at+jwt"), "(typ)"),
        (stranger.sign(&header, &company.claims()), "signature"),
        (claiming("iss", json!("https://evil.example")), "issuer"),
        (claiming("iss", json!(null)), "iss"),
        (claiming("sub", json!(null)), "sub"),
        (claiming("sub", json!("")), "sub"),
        (claiming("sub", json!("a\u{0}b")), "sub"),
        (claiming("aud", json!("https://other.example")), "(aud)"),
        (
            claiming("aud", json!(company.server.url("/token"))),
            "(aud)",
        ),
        (claiming("aud", json!(null)), "aud"),
        (claiming("client_id", json!("other-app")), "(client_id)"),
        (claiming("client_id", json!(null)), "(client_id)"),
        (
            claiming("resource", json!("https://other.example/mcp")),
            "(resource)",
        ),
        (claiming("resource", json!(null)), "(resource)"),
        (claiming("resource", json!([])), "(resource)"),
        (claiming("exp", json!(now - 60)), "expired"),
        (claiming("exp", json!(null)), "exp"),
        (claiming("exp", json!(now + 7200)), "(exp)"),
        (claiming("iat", json!(now + 60)), "(iat)"),
        (claiming("iat", json!(null)), "iat"),
        (claiming("nbf", json!(now + 60)), "(nbf)"),
        (claiming("jti", json!(null)), "jti"),
    ] {
        let answer = company.bring(&assertion).await;
        let text = answer.oauth_error(400, "invalid_grant");
        assert!(text.contains(says), "no {says} in {text}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let answer = company
        .app
        .ask("/token", Params::of([("grant_type", GRANT_TYPE)]))
        .await;
    let text = answer.oauth_error(400, "invalid_request");
    assert!(text.contains("assertion"), "{text}");
}

#[tokio::test]
async fn an_assertion_is_traded_once() {
    let company = Company::start("").await;
    let assertion = company.sign(&company.claims());
    let answers = join_all((0..20).map(|_| company.bring(&assertion))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(accepted.count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        let text = refused.oauth_error(400, "invalid_grant");
        assert!(text.contains("(jti)"), "{text}");
    }
    // As long as it would be good; then it is refused for its age.
    company.server.advance(Duration::from_secs(329));
    let text = company
        .bring(&assertion)
        .await
        .oauth_error(400, "invalid_grant");
    assert!(text.contains("(jti)"), "{text}");
    company.server.advance(Duration::from_secs(1));
    let text = company
        .bring(&assertion)
        .await
        .oauth_error(400, "invalid_grant");
    assert!(text.contains("expired"), "{text}");
}

#[tokio::test]
async fn a_refused_request_uses_up_no_assertion() {
    let company = Company::start("").await;
    let assertion = company.sign(&company.claims());
    let app = &company.app;
    let wrong_scope = form(&assertion).and("scope", "write");
    let answer = app.ask("/token", wrong_scope).await;
    answer.oauth_error(400, "invalid_scope");
    let elsewhere = form(&assertion).and("resource", "https://other.example/mcp");
    let answer = app.ask("/token", elsewhere).await;
    answer.oauth_error(400, "invalid_target");
    let wrong_secret = app.clone().with_secret("a guess");
    let answer = wrong_secret.ask("/token", form(&assertion)).await;
    answer.oauth_error(401, "invalid_client");
    Tokens::of(&company.bring(&assertion).await);
}

#[tokio::test]
async fn only_clients_that_the_operator_named_may_bring_one() {
    let company = Company::start("").await;
    let server = &company.server;
    let other = OAuthClient::known_as(server, "other-app", "");
    let other = other.with_secret("a secret of the others");
    let theirs = company.sign(&company.claims_with("client_id", json!("other-app")));
    let answer = other.ask("/token", form(&theirs)).await;
    let text = answer.oauth_error(400, "invalid_grant");
    assert!(text.contains("issuer"), "{text}");
    // Nor one that was named and cannot show who it is.
    let public = OAuthClient::known_as(server, "public-app", "");
    let theirs = company.sign(&company.claims_with("client_id", json!("public-app")));
    let answer = public.ask("/token", form(&theirs)).await;
    answer.oauth_error(400, "unauthorized_client");
}

#[tokio::test]
async fn the_scope_is_what_all_three_agree_on() {
    for (most, asserted, requested, granted) in [
        ("", Some("read write"), None, Ok("read write")),
        ("", Some("read write"), Some("write"), Ok("write")),
        ("", Some("read"), Some("read write"), Ok("read")),
        ("", Some("read unknown offline_access"), None, Ok("read")),
        ("", Some("unknown"), None, Err("invalid_scope")),
        ("", Some(""), None, Err("invalid_scope")),
        ("", Some("read"), Some("write"), Err("invalid_scope")),
        // It does not say: the default, as for anybody.
        ("", None, None, Ok("read")),
        ("", None, Some("write"), Err("invalid_scope")),
        ("scope = \"read\"", Some("read write"), None, Ok("read")),
        ("scope = \"write\"", None, None, Ok("write")),
        (
            "scope = \"write\"",
            Some("read"),
            None,
            Err("invalid_scope"),
        ),
    ] {
        let company = Company::start(most).await;
        let claims = company.claims_with("scope", json!(asserted));
        let mut params = form(&company.sign(&claims));
        if let Some(requested) = requested {
            params = params.and("scope", requested);
        }
        let answer = company.app.ask("/token", params).await;
        match granted {
            Ok(granted) => assert_eq!(Tokens::of(&answer).scope, granted),
            Err(error) => {
                answer.oauth_error(400, error);
            }
        }
    }
}

#[tokio::test]
async fn keys_of_the_provider_that_are_out_of_reach_are_no_verdict() {
    let company = Company::start("").await;
    company.provider.keys.fail(500);
    let assertion = company.sign(&company.claims());
    let answer = company.bring(&assertion).await;
    answer.oauth_error(503, "temporarily_unavailable");
    answer.retry_after();
    company
        .provider
        .keys
        .publish(&json!({ "keys": [company.key.jwk()] }));
    Tokens::of(&company.bring(&assertion).await);
}
