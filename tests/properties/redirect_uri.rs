//! Redirect URIs: which may be registered, and which of those a request means (OAuth 2.1 §2.3,
//! RFC 8252 §7.3).
//!
//! Input: the registered one in the first line and the presented one in the second.

use std::net::Ipv6Addr;

use remote_mcp_auth::model::redirect_uri::RedirectUri;
use reqwest::Url;

/// Whatever two texts there are: what is accepted goes where it says, and what means a registered
/// URI is that one or differs from it by the port on this machine alone.
pub(crate) fn holds(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (registered, presented) = input.split_once('\n').unwrap_or((&input, &input));
    let Ok(uri) = RedirectUri::parse(registered, &["cursor".to_owned()]) else {
        return;
    };
    assert_eq!(uri.as_str(), registered);
    goes_where_it_says(registered);
    assert!(uri.accepts(registered));
    if !uri.accepts(presented) || presented == registered {
        return;
    }
    let [registered, presented] = [registered, presented].map(|text| {
        // Another reader than the one that accepted them.
        let mut url = Url::parse(text).expect("a URL that a browser can go to");
        assert!(url.port() != Some(0), "{text}");
        assert_eq!(url.scheme(), "http", "{text}");
        let host = url.host_str().unwrap_or_default();
        assert!(
            ["localhost", "127.0.0.1", "[::1]"].contains(&host),
            "{text}"
        );
        url.set_port(None).expect("a URL with a host");
        goes_where_it_says(text);
        url
    });
    assert_eq!(registered, presented);
}

/// Browsers read URLs in another way than RFC 3986. Where the two differ, a person would be shown
/// one address and sent to another.
pub(crate) fn goes_where_it_says(text: &str) {
    // A name that cannot be, such as `xn--a`: browsers stay where they are.
    let Ok(url) = Url::parse(text) else {
        return;
    };
    assert!(url.fragment().is_none(), "{text}");
    let (scheme, rest) = text.split_once(':').expect("a scheme");
    assert_eq!(url.scheme(), scheme, "{text}");
    if !matches!(scheme, "http" | "https") {
        return;
    }
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{text}"
    );
    let rest = rest.strip_prefix("//").expect("an authority");
    let authority = rest.split(['/', '?']).next().expect("at least one part");
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    let port = authority[after_brackets..].find(':');
    let host = &authority[..port.map_or(authority.len(), |port| after_brackets + port)];
    let goes_to = url.host_str().expect("a host");
    // One IPv6 address has many spellings.
    let address = |host: &str| host.trim_matches(['[', ']']).parse::<Ipv6Addr>().ok();
    let is_same = goes_to == host || (address(host).is_some() && address(host) == address(goes_to));
    assert!(is_same, "{text} leads to {goes_to}");
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn uri() -> impl Strategy<Value = String> {
        let scheme = select(vec!["http", "https", "cursor", "HTTP"]);
        let host = prop_oneof![
            6 => select(vec![
                "localhost", "127.0.0.1", "[::1]", "client.example", "127.1", "0x7f.1", "[::]",
                "localhost.", "u@localhost", "xn--a", "[::ffff:1.2.3.4]", "a..b", "-a",
            ]).prop_map(str::to_owned),
            1 => "[!-~]{0,12}",
        ];
        let port = select(vec![
            "", ":", ":1", ":0", ":65535", ":65536", ":80", ":01", ":443",
        ]);
        let rest = prop_oneof![
            4 => select(vec!["/callback", "/callback?x=y", "", "/", "?x", "/a/../b", "/%2e%2e/b", "/#"])
                .prop_map(str::to_owned),
            1 => "[!-~]{0,12}",
        ];
        (scheme, host, port, rest)
            .prop_map(|(scheme, host, port, rest)| format!("{scheme}://{host}{port}{rest}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn one_means_another_by_the_port_on_this_machine_alone(registered in uri(), presented in uri()) {
            holds(format!("{registered}\n{presented}").as_bytes());
        }

        #[test]
        fn no_text_is_too_strange(registered in ".*", presented in ".*") {
            holds(format!("{registered}\n{presented}").as_bytes());
        }
    }
}
