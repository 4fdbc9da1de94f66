//! The `Authorization` header of `/mcp` (RFC 6750 §2.1).
//!
//! Input: the values of such headers, a line each. `@TOKEN` stands for a good token.

use axum::http::{HeaderValue, header};

use super::house::{House, ORIGIN, visit};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// Whatever stands there, a good token in the one header opens the door, and nothing else does:
/// everybody else is told where tokens are to be had.
pub(crate) fn holds(input: &[u8]) {
    visit(|house| {
        let token = &house.app().access_token;
        let mut request = House::request("/mcp")
            .method("POST")
            .header(header::CONTENT_TYPE, "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/list");
        let mut sent = Vec::new();
        for line in input.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line).replace("@TOKEN", token);
            // As HTTP has it: blanks at the ends are not part of the value (RFC 9110 §5.5).
            let line = line.trim_matches([' ', '\t']);
            if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
                request = request.header(header::AUTHORIZATION, value);
                sent.push(line.to_owned());
            }
        }
        let answer = house.ask(request.body(PING.into()).expect("a request"));

        let is_good = match sent.as_slice() {
            [line] => line.split_once(' ').is_some_and(|(scheme, rest)| {
                scheme.eq_ignore_ascii_case("bearer") && rest.trim() == token
            }),
            _ => false,
        };
        if is_good {
            assert_eq!(answer.status, 200, "{answer:#?}");
            return;
        }
        let status = if sent.len() > 1 { 400 } else { 401 };
        assert_eq!(answer.status, status, "{sent:?}: {answer:#?}");
        let challenges = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenges: Vec<&str> = challenges.filter_map(|value| value.to_str().ok()).collect();
        let metadata =
            format!("resource_metadata=\"{ORIGIN}/.well-known/oauth-protected-resource/mcp\"");
        // In the words of the scheme that was used (RFC 9449 §7.1), or of the usual one.
        let leads_on = |challenge: &&str| {
            let has_scheme = ["Bearer ", "DPoP "].map(|scheme| challenge.starts_with(scheme));
            has_scheme.contains(&true) && challenge.contains(&metadata)
        };
        assert!(challenges.iter().any(leads_on), "{answer:#?}");
        // RFC 6750 §3.1: who sent no token at all is told of no error.
        let sent_none = sent.iter().all(String::is_empty);
        let is_told = challenges
            .iter()
            .any(|challenge| challenge.contains("error="));
        assert!(
            !(is_told && sent_none) || sent.len() > 1,
            "{sent:?}: {answer:#?}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.oauth_error();
    });
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    proptest! {
        #[test]
        fn only_a_good_token_opens_the_door(
            lines in vec((
                select(vec!["Bearer", "bearer", "BEARER", "Basic", "DPoP", "Bearer,", "", "Token"]),
                select(vec![" ", "  ", "\t", "", ",", "="]),
                prop_oneof![
                    3 => select(vec!["@TOKEN", "@TOKEN ", " @TOKEN", "@TOKEN,", "x@TOKEN", "\"@TOKEN\"", ""])
                        .prop_map(str::to_owned),
                    1 => "[ -~]{0,40}",
                    1 => ".{0,20}",
                ],
            ), 0..3),
        ) {
            let lines: Vec<String> =
                lines.iter().map(|(scheme, blank, rest)| format!("{scheme}{blank}{rest}")).collect();
            holds(lines.join("\n").as_bytes());
        }
    }
}
