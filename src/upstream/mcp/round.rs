//! A round of the stateless revision: an upstream asks by ending a call, and is called again with the
//! answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{asked::question, call::Failure};
use crate::mcp::feature::{Context, Question};

/// Where a round is remembered until the client has answered.
const ROUND: &str = "upstream.round";

/// What an upstream asked.
#[derive(Serialize, Deserialize)]
pub(super) struct Round {
    /// Its questions, under keys of its own.
    requests: Map<String, Value>,
    /// What it wants to be given back; null: nothing.
    state: Value,
    /// Keys under which the client has been asked in earlier rounds.
    seen: Vec<String>,
}

impl Round {
    /// The round that a result begins.
    pub(super) fn begun_by(result: &Value, seen: &[String]) -> Self {
        let requests = result.get("inputRequests").and_then(Value::as_object);
        Self {
            requests: requests.cloned().unwrap_or_default(),
            state: result.get("requestState").cloned().unwrap_or_default(),
            seen: seen.to_vec(),
        }
    }

    /// The round that the client comes back from.
    pub(super) fn remembered(context: &Context) -> Option<Self> {
        serde_json::from_value(context.remembered(ROUND)?).ok()
    }

    pub(super) fn remember(&self, context: &Context) {
        context.remember(ROUND, serde_json::to_value(self).unwrap_or_default());
    }

    /// Asks the client, and adds the answers to the parameters of the call. `seen` becomes the keys
    /// under which the client has been asked by then.
    pub(super) async fn answered(
        self,
        params: &Map<String, Value>,
        seen: &mut Vec<String>,
        context: &Context,
    ) -> Result<Map<String, Value>, Failure> {
        *seen = self.seen;
        let mut questions: Vec<(String, Question)> = Vec::new();
        let mut keys: Vec<(String, String)> = Vec::new();
        for (key, request) in self.requests {
            let method = request.get("method").and_then(Value::as_str);
            let asked = request.get("params").cloned().unwrap_or_default();
            let question = question(method.unwrap_or_default(), asked);
            let question = question
                .ok_or_else(|| Failure::unavailable("it asked for what cannot be passed on"))?;
            // A key that was used in an earlier round is another question now.
            let ours = if seen.contains(&key) {
                format!("{key}.{}", seen.len())
            } else {
                key.clone()
            };
            keys.push((ours.clone(), key));
            questions.push((ours, question));
        }
        let mut given = if questions.is_empty() {
            Map::new()
        } else {
            context.ask(questions).await?
        };
        seen.extend(keys.iter().map(|(ours, _)| ours.clone()));
        let keys = keys.into_iter();
        let answers = keys.filter_map(|(ours, key)| Some((key, given.remove(&ours)?)));
        let answers: Map<String, Value> = answers.collect();
        let mut params = params.clone();
        if !answers.is_empty() {
            params.insert("inputResponses".to_owned(), Value::Object(answers));
        }
        if !self.state.is_null() {
            params.insert("requestState".to_owned(), self.state);
        }
        Ok(params)
    }
}
