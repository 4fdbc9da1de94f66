//! What a server offers: what the program brings itself, and what the configuration puts behind
//! tools.

use std::sync::Arc;

use crate::{
    config::Config,
    mcp::feature::{
        BestPersonLookerUpper, Features, Prompt, RegistryError, Resource, ResourceTemplate, Tool,
    },
    upstream::{self, Described, LeftOut, Surroundings},
};

/// What a program brings itself.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) prompts: Vec<Arc<dyn Prompt>>,
    pub(crate) resources: Vec<Arc<dyn Resource>>,
    pub(crate) templates: Vec<Arc<dyn ResourceTemplate>>,
}

/// What a server would offer.
#[derive(Debug)]
pub struct Offering {
    /// The tools, by name, each with what clients are told of it, in JSON.
    pub tools: Vec<(String, String)>,
    /// What the configuration speaks of and is not offered.
    pub left_out: Vec<LeftOut>,
}

impl Offering {
    /// What there is, and what was left out.
    pub(crate) fn of(features: &Features, left_out: Vec<LeftOut>) -> Self {
        let tools = features.tools_in_words();
        let tools = tools
            .map(|(name, words)| (name.to_owned(), String::from_utf8_lossy(words).into_owned()));
        Self {
            tools: tools.collect(),
            left_out,
        }
    }

    /// About how many tokens a model reads before it has done anything: four characters are one,
    /// as a rule.
    pub fn tokens(words: &str) -> usize {
        words.chars().count().div_ceil(4)
    }
}

/// Offers all of it. Without any tool, and without anything that could have been one, the example
/// tool is offered.
pub(crate) fn offer(
    features: &mut Features,
    program: &Program,
    config: &Config,
    apis: &[Described],
    surroundings: &Surroundings,
) -> Result<Vec<LeftOut>, RegistryError> {
    for tool in &program.tools {
        features.add_tool(Arc::clone(tool))?;
    }
    for prompt in &program.prompts {
        features.add_prompt(Arc::clone(prompt))?;
    }
    for resource in &program.resources {
        features.add_resource(Arc::clone(resource))?;
    }
    for template in &program.templates {
        features.add_template(Arc::clone(template));
    }
    let left_out = upstream::offer(features, &config.http_tools, apis, surroundings)?;
    let is_configured = !(config.http_tools.is_empty() && config.apis.is_empty());
    if features.has_no_tools() && !is_configured {
        features.add_tool(Arc::new(BestPersonLookerUpper))?;
    }
    Ok(left_out)
}
