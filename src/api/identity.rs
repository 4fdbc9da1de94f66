//! What an upstream is told of who calls.

use crate::secret::Credential;

/// What an upstream is told of who calls. Never the client's own token: it is for this server, and
/// whoever has it could act here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UpstreamIdentity {
    /// Nothing.
    #[default]
    None,
    /// That this server calls: the same header every time.
    Header {
        /// Its name.
        name: String,
        /// Its whole value.
        value: Credential,
    },
    /// Who the person is, in an assertion that this server signs and that is good for a minute.
    Assertion {
        /// The header that carries it, after `Bearer `.
        header: String,
        /// Whom it is for; `None`: the origin that is called.
        audience: Option<String>,
    },
    /// The person's own token at the identity provider that they signed in with.
    Provided {
        /// The provider's identifier.
        provider: String,
        /// The header that carries it, after `Bearer `.
        header: String,
    },
}
