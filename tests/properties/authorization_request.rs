//! Authorization requests (OAuth 2.1 §4.1.1), from the query of a URL, from a form, and
//! pushed (RFC 9126).
//!
//! Input: the query.

use axum::{body::Body, http::Uri};

use super::house::{Answer, House, ORIGIN, form, may_describe, visit};

/// Where each client of the house may be answered. Any port may stand after the last one's host.
const REGISTERED: [&str; 3] = [
    "https://client.example/callback?",
    "https://two.example/callback?x=y&",
    "http://localhost/callback?",
];

/// RFC 6749 §4.1.2.1 and §5.2, RFC 8707 §2, OpenID Connect Core §3.1.2.6.
const PUSH_ERRORS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "unauthorized_client",
    "unsupported_response_type",
    "request_not_supported",
    "invalid_target",
];

/// Whatever is asked, the browser goes on to a page of ours or to a registered address, or the
/// person is told what was wrong.
pub(crate) fn holds(query: &[u8]) {
    visit(|house| {
        // What is no URL does not get past the connection.
        let url = [b"/authorize?", query].concat();
        if let Ok(url) = Uri::try_from(url) {
            let request = House::request("/").uri(url).body(Body::empty());
            // A fragment is not sent (RFC 9110 §4.2.5).
            let sent = query.split(|byte| *byte == b'#').next().unwrap_or_default();
            check(&house.ask(request.expect("a request")), sent);
        }
        check(&house.post_form("/authorize", query.to_vec()), query);
        push(house, query);
    });
}

/// Pushed beforehand (RFC 9126) it is judged as strictly: what was taken leads to a question.
fn push(house: &House, query: &[u8]) {
    let pushed = house.post_form("/par", query.to_vec());
    assert_eq!(pushed.header("cache-control"), "no-store", "{pushed:#?}");
    if pushed.status != 201 {
        let error = pushed.oauth_error();
        assert!(PUSH_ERRORS.contains(&error.as_str()), "{pushed:#?}");
        assert!([400, 401, 413].contains(&pushed.status), "{pushed:#?}");
        return;
    }
    let pushed = pushed.json();
    let request_uri = pushed["request_uri"].as_str().expect("a name");
    // The house's other clients have to prove who they are, and cannot here.
    let brought = form(&[("client_id", "app"), ("request_uri", request_uri)]);
    let answer = house.post_form("/authorize", brought);
    let location = answer.header("location");
    let leads_on = location.starts_with("/consent?request=") || location.contains("login_required");
    assert!(leads_on, "{answer:#?}");
}

fn check(answer: &Answer, query: &[u8]) {
    match answer.status {
        303 => check_redirect(answer.header("location"), query),
        400 => answer.assert_page(),
        _ => panic!("{answer:#?}"),
    }
}

fn check_redirect(location: &str, query: &[u8]) {
    if location.starts_with("/consent?request=") {
        return;
    }
    let location = without_local_port(location);
    let mut registered = REGISTERED.iter().copied();
    let found = registered.find_map(|address| location.strip_prefix(address));
    let response = found.unwrap_or_else(|| panic!("{location} is not registered"));
    let all = |query: &[u8], name: &str| -> Vec<String> {
        let pairs = form_urlencoded::parse(query).into_owned();
        let named = pairs.filter(|(found, value)| found == name && !value.is_empty());
        named.map(|(_, value)| value).collect()
    };
    let told = |name| all(response.as_bytes(), name);
    // Nobody has signed in, so nobody has allowed anything.
    assert!(told("code").is_empty(), "{location}");
    assert_eq!(told("error").len(), 1, "{location}");
    // RFC 6749 §4.1.2.1.
    assert!(
        told("error_description")[0].chars().all(may_describe),
        "{location}"
    );
    // RFC 9207 §2.
    assert_eq!(told("iss"), [ORIGIN], "{location}");
    // What was sent comes back; of two the client could take the wrong one.
    let sent = all(query, "state");
    if sent.len() == 1 {
        assert_eq!(told("state"), sent, "{location}");
    } else {
        assert!(told("state").is_empty(), "{location}");
    }
}

/// RFC 8252 §7.3: the port is the app's to choose.
fn without_local_port(location: &str) -> String {
    let Some(rest) = location.strip_prefix("http://localhost:") else {
        return location.to_owned();
    };
    let port = rest.split('/').next().unwrap_or_default();
    assert!(
        port.parse::<u16>().is_ok_and(|port| port != 0),
        "{location}"
    );
    format!("http://localhost{}", &rest[port.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// A parameter: mostly one of ours with a value that may be right.
    fn parameter() -> impl Strategy<Value = (String, String)> {
        let names = select(vec![
            "response_type",
            "client_id",
            "redirect_uri",
            "code_challenge",
            "state",
            "scope",
            "code_challenge_method",
            "resource",
            "prompt",
            "max_age",
            "login_hint",
            "request",
            "request_uri",
            "response_mode",
        ]);
        let values = select(vec![
            "code",
            "app",
            "two",
            "job",
            "https://client.example/callback",
            "S256",
            "plain",
            "http://localhost:1/callback",
            "https://two.example/callback?x=y",
            "none",
            "login",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "0",
            "query",
            "mcp",
            "https://mcp.example.com/mcp",
            "http://localhost:1/callback#",
            "https://client.example@evil.example/callback",
        ]);
        let name = prop_oneof![9 => names.prop_map(str::to_owned), 1 => ".{0,8}"];
        let value = prop_oneof![4 => values.prop_map(str::to_owned), 1 => ".{0,40}"];
        (name, value)
    }

    proptest! {
        #[test]
        fn browsers_are_sent_nowhere_else(pairs in vec(parameter(), 0..12)) {
            let good = [
                ("client_id", "app"),
                ("redirect_uri", "http://localhost:2/callback"),
            ];
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let mut query = form_urlencoded::Serializer::new(String::new());
            let query = query.extend_pairs(pairs).finish();
            holds(query.as_bytes());
            // And once more where the address is one that the client can be told at.
            holds(format!("{}&{query}", super::super::house::form(&good)).as_bytes());
        }

        #[test]
        fn bytes_that_are_no_query_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
            holds(&bytes);
            holds(&[b"client_id=app&redirect_uri=https://client.example/callback&", &bytes[..]].concat());
        }
    }
}
