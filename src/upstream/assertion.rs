//! Assertions of who the person is (RFC 7523 in spirit): a JWT for one upstream, good for a minute.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{identity::Caller, signing_key::SigningKey};
use crate::{
    clock::{Clock, Timestamp},
    model::{resource::PublicUrl, user::UserId},
    store::{KeyRing, Store},
    web::{Json, cors},
};

/// How long an assertion is good.
const LIFETIME: Duration = Duration::from_mins(1);

/// Where the keys are.
const PATH: &str = "/.well-known/jwks.json";

/// Shorter than it takes until a new key signs: whoever keeps the keys that long knows it by then.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=120");

/// Says to upstreams who calls.
pub struct Assertions {
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    issuer: PublicUrl,
    people: Arc<dyn Store>,
}

impl Assertions {
    /// `keys` yields the keys that sign; `issuer` is who says it; `people` knows what identity
    /// providers have said of them.
    pub fn new(
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        issuer: PublicUrl,
        people: Arc<dyn Store>,
    ) -> Self {
        Self {
            keys,
            clock,
            issuer,
            people,
        }
    }

    /// The e-mail of whoever calls, if an identity provider has said it.
    pub(super) async fn email_of(&self, user: &UserId) -> Option<String> {
        match self.people.profile(user).await {
            Ok(profile) => profile?.email,
            Err(error) => {
                tracing::warn!(error = %error, "the e-mail of a person cannot be looked up; their upstream is not told");
                None
            }
        }
    }

    /// Who calls, for `audience`; without a caller it is this server itself. `None` only if there is no key to sign with.
    pub(super) fn about(
        &self,
        caller: Option<&Caller>,
        email: Option<&str>,
        audience: &str,
    ) -> Option<String> {
        let now = self.clock.now();
        let key = self.key(now)?;
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": key.kid() });
        let mut claims = json!({
            "iss": self.issuer.origin(),
            "aud": audience,
            "sub": caller.map_or(self.issuer.origin(), |caller| caller.user.as_str()),
            "iat": now.as_secs(),
            "exp": (now + LIFETIME).as_secs(),
            "jti": Uuid::new_v4(),
        });
        if let (Some(caller), Some(claims)) = (caller, claims.as_object_mut()) {
            claims.insert("client_id".to_owned(), json!(caller.client.as_str()));
            claims.insert("scope".to_owned(), json!(caller.scopes.to_string()));
            if let Some(email) = email {
                claims.insert("email".to_owned(), json!(email));
            }
        }
        key.sign(&header, &claims)
    }

    /// The key that signs.
    fn key(&self, now: Timestamp) -> Option<SigningKey> {
        SigningKey::of(self.keys.keys(now).first()?)
    }

    /// The public keys (RFC 7517 §5), of all that may have signed what is still good, and of those
    /// that will sign soon.
    fn key_set(&self) -> Value {
        let keys = self.keys.keys(self.clock.now());
        let keys = keys.iter().filter_map(SigningKey::of);
        let keys: Vec<Value> = keys.map(|key| key.jwk()).collect();
        json!({ "keys": keys })
    }
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertions")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Publishes the keys.
pub fn routes(assertions: Arc<Assertions>) -> Router {
    Router::new()
        .route(PATH, routing::get(get))
        .layer(middleware::from_fn(cors::any_origin))
        .with_state(assertions)
}

async fn get(State(assertions): State<Arc<Assertions>>) -> Response {
    let keys = Json(StatusCode::OK, assertions.key_set());
    ([(header::CACHE_CONTROL, CACHE)], keys).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        store::{Limits, MemoryStore, replace_key},
    };

    #[tokio::test]
    async fn a_new_key_is_published_before_it_signs_and_an_old_one_after_it_has_signed() {
        let store = MemoryStore::new(Limits::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_750_000_000_000)));
        let ring = Arc::new(KeyRing::open(&store, "story", clock.now()).await.unwrap());
        let issuer = PublicUrl::parse("https://mcp.example.com").unwrap();
        let assertions = Assertions::new(
            Arc::clone(&ring),
            Arc::clone(&clock) as Arc<dyn Clock>,
            issuer,
            Arc::new(store.clone()),
        );
        let signs = || assertions.key(clock.now()).unwrap().kid();
        let published = || -> Vec<String> {
            let keys = assertions.key_set();
            let keys = keys["keys"].as_array().unwrap().iter();
            keys.map(|key| key["kid"].as_str().unwrap().to_owned())
                .collect()
        };
        let first = signs();
        assert_eq!(published(), std::slice::from_ref(&first));

        replace_key(&store, "story", clock.now()).await.unwrap();
        ring.renew(&store, clock.now()).await.unwrap();
        let both = published();
        assert_eq!((both.len(), signs()), (2, first.clone()));
        // Longer than whoever keeps the keys may keep them.
        clock.advance(Duration::from_mins(3));
        assert_eq!(signs(), both[1]);
        assert!(published().contains(&first));
    }
}
