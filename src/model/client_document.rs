//! Client ID metadata documents: an identifier that is a URL, and what is found there
//! (draft-ietf-oauth-client-id-metadata-document).

use fluent_uri::Uri;
use serde_json::{Map, Value};

use super::{
    client::{Client, ClientId, DocumentCopy},
    client_metadata::{ClientMetadata, MetadataError, MetadataRules, MetadataSource},
};
use crate::clock::Timestamp;

/// Longest URL that is looked at, in bytes.
const MAX_LENGTH: usize = 2000;

/// A client identifier that is the URL of the client's metadata document. Kept and compared as it was
/// written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentUrl {
    id: ClientId,
    host: String,
}

/// Why a text that looks like one is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentUrlError {
    /// Breaks RFC 3986, or is too long.
    #[error("is not a URL (RFC 3986) of at most 2000 characters")]
    NotAUrl,
    /// `https:///path`.
    #[error("has no valid host and port")]
    Host,
    /// `https://host`.
    #[error("has no path")]
    NoPath,
    /// `/a/../b`: two names for one document.
    #[error("has . or .. in its path")]
    DotSegments,
    /// `#…`
    #[error("has a fragment")]
    Fragment,
    /// `user@`
    #[error("has a user name or password")]
    Userinfo,
}

impl DocumentUrl {
    /// Whether an identifier is meant as a URL. Those that this server hands out never are.
    pub fn is_meant(id: &ClientId) -> bool {
        id.as_str().starts_with("https://")
    }

    /// Reads an identifier that is meant as a URL.
    pub fn parse(id: &ClientId) -> Result<Self, DocumentUrlError> {
        let text = id.as_str();
        if text.len() > MAX_LENGTH {
            return Err(DocumentUrlError::NotAUrl);
        }
        let uri = Uri::parse(text).map_err(|_| DocumentUrlError::NotAUrl)?;
        if uri.has_fragment() {
            return Err(DocumentUrlError::Fragment);
        }
        let authority = uri.authority().ok_or(DocumentUrlError::Host)?;
        if authority.has_userinfo() {
            return Err(DocumentUrlError::Userinfo);
        }
        if authority.host().is_empty() || authority.port_to_u16().is_err() {
            return Err(DocumentUrlError::Host);
        }
        let path = uri.path().as_str();
        if path.is_empty() {
            return Err(DocumentUrlError::NoPath);
        }
        if path.split('/').any(is_dots) {
            return Err(DocumentUrlError::DotSegments);
        }
        Ok(Self {
            id: id.clone(),
            host: authority.host().to_ascii_lowercase(),
        })
    }

    /// The identifier.
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// The host that vouches for what the document says, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Why a document does not describe the client that it was found for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentProblem {
    /// Its `client_id` is not the URL that it was found at.
    #[error("it names another client_id than the one that it was found under")]
    OtherClient,
    /// A shared secret that everyone could read.
    #[error("it has a client secret in it, which everyone could read")]
    Secret,
    /// People would not know whom to allow.
    #[error("it has no client_name")]
    Nameless,
    /// RFC 7591 §2.
    #[error("it cannot be accepted: {0}")]
    Metadata(#[from] MetadataError),
}

/// What the document at `url` says (§4).
pub fn read(
    url: &DocumentUrl,
    members: &Map<String, Value>,
    rules: &MetadataRules,
    copy: DocumentCopy,
    now: Timestamp,
) -> Result<Client, DocumentProblem> {
    // §4.1: compared as plain strings.
    if members.get("client_id").and_then(Value::as_str) != Some(url.id().as_str()) {
        return Err(DocumentProblem::OtherClient);
    }
    if members.keys().any(|name| name.starts_with("client_secret")) {
        return Err(DocumentProblem::Secret);
    }
    let metadata = ClientMetadata::accept(members, MetadataSource::Document, rules)?;
    if metadata.client_name.is_none() {
        return Err(DocumentProblem::Nameless);
    }
    Ok(Client {
        id: url.id().clone(),
        issued_at: now,
        secret: None,
        registration_token: None,
        document: Some(copy),
        metadata,
    })
}

/// A copy that somebody wrote down, to be used where there is no other. It is never fresh.
pub fn pinned(members: &Map<String, Value>, rules: &MetadataRules) -> Result<Client, String> {
    let id = members.get("client_id").and_then(Value::as_str);
    let id = ClientId::presented(id.ok_or("client_id must be a text")?);
    if !DocumentUrl::is_meant(&id) {
        return Err("client_id must be the https URL of the document".to_owned());
    }
    let url = DocumentUrl::parse(&id).map_err(|error| format!("client_id {error}"))?;
    let begin = Timestamp::from_millis(0);
    let copy = DocumentCopy { fresh_until: begin };
    read(&url, members, rules, copy, begin).map_err(|problem| problem.to_string())
}

/// `.` and `..`, percent-encoded or not: those who fetch would resolve them.
fn is_dots(segment: &str) -> bool {
    let decoded = segment.replace("%2e", ".").replace("%2E", ".");
    matches!(decoded.as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DocumentUrl, DocumentUrlError> {
        DocumentUrl::parse(&ClientId::presented(text))
    }

    #[test]
    fn the_urls_of_real_clients_are_accepted() {
        for (text, host) in [
            (
                "https://claude.ai/oauth/mcp-oauth-client-metadata",
                "claude.ai",
            ),
            ("https://chatgpt.com/oauth/client.json", "chatgpt.com"),
            ("https://App.example:8443/client", "app.example"),
            ("https://app.example/", "app.example"),
            ("https://app.example/a?b=c", "app.example"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!((url.id().as_str(), url.host()), (text, host));
        }
    }

    // draft-ietf-oauth-client-id-metadata-document §3.
    #[test]
    fn what_names_two_documents_or_none_is_refused() {
        use DocumentUrlError::{DotSegments, Fragment, Host, NoPath, NotAUrl, Userinfo};
        for (text, why) in [
            ("https://app.example", NoPath),
            ("https://app.example?x", NoPath),
            ("https://app.example/a/../b", DotSegments),
            ("https://app.example/./a", DotSegments),
            ("https://app.example/a/%2e%2E/b", DotSegments),
            ("https://app.example/a#b", Fragment),
            ("https://me@app.example/a", Userinfo),
            ("https:///a", Host),
            ("https://app.example:99999/a", Host),
            ("https://app.example/a b", NotAUrl),
            ("https://app.example\\@evil.example/", NotAUrl),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }
}
