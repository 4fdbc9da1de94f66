//! Where settings come from: flags, then the environment, then `.env`, then the TOML file.

use crate::support::{Browser, Launch, OAuthClient, Params, Tokens};

const FILE: &str = "server.toml";

/// The public URL that wins.
#[track_caller]
fn public_url(launch: Launch) -> String {
    let program = launch.start();
    let url = program.told("connector URL: ");
    url.strip_suffix("/mcp")
        .expect("the connector URL ends in /mcp")
        .to_owned()
}

#[test]
fn the_first_that_is_set_wins() {
    let file = || {
        Launch::serving()
            .file(FILE, "public_url = \"https://file.example\"\n")
            .env("CONFIG_FILE", FILE)
    };
    let dot_env = || file().file(".env", "PUBLIC_URL=https://dot-env.example\n");
    let environment = || dot_env().env("PUBLIC_URL", "https://environment.example");
    let flag = || environment().args(&["--public-url", "https://flag.example"]);

    assert_eq!(public_url(file()), "https://file.example");
    assert_eq!(public_url(dot_env()), "https://dot-env.example");
    assert_eq!(public_url(environment()), "https://environment.example");
    assert_eq!(public_url(flag()), "https://flag.example");
}

#[test]
fn the_file_itself_may_be_named_in_any_of_the_other_places() {
    let file = || Launch::serving().file(FILE, "public_url = \"https://file.example\"\n");
    let named_by_flag = file().args(&["--config", FILE]);
    let named_in_dot_env = file().file(".env", &format!("CONFIG_FILE={FILE}\n"));
    assert_eq!(public_url(named_by_flag), "https://file.example");
    assert_eq!(public_url(named_in_dot_env), "https://file.example");
}

#[test]
fn no_file_is_read_that_nobody_named() {
    let program = Launch::serving().file(FILE, "no_such_key = 1\n").start();
    program.told("listening on http://");
}

#[tokio::test]
async fn every_kind_of_value_is_read_from_the_file() {
    let program = Launch::serving()
        .file(
            FILE,
            "access_token_ttl = \"15m\"\n\
             allowed_origins = [\"https://app.example.com\"]\n\
             redirect_schemes = [\"com.example.app\"]\n\
             rate_limits = true\n\
             \n\
             [limits]\n\
             registration_burst = 2\n\
             clients = 100\n",
        )
        .env("CONFIG_FILE", FILE)
        .start();
    let site = program.site();

    let client = OAuthClient::register_at(&site, "com.example.app:/callback").await;
    let code = client.code(&mut Browser::new(&site)).await;
    assert_eq!(
        client.redeem(&code).await.expect(200).json()["expires_in"],
        900
    );
    let request = site
        .post("/mcp")
        .header("origin", "https://app.example.com");
    request.send().await.expect(401);
    OAuthClient::register(&site).await;
    let third = serde_json::json!({ "redirect_uris": ["https://client.example/callback"] });
    site.post("/register").json(&third).send().await.expect(429);
}

#[test]
fn mistakes_in_the_file_are_named_with_file_line_and_key() {
    for (contents, line, key) in [
        ("\n\nno_such_key = 1\n", 3, "no_such_key"),
        ("\n[limits]\nclients = 5\nclinets = 5\n", 4, "clinets"),
        ("[limits]\n\nclients = \"many\"\n", 3, "clients"),
        ("\naccess_token_ttl = \"soon\"\n", 2, "access_token_ttl"),
        ("public_url = 7\n", 1, "public_url"),
        (
            "\npublic_url = \"https://mcp.example.com/path\"\n",
            2,
            "public_url",
        ),
        ("\n\n\n[no_such_table]\nx = 1\n", 4, "no_such_table"),
        ("\n[[clients]]\nclient_id = \"app\"\n", 2, "redirect_uris"),
        (
            "[[clients]]\nclient_id = \"app\"\nredirect_uri = \"x\"\n",
            1,
            "redirect_uri",
        ),
        (
            "\n\n[[resource_servers]]\nclient_id = \"api\"\n",
            3,
            "client_secret",
        ),
    ] {
        let launch = || {
            Launch::serving()
                .file(FILE, contents)
                .env("CONFIG_FILE", FILE)
        };
        for ended in [launch().run(), launch().args(&["check"]).run()] {
            assert_eq!(ended.code, Some(2), "{contents}: {ended:#?}");
            let message = &ended.stderr;
            assert!(message.contains(FILE), "{contents}: {message}");
            assert!(message.contains(key), "{contents}: {message}");
            assert!(names_line(message, line), "{contents}: {message}");
        }
    }
}

