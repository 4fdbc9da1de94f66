//! Logs: one line per request, in JSON where no person looks, and no secret at any level.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Browser, CHALLENGE, Ended, Launch, McpClient, OAuthClient, PASSCODE, Params, Tokens, VERIFIER,
    basic,
};

const STATE: &str = "state-only-the-client-should-know";

#[tokio::test]
async fn nothing_secret_is_logged_even_when_everything_is() {
    let program = Launch::serving().env("RUST_LOG", "trace").start();
    let site = program.site();
    let mut secrets: Vec<String> = [PASSCODE, VERIFIER, CHALLENGE, STATE]
        .map(ToOwned::to_owned)
        .into();

    // The whole way, and every refusal on it that sees a secret.
    let members = json!({ "token_endpoint_auth_method": "client_secret_post" });
    let client = OAuthClient::register_with(&site, members).await;
    let mut browser = Browser::new(&site);
    let url = client.authorize_url_with(&client.authorization().set("state", STATE));
    let page = browser.open(&url).await.page();
    secrets.push(page.form().fields.get("csrf").unwrap().to_owned());
    secrets.extend(browser.cookies().iter().map(|cookie| cookie.value.clone()));
    let wrong_guess = "a guess that is nearly right";
    secrets.push(wrong_guess.to_owned());
    browser.submit(&page.sign_in_form(wrong_guess)).await.page();
    let page = browser.consent_page(&url).await;
    secrets.push(page.form().fields.get("csrf").unwrap().to_owned());
    secrets.extend(browser.cookies().iter().map(|cookie| cookie.value.clone()));
    let code = browser
        .submit(&page.decision("allow"))
        .await
        .client()
        .code();

    let tokens = Tokens::of(&client.redeem(&code).await);
    let mcp = McpClient::initialized(&site, &tokens.access, "2025-11-25").await;
    let stream = mcp.stream().await;
    mcp.call("best_person_looker_upper", &json!({ "startsWith": "A" }))
        .await;
    let refreshed = Tokens::of(&client.refresh(tokens.refresh_token()).await);
    site.post(&format!("/mcp?access_token={}", tokens.access))
        .send()
        .await
        .expect(401);
    client.redeem(&code).await.oauth_error(400, "invalid_grant");
    client
        .refresh(refreshed.refresh_token())
        .await
        .oauth_error(400, "invalid_grant");
    assert_eq!(mcp.ping().await, 401);
    drop(stream);

    secrets.extend([code, client.secret.unwrap(), mcp.session.unwrap()]);
    for tokens in [tokens, refreshed] {
        secrets.extend([tokens.access, tokens.refresh.unwrap()]);
    }
    assert_untold(&program.terminate(), &secrets);
}

