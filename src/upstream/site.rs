//! One upstream, and everything that is the same for each of its tools.

use std::{fmt, sync::Arc};

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode},
};

use super::{
    answer::{self, Wanted},
    assertion::Assertions,
    client::{Answer, Call, UpstreamClient, UpstreamError},
    identity::{self, Caller, NoKey, Person},
    peoples_tokens::PeoplesTokens,
};
use crate::{
    api::{BaseUrl, Manner},
    mcp::feature::{Context, ToolResult},
    secret::ProvidedToken,
};

/// The longest answer that is read, in bytes. Fields are chosen from the whole of it.
const MAX_ANSWER: usize = 8 << 20;

/// What every upstream is reached with.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Calls them.
    pub client: UpstreamClient,
    /// Says who calls.
    pub assertions: Arc<Assertions>,
    /// Knows people's own tokens.
    pub tokens: PeoplesTokens,
}

/// An upstream, and how it is called.
pub(super) struct Site {
    pub(super) name: String,
    pub(super) origin: BaseUrl,
    pub(super) manner: Manner,
    pub(super) surroundings: Surroundings,
}

/// A request that arguments have become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Site {
    /// Makes a request on behalf of whoever calls, and reads the answer.
    pub(super) async fn ask(
        &self,
        prepared: Prepared,
        context: &Context,
        structured: bool,
    ) -> ToolResult {
        let method = prepared.method.clone();
        let wanted = Wanted {
            fields: &self.manner.fields,
            max_chars: self.manner.max_chars,
            structured,
        };
        match self.answer(prepared, context).await {
            Ok(answer) => answer::result(&method, &answer, &wanted),
            Err(problem) => ToolResult::error(problem),
        }
    }

    /// The answer; or why there is none, in words for a model.
    async fn answer(&self, prepared: Prepared, context: &Context) -> Result<Answer, String> {
        let person = self.person(context, None).await?;
        let answer = self.send(prepared.clone(), &person, context).await?;
        match &person.own {
            // It was taken back while it looked good.
            Some(refused) if answer.status == StatusCode::UNAUTHORIZED => {
                let person = self.person(context, Some(refused)).await?;
                self.send(prepared, &person, context).await
            }
            _ => Ok(answer),
        }
    }

    async fn person(
        &self,
        context: &Context,
        refused: Option<&ProvidedToken>,
    ) -> Result<Person, String> {
        let identity = &self.manner.identity;
        Person::of(context.user(), identity, &self.surroundings, refused).await
    }

    async fn send(
        &self,
        prepared: Prepared,
        person: &Person,
        context: &Context,
    ) -> Result<Answer, String> {
        let call = self.call(prepared, person, context).map_err(|error| {
            tracing::error!(upstream = self.name, "{error}");
            "This server cannot say who you are at the moment.".to_owned()
        })?;
        self.surroundings.client.send(call).await.map_err(|error| {
            tracing::warn!(upstream = self.name, error = %error, "an upstream gave no answer");
            in_plain_words(&error)
        })
    }

    fn call(&self, prepared: Prepared, person: &Person, context: &Context) -> Result<Call, NoKey> {
        let Prepared {
            method,
            target,
            mut headers,
            body,
        } = prepared;
        for (name, value) in &self.manner.headers {
            identity::set(&mut headers, name, value.expose());
        }
        identity::tell(
            &mut headers,
            &self.manner.identity,
            &self.surroundings.assertions,
            self.origin.origin(),
            person,
            Some(&Caller::of(context)),
        )?;
        Ok(Call {
            method,
            origin: self.origin.clone(),
            target,
            headers,
            body,
            timeout: self.manner.timeout,
            max_answer: MAX_ANSWER,
        })
    }
}

/// What a model can do something with. Who is called, and what our system says about it, is for
/// the log.
fn in_plain_words(error: &UpstreamError) -> String {
    match error {
        UpstreamError::Target => error.to_string(),
        UpstreamError::TooSlow { limit, .. } => {
            let limit = humantime::format_duration(*limit);
            format!("The API did not answer within {limit}. It may have done what was asked.")
        }
        UpstreamError::TooLarge { limit, .. } => {
            format!("The API's answer is larger than {limit} bytes. Ask for less.")
        }
        UpstreamError::Redirect { .. } => {
            "The API redirects to where this server does not follow.".to_owned()
        }
        UpstreamError::Connection { .. } | UpstreamError::Setup(_) => {
            "The API cannot be reached at the moment.".to_owned()
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("name", &self.name)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
