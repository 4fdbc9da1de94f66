//! `requestState`: what a call in several rounds has to remember, carried by the client.
//!
//! The client is not trusted with it. It is encrypted and authenticated, and it is good for one
//! person, one client, one request and a while.

use std::{borrow::Cow, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    access::Authorization,
    clock::Timestamp,
    secret::{Digest, Sealer, ServerKey},
};

/// How long a person may take between two rounds.
const LIFETIME: Duration = Duration::from_mins(30);

/// Seals and opens states.
pub(super) struct StateSealer(Vec<Sealer>);

#[derive(Serialize, Deserialize)]
struct State<'a> {
    user: Cow<'a, str>,
    client: Cow<'a, str>,
    request: Cow<'a, str>,
    expires_at: u64,
    answers: Cow<'a, Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    remembered: Cow<'a, Map<String, Value>>,
}

/// What is kept between two rounds.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What has been answered so far.
    pub(super) answers: Map<String, Value>,
    /// What the handler wants to know.
    pub(super) remembered: Map<String, Value>,
}

/// What a state is bound to, beside person and client: the method and what it was asked to do.
pub(super) fn fingerprint(method: &str, params: &str) -> String {
    let Ok(mut params) = serde_json::from_str::<Map<String, Value>>(params) else {
        // Nested too deep to be read: bound to every character, which is more than enough.
        return Digest::derive(method, params).to_base64url();
    };
    // These are not what the request asks for.
    for changing in ["_meta", "inputResponses", "requestState"] {
        params.remove(changing);
    }
    // A map is written in the order of its keys, so the same parameters are the same text.
    Digest::derive(method, &Value::Object(params).to_string()).to_base64url()
}

impl StateSealer {
    /// What is sealed with a key is opened by whoever has it: on every replica. The first one seals.
    pub(super) fn new(keys: &[ServerKey]) -> Self {
        Self(keys.iter().map(Sealer::new).collect())
    }

    /// Seals the answers so far, and what the handler remembers.
    pub(super) fn seal(
        &self,
        authorization: &Authorization,
        request: &str,
        (answers, remembered): (&Map<String, Value>, &Map<String, Value>),
        now: Timestamp,
    ) -> Option<String> {
        let state = State {
            user: authorization.owner.user.as_str().into(),
            client: authorization.owner.client.as_str().into(),
            request: request.into(),
            expires_at: (now + LIFETIME).as_millis(),
            answers: Cow::Borrowed(answers),
            remembered: Cow::Borrowed(remembered),
        };
        let state = serde_json::to_vec(&state).ok()?;
        Some(URL_SAFE_NO_PAD.encode(self.0.first()?.seal(&state)))
    }

    /// Opens a state; `None` if it is not ours, somebody else's, another request's, or too old.
    pub(super) fn open(
        &self,
        sealed: &str,
        authorization: &Authorization,
        request: &str,
        now: Timestamp,
    ) -> Option<Kept> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let opened = self.0.iter().find_map(|sealer| sealer.open(&sealed))?;
        let state: State<'_> = serde_json::from_slice(&opened).ok()?;
        let is_good = state.user == authorization.owner.user.as_str()
            && state.client == authorization.owner.client.as_str()
            && state.request == request
            && Timestamp::from_millis(state.expires_at) > now;
        is_good.then(|| Kept {
            answers: state.answers.into_owned(),
            remembered: state.remembered.into_owned(),
        })
    }
}
