//! Tokens that are bound to a key (DPoP, RFC 9449): whoever presents one has to show that they hold
//! the key.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use remote_mcp_auth::jose::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    signing::SigningKey,
    support::{
        Answer, Browser, OAuthClient, Params, Request, TestServer, connect, initialize_message,
    },
};

/// Someone who holds a key.
struct Holder(SigningKey);

impl Holder {
    fn new() -> Self {
        Self(SigningKey::generate(Algorithm::Es256))
    }

    fn jkt(&self) -> String {
        self.0.public().thumbprint().to_string()
    }

    /// A proof of these claims.
    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "dpop+jwt", "jwk": self.0.jwk() });
        self.0.sign(&header, claims)
    }

    /// A proof for a POST to the token endpoint.
    fn for_tokens(&self, server: &TestServer) -> String {
        self.sign(&claims(server, "POST", "/token"))
    }

    /// A proof for a call with `token`.
    fn for_call(&self, server: &TestServer, token: &str) -> String {
        self.sign(&call_claims(server, token))
    }

    /// Asks for tokens, with a proof.
    async fn ask(&self, server: &TestServer, form: &Params) -> Answer {
        let proof = self.for_tokens(server);
        asking(server, form, &proof).send().await
    }

    /// Lets `client` in, and gets tokens that are bound to the key.
    async fn authorize(&self, server: &TestServer, client: &OAuthClient) -> Bound {
        let code = client.code(&mut Browser::new(server)).await;
        Bound::of(&self.ask(server, &client.code_grant(&code)).await)
    }

    /// Calls with a token, and with a proof.
    async fn call(&self, server: &TestServer, token: &str) -> Answer {
        let proof = self.for_call(server, token);
        calling(server, token).header("dpop", &proof).send().await
    }
}

/// What a proof says (RFC 9449 §4.2).
fn claims(server: &TestServer, method: &str, path: &str) -> Value {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    json!({
        "jti": NEXT.fetch_add(1, Ordering::Relaxed).to_string(),
        "htm": method,
        "htu": server.url(path),
        "iat": server.now(),
    })
}

fn call_claims(server: &TestServer, token: &str) -> Value {
    let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token));
    with(claims(server, "POST", "/mcp"), "ath", json!(hash))
}

/// Claims with another one instead, or without it where the value is null.
fn with(mut claims: Value, name: &str, value: Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    members.insert(name.to_owned(), value);
    members.retain(|_, value| !value.is_null());
    claims
}

fn asking(server: &TestServer, form: &Params, proof: &str) -> Request {
    server.post("/token").form(form).header("dpop", proof)
}

/// An `initialize` with a token that is bound.
fn calling(server: &TestServer, token: &str) -> Request {
    let request = server.post("/mcp").json(&initialize_message("2025-11-25"));
    let request = request.header("accept", "application/json, text/event-stream");
    request.header("authorization", &format!("DPoP {token}"))
}

/// Tokens that are bound to a key.
struct Bound {
    access: String,
    refresh: String,
}

