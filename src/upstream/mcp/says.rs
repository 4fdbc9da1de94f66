//! What an upstream over HTTP is told of who calls, with each request anew: assertions and tokens are
//! good for a while, and connections last.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    api::UpstreamIdentity,
    upstream::{
        identity::{self, Caller, Person},
        site::Surroundings,
    },
};

/// Says who calls.
pub(super) struct Says {
    pub(super) identity: UpstreamIdentity,
    pub(super) surroundings: Surroundings,
    /// `None`: this server, for itself.
    pub(super) caller: Option<Caller>,
    /// Where the upstream is.
    pub(super) origin: String,
}

impl Says {
    /// Adds it to the headers of a request.
    pub(super) async fn add_to(&self, headers: &mut HashMap<HeaderName, HeaderValue>) {
        let person = self.person().await;
        let mut told = HeaderMap::new();
        let said = identity::tell(
            &mut told,
            &self.identity,
            &self.surroundings.assertions,
            &self.origin,
            &person,
            self.caller.as_ref(),
        );
        if let Err(error) = said {
            tracing::error!("{error}");
        }
        let told = told.into_iter();
        headers.extend(told.filter_map(|(name, value)| Some((name?, value))));
    }

    async fn person(&self) -> Person {
        let Some(caller) = &self.caller else {
            return Person::default();
        };
        let person = Person::of(&caller.user, &self.identity, &self.surroundings, None);
        // Without a token of theirs the upstream refuses, in its own words.
        person.await.unwrap_or_default()
    }
}
