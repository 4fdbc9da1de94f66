//! Starting: what is printed, what goes wrong, and with which exit code.

use std::net::TcpListener;

use crate::support::{Browser, Ended, Launch, OAuthClient, PASSCODE};

/// Checks that it ended for a reason that it explained, and had not begun to serve.
#[track_caller]
fn assert_refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no “{word}” in {ended:#?}");
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
    assert!(!ended.stdout.contains("listening on"), "{ended:#?}");
}

#[tokio::test]
async fn it_prints_where_it_listens_the_connector_url_and_the_passcode_it_made_up() {
    let program = Launch::serving().without_env("SIGN_IN_PASSCODE").start();
    let site = program.site();
    let port = site.addr().port();
    assert_eq!(
        program.told("listening on "),
        format!("http://127.0.0.1:{port}")
    );
    assert_eq!(
        program.told("connector URL: "),
        format!("http://localhost:{port}/mcp")
    );
    let passcode = program.told("sign-in passcode: ");

    let client = OAuthClient::register(&site).await;
    let mut browser = Browser::new(&site);
    let page = browser.open(&client.authorize_url()).await.page();
    let page = browser.submit(&page.sign_in_form(&passcode)).await.page();
    assert!(page.asks_for_consent(), "{:#?}", page.answer);
    // Standard output is for these lines alone: scripts read it.
    let ended = program.terminate();
    assert_eq!(ended.stdout.lines().count(), 3, "{ended:#?}");
    assert!(!ended.stderr.contains(&passcode), "{ended:#?}");
}

#[tokio::test]
async fn every_start_makes_up_another_passcode() {
    let start = || Launch::serving().without_env("SIGN_IN_PASSCODE").start();
    let (first, second) = (start(), start());
    assert_ne!(
        first.told("sign-in passcode: "),
        second.told("sign-in passcode: ")
    );
}

#[tokio::test]
async fn a_passcode_that_was_set_is_not_printed() {
    let program = Launch::serving().start();
    let site = program.site();
    let client = OAuthClient::register(&site).await;
    client.authorize_with(&mut Browser::new(&site)).await;
    let ended = program.terminate();
    assert_eq!(ended.stdout.lines().count(), 2, "{ended:#?}");
    for output in [&ended.stdout, &ended.stderr] {
        assert!(!output.contains(PASSCODE), "{ended:#?}");
    }
}

#[test]
fn an_empty_passcode_is_no_passcode() {
    let program = Launch::serving().env("SIGN_IN_PASSCODE", "").start();
    assert!(
        program.told("sign-in passcode: ").len() >= 16,
        "a passcode that can be guessed"
    );
}

