//! Clients that sign what they send (`private_key_jwt`: OpenID Connect Core §9, RFC 7523).

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use remote_mcp_auth::{jose::Algorithm, web::fetch::FetchAllow};
use serde_json::{Value, json};

use crate::{
    signing::SigningKey,
    support::{
        Answer, Browser, OAuthClient, Params, REDIRECT_URI, Site, TestServer, Tokens,
        vendor::Vendor,
    },
};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client and the key that it signs with.
struct Signer {
    client: OAuthClient,
    key: SigningKey,
}

impl Signer {
    /// Registers with its public key.
    async fn register(site: &Site, algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm);
        let members = json!({
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [key.jwk()] },
        });
        let client = OAuthClient::register_with(site, members).await;
        Self { client, key }
    }

    /// What an assertion says (OpenID Connect Core §9).
    fn claims(&self, server: &TestServer) -> Value {
        json!({
            "iss": self.client.id,
            "sub": self.client.id,
            "aud": server.public_url(),
            "jti": unique(),
            "iat": server.now(),
            "exp": server.now() + 60,
        })
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign(&json!({}), claims)
    }

    /// A form with a proper assertion.
    fn signed(&self, server: &TestServer, params: Params) -> Params {
        asserting(params, &self.sign(&self.claims(server)))
    }

    /// A form post of this, with a proper assertion.
    async fn ask(&self, server: &TestServer, path: &str, params: Params) -> Answer {
        let form = self.signed(server, params);
        server.post(path).form(&form).send().await
    }

    async fn refresh(&self, server: &TestServer, token: &str) -> Answer {
        let form = self.client.refresh_grant(token);
        self.ask(server, "/token", form).await
    }

    /// Tokens, for a browser that allows it.
    async fn authorize(&self, server: &TestServer) -> Tokens {
        let code = self.client.code(&mut Browser::new(server)).await;
        let form = self.client.code_grant(&code);
        Tokens::of(&self.ask(server, "/token", form).await)
    }
}

/// A name that no other assertion has.
fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// A form with an assertion.
fn asserting(params: Params, assertion: &str) -> Params {
    let params = params.and("client_assertion_type", TYPE);
    params.and("client_assertion", assertion)
}

/// Claims with others instead, and without those that are null.
fn changed(mut claims: Value, changes: Value) -> Value {
    let (Value::Object(members), Value::Object(changes)) = (&mut claims, changes) else {
        panic!("claims are objects");
    };
    members.extend(changes);
    members.retain(|_, value| !value.is_null());
    claims
}

/// A refusal of the client, and its text.
#[track_caller]
fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.oauth_error(401, "invalid_client")
}

#[tokio::test]
async fn a_client_that_signs_gets_tokens_whatever_its_algorithm() {
    let server = TestServer::start().await;
    let metadata = server.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.expect(200).json();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        let methods = methods.as_array().unwrap();
        assert!(methods.contains(&json!("private_key_jwt")), "{endpoint}");
        // RFC 8414 §2: needed where private_key_jwt is listed, and `none` must not be in it.
        let names = &metadata[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        for name in ["RS256", "ES256", "EdDSA"] {
            assert!(names.as_array().unwrap().contains(&json!(name)), "{name}");
        }
        assert!(!names.as_array().unwrap().contains(&json!("none")));
    }
    for algorithm in Algorithm::ALL {
        let signer = Signer::register(&server, algorithm).await;
        let tokens = signer.authorize(&server).await;
        let refreshed = signer.refresh(&server, tokens.refresh_token()).await;
        Tokens::of(&refreshed);
    }
}

