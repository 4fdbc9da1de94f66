//! Proof that a form was sent from our own page, in this browser.

use axum::http::{HeaderMap, header};

use crate::{model::resource::PublicUrl, secret::Digest};

/// The token of a form: derived from the secret in a cookie, so that it needs no memory and holds
/// on every replica. `form` keeps one form's token from serving another.
pub fn token(form: &str, cookie: &str) -> String {
    Digest::derive(form, cookie).to_base64url()
}

/// Whether `presented` is that token.
pub fn is_token(presented: &str, form: &str, cookie: &str) -> bool {
    Digest::of(presented).matches(&Digest::of(&token(form, cookie)))
}

/// Whether a browser says that a form came from another site. Browsers send `Origin: null` where
/// the referrer policy hides it, so that one proves nothing; the token decides.
pub fn is_cross_site(headers: &HeaderMap, public_url: &PublicUrl) -> bool {
    let foreign_origin = headers
        .get_all(header::ORIGIN)
        .iter()
        .any(|origin| origin != "null" && origin.as_bytes() != public_url.origin().as_bytes());
    let says_cross_site = headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| site == "cross-site");
    foreign_origin || says_cross_site
}
