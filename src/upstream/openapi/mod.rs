//! APIs that describe themselves (OpenAPI 3.0 and 3.1): their operations become tools.

mod arguments;
mod body;
mod document;
mod keywords;
mod merge;
mod naming;
mod operation;
mod output;
mod parameter;
mod plan;
mod schema;
mod server;
mod style;

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use super::{
    client::{Call, UpstreamClient},
    offer::LeftOut,
    site::{Site, Surroundings},
    tool::RequestTool,
};
use crate::{
    api::{Api, ApiDocument, BaseUrl, MAX_DOCUMENT, Selector},
    mcp::feature::Tool,
};
use document::Document;

/// How long a description may take to come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An API whose description has been read.
pub struct Described {
    api: Api,
    document: Document,
    /// Where it is.
    base: BaseUrl,
    /// What relative servers of its operations count from: where the description is, or the API.
    relative_to: BaseUrl,
}

/// Why an API cannot be offered at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("apis, {api}: {problem}")]
pub struct DescriptionError {
    /// What the configuration calls it.
    pub api: String,
    /// What is wrong with its description.
    pub problem: String,
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Described").field(&self.api.name).finish()
    }
}

/// Reads the descriptions of APIs; those that are elsewhere are fetched.
pub async fn describe(
    apis: &[Api],
    client: &UpstreamClient,
) -> Result<Vec<Described>, DescriptionError> {
    let mut described = Vec::new();
    for api in apis {
        let one = describe_one(api, client).await;
        described.push(one.map_err(|problem| DescriptionError {
            api: api.name.clone(),
            problem,
        })?);
    }
    Ok(described)
}

async fn describe_one(api: &Api, client: &UpstreamClient) -> Result<Described, String> {
    let (text, fetched_from) = match &api.document {
        ApiDocument::File { text, .. } => (Arc::clone(text), None),
        ApiDocument::Url(url) => (fetch(url, client).await?, Some(url.clone())),
    };
    let document = Document::parse(&text)?;
    let base = server::base(&document, api, fetched_from.as_ref())?;
    Ok(Described {
        api: api.clone(),
        document,
        relative_to: fetched_from.unwrap_or_else(|| base.clone()),
        base,
    })
}

async fn fetch(url: &BaseUrl, client: &UpstreamClient) -> Result<Arc<str>, String> {
    let call = Call::get(url, TIMEOUT, MAX_DOCUMENT);
    let answer = client.send(call).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!(
            "its description could not be fetched: {}",
            answer.status
        ));
    }
    str::from_utf8(&answer.body)
        .map(Into::into)
        .map_err(|_| "its description is not text".to_owned())
}

impl Described {
    /// What the configuration calls it.
    pub(super) fn name(&self) -> &str {
        &self.api.name
    }

    /// The tools that its operations become, and what is left out. `names` are taken already.
    pub(super) fn tools(
        &self,
        surroundings: &Surroundings,
        names: &mut HashSet<String>,
    ) -> (Vec<Arc<dyn Tool>>, Vec<LeftOut>) {
        let api = &self.api;
        let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
        let mut left_out = Vec::new();
        let leave_out = |what: String, why: String| LeftOut {
            api: api.name.clone(),
            what,
            why,
        };
        let operations = operation::all(&self.document);
        let mut unselected = 0;
        let site = Arc::new(Site {
            name: api.name.clone(),
            origin: self.base.clone(),
            manner: api.manner.clone(),
            surroundings: surroundings.clone(),
        });
        for operation in &operations {
            let is_included = api.include.is_empty() || operation.is_selected_by(&api.include);
            if !is_included || operation.is_selected_by(&api.exclude) {
                unselected += 1;
                continue;
            }
            match operation.convert(self, names) {
                Ok(converted) => {
                    let name = &converted.definition.name;
                    let omissions = converted.omissions.into_iter();
                    left_out.extend(omissions.map(|why| leave_out(format!("of {name}"), why)));
                    tools.push(Arc::new(RequestTool {
                        definition: converted.definition,
                        scope: converted.scope,
                        plan: Box::new(converted.plan),
                        site: Arc::clone(&site),
                    }));
                }
                Err(why) => left_out.push(leave_out(operation.label(), why)),
            }
        }
        if unselected > 0 {
            let what = format!("{unselected} of {} operations", operations.len());
            let why = "include and exclude say so".to_owned();
            left_out.push(leave_out(what, why));
        }
        for (what, why) in self.mistakes(&operations) {
            left_out.push(leave_out(what, why));
        }
        (tools, left_out)
    }

    /// What the operator wrote and no operation is meant by: a typing mistake, most likely.
    fn mistakes(&self, operations: &[operation::Operation<'_>]) -> Vec<(String, String)> {
        let api = &self.api;
        let in_scopes = api.scopes.iter().flat_map(|(_, selectors)| selectors);
        let selectors = api.include.iter().chain(&api.exclude).chain(in_scopes);
        let means_nothing = |selector: &&Selector| {
            let selector = std::slice::from_ref(*selector);
            !operations.iter().any(|o| o.is_selected_by(selector))
        };
        let nothing = selectors.filter(means_nothing);
        let nothing = nothing.map(|selector| {
            let what = format!("{:?}", selector.as_str());
            (what, "no operation is meant by it".to_owned())
        });
        let is_known = |name: &str| {
            operations.iter().any(|operation| {
                let place = format!("{} {}", operation.method.as_str(), operation.path);
                operation.id() == Some(name) || place == name
            })
        };
        let renamed = api.rename.keys().filter(|name| !is_known(name));
        let renamed = renamed.map(|name| {
            let why = "rename knows it, and the description does not".to_owned();
            (format!("{name:?}"), why)
        });
        nothing.chain(renamed).collect()
    }
}
