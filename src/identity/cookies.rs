//! The two cookies: one names the browser, one the person who signed in with it.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{
    model::resource::PublicUrl,
    secret::{BrowserId, BrowserSessionId},
};

const BROWSER: &str = "browser";
const SESSION: &str = "session";

/// The cookie of a browser, before anyone signs in.
pub fn browser(headers: &HeaderMap, public_url: &PublicUrl) -> Option<BrowserId> {
    read(headers, public_url, BROWSER).map(BrowserId::presented)
}

/// The cookie of a signed-in person.
pub fn browser_session(headers: &HeaderMap, public_url: &PublicUrl) -> Option<BrowserSessionId> {
    read(headers, public_url, SESSION).map(BrowserSessionId::presented)
}

/// Sets the browser's cookie. It ends with the browser.
pub fn set_browser(id: &BrowserId, public_url: &PublicUrl) -> HeaderValue {
    set(public_url, BROWSER, id.expose(), "")
}

/// Sets the cookie of a signed-in person.
pub fn set_browser_session(
    id: &BrowserSessionId,
    lifetime: std::time::Duration,
    public_url: &PublicUrl,
) -> HeaderValue {
    let max_age = format!("; Max-Age={}", lifetime.as_secs());
    set(public_url, SESSION, id.expose(), &max_age)
}

/// Takes the cookie of a signed-in person away.
pub fn clear_browser_session(public_url: &PublicUrl) -> HeaderValue {
    set(public_url, SESSION, "", "; Max-Age=0")
}

/// `__Host-` makes browsers insist on Secure, this host and the root path (RFC 6265bis §4.1.3.2).
/// Over plain http on loopback they would not keep such a cookie.
fn name(public_url: &PublicUrl, name: &str) -> String {
    let prefix = if public_url.is_https() { "__Host-" } else { "" };
    format!("{prefix}{name}")
}

/// `SameSite=Lax`: the cookie must come along when a client sends the browser here, and must not
/// when another site posts a form.
fn set(public_url: &PublicUrl, kind: &str, value: &str, more: &str) -> HeaderValue {
    let secure = if public_url.is_https() {
        "; Secure"
    } else {
        ""
    };
    let name = name(public_url, kind);
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
    HeaderValue::try_from(cookie).expect("a minted secret is printable ASCII")
}

fn read<'a>(headers: &'a HeaderMap, public_url: &PublicUrl, kind: &str) -> Option<&'a str> {
    let name = name(public_url, kind);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}
