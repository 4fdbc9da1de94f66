//! Identity providers whose word is taken for who a person is (RFC 7523 §2.1).

use std::{collections::BTreeSet, sync::Arc};

use super::{client::ClientId, scope::ScopeSet};

/// An identity provider that the operator trusts.
#[derive(Debug, Clone)]
pub struct AssertionIssuer {
    /// The issuer, as assertions name it.
    pub issuer: Arc<str>,
    /// Where its public keys are.
    pub jwks_uri: Arc<str>,
    /// The clients that may bring its assertions.
    pub clients: BTreeSet<ClientId>,
    /// The most that they can get; `None`: what an assertion says.
    pub scopes: Option<ScopeSet>,
}
