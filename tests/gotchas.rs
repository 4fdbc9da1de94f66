//! What real clients stumble over, one story each, numbered as in the project's notes on clients.
//!
//! Where another chapter already tells the story, this table of contents says which test it is:
//!
//! | no. | what | where |
//! | --- | --- | --- |
//! | 1 | 401 before 405, 406, 415 | `bearer_challenges::every_method_is_challenged_before_anything_else_is_said` |
//! | 2 | both forms of resource metadata; lenient compare | `discovery::the_resource_metadata_names_…`, `authorization::our_resource_is_understood_…` |
//! | 3 | the issuer never drifts | `discovery::the_issuer_is_configured_…`, and below |
//! | 4 | well-known misses are a JSON 404 | `discovery::other_well_known_documents_are_a_plain_json_404` |
//! | 5 | 201, 200, `no-store`, integers, no nulls | `registration::a_public_client_gets_…`, `token_exchange::a_code_becomes_tokens_…` |
//! | 6 | `client_secret_expires_at` | `registration::confidential_clients_get_a_secret_…` |
//! | 7 | no `refresh_token` grant, no auth method | below |
//! | 8 | loopback ports, schemes | `loopback_redirects`, `registration::private_use_schemes_are_a_setting` |
//! | 9 | short or missing `state` | `authorization::the_state_comes_back_byte_for_byte`, `…sends_no_state_gets_none` |
//! | 10 | dead refresh token, unknown client | below |
//! | 11 | nothing burned by a mistake | `token_exchange::a_mistake_burns_nothing`, `refresh_rotation::the_resource_may_be_named_…` |
//! | 12 | lost and parallel refreshes | `refresh_rotation::an_answer_that_was_lost_…`, `…fifty_callers_at_once_…` |
//! | 13 | clients are not forgotten for their age | `registration_limits::clients_are_never_forgotten_for_being_old` |
//! | 14 | unknown scopes | `authorization::scopes_that_we_do_not_know_…`, `refresh_rotation::scopes_are_narrowed_…` |
//! | 15 | client ID metadata documents | comes with them |
//! | 16 | consent ends in a 303; cookies cross sites | below |
//! | 17 | upstream providers | comes with them |
//! | 18 | unknown session is 404 | `mcp_sessions::an_unknown_session_is_not_found_…` |
//! | 19 | streams through tunnels | `mcp_sessions::the_stream_is_open_unbuffered_…` |
//! | 20 | `/mcp/` is no redirect | `bearer_challenges::both_spellings_of_the_path_are_the_endpoint` |
//! | 21 | `form-action` | `consent::pages_do_not_keep_the_browser_from_following_…` |
//! | 22 | `TCP_NODELAY` | below |
//! | 23 | what a restart looks like | below |
//! | 24 | refreshing after a 401 | below |
//! | 25 | `/authorize` opened twice | below |
//! | 26 | `Origin: null` | below |
//! | 27 | Basic credentials without `client_id` | below |

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::support::{
    Browser, McpClient, OAuthClient, Params, REDIRECT_URI, RawConnection, TestServer, Tokens,
    connect,
};

#[tokio::test]
async fn gotcha_03_the_issuer_is_the_same_text_everywhere() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();
    let resource = server
        .get("/.well-known/oauth-protected-resource/mcp")
        .send()
        .await
        .json();
    let callback = Browser::new(&server).approve(&client.authorize_url()).await;

    let issuer = metadata["issuer"].as_str().unwrap();
    assert!(!issuer.ends_with('/'), "{issuer}");
    assert_eq!(resource["authorization_servers"][0], issuer);
    assert_eq!(callback.params().get("iss"), Some(issuer));
}

#[tokio::test]
async fn gotcha_07_a_client_that_registers_little_and_identifies_in_the_body_is_served() {
    let server = TestServer::start().await;
    let metadata =
        json!({ "redirect_uris": [REDIRECT_URI], "grant_types": ["authorization_code"] });
    let registered = server
        .post("/register")
        .json(&metadata)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(registered["grant_types"], json!(["authorization_code"]));

    let client = OAuthClient::register_with(
        &server,
        json!({ "grant_types": ["authorization_code"], "token_endpoint_auth_method": "client_secret_basic" }),
    )
    .await;
    let code = client.code(&mut Browser::new(&server)).await;
    assert!(client.code_grant(&code).get("client_secret").is_some());
    Tokens::of(&client.redeem(&code).await);
}

