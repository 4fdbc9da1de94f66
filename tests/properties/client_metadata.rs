//! Client metadata that is registered (RFC 7591 §2) and updated (RFC 7592 §2.2).
//!
//! Input: the body of the registration.

use axum::{body::Body, http::header};
use serde_json::{Map, Value, json};

use super::house::{Answer, House, visit};

/// What an answer says beside the metadata.
const NOT_METADATA: [&str; 6] = [
    "client_id",
    "client_id_issued_at",
    "client_secret",
    "client_secret_expires_at",
    "registration_client_uri",
    "registration_access_token",
];

/// Whatever is registered, it is refused in the specification's words, or reads back the same.
pub(crate) fn holds(body: &[u8]) {
    visit(|house| {
        let registered = send(house, "POST", "/register", "", body.to_vec());
        if registered.status != 201 {
            let error = registered.oauth_error();
            let expected = [
                "invalid_redirect_uri",
                "invalid_client_metadata",
                "invalid_request",
            ];
            assert!(expected.contains(&error.as_str()), "{registered:#?}");
            assert!([400, 413].contains(&registered.status), "{registered:#?}");
            return;
        }
        let registered = registered.json();
        check_addresses(&registered, body);
        let metadata = metadata(&registered);

        let text = |name: &str| registered[name].as_str().expect("a text").to_owned();
        let (uri, token) = (
            text("registration_client_uri"),
            text("registration_access_token"),
        );
        let path = uri
            .strip_prefix(super::house::ORIGIN)
            .expect("a URL of ours");
        let read = send(house, "GET", path, &token, Vec::new());
        assert_eq!(metadata, self::metadata(&read.json()));
        // What we said it is, we accept again, and it means the same.
        let mut update = metadata.clone();
        update.insert("client_id".to_owned(), json!(text("client_id")));
        let updated = send(
            house,
            "PUT",
            path,
            &token,
            Value::Object(update).to_string(),
        );
        assert_eq!(updated.status, 200, "{updated:#?}");
        assert_eq!(metadata, self::metadata(&updated.json()));
    });
}

fn send(house: &House, method: &str, path: &str, token: &str, body: impl Into<Body>) -> Answer {
    let request = House::request(path)
        .method(method)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let answer = house.ask(request.body(body.into()).expect("a request"));
    assert_eq!(answer.header("cache-control"), "no-store", "{answer:#?}");
    answer
}

fn metadata(answer: &Value) -> Map<String, Value> {
    let mut members = answer.as_object().expect("an object").clone();
    members.retain(|name, _| !NOT_METADATA.contains(&name.as_str()));
    members
}

/// The addresses are those that were sent, to the letter, and browsers go where they say.
fn check_addresses(registered: &Value, body: &[u8]) {
    let sent: Value = serde_json::from_slice(body).expect("what was accepted is JSON");
    assert_eq!(registered["redirect_uris"], sent["redirect_uris"]);
    for uri in registered["redirect_uris"].as_array().expect("a list") {
        super::redirect_uri::goes_where_it_says(uri.as_str().expect("a text"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn text() -> impl Strategy<Value = Value> {
        let known = select(vec![
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "code",
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "native",
            "web",
            "https://client.example/callback",
            "http://localhost/callback",
            "cursor://x",
            "https://client.example/jwks",
            " trimmed ",
            "mcp",
        ]);
        prop_oneof![4 => known.prop_map(Value::from), 1 => ".{0,30}".prop_map(Value::from)]
    }

    /// A value of the right kind, mostly.
    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            4 => text(),
            3 => vec(text(), 0..4).prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => Just(Value::Null),
            1 => any::<i64>().prop_map(Value::from),
            1 => Just(json!({ "keys": [] })),
        ]
    }

    fn member() -> impl Strategy<Value = (String, Value)> {
        let names = select(vec![
            "redirect_uris",
            "token_endpoint_auth_method",
            "grant_types",
            "response_types",
            "application_type",
            "client_name",
            "scope",
            "contacts",
            "client_uri",
            "logo_uri",
            "tos_uri",
            "policy_uri",
            "jwks_uri",
            "jwks",
            "software_id",
            "software_version",
            "dpop_bound_access_tokens",
            "require_pushed_authorization_requests",
            "unknown",
        ]);
        (names.prop_map(str::to_owned), value())
    }

    proptest! {
        #[test]
        fn what_is_accepted_reads_back_the_same(members in vec(member(), 0..8), plain in any::<bool>()) {
            let mut metadata: Map<String, Value> = members.into_iter().collect();
            if plain {
                // Most would fail for want of an address, and show nothing else.
                metadata.insert("redirect_uris".to_owned(), json!(["http://localhost/callback"]));
            }
            holds(Value::Object(metadata).to_string().as_bytes());
        }

        #[test]
        fn what_is_no_metadata_is_refused(bytes in vec(any::<u8>(), 0..100), json in "[{}\\[\\]\",:a-z0-9.\\\\-]{0,60}") {
            holds(&bytes);
            holds(json.as_bytes());
        }

        #[test]
        fn addresses_are_kept_to_the_letter(uri in "(https?|cursor)://[a-zA-Z0-9.:@%\\[\\]-]{0,20}/[ -~]{0,20}") {
            holds(json!({ "redirect_uris": [uri] }).to_string().as_bytes());
        }
    }
}