impl Bound {
    // RFC 9449 §5.
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        let body = answer.clone().expect(200).json();
        assert_eq!(body["token_type"], "DPoP", "{body}");
        Self {
            access: body["access_token"].as_str().unwrap().to_owned(),
            refresh: body["refresh_token"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// A 401 of the endpoint in the words of RFC 9449 §7.1, and its text.
#[track_caller]
fn challenge(answer: &Answer, error: &str) -> String {
    let text = answer.oauth_error(401, error);
    let value = answer.header("www-authenticate");
    assert!(value.starts_with("DPoP algs=\"ES256 "), "{value}");
    assert!(value.contains(&format!("error=\"{error}\"")), "{value}");
    assert!(value.contains("resource_metadata=\""), "{value}");
    text
}

#[tokio::test]
async fn a_client_that_holds_a_key_goes_the_whole_way() {
    let server = TestServer::start().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let metadata = server.get(path).send().await.expect(200).json();
        let names = metadata["dpop_signing_alg_values_supported"].as_array();
        let names = names.expect("the algorithms of proofs");
        assert!(names.contains(&json!("ES256")) && !names.contains(&json!("none")));
    }
    let (client, holder) = (OAuthClient::register(&server).await, Holder::new());
    let tokens = holder.authorize(&server, &client).await;
    holder.call(&server, &tokens.access).await.expect(200);
    let tokens = client.refresh_grant(&tokens.refresh);
    let tokens = Bound::of(&holder.ask(&server, &tokens).await);
    holder.call(&server, &tokens.access).await.expect(200);
    // The name of the scheme in any case (RFC 9110 §11.1), and the path with its slash.
    let proof = with(
        call_claims(&server, &tokens.access),
        "htu",
        json!(server.url("/mcp/")),
    );
    let mut request = server.post("/mcp/").json(&initialize_message("2025-11-25"));
    for (name, value) in [
        ("accept", "application/json, text/event-stream"),
        ("authorization", &format!("dpop {}", tokens.access)),
        ("dpop", &holder.sign(&proof)),
    ] {
        request = request.header(name, value);
    }
    request.send().await.expect(200);
}

#[tokio::test]
async fn proofs_of_every_algorithm_are_understood() {
    let server = TestServer::start().await;
    for algorithm in Algorithm::ALL {
        let holder = Holder(SigningKey::generate(algorithm));
        let client = OAuthClient::register(&server).await;
        let tokens = holder.authorize(&server, &client).await;
        holder.call(&server, &tokens.access).await.expect(200);
    }
}

#[tokio::test]
async fn whoever_finds_a_bound_token_can_do_nothing_with_it() {
    let server = TestServer::start().await;
    let (client, holder, thief) = (
        OAuthClient::register(&server).await,
        Holder::new(),
        Holder::new(),
    );
    let tokens = holder.authorize(&server, &client).await;

    // RFC 9449 §7.2: not as a bearer token.
    let answer = server.post("/mcp").bearer(&tokens.access).send().await;
    let text = answer.oauth_error(401, "invalid_token");
    assert!(text.contains("bound to a key"), "{text}");
    // Nor with a proof of another key, nor without.
    let answer = thief.call(&server, &tokens.access).await;
    assert!(challenge(&answer, "invalid_token").contains("another key"));
    let answer = calling(&server, &tokens.access).send().await;
    assert!(challenge(&answer, "invalid_dpop_proof").contains("missing"));
    // Nor is the refresh token of any use (§5).
    let form = client.refresh_grant(&tokens.refresh);
    let answer = thief.ask(&server, &form).await;
    answer.oauth_error(400, "invalid_grant");
    let answer = client.token(&form).await;
    answer.oauth_error(400, "invalid_dpop_proof");
    // And none of that has harmed its owner.
    holder.call(&server, &tokens.access).await.expect(200);
    Bound::of(&holder.ask(&server, &form).await);
}

#[tokio::test]
async fn a_token_that_is_not_bound_is_sent_as_bearer() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let answer = Holder::new().call(&server, &connected.tokens.access).await;
    assert!(challenge(&answer, "invalid_token").contains("as Bearer"));
}

#[tokio::test]
async fn a_proof_is_good_for_one_request() {
    let server = TestServer::start().await;
    let (client, holder) = (OAuthClient::register(&server).await, Holder::new());
    let tokens = holder.authorize(&server, &client).await;
    let now = server.now();
    let good = || call_claims(&server, &tokens.access);
    let other_token = Sha256::digest("another token");
    let other_token = BASE64_URL_SAFE_NO_PAD.encode(other_token);

    // RFC 9449 §4.3.
    for (claims, says) in [
        (with(good(), "htm", json!("GET")), "(htm)"),
        (with(good(), "htm", json!("post")), "(htm)"),
        (with(good(), "htu", json!(server.url("/token"))), "(htu)"),
        (
            with(good(), "htu", json!("https://evil.example/mcp")),
            "(htu)",
        ),
        (with(good(), "ath", json!(other_token)), "(ath)"),
        (with(good(), "ath", json!(null)), "ath"),
        (with(good(), "iat", json!(now - 300)), "(iat)"),
        (with(good(), "iat", json!(now + 60)), "(iat)"),
        (with(good(), "iat", json!(null)), "iat"),
        (with(good(), "jti", json!(null)), "jti"),
    ] {
        let request = calling(&server, &tokens.access).header("dpop", &holder.sign(&claims));
        let text = challenge(&request.send().await, "invalid_dpop_proof");
        assert!(text.contains(says), "no {says} in {text}");
    }
    let jwk = holder.0.jwk();
    for (header, says) in [
        (json!({ "typ": "JWT", "jwk": jwk }), "(typ)"),
        (json!({ "jwk": jwk }), "(typ)"),
        (json!({ "typ": "dpop+jwt" }), "(jwk)"),
    ] {
        let proof = holder.0.sign(&header, &good());
        let request = calling(&server, &tokens.access).header("dpop", &proof);
        let text = challenge(&request.send().await, "invalid_dpop_proof");
        assert!(text.contains(says), "no {says} in {text}");
    }
    for proof in ["", "nonsense", "a.b.c"] {
        let request = calling(&server, &tokens.access).header("dpop", proof);
        challenge(&request.send().await, "invalid_dpop_proof");
    }
    let (one, two) = (holder.sign(&good()), holder.sign(&good()));
    let request = calling(&server, &tokens.access).header("dpop", &one);
    let several = request.another_header("dpop", &two).send().await;
    assert!(challenge(&several, "invalid_dpop_proof").contains("several"));

    // §11.1: once, however many come at once.
    let calls = (0..20).map(|_| calling(&server, &tokens.access).header("dpop", &one).send());
    let answers = join_all(calls).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(accepted.count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert!(challenge(refused, "invalid_dpop_proof").contains("before"));
    }
    // Clocks differ by minutes.
    let early = with(good(), "iat", json!(now - 299));
    let request = calling(&server, &tokens.access).header("dpop", &holder.sign(&early));
    request.send().await.expect(200);
}

#[tokio::test]
async fn a_proof_that_is_refused_uses_up_no_code() {
    let server = TestServer::start().await;
    let (client, holder) = (OAuthClient::register(&server).await, Holder::new());
    let code = client.code(&mut Browser::new(&server)).await;
    let form = client.code_grant(&code);
    let good = || claims(&server, "POST", "/token");
    for (claims, says) in [
        (with(good(), "htu", json!(server.url("/mcp"))), "(htu)"),
        (with(good(), "htm", json!("GET")), "(htm)"),
        (with(good(), "iat", json!(server.now() - 300)), "(iat)"),
    ] {
        let answer = asking(&server, &form, &holder.sign(&claims)).send().await;
        let text = answer.oauth_error(400, "invalid_dpop_proof");
        assert!(text.contains(says), "no {says} in {text}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let two = asking(&server, &form, &holder.for_tokens(&server));
    let two = two
        .another_header("dpop", &holder.for_tokens(&server))
        .send()
        .await;
    two.oauth_error(400, "invalid_dpop_proof");
    // And a request that is refused uses up no proof.
    let proof = holder.for_tokens(&server);
    let wrong = form.clone().set("code_verifier", &"x".repeat(43));
    let answer = asking(&server, &wrong, &proof).send().await;
    answer.oauth_error(400, "invalid_grant");
    Bound::of(&asking(&server, &form, &proof).send().await);
    let again = client.refresh_grant("any");
    let answer = asking(&server, &again, &proof).send().await;
    answer.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_proof_is_not_used_again_for_other_tokens() {
    let server = TestServer::start().await;
    let (client, holder) = (OAuthClient::register(&server).await, Holder::new());
    let tokens = holder.authorize(&server, &client).await;
    let proof = holder.for_tokens(&server);
    let form = client.refresh_grant(&tokens.refresh);
    let tokens = Bound::of(&asking(&server, &form, &proof).send().await);
    let form = client.refresh_grant(&tokens.refresh);
    let answer = asking(&server, &form, &proof).send().await;
    let text = answer.oauth_error(400, "invalid_dpop_proof");
    assert!(text.contains("before"), "{text}");
    Bound::of(&holder.ask(&server, &form).await);
}

#[tokio::test]
async fn a_repeated_refresh_is_answered_for_the_key_that_is_shown() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_confidential(&server).await;
    let (first, second) = (Holder::new(), Holder::new());
    let tokens = first.authorize(&server, &client).await;
    let form = client.refresh_grant(&tokens.refresh);
    let tokens = Bound::of(&first.ask(&server, &form).await);
    // A lost answer: the same again.
    let repeated = Bound::of(&first.ask(&server, &form).await);
    assert_eq!(repeated.access, tokens.access);
    assert_eq!(repeated.refresh, tokens.refresh);
    // RFC 9449 §5: a client that authenticates may change its key. What it gets is bound to the new one.
    let other = Bound::of(&second.ask(&server, &form).await);
    assert_ne!(other.access, tokens.access);
    assert_eq!(other.refresh, tokens.refresh);
    second.call(&server, &other.access).await.expect(200);
    // Or it goes on without.
    let plain = client.token(&client.refresh_grant(&other.refresh)).await;
    assert_eq!(plain.expect(200).json()["token_type"], "Bearer");
}

#[tokio::test]
async fn a_client_that_says_that_its_tokens_are_bound_gets_no_others() {
    let server = TestServer::start().await;
    let members = json!({ "dpop_bound_access_tokens": true });
    let client = OAuthClient::register_with(&server, members).await;
    let code = client.code(&mut Browser::new(&server)).await;
    // RFC 9449 §5.2.
    let answer = client.redeem(&code).await;
    let text = answer.oauth_error(400, "invalid_dpop_proof");
    assert!(text.contains("dpop_bound_access_tokens"), "{text}");
    Bound::of(&Holder::new().ask(&server, &client.code_grant(&code)).await);
}

#[tokio::test]
async fn a_code_may_be_bound_to_a_key_from_the_beginning() {
    let server = TestServer::start().await;
    let (client, holder, thief) = (
        OAuthClient::register(&server).await,
        Holder::new(),
        Holder::new(),
    );
    // RFC 9449 §10.
    let params = client.authorization().and("dpop_jkt", &holder.jkt());
    let url = client.authorize_url_with(&params);
    let code = Browser::new(&server).approve(&url).await.code();
    let form = client.code_grant(&code);
    thief
        .ask(&server, &form)
        .await
        .oauth_error(400, "invalid_grant");
    client
        .token(&form)
        .await
        .oauth_error(400, "invalid_dpop_proof");
    Bound::of(&holder.ask(&server, &form).await);

    let nonsense = client.authorization().and("dpop_jkt", "too short");
    let url = client.authorize_url_with(&nonsense);
    let callback = Browser::new(&server).open(&url).await.client();
    assert_eq!(callback.params().get("error"), Some("invalid_request"));
}

#[tokio::test]
async fn a_proof_with_a_pushed_request_binds_its_code() {
    let server = TestServer::start().await;
    let (client, holder, thief) = (
        OAuthClient::register(&server).await,
        Holder::new(),
        Holder::new(),
    );
    let push = |params: Params, proof: String| {
        let request = server.post("/par").form(&params);
        request.header("dpop", &proof).send()
    };
    let proof = |holder: &Holder| holder.sign(&claims(&server, "POST", "/par"));
    // RFC 9449 §10.1: the key of the proof must be the one that is named.
    let named = client.authorization().and("dpop_jkt", &holder.jkt());
    let answer = push(named, proof(&thief)).await;
    answer.oauth_error(400, "invalid_grant");
    let pushed = push(client.authorization(), proof(&holder)).await;
    let pushed = pushed.expect(201).json();
    let url = client.authorize_url_with(&Params::of([
        ("client_id", &client.id),
        ("request_uri", pushed["request_uri"].as_str().unwrap()),
    ]));
    let code = Browser::new(&server).approve(&url).await.code();
    let form = client.code_grant(&code);
    thief
        .ask(&server, &form)
        .await
        .oauth_error(400, "invalid_grant");
    Bound::of(&holder.ask(&server, &form).await);
}

#[tokio::test]
async fn the_operator_may_demand_nonces() {
    let server = TestServer::with([("dpop_nonces", "on")]).await;
    let (client, holder) = (OAuthClient::register(&server).await, Holder::new());
    let code = client.code(&mut Browser::new(&server)).await;
    let form = client.code_grant(&code);
    // RFC 9449 §8: at the token endpoint.
    let answer = holder.ask(&server, &form).await;
    answer.oauth_error(400, "use_dpop_nonce");
    let nonce = answer.header("dpop-nonce").to_owned();
    let invented = with(
        claims(&server, "POST", "/token"),
        "nonce",
        json!("invented"),
    );
    let answer = asking(&server, &form, &holder.sign(&invented)).send().await;
    answer.oauth_error(400, "use_dpop_nonce");
    let good = with(claims(&server, "POST", "/token"), "nonce", json!(nonce));
    let tokens = Bound::of(&asking(&server, &form, &holder.sign(&good)).send().await);

    // §9: and at the resource.
    let answer = holder.call(&server, &tokens.access).await;
    challenge(&answer, "use_dpop_nonce");
    assert_eq!(answer.header("dpop-nonce"), nonce);
    let call = |nonce: &str| {
        let claims = with(call_claims(&server, &tokens.access), "nonce", json!(nonce));
        calling(&server, &tokens.access)
            .header("dpop", &holder.sign(&claims))
            .send()
    };
    call(&nonce).await.expect(200);
    // An old one is told from a new one, and a new one comes with the refusal.
    server.advance(Duration::from_mins(10));
    let answer = call(&nonce).await;
    challenge(&answer, "use_dpop_nonce");
    call(answer.header("dpop-nonce")).await.expect(200);
    // Clients without a key are none the wiser.
    let connected = connect(&server).await;
    connected.mcp(&server).initialize("2025-11-25").await;
}

#[tokio::test]
async fn what_is_told_about_a_token_names_its_key() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_confidential(&server).await;
    let holder = Holder::new();
    let tokens = holder.authorize(&server, &client).await;
    // RFC 9449 §6.2.
    let said = client.introspect(&tokens.access).await.expect(200).json();
    assert_eq!(said["token_type"], "DPoP");
    assert_eq!(said["cnf"], json!({ "jkt": holder.jkt() }));
    // A client that authenticates may refresh with another key.
    let said = client.introspect(&tokens.refresh).await.expect(200).json();
    assert_eq!(said.get("cnf"), None);
}

#[tokio::test]
async fn a_client_on_its_own_authority_may_bind_its_tokens() {
    let file = "[[clients]]\nclient_id = \"job\"\nclient_secret = \"a secret of the job\"\n\
                grant_types = [\"client_credentials\"]\n";
    let server = TestServer::one_reading(file).await;
    let form = Params::of([
        ("grant_type", "client_credentials"),
        ("client_id", "job"),
        ("client_secret", "a secret of the job"),
    ]);
    let holder = Holder::new();
    let tokens = Bound::of(&holder.ask(&server, &form).await);
    holder.call(&server, &tokens.access).await.expect(200);
}

#[tokio::test]
async fn pages_may_send_proofs_and_read_nonces() {
    let server = TestServer::start().await;
    for (path, origin) in [
        ("/token", "https://any.example"),
        ("/mcp", "https://claude.ai"),
    ] {
        let answer = server.preflight(path, origin, "authorization, dpop").await;
        let allowed = answer.list("access-control-allow-headers");
        assert!(allowed.iter().any(|name| name == "dpop"), "{allowed:?}");
        let request = server.request(Method::POST, path).header("origin", origin);
        let exposed = request.send().await.list("access-control-expose-headers");
        assert!(
            exposed.iter().any(|name| name == "dpop-nonce"),
            "{exposed:?}"
        );
    }
}