#[tokio::test]
async fn the_registration_is_echoed_with_the_public_key() {
    let server = TestServer::start().await;
    let key = SigningKey::generate(Algorithm::Es256);
    let client = json!({
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": { "keys": [key.jwk()] },
    });
    let registered = server.post("/register").json(&client).send().await;
    let registered = registered.expect(201).json();
    assert_eq!(registered["token_endpoint_auth_method"], "private_key_jwt");
    assert_eq!(registered["token_endpoint_auth_signing_alg"], "ES256");
    assert_eq!(registered["jwks"]["keys"], json!([key.jwk()]));
    assert_eq!(registered.get("client_secret"), None);

    // RFC 7591 §2: an algorithm that is not ours, no key at all, two places for keys.
    for (member, value, says) in [
        ("token_endpoint_auth_signing_alg", json!("HS256"), "ES256"),
        ("jwks", json!(null), "needs jwks or jwks_uri"),
        ("jwks_uri", json!("https://client.example/keys"), "not both"),
        ("jwks", json!({ "keys": [] }), "no key"),
    ] {
        let client = changed(client.clone(), json!({ member: value }));
        let answer = server.post("/register").json(&client).send().await;
        let text = answer.oauth_error(400, "invalid_client_metadata");
        assert!(text.contains(says), "{member}: {text}");
    }
}

#[tokio::test]
async fn every_name_of_this_server_is_a_good_audience() {
    let server = TestServer::start().await;
    let signer = Signer::register(&server, Algorithm::Es256).await;
    let issuer = server.public_url().to_owned();
    // RFC 7523 §3: the issuer, or the token endpoint. RFC 9126 §2: or the endpoint of the push.
    for audience in [
        json!(issuer),
        json!(format!("{issuer}/")),
        json!(format!("{issuer}/token")),
        json!(format!("{issuer}/par")),
        json!(["https://other.example", issuer]),
    ] {
        let claims = changed(signer.claims(&server), json!({ "aud": audience }));
        let form = asserting(signer.client.authorization(), &signer.sign(&claims));
        let answer = server.post("/par").form(&form).send().await;
        assert_eq!(answer.status, 201, "{audience}: {answer:#?}");
    }
}