/// Whether the message says where to look: `server.toml:3` or `line 3`.
fn names_line(message: &str, line: usize) -> bool {
    message.contains(&format!("{FILE}:{line}")) || message.contains(&format!("line {line}"))
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line() {
    let ended = Launch::serving()
        .file(FILE, "listen = \"x\"\n= nonsense\n")
        .env("CONFIG_FILE", FILE)
        .run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(
        ended.stderr.contains(FILE) && names_line(&ended.stderr, 2),
        "{ended:#?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_refused_by_name() {
    let ended = Launch::serving().env("CONFIG_FILE", "missing.toml").run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    for word in ["missing.toml", "CONFIG_FILE", "--config"] {
        assert!(ended.stderr.contains(word), "no “{word}” in {ended:#?}");
    }
}

#[test]
fn a_secret_with_a_mistake_in_it_is_not_repeated() {
    let ended = Launch::serving()
        .without_env("SIGN_IN_PASSCODE")
        .file(FILE, "sign_in_passcode = 3.14159265\n")
        .env("CONFIG_FILE", FILE)
        .run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("sign_in_passcode"), "{ended:#?}");
    assert!(!ended.stderr.contains("14159265"), "{ended:#?}");
}

#[test]
fn neither_is_a_clients() {
    for (secret, value) in [
        ("client_secret = 3.14159265", "14159265"),
        (
            "client_secret = \"swordfish\"\nscope = \"nothing\"",
            "swordfish",
        ),
        (
            "client_secret_env = \"REPORT_SECRET\"\nscope = \"nothing\"",
            "sunfish",
        ),
    ] {
        let file = format!("[[clients]]\nclient_id = \"app\"\n{secret}\n");
        let ended = Launch::serving()
            .file(FILE, &file)
            .env("CONFIG_FILE", FILE)
            .env("REPORT_SECRET", "sunfish")
            .run();
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains("clients"), "{ended:#?}");
        assert!(!ended.stderr.contains(value), "{ended:#?}");
    }
}

#[tokio::test]
async fn a_clients_secret_may_stand_in_the_environment() {
    let file = "[[clients]]\nclient_id = \"report\"\nclient_secret_env = \"REPORT_SECRET\"\n\
                grant_types = [\"client_credentials\"]\n";
    let program = Launch::serving()
        .file(FILE, file)
        .env("CONFIG_FILE", FILE)
        .env("REPORT_SECRET", "only the environment knows")
        .start();
    let client = OAuthClient::known_as(&program.site(), "report", "");
    let client = client.with_secret("only the environment knows");
    let grant = Params::of([("grant_type", "client_credentials")]);
    Tokens::of(&client.ask("/token", grant).await);
}

#[test]
fn a_line_of_dot_env_that_cannot_be_read_is_named_and_not_repeated() {
    let ended = Launch::serving()
        .without_env("SIGN_IN_PASSCODE")
        .file(".env", "# mine\nSIGN_IN_PASSCODE='correct horse\n")
        .run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains(".env, line 2"), "{ended:#?}");
    assert!(!ended.stderr.contains("horse"), "{ended:#?}");
}

#[tokio::test]
async fn a_dollar_in_dot_env_is_a_dollar() {
    let program = Launch::serving()
        .without_env("SIGN_IN_PASSCODE")
        .file(".env", "SIGN_IN_PASSCODE=pa$word-of-mine\n")
        .start();
    let site = program.site();
    let client = OAuthClient::register(&site).await;
    let mut browser = Browser::new(&site);
    let page = browser.open(&client.authorize_url()).await.page();
    let form = page.sign_in_form("pa$word-of-mine");
    let page = browser.submit(&form).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
}

#[test]
fn a_variable_that_is_not_text_is_refused_by_name() {
    let ended = Launch::serving()
        .env_bytes("PUBLIC_URL", b"https://\xff.example")
        .run();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("PUBLIC_URL"), "{ended:#?}");
}