#[tokio::test]
async fn gotcha_10_a_dead_refresh_token_and_an_unknown_client_are_told_apart() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;

    // This one makes clients sign in again …
    connected
        .client
        .refresh("rt_dead")
        .await
        .oauth_error(400, "invalid_grant");
    // … and this one makes them register again.
    let grant = connected
        .client
        .refresh_grant(connected.tokens.refresh_token());
    let stranger = grant.set("client_id", "from-before-the-restart");
    connected
        .client
        .token(&stranger)
        .await
        .oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn gotcha_16_coming_from_the_clients_site_the_person_is_still_signed_in() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let callback = browser.approve(&client.authorize_url()).await;
    assert_eq!(callback.status, 303);

    // Lax cookies come along with a top-level navigation from another site; the second time nothing is asked.
    let mut browser = browser.behind("sec-fetch-site", "cross-site");
    browser.open(&client.authorize_url()).await.client().code();
}

#[tokio::test]
async fn gotcha_22_answers_on_one_connection_do_not_wait_for_acknowledgements() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    let mut fastest = Duration::MAX;
    for _ in 0..10 {
        let started = Instant::now();
        connection
            .send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        connection.read_until("</html>").await;
        fastest = fastest.min(started.elapsed());
        // Whatever follows the end of the page belongs to this answer.
        connection
            .send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        connection.read_until("ok").await;
    }
    // Nagle's algorithm against delayed acknowledgements costs 40 ms each time.
    assert!(fastest < Duration::from_millis(35), "{fastest:?}");
}

#[tokio::test]
async fn gotcha_23_a_session_from_before_a_restart_is_gone_while_the_token_still_works() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mut mcp = connected.mcp(&server);
    mcp.session = Some("from-before-the-restart".to_owned());
    assert_eq!(mcp.ping().await, 404);
    mcp.session = None;
    mcp.initialize("2025-11-25").await;
    assert_eq!(mcp.ping().await, 200);
}

#[tokio::test]
async fn gotcha_24_a_client_that_refreshes_only_after_a_401_gets_on() {
    let server = TestServer::start().await;
    let connected = connect(&server).await;
    let mcp = McpClient::initialized(&server, &connected.tokens.access, "2025-11-25").await;
    // Long gone, and swept away perhaps: an expired token is never 400, 404 or 500.
    server.advance(Duration::from_hours(10 * 24));
    let answer = mcp.request("ping", &json!({})).await.expect(401);
    assert!(
        answer
            .header("www-authenticate")
            .contains("error=\"invalid_token\"")
    );

    let tokens = Tokens::of(
        &connected
            .client
            .refresh(connected.tokens.refresh_token())
            .await,
    );
    McpClient::initialized(&server, &tokens.access, "2025-11-25").await;
}

#[tokio::test]
async fn gotcha_25_opening_the_authorization_url_twice_burns_nothing() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let url = client.authorize_url();
    // A program looks first, without cookies; then the browser comes, and comes again.
    assert!(server.get(&url).send().await.status < 400);
    let mut browser = Browser::new(&server);
    browser.open(&url).await.page();
    let code = browser.approve(&url).await.code();
    Tokens::of(&client.redeem(&code).await);
}

#[tokio::test]
async fn gotcha_26_forms_posted_with_a_null_origin_are_accepted() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    // Browsers say `null` under `Referrer-Policy: no-referrer`, and some say nothing about the site.
    let null = [("origin", "null"), ("sec-fetch-site", "same-origin")];
    let nothing = [("origin", "null"), ("sec-fetch-site", "")];

    let page = browser.open(&client.authorize_url()).await.page();
    let form = page.sign_in_form(crate::support::PASSCODE);
    let answer = browser.post(&form.action, &form.fields, &null).await;
    let page = browser.follow(&form.action, answer).await.page();
    let form = page.decision("allow");
    let answer = browser.post(&form.action, &form.fields, &nothing).await;
    browser.follow(&form.action, answer).await.client().code();
}

#[tokio::test]
async fn gotcha_27_basic_credentials_stand_alone() {
    let server = TestServer::start().await;
    let members = json!({ "token_endpoint_auth_method": "client_secret_basic" });
    let client = OAuthClient::register_with(&server, members).await;
    let secret = client.secret.clone().unwrap();
    let code = client.code(&mut Browser::new(&server)).await;
    let bare = |params: Params| params.without("client_id").without("client_secret");
    // RFC 6749 §2.3.1: both halves are form-encoded first, which changes nothing in ours.
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = format!("{}:{}", encode(&client.id), encode(&secret));
    let credentials = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let post = async |params: Params| {
        let request = server.post("/token").form(&bare(params));
        request.header("authorization", &credentials).send().await
    };

    let tokens = Tokens::of(&post(client.code_grant(&code)).await);
    Tokens::of(&post(client.refresh_grant(tokens.refresh_token())).await);
}