#[tokio::test]
async fn an_assertion_that_is_not_in_order_opens_nothing_and_uses_up_nothing() {
    let server = TestServer::start().await;
    let signer = Signer::register(&server, Algorithm::Es256).await;
    let stranger = SigningKey::generate(Algorithm::Es256);
    let other_type = SigningKey::generate(Algorithm::Rs256);
    let tokens = signer.authorize(&server).await;
    let now = server.now();
    let good = || signer.claims(&server);
    let claiming = |changes| signer.sign(&changed(good(), changes));
    let none = {
        let full = signer
            .key
            .sign_text(r#"{"alg":"none"}"#, &good().to_string());
        format!("{}.", full.rsplit_once('.').unwrap().0)
    };
    let hmac = signer
        .key
        .sign_text(r#"{"alg":"HS256"}"#, &good().to_string());

    for (assertion, says) in [
        ("not.a.jwt".to_owned(), "base64url"),
        (none, "(alg)"),
        (hmac, "(alg)"),
        (stranger.sign(&json!({}), &good()), "signature"),
        (other_type.sign(&json!({}), &good()), "no key"),
        (
            signer.key.sign(&json!({ "typ": "at+jwt" }), &good()),
            "(typ)",
        ),
        (
            signer.key.sign(&json!({ "typ": "dpop+jwt" }), &good()),
            "(typ)",
        ),
        (signer.key.sign(&json!({ "crit": ["x"] }), &good()), "crit"),
        (claiming(json!({ "iss": "somebody else" })), "(iss)"),
        (claiming(json!({ "iss": null })), "iss"),
        (claiming(json!({ "sub": "somebody else" })), "(sub)"),
        (claiming(json!({ "sub": null })), "sub"),
        (claiming(json!({ "aud": "https://other.example" })), "(aud)"),
        (claiming(json!({ "aud": server.url("/mcp") })), "(aud)"),
        (claiming(json!({ "aud": null })), "aud"),
        (claiming(json!({ "exp": null })), "exp"),
        (claiming(json!({ "exp": now - 60 })), "expired"),
        (claiming(json!({ "exp": now + 2 * 3600 })), "(exp)"),
        (claiming(json!({ "nbf": now + 60 })), "(nbf)"),
        (claiming(json!({ "iat": now + 60 })), "(iat)"),
        (claiming(json!({ "jti": null })), "jti"),
        (claiming(json!({ "jti": 7 })), "jti"),
    ] {
        let form = asserting(
            signer.client.refresh_grant(tokens.refresh_token()),
            &assertion,
        );
        let answer = server.post("/token").form(&form).send().await;
        let text = refusal(&answer);
        assert!(text.contains(says), "no {says} in {text}");
        assert!(!text.contains(&assertion), "{text}");
    }
    Tokens::of(&signer.refresh(&server, tokens.refresh_token()).await);
}

#[tokio::test]
async fn an_assertion_is_used_once() {
    let server = TestServer::start().await;
    let signer = Signer::register(&server, Algorithm::EdDsa).await;
    let claims = signer.claims(&server);
    let form = asserting(signer.client.authorization(), &signer.sign(&claims));
    let pushes = (0..20).map(|_| server.post("/par").form(&form).send());
    let answers = join_all(pushes).await;
    let accepted = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(accepted.count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert!(refusal(refused).contains("(jti)"));
    }
    // Nor at another endpoint, nor signed anew.
    for form in [
        asserting(Params::of([("token", "any")]), &signer.sign(&claims)),
        asserting(
            Params::of([("token", "any")]),
            &signer.sign(&changed(
                claims.clone(),
                json!({ "exp": server.now() + 90 }),
            )),
        ),
    ] {
        let answer = server.post("/introspect").form(&form).send().await;
        assert!(refusal(&answer).contains("(jti)"));
    }
    // The name is its client's own: another client's may be called the same.
    let other = Signer::register(&server, Algorithm::EdDsa).await;
    let same_name = changed(other.claims(&server), json!({ "jti": claims["jti"] }));
    let form = asserting(other.client.authorization(), &other.sign(&same_name));
    server.post("/par").form(&form).send().await.expect(201);
}

#[tokio::test]
async fn the_assertion_says_whose_it_is() {
    let server = TestServer::start().await;
    let signer = Signer::register(&server, Algorithm::Ps256).await;
    let other = Signer::register(&server, Algorithm::Ps256).await;
    let code = signer.client.code(&mut Browser::new(&server)).await;
    let form = signer.client.code_grant(&code);
    // RFC 7521 §4.2: client_id need not be there, but must not contradict.
    let contradicting = form.clone().set("client_id", &other.client.id);
    let answer = signer.ask(&server, "/token", contradicting).await;
    refusal(&answer);
    let unnamed = form.without("client_id");
    Tokens::of(&signer.ask(&server, "/token", unnamed).await);
}

#[tokio::test]
async fn a_client_that_signs_has_no_other_way() {
    let server = TestServer::start().await;
    let signer = Signer::register(&server, Algorithm::Es384).await;
    let tokens = signer.authorize(&server).await;
    let form = signer.client.refresh_grant(tokens.refresh_token());

    let bare = server.post("/token").form(&form).send().await;
    assert!(refusal(&bare).contains("private_key_jwt"));
    let secret = form.clone().and("client_secret", "a guess");
    let secret = server.post("/token").form(&secret).send().await;
    assert!(refusal(&secret).contains("no secret"));

    // RFC 6749 §2.3: one way, not two. RFC 7521 §4.2: of the one type.
    let both = signer.signed(&server, form.clone());
    let both = both.and("client_secret", "a guess");
    let both = server.post("/token").form(&both).send().await;
    both.oauth_error(400, "invalid_request");
    let assertion = signer.sign(&signer.claims(&server));
    let untyped = form.clone().and("client_assertion", &assertion);
    let untyped = server.post("/token").form(&untyped).send().await;
    let text = untyped.oauth_error(400, "invalid_request");
    assert!(text.contains(TYPE), "{text}");

    // And one that has no key cannot sign.
    let public = OAuthClient::register(&server).await;
    let form = asserting(public.refresh_grant("any"), &assertion);
    let answer = server.post("/token").form(&form).send().await;
    assert!(refusal(&answer).contains("no key"));
}

#[tokio::test]
async fn a_client_that_chose_an_algorithm_keeps_to_it() {
    let server = TestServer::start().await;
    let (chosen, other) = (Algorithm::Es256, Algorithm::EdDsa);
    let (key, second) = (SigningKey::generate(chosen), SigningKey::generate(other));
    let members = json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": { "keys": [key.jwk(), second.jwk()] },
    });
    let client = OAuthClient::register_with(&server, members).await;
    let mut signer = Signer { client, key };
    let push = signer.client.authorization();
    let answer = signer.ask(&server, "/par", push.clone()).await;
    answer.expect(201);
    signer.key = second;
    let answer = signer.ask(&server, "/par", push).await;
    assert!(refusal(&answer).contains("(alg)"));
}