#[test]
fn serve_is_the_default_command() {
    let program = Launch::serving().args(&["serve"]).start();
    program.told("listening on http://127.0.0.1:");
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn bad_values_are_refused_naming_the_flag_and_the_variable() {
    for (flag, variable, value) in [
        ("--listen", "LISTEN_ADDR", "nonsense"),
        ("--listen", "LISTEN_ADDR", "127.0.0.1:99999"),
        ("--admin-listen", "ADMIN_ADDR", "nonsense"),
        ("--public-url", "PUBLIC_URL", "nonsense"),
        ("--public-url", "PUBLIC_URL", "https://"),
        ("--public-url", "PUBLIC_URL", "ftp://mcp.example.com"),
        // Every advertised URL begins with it, so it is an origin and nothing more.
        ("--public-url", "PUBLIC_URL", "https://mcp.example.com/path"),
        ("--public-url", "PUBLIC_URL", "https://mcp.example.com?x=1"),
        ("--public-url", "PUBLIC_URL", "https://mcp.example.com#x"),
        ("--public-url", "PUBLIC_URL", "https://user@mcp.example.com"),
        ("--rate-limits", "RATE_LIMITS", "perhaps"),
    ] {
        let by_flag = Launch::serving()
            .args(&["serve", &format!("{flag}={value}")])
            .run();
        assert_refused(&by_flag, 2, &[flag, variable]);
        let by_variable = Launch::serving().env(variable, value).run();
        assert_refused(&by_variable, 2, &[flag, variable]);
    }
}

#[test]
fn bad_values_of_settings_without_a_flag_are_refused_by_name() {
    for (variable, value) in [
        ("ACCESS_TOKEN_TTL", "soon"),
        ("ACCESS_TOKEN_TTL", "-1h"),
        ("CODE_TTL", "60 parsecs"),
        ("REFRESH_GRACE", "x"),
        ("REFRESH_TOKEN_TTL", "30"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("CLIENT_IP_HEADER", "no header"),
        ("ALLOWED_ORIGINS", "app.example.com"),
        ("ALLOW_INSECURE_PUBLIC_URL", "maybe"),
        ("LOG_FORMAT", "xml"),
    ] {
        let ended = Launch::serving().env(variable, value).run();
        assert_refused(&ended, 2, &[variable]);
    }
}

#[test]
fn a_public_url_without_encryption_is_for_loopback_or_for_the_determined() {
    let refused = Launch::serving()
        .env("PUBLIC_URL", "http://mcp.example.com")
        .run();
    assert_refused(
        &refused,
        2,
        &["PUBLIC_URL", "--public-url", "ALLOW_INSECURE_PUBLIC_URL"],
    );

    for url in [
        "http://localhost:4000",
        "http://127.0.0.1:4000",
        "http://[::1]:4000",
    ] {
        let program = Launch::serving().env("PUBLIC_URL", url).start();
        assert_eq!(program.told("connector URL: "), format!("{url}/mcp"));
    }
    let determined = Launch::serving()
        .env("PUBLIC_URL", "http://mcp.example.com")
        .env("ALLOW_INSECURE_PUBLIC_URL", "on")
        .start();
    assert_eq!(
        determined.told("connector URL: "),
        "http://mcp.example.com/mcp"
    );
}

#[test]
fn a_slash_at_the_end_of_the_public_url_never_reaches_a_client() {
    let program = Launch::serving()
        .env("PUBLIC_URL", "https://mcp.example.com/")
        .start();
    assert_eq!(
        program.told("connector URL: "),
        "https://mcp.example.com/mcp"
    );
}

#[test]
fn unknown_flags_and_commands_are_refused() {
    for args in [["--no-such-flag"], ["no-such-command"]] {
        let ended = Launch::serving().args(&args).run();
        assert_refused(&ended, 2, &args);
    }
}

#[test]
fn help_and_version_are_answered() {
    let help = Launch::bare().args(&["--help"]).run();
    assert_eq!(help.code, Some(0), "{help:#?}");
    for command in ["serve", "check", "grants"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
    }
    let version = Launch::bare().args(&["--version"]).run();
    assert_eq!(version.code, Some(0), "{version:#?}");
    assert!(
        version.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{}",
        version.stdout
    );
}

#[test]
fn a_public_port_that_is_taken_is_a_failure_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ended = Launch::serving().env("LISTEN_ADDR", &addr).run();
    assert_refused(&ended, 1, &[&addr, "LISTEN_ADDR"]);
}

#[test]
fn an_admin_port_that_was_asked_for_and_is_taken_is_a_failure_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ended = Launch::serving().env("ADMIN_ADDR", &addr).run();
    assert_refused(&ended, 1, &[&addr, "ADMIN_ADDR"]);
}

#[test]
fn an_admin_port_that_the_system_chose_is_logged() {
    let program = Launch::serving().env("ADMIN_ADDR", "127.0.0.1:0").start();
    program.logged("the admin listener is on http://127.0.0.1:");
    assert!(!program.log().contains("http://127.0.0.1:0"));
    assert_eq!(program.terminate().code, Some(0));
}

#[test]
fn an_admin_port_that_nobody_asked_for_may_be_taken() {
    // The one fixed port of these stories: it is the default. Taken by us or by somebody else, it is taken.
    let taken = TcpListener::bind("127.0.0.1:4001");
    let program = Launch::serving().without_env("ADMIN_ADDR").start();
    program.told("listening on http://127.0.0.1:");
    program.logged("4001");
    program.logged("ADMIN_ADDR");
    assert_eq!(program.terminate().code, Some(0));
    drop(taken);
}
