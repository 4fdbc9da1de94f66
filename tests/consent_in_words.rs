//! What the consent page says of each scope, and what comes of leaving one out.

use crate::support::{
    ALL_OF_FILES, Arrival, Browser, OAuthClient, TestServer, Tokens, files_server,
};

/// Asks for these scopes, signing in on the way where that is needed.
async fn ask(browser: &mut Browser, client: &OAuthClient, scope: &str) -> Arrival {
    let params = client.authorization().set("scope", scope);
    let arrival = browser.open(&client.authorize_url_with(&params)).await;
    match &arrival {
        Arrival::Page(page) if page.asks_for_password() => browser.sign_in(page).await,
        Arrival::Page(_) | Arrival::Client(_) => arrival,
    }
}

#[tokio::test]
async fn the_page_names_the_tools_of_each_scope_and_what_they_do_to_the_world() {
    let server = files_server("").await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = ask(&mut browser, &client, ALL_OF_FILES).await.page();
    let items = page.texts(".scopes > li");
    assert_eq!(items.len(), 3, "{items:?}");
    for (item, expected) in items.iter().zip([
        &["See your files", "Reads", "List files", "Read a file"][..],
        &["Add and change files", "Write a file Changes"],
        &[
            "Delete files for good",
            "Delete a file Can delete or overwrite",
        ],
    ]) {
        for words in expected {
            assert!(item.contains(words), "no {words:?} in {item:?}");
        }
    }
    // What may be left out shows what it adds, not what goes without saying.
    assert!(!items[1].contains("List files"), "{items:?}");
}

#[tokio::test]
async fn what_is_left_out_is_not_granted_and_what_is_needed_cannot_be_left_out() {
    let server = files_server("").await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = ask(&mut browser, &client, ALL_OF_FILES).await.page();
    let form = page.decision("allow");
    assert_eq!(form.fields.get("scope:files.read"), None, "it has no box");
    let form = form
        .without("scope:files.delete")
        // Whoever adds what was not asked for gets no more.
        .set("scope:files.everything", "yes");
    let callback = browser.submit(&form).await.client();
    let tokens = Tokens::of(&client.redeem(&callback.code()).await);
    assert_eq!(tokens.scope, "files.read files.write");
    let tokens = Tokens::of(&client.refresh(tokens.refresh_token()).await);
    assert_eq!(tokens.scope, "files.read files.write");
}

#[tokio::test]
async fn what_was_left_out_is_asked_about_again_and_what_was_allowed_is_not() {
    let server = files_server("").await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = ask(&mut browser, &client, ALL_OF_FILES).await.page();
    let form = page.decision("allow").without("scope:files.delete");
    browser.submit(&form).await.client().code();

    // A client that finds that it lacks a scope asks for more, and the person can change their mind.
    let again = ask(&mut browser, &client, ALL_OF_FILES).await.page();
    assert!(again.asks_for_consent(), "{again:#?}");
    let allowed = ask(&mut browser, &client, "files.read files.write").await;
    let tokens = Tokens::of(&client.redeem(&allowed.client().code()).await);
    assert_eq!(tokens.scope, "files.read files.write");
}

#[tokio::test]
async fn to_stay_connected_is_no_choice() {
    let server = TestServer::start().await;
    let client = OAuthClient::register(&server).await;
    let mut browser = Browser::new(&server);
    let page = ask(&mut browser, &client, "mcp offline_access")
        .await
        .page();
    assert!(!page.has("input[type=checkbox]"), "{}", page.text());
    assert!(page.text().contains("Stay connected"), "{}", page.text());
    assert!(
        page.text().contains("Best Person Looker-upper"),
        "{}",
        page.text()
    );
}

#[tokio::test]
async fn the_page_says_how_it_knows_who_asks() {
    let file = r#"
        [[clients]]
        client_id = "intranet"
        client_name = "Intranet"
        redirect_uris = ["https://intranet.example/callback"]
        token_endpoint_auth_method = "none"
    "#;
    let server = files_server(file).await;
    let claimed = OAuthClient::register(&server).await;
    let ours = OAuthClient::known_as(&server, "intranet", "https://intranet.example/callback");
    for (client, words, host) in [
        (claimed, "Nobody has verified that name", "client.example"),
        (ours, "Set up by the operator", "intranet.example"),
    ] {
        let mut browser = Browser::new(&server);
        let page = ask(&mut browser, &client, "files.read").await.page();
        assert!(page.text().contains(words), "{}", page.text());
        assert!(page.text().contains(host), "{}", page.text());
    }
}