#[tokio::test]
async fn keys_are_fetched_kept_and_replaced() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let signer = signer_of(&vendor, &server).await;
    let tokens = signer.authorize(&server).await;
    let tokens = Tokens::of(&signer.refresh(&server, tokens.refresh_token()).await);
    assert_eq!(vendor.keys.fetched(), 1);

    // A new key under a new name: fetched, but not for everyone who invents one.
    // RFC 7638 §1: a thumbprint makes a good name.
    let name_of = |key: &SigningKey| key.public().thumbprint().to_string();
    let named = |key: &SigningKey| {
        let mut jwk = key.jwk();
        jwk["kid"] = name_of(key).into();
        json!({ "keys": [jwk] })
    };
    let new = SigningKey::generate(Algorithm::Es256);
    vendor.keys.publish(&named(&new));
    let push = |key: &SigningKey, kid: &str| {
        let assertion = key.sign(&json!({ "kid": kid }), &signer.claims(&server));
        let form = asserting(signer.client.authorization(), &assertion);
        server.post("/par").form(&form).send()
    };
    assert_eq!(push(&new, &name_of(&new)).await.status, 401);
    server.advance(Duration::from_hours(1));
    push(&new, &name_of(&new)).await.expect(201);
    assert_eq!(vendor.keys.fetched(), 2);
    for _ in 0..3 {
        assert!(refusal(&push(&new, "invented").await).contains("no key"));
    }
    assert_eq!(vendor.keys.fetched(), 2);
    let newest = SigningKey::generate(Algorithm::Es256);
    vendor.keys.publish(&named(&newest));
    server.advance(Duration::from_secs(30));
    push(&newest, &name_of(&newest)).await.expect(201);
    assert_eq!(vendor.keys.fetched(), 3);
    // The old one was taken out, and with it whoever has stolen it.
    assert_eq!(push(&new, &name_of(&new)).await.status, 401);

    let signer = Signer {
        key: newest,
        ..signer
    };
    Tokens::of(&signer.refresh(&server, tokens.refresh_token()).await);
}

/// A client whose keys the vendor's site publishes.
async fn signer_of(vendor: &Vendor, server: &TestServer) -> Signer {
    let key = SigningKey::generate(Algorithm::Es256);
    vendor.keys.publish(&json!({ "keys": [key.jwk()] }));
    let members = json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": vendor.jwks_uri(),
    });
    let client = OAuthClient::register_with(server, members).await;
    Signer { client, key }
}

#[tokio::test]
async fn keys_that_are_out_of_reach_are_no_reason_to_throw_tokens_away() {
    let vendor = Vendor::start().await;
    let server = vendor.server([]).await;
    let signer = signer_of(&vendor, &server).await;
    let code = signer.client.code(&mut Browser::new(&server)).await;
    let form = signer.client.code_grant(&code);
    for (status, body) in [
        (500, "{}"),
        (404, "{}"),
        (200, "<html>"),
        (200, "{\"keys\":[]}"),
    ] {
        vendor.keys.publish_text(body);
        vendor.keys.fail(status);
        let answer = signer.ask(&server, "/token", form.clone()).await;
        let text = answer.oauth_error(503, "temporarily_unavailable");
        assert!(text.contains(&vendor.jwks_uri()), "{text}");
        answer.retry_after();
    }
    vendor.keys.publish(&json!({ "keys": [signer.key.jwk()] }));
    let tokens = Tokens::of(&signer.ask(&server, "/token", form).await);

    // An old copy serves for a day.
    vendor.keys.fail(500);
    server.advance(Duration::from_hours(1));
    let answer = signer.refresh(&server, tokens.refresh_token()).await;
    let tokens = Tokens::of(&answer);
    server.advance(Duration::from_hours(24));
    let answer = signer.refresh(&server, tokens.refresh_token()).await;
    answer.oauth_error(503, "temporarily_unavailable");
}

