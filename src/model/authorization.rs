//! An authorization on its way: from the request that a browser brings to the code that a client
//! redeems (OAuth 2.1 §4.1).

use std::sync::Arc;

use super::{
    client::ClientId, grant::GrantId, redirect_uri::RedirectUri, scope::ScopeSet, user::UserId,
};
use crate::{clock::Timestamp, jose::Thumbprint, secret::Digest};

/// A PKCE code challenge, method S256: 43 characters of base64url (RFC 7636 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChallenge(Box<str>);

impl CodeChallenge {
    /// Reads a challenge; `None` if it cannot be the SHA-256 of anything.
    pub fn parse(text: &str) -> Option<Self> {
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == 43 && text.bytes().all(base64url)).then(|| Self(text.into()))
    }

    /// The challenge as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` is what the challenge was made from (RFC 7636 §4.6). A verifier that
    /// breaks the grammar of §4.1 never is, even if its hash fits.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        // Both sides are public or single-use, so an ordinary comparison gives nothing away.
        well_formed && Digest::of(verifier).to_base64url() == *self.0
    }
}

/// How the person is to be asked (OpenID Connect Core §3.1.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Ask even if the answer is remembered: `prompt=consent`.
    pub always: bool,
    /// Do not ask, and answer with an error where that is needed: `prompt=none`.
    pub never: bool,
    /// They must have proved who they are since then: `prompt=login`, `max_age`.
    pub authenticated_since: Option<Timestamp>,
    /// Who the client thinks it is: `login_hint`.
    pub login_hint: Option<Box<str>>,
}

/// A valid authorization request that waits for a person to answer it.
#[derive(Debug, Clone)]
pub struct PendingAuthorization {
    /// Who asks.
    pub client: ClientId,
    /// Where the answer goes: a registered URI, with this request's port.
    pub redirect_uri: RedirectUri,
    /// The client's own value, to be returned byte for byte.
    pub state: Option<Box<[u8]>>,
    /// Binds the code to whoever began (RFC 7636).
    pub code_challenge: CodeChallenge,
    /// Binds it to a key as well (RFC 9449 §10).
    pub dpop_jkt: Option<Thumbprint>,
    /// What was asked for, narrowed to what exists.
    pub scopes: ScopeSet,
    /// The resource that tokens will be bound to (RFC 8707).
    pub resource: Arc<str>,
    /// What was asked for about the asking itself.
    pub prompt: Prompt,
    /// The browser that brought the request and that alone may answer it. Empty for a request
    /// that came by cross-site POST, without cookies: the first browser to follow up is bound.
    pub browser: Option<Digest>,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

/// What an authorization code stands for (OAuth 2.1 §4.1.2).
#[derive(Debug, Clone)]
pub struct CodeGrant {
    /// Who may redeem it.
    pub client: ClientId,
    /// Who allowed it.
    pub user: UserId,
    /// Where it was sent.
    pub redirect_uri: RedirectUri,
    /// What the verifier must fit.
    pub code_challenge: CodeChallenge,
    /// The key that whoever redeems it must hold (RFC 9449 §10).
    pub dpop_jkt: Option<Thumbprint>,
    /// What was allowed.
    pub scopes: ScopeSet,
    /// For which resource.
    pub resource: Arc<str>,
    /// Until when it can be redeemed.
    pub expires_at: Timestamp,
}

/// An authorization code as a store keeps it.
#[derive(Debug, Clone)]
pub struct StoredCode {
    /// What it stands for.
    pub code: Arc<CodeGrant>,
    /// The grant that its redemption began, once it has been redeemed. Kept so that a second
    /// redemption is recognised and takes back what the first one gave (OAuth 2.1 §4.1.3).
    pub redeemed: Option<GrantId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b_fits() {
        let challenge =
            CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"));
    }

    #[test]
    fn a_challenge_is_43_characters_of_base64url() {
        for bad in [
            "",
            "short",
            &"a".repeat(42),
            &"a".repeat(44),
            &"+".repeat(43),
        ] {
            assert_eq!(CodeChallenge::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_verifier_outside_the_grammar_never_fits() {
        for verifier in ["a", &"a".repeat(42), &"a".repeat(129), &"ä".repeat(30)] {
            let challenge = CodeChallenge::parse(&Digest::of(verifier).to_base64url()).unwrap();
            assert!(!challenge.is_met_by(verifier), "{verifier}");
        }
    }
}