/// Checks that a program that had much to tell has told none of this.
#[track_caller]
fn assert_untold(ended: &Ended, secrets: &[String]) {
    assert!(
        ended.stderr.lines().count() > 20,
        "hardly a log: {ended:#?}"
    );
    for secret in secrets {
        assert!(secret.len() > 8, "too short to look for: {secret}");
        // As it is, and as it stands in a query or a form.
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let told = |line: &&str| line.contains(secret) || line.contains(&encoded);
        let line = ended.stderr.lines().find(told);
        assert_eq!(line, None, "“{secret}” is in the log");
        assert!(
            !ended.stdout.contains(secret),
            "“{secret}” is in {}",
            ended.stdout
        );
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_beside_the_way_either() {
    const FILE: &str = r#"
        [[clients]]
        client_id = "nightly-report"
        client_secret = "a secret of the night"
        grant_types = ["client_credentials"]
    "#;
    let program = Launch::serving()
        .file("server.toml", FILE)
        .env("CONFIG_FILE", "server.toml")
        .env("RUST_LOG", "trace")
        .start();
    let site = program.site();
    let guess = "a guess that is nearly right";
    let mut secrets: Vec<String> = ["a secret of the night", guess, STATE]
        .map(ToOwned::to_owned)
        .into();

    let mut client = OAuthClient::register_confidential(&site).await;
    let secret = client.secret.clone().unwrap();
    secrets.push(client.registration().token.clone());
    let refused = client
        .manage(Method::GET)
        .bearer("ra_nearly_right")
        .send()
        .await;
    refused.oauth_error(401, "invalid_token");
    let method = "client_secret_post";
    let members = json!({ "token_endpoint_auth_method": method, "client_secret": secret });
    client.update(members).await;
    secrets.push(client.registration().token.clone());

    let request = client
        .authorization()
        .without("client_id")
        .set("state", STATE);
    let pushed = client.ask("/par", request).await.expect(201).json();
    let request_uri = pushed["request_uri"].as_str().unwrap();
    let (_, reference) = request_uri.rsplit_once(':').unwrap();
    let brought = Params::of([("client_id", &client.id), ("request_uri", request_uri)]);
    let url = client.authorize_url_with(&brought);
    let code = Browser::new(&site).approve(&url).await.code();
    let tokens = Tokens::of(&client.redeem(&code).await);

    let nightly = OAuthClient::known_as(&site, "nightly-report", "");
    let nightly = nightly.with_secret("a secret of the night");
    let own_grant = Params::of([("grant_type", "client_credentials")]);
    let own = Tokens::of(&nightly.ask("/token", own_grant.clone()).await);
    let guessing = nightly.clone().with_secret(guess);
    for path in ["/token", "/introspect", "/revoke", "/par"] {
        let form = own_grant.clone().and("token", &own.access);
        let refused = guessing.ask(path, form.clone()).await;
        refused.oauth_error(401, "invalid_client");
        let request = site.post(path).form(&form);
        let credentials = basic("nightly-report", guess);
        let refused = request.header("authorization", &credentials).send().await;
        refused.oauth_error(401, "invalid_client");
        secrets.push(credentials.replace("Basic ", ""));
    }
    nightly.introspect(&own.access).await.expect(200);
    nightly.revoke(&tokens.access).await.expect(400);
    client.revoke(&tokens.access).await.expect(200);
    client.delete().await.expect(204);

    secrets.extend(["ra_nearly_right".to_owned(), reference.to_owned(), secret]);
    secrets.extend([code, own.access, tokens.access, tokens.refresh.unwrap()]);
    assert_untold(&program.terminate(), &secrets);
}

#[tokio::test]
async fn every_request_is_one_line_of_json() {
    let program = Launch::serving().start();
    let site = program.site();
    let client = OAuthClient::register(&site).await;
    let id = "story-8c1d";
    let request = site.post("/token").header("x-request-id", id);
    request
        .form(&client.refresh_grant("rt_dead"))
        .send()
        .await
        .oauth_error(400, "invalid_grant");

    let ended = program.terminate();
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    let about: Vec<_> = lines
        .iter()
        .map(Value::to_string)
        .filter(|line| line.contains(id))
        .collect();
    let whole = about.join("\n");
    for part in ["POST", "/token", "400", &client.id] {
        assert!(whole.contains(part), "no {part} in {whole}");
    }
}

#[tokio::test]
async fn a_request_is_logged_with_the_client_that_it_names_if_there_is_one() {
    let program = Launch::serving().start();
    let site = program.site();
    let members = json!({ "token_endpoint_auth_method": "client_secret_post" });
    let client = OAuthClient::register_with(&site, members).await;
    let code = client.code(&mut Browser::new(&site)).await;
    let grant = client.code_grant(&code).set("client_secret", "wrong");
    client
        .token(&grant)
        .await
        .oauth_error(401, "invalid_client");
    let tokens = Tokens::of(&client.redeem(&code).await);
    McpClient::initialized(&site, &tokens.access, "2025-11-25").await;
    let unknown = client.authorization().set("client_id", "nobody-at-all");
    let url = client.authorize_url_with(&unknown);
    Browser::new(&site).visit(&url).await.expect(400);

    let ended = program.terminate();
    let requests: Vec<Value> = ended
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["http.route"].is_string())
        .collect();
    for (route, method, status) in [
        ("/authorize", "GET", 303),
        ("/consent", "GET", 200),
        ("/consent", "POST", 303),
        ("/token", "POST", 401),
        ("/mcp", "POST", 200),
    ] {
        let found = requests.iter().any(|line| {
            line["http.route"] == route
                && line["http.method"] == method
                && line["http.status"] == status
                && line["client.id"] == client.id
        });
        assert!(found, "no client at {method} {route}: {ended:#?}");
    }
    assert!(!ended.stderr.contains("nobody-at-all"), "{ended:#?}");
}

#[tokio::test]
async fn the_lines_of_requests_can_be_left_out_and_be_all_that_is_written() {
    for (filter, expected) in [
        ("info,remote_mcp_auth::request=warn", 0),
        ("off,remote_mcp_auth::request=info", 1),
    ] {
        let program = Launch::serving().env("RUST_LOG", filter).start();
        let id = "story-8c1e";
        let request = program.site().get("/mcp").header("x-request-id", id);
        request.send().await.expect(401);
        let ended = program.terminate();
        let lines = ended.stderr.lines().filter(|line| line.contains(id));
        assert_eq!(lines.count(), expected, "{filter}: {ended:#?}");
    }
}

#[test]
fn the_format_is_a_setting() {
    let program = Launch::serving().env("LOG_FORMAT", "pretty").start();
    program.told("listening on http://");
    let ended = program.terminate();
    let json = ended
        .stderr
        .lines()
        .find(|line| serde_json::from_str::<Value>(line).is_ok());
    assert_eq!(json, None, "{ended:#?}");
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_logged_once_with_what_to_do() {
    let program = Launch::serving().start();
    let site = program.site();
    for _ in 0..3 {
        site.post("/mcp")
            .header("host", "mcp.example.com")
            .send()
            .await
            .expect(403);
    }
    let ended = program.terminate();
    let hints = ended
        .stderr
        .matches("PUBLIC_URL=https://mcp.example.com")
        .count();
    assert_eq!(hints, 1, "{ended:#?}");
}

#[tokio::test]
async fn a_line_break_in_a_request_does_not_make_a_line_in_the_log() {
    let program = Launch::serving()
        .env("LOG_FORMAT", "pretty")
        .env("RUST_LOG", "trace")
        .start();
    let site = program.site();
    let client = OAuthClient::register(&site).await;
    let forged = "x\nWARN everything is fine";
    let params = client.authorization().set("client_id", forged);
    Browser::new(&site)
        .visit(&client.authorize_url_with(&params))
        .await
        .expect(400);
    let params = client.authorization().set("resource", forged);
    Browser::new(&site)
        .visit(&client.authorize_url_with(&params))
        .await
        .expect(303);
    let grant = client.refresh_grant("rt_dead").set("client_id", forged);
    client
        .token(&grant)
        .await
        .oauth_error(401, "invalid_client");
    let ended = program.terminate();
    // Nor anywhere else: what stands in a query is for nobody who reads the log.
    assert!(!ended.stderr.contains("everything is fine"), "{ended:#?}");
}