#[tokio::test]
async fn keys_are_not_fetched_from_where_strangers_may_not_send_us() {
    let vendor = Vendor::start().await;
    let server = vendor.server_with(FetchAllow::default(), []).await;
    let signer = signer_of(&vendor, &server).await;
    let code = signer.client.code(&mut Browser::new(&server)).await;
    let form = signer.client.code_grant(&code);
    let answer = signer.ask(&server, "/token", form).await;
    let text = refusal(&answer);
    assert!(
        text.contains("localhost is not at a public address"),
        "{text}"
    );
    assert!(
        !text.contains("127.0.0.1") && !text.contains("::1"),
        "{text}"
    );
    assert_eq!(vendor.connections(), 0);
}

#[tokio::test]
async fn a_client_known_by_a_document_signs_or_not_as_its_document_says() {
    let vendor = Vendor::start().await;
    let key = SigningKey::generate(Algorithm::Rs256);
    vendor.keys.publish(&json!({ "keys": [key.jwk()] }));
    let mut document = vendor.document();
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    document["token_endpoint_auth_methods_supported"] = json!(["none", "private_key_jwt"]);
    document["token_endpoint_auth_signing_alg"] = json!("RS256");
    document["jwks_uri"] = json!(vendor.jwks_uri());
    vendor.publish(&document);
    let server = vendor.server([]).await;
    let client = vendor.client(&server);
    let signer = Signer { client, key };

    let tokens = signer.authorize(&server).await;
    let unsigned = signer.client.refresh(tokens.refresh_token()).await;
    let tokens = Tokens::of(&unsigned);
    // RFC 7662 §2.1: who asks about tokens has to show who it is.
    let asked = signer.client.introspect(&tokens.access).await;
    assert!(refusal(&asked).contains("authenticate"));
    let asking = Params::of([("token", &tokens.access)]);
    let asked = signer.ask(&server, "/introspect", asking).await;
    assert_eq!(asked.expect(200).json()["active"], true);
    let revoking = Params::of([("token", tokens.refresh_token())]);
    signer.ask(&server, "/revoke", revoking).await.expect(200);

    document["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt"]);
    vendor.publish(&document);
    server.advance(Duration::from_hours(2));
    let tokens = signer.authorize(&server).await;
    let unsigned = signer.client.refresh(tokens.refresh_token()).await;
    assert!(refusal(&unsigned).contains("private_key_jwt"));
}

#[tokio::test]
async fn a_client_of_the_operator_may_sign_on_its_own_authority() {
    let key = SigningKey::generate(Algorithm::EdDsa);
    let file = format!(
        "[[clients]]\nclient_id = \"nightly-report\"\ngrant_types = [\"client_credentials\"]\n\
         token_endpoint_auth_method = \"private_key_jwt\"\njwks.keys = [{}]\n",
        toml_of(&key.jwk())
    );
    let server = TestServer::one_reading(&file).await;
    let client = OAuthClient::known_as(&server, "nightly-report", "");
    let signer = Signer { client, key };
    let own = Params::of([("grant_type", "client_credentials")]);
    Tokens::of(&signer.ask(&server, "/token", own.clone()).await);
    let unsigned = signer.client.ask("/token", own).await;
    refusal(&unsigned);
}

/// A flat object as an inline table.
fn toml_of(object: &Value) -> String {
    let members = object.as_object().unwrap().iter();
    let members: Vec<String> = members
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    format!("{{ {} }}", members.join(", "))
}
