//! Attacks that no other chapter tells of.

use std::{collections::BTreeSet, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{
    Answer, Browser, OAuthClient, PASSCODE, Params, TestServer, Tokens, VERIFIER,
};

/// Somebody who is not us.
const ELSEWHERE: &str = "https://client.example";

#[tokio::test]
async fn a_code_from_another_session_is_no_use() {
    const OTHER_VERIFIER: &str = "another-verifier-of-the-same-client-in-another-session";
    let server = TestServer::start().await;
    let client = OAuthClient::register_confidential(&server).await;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(OTHER_VERIFIER));
    let other_url =
        client.authorize_url_with(&client.authorization().set("code_challenge", &challenge));

    // Both are the same client, so its secret tells nothing: only the session has the verifier.
    let code = client.code(&mut Browser::new(&server)).await;
    let other_code = Browser::new(&server).approve(&other_url).await.code();
    let with = |code: &str, verifier: &str| client.code_grant(code).set("code_verifier", verifier);
    for injected in [with(&other_code, VERIFIER), with(&code, OTHER_VERIFIER)] {
        let refused = client.token(&injected).await;
        refused.oauth_error(400, "invalid_grant");
    }
    // Nor does the attempt disturb whose code it was.
    Tokens::of(&client.token(&with(&code, VERIFIER)).await);
    Tokens::of(&client.token(&with(&other_code, OTHER_VERIFIER)).await);
}

#[tokio::test]
async fn no_redirect_takes_the_passcode_along() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);

    // RFC 9700 §4.12: a 303, after which every browser asks with GET and without a body.
    let page = browser.open(&client.authorize_url()).await.page();
    let form = page.sign_in_form(PASSCODE);
    let signed_in = browser.post(&form.action, &form.fields, &[]).await;
    assert_eq!(signed_in.status, 303, "{signed_in:#?}");
    assert!(
        !signed_in.header("location").contains("password"),
        "{signed_in:#?}"
    );

    let page = browser.consent_page(&client.authorize_url()).await;
    let form = page.decision("allow");
    let allowed = browser.post(&form.action, &form.fields, &[]).await;
    assert_eq!(allowed.status, 303, "{allowed:#?}");
    let target = allowed.header("location");
    assert!(target.starts_with(&client.redirect_uri), "{target}");
}

#[tokio::test]
async fn no_grant_takes_a_password() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_confidential(&server).await;
    let request = Params::of([
        ("grant_type", "password"),
        ("username", "owner"),
        ("password", PASSCODE),
    ]);
    let refused = client.ask("/token", request).await;
    refused.oauth_error(400, "unsupported_grant_type");

    let path = "/.well-known/oauth-authorization-server";
    let metadata = server.get(path).send().await.json();
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    for dead in ["password", "implicit"] {
        assert!(!grants.contains(&json!(dead)), "{metadata}");
    }
}

#[tokio::test]
async fn no_client_can_call_itself_what_the_owner_is_called() {
    let server = TestServer::start().await;
    let client = OAuthClient::register_with(&server, json!({ "client_id": "owner" })).await;
    assert_ne!(client.id, "owner");

    // What stands for the person is the person's, however the client is called.
    let members =
        json!({ "client_name": "owner", "token_endpoint_auth_method": "client_secret_post" });
    let client = OAuthClient::register_with(&server, members).await;
    let tokens = client.authorize_with(&mut Browser::new(&server)).await;
    let known = client.introspect(&tokens.access).await.json();
    assert_eq!(known["sub"], "owner", "{known}");
    assert_eq!(known["client_id"], client.id, "{known}");
}

