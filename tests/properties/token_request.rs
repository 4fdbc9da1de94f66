//! Token requests (OAuth 2.1 §3.2.2), with whatever the client says of itself; and because they are
//! read in the same way, what is asked about tokens (RFC 7662) and given back (RFC 7009).
//!
//! Input: an `Authorization` header up to the first line feed, if there is one, and the body. In
//! both `@CODE` and `@REFRESH` stand for what a person's app was given.

use axum::http::{HeaderValue, header};

use super::house::{Answer, House, SECRETS, visit};

/// RFC 6749 §5.2 and RFC 8707 §2.
const ERRORS: [&str; 7] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
];

/// Whatever is sent, the answer is one that the specification has, and only who holds a secret, a
/// code or a refresh token gets a token.
pub(crate) fn holds(input: &[u8]) {
    visit(|house| {
        let input = String::from_utf8_lossy(input);
        let with_credentials = if input.contains("@CODE") || input.contains("@REFRESH") {
            let app = house.app();
            let input = input.replace("@CODE", &app.code);
            input.replace("@REFRESH", &app.refresh_token)
        } else {
            input.to_string()
        };
        let (authorization, body) = with_credentials
            .split_once('\n')
            .unwrap_or(("", &with_credentials));
        let is_json = body.starts_with(['{', '[', '"']);
        let content_type = if is_json {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let ask = |path: &str| {
            let mut request = House::request(path)
                .method("POST")
                .header(header::CONTENT_TYPE, content_type);
            if let Ok(value) = HeaderValue::from_bytes(authorization.as_bytes())
                && !value.is_empty()
            {
                request = request.header(header::AUTHORIZATION, value);
            }
            let answer = house.ask(request.body(body.to_owned().into()).expect("a request"));
            assert_eq!(answer.header("cache-control"), "no-store", "{answer:#?}");
            answer
        };
        check_introspection(&ask("/introspect"), &input);
        check(house, &ask("/token"), &input);
        let revoked = ask("/revoke");
        if revoked.status == 200 {
            // RFC 7009 §2.2: the status says it all.
            assert!(revoked.body.is_empty(), "{revoked:#?}");
            if input.contains('@') {
                house.is_spent();
            }
        } else {
            check_refusal(&revoked);
        }
    });
}

/// Who asks has proven who it is, and learns of no token that it did not bring.
fn check_introspection(answer: &Answer, input: &str) {
    if answer.status != 200 {
        return check_refusal(answer);
    }
    assert!(holds_a_secret(input), "{input:?}: {answer:#?}");
    let body = answer.json();
    // All that there is are the tokens of `app`, which has no secret and so cannot ask.
    assert_eq!(body, serde_json::json!({ "active": false }), "{input:?}");
}

fn check(house: &House, answer: &Answer, input: &str) {
    if answer.status == 200 {
        // A refresh token that is used again gets the same answer for a while, and here time stands.
        if input.contains("@CODE") {
            house.is_spent();
        }
        let body = answer.json();
        assert!(body["access_token"].is_string(), "{answer:#?}");
        assert_eq!(body["token_type"], "Bearer", "{answer:#?}");
        assert!(body["expires_in"].is_u64(), "{answer:#?}");
        let holds_one = input.contains("@CODE") || input.contains("@REFRESH");
        assert!(holds_one || holds_a_secret(input), "{input:?}: {answer:#?}");
        return;
    }
    check_refusal(answer);
}

fn check_refusal(answer: &Answer) {
    let error = answer.oauth_error();
    assert!(ERRORS.contains(&error.as_str()), "{answer:#?}");
    let status = match error.as_str() {
        "invalid_client" => 401,
        _ if answer.status == 413 => 413,
        _ => 400,
    };
    assert_eq!(answer.status, status, "{answer:#?}");
}

/// Whether one of the house's secrets can be read out of an input, in a form or in a header. A
/// fuzzer knows them: they are in the seeds.
fn holds_a_secret(input: &str) -> bool {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let (header, body) = input.split_once('\n').unwrap_or(("", input));
    let encoded = header.split_whitespace().last().unwrap_or_default();
    let basic = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    let mut texts = vec![body.to_owned()];
    for bytes in [&basic[..], body.as_bytes()] {
        let pairs = form_urlencoded::parse(bytes).into_owned();
        texts.extend(pairs.flat_map(|(name, value)| [name, value]));
        texts.push(String::from_utf8_lossy(bytes).into_owned());
    }
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(body) {
        texts.push(json.to_string());
    }
    texts
        .iter()
        .any(|text| SECRETS.iter().any(|secret| text.contains(secret)))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn parameter() -> impl Strategy<Value = (String, String)> {
        let names = select(vec![
            "grant_type",
            "client_id",
            "client_secret",
            "code",
            "code_verifier",
            "redirect_uri",
            "refresh_token",
            "scope",
            "resource",
            "assertion",
            "client_assertion",
            "client_assertion_type",
            "token",
        ]);
        let values = select(vec![
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "app",
            "two",
            "job",
            "password",
            "https://client.example/callback",
            "mcp",
            "https://mcp.example.com/mcp",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "@REFRESH ",
            "job's secre",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "e30.e30.AAAA",
        ]);
        let name = prop_oneof![9 => names.prop_map(str::to_owned), 1 => ".{0,8}"];
        let value = prop_oneof![4 => values.prop_map(str::to_owned), 1 => ".{0,40}"];
        (name, value)
    }

    proptest! {
        #[test]
        fn nobody_gets_a_token_for_nothing(
            pairs in vec(parameter(), 0..9),
            credentials in prop_oneof![3 => Just(String::new()), 1 => "(Basic|Bearer|DPoP)? ?[A-Za-z0-9+/=%:]{0,20}"],
        ) {
            let pairs: Vec<(&str, &str)> =
                pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let form = super::super::house::form(&pairs);
            holds(format!("{credentials}\n{form}").as_bytes());
            let json: serde_json::Map<_, _> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            holds(format!("{credentials}\n{}", serde_json::Value::Object(json)).as_bytes());
        }

        #[test]
        fn what_is_no_form_is_a_bad_request(body in ".{0,200}", json in "[{}\\[\\]\",:a-z0-9.\\\\-]{0,60}") {
            holds(format!("\n{body}").as_bytes());
            holds(format!("\n{{{json}").as_bytes());
            holds(format!("\n{json:?}").as_bytes());
        }
    }
}