#[tokio::test]
async fn pages_cannot_be_framed_and_tell_nobody_where_they_were() {
    let server = TestServer::start().await;
    let members = json!({
        "client_uri": ELSEWHERE,
        "logo_uri": format!("{ELSEWHERE}/logo.png"),
        "tos_uri": format!("{ELSEWHERE}/terms"),
        "policy_uri": format!("{ELSEWHERE}/privacy"),
    });
    let client = OAuthClient::register_with(&server, members).await;
    let mut browser = Browser::new(&server);

    let front = browser.visit(&server.url("/")).await;
    let sign_in = browser.open(&client.authorize_url()).await.page();
    let refused = browser.submit(&sign_in.sign_in_form("wrong")).await.page();
    let consent = browser.consent_page(&client.authorize_url()).await;
    let unknown = OAuthClient::known_as(&server, "nobody", ELSEWHERE).authorize_url();
    let unknown = browser.open(&unknown).await.page();
    let pages = [sign_in, refused, consent, unknown].map(|page| page.answer);
    for page in pages.iter().chain([&front]) {
        page.assert_page();
        assert_eq!(page.header("x-frame-options"), "DENY", "{page:#?}");
        assert_loads_nothing(page);
    }
    // RFC 9700 §4.2.4: no links to other sites either, where a request is in the address.
    for page in &pages {
        assert!(!page.body.contains(ELSEWHERE), "{page:#?}");
    }
}

#[track_caller]
fn assert_loads_nothing(page: &Answer) {
    for element in [
        "<img", "<iframe", "<link", "<object", "<script", "@import", "url(",
    ] {
        assert!(!page.body.contains(element), "{element} on {page:#?}");
    }
}

#[tokio::test]
async fn what_is_handed_out_cannot_be_guessed() {
    const MANY: usize = 20;
    let server = TestServer::start().await;
    let mut handed_out: Vec<Vec<String>> = Vec::new();
    for _ in 0..MANY {
        let client = OAuthClient::register_confidential(&server).await;
        let mut browser = Browser::new(&server);
        let code = client.code(&mut browser).await;
        let tokens = Tokens::of(&client.redeem(&code).await);
        let mut values = vec![
            client.secret.clone().unwrap(),
            code,
            tokens.refresh_token().to_owned(),
            tokens.access,
        ];
        values.extend(browser.cookies().iter().map(|cookie| cookie.value.clone()));
        handed_out.push(values);
    }

    for values in &handed_out {
        for value in values {
            // RFC 6749 §10.10: not better than one in 2^160, with six bits in each character.
            let random = value.split_once('_').map_or(&**value, |(_, random)| random);
            assert!(random.len() * 6 >= 160, "{value} is short");
        }
    }
    // Neither counted nor made from the time: no two begin alike, and no two end alike.
    let random = |value: &String| value.split_once('_').unwrap().1.to_owned();
    let all: Vec<String> = handed_out.iter().flatten().map(random).collect();
    let beginnings: BTreeSet<&str> = all.iter().map(|value| &value[..8]).collect();
    let ends: BTreeSet<&str> = all.iter().map(|value| &value[value.len() - 8..]).collect();
    assert_eq!((beginnings.len(), ends.len()), (all.len(), all.len()));
}

#[test]
fn the_store_is_never_given_a_secret() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // What is kept is plain data of the model, and the store's own.
    for room in ["store", "model"] {
        let mut named = BTreeSet::new();
        for (path, code) in code_in(&source.join(room)) {
            for names in code.split("secret::").skip(1).map(named_first) {
                for name in names {
                    // Of the server's own keys every replica needs the whole. What the operator shows
                    // to others, and what a provider knows us by, is configured and never kept.
                    let is_allowed = match name {
                        "Digest" | "DigestMap" | "PasswordHash" | "ServerKey" => true,
                        "ProviderSecret" => path.ends_with("model/provider.rs"),
                        _ => false,
                    };
                    assert!(is_allowed, "{path} names {name}");
                    named.insert(name.to_owned());
                }
            }
        }
        assert!(named.contains("Digest"), "{room} names no digest");
    }
}

/// What a path goes on with: one name, or several in braces.
fn named_first(rest: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let names = match rest.strip_prefix('{') {
        Some(list) => list.split('}').next(),
        None => rest.split(|c| !is_name(c)).next(),
    };
    let names = names.unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

/// The files of a directory and all below, without their tests and comments.
fn code_in(directory: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(code_in(&path));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<&str> = text.lines().filter(is_code).collect();
        files.push((path.display().to_string(), code.join("\n")));
    }
    files
}
