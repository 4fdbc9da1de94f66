//! What is offered, made from the program, the configuration and what stands behind the server; and
//! made anew when one of them changes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    config::Config,
    mcp::feature::{
        BestPersonLookerUpper, Changes, Features, Offered, Prompt, RegistryError, Resource,
        ResourceTemplate, Tool,
    },
    upstream::{self, Described, LeftOut, Surroundings, mcp::McpUpstreams},
};

/// What a program offers by itself.
#[derive(Default)]
pub(crate) struct OwnFeatures {
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) prompts: Vec<Arc<dyn Prompt>>,
    pub(crate) resources: Vec<Arc<dyn Resource>>,
    pub(crate) templates: Vec<Arc<dyn ResourceTemplate>>,
}

/// Where everything that is offered comes from.
pub(crate) struct Sources {
    /// What stays as long as the configuration does.
    fixed: Features,
    /// What the configuration speaks of, and is not among it.
    left_out: Vec<LeftOut>,
    /// What may change at any time.
    upstreams: Arc<McpUpstreams>,
}

impl Sources {
    /// Those of a configuration, and of what could be read of what it names. Without tools and upstreams
    /// there is the example tool.
    pub(crate) fn of(
        config: &Config,
        own: &OwnFeatures,
        surroundings: &Surroundings,
        apis: &[Described],
        upstreams: &Arc<McpUpstreams>,
    ) -> Result<Self, RegistryError> {
        let mut fixed = Features::new(Arc::new(config.scopes.clone()));
        for tool in &own.tools {
            fixed.add_tool(Arc::clone(tool))?;
        }
        for prompt in &own.prompts {
            fixed.add_prompt(Arc::clone(prompt))?;
        }
        for resource in &own.resources {
            fixed.add_resource(Arc::clone(resource))?;
        }
        for template in &own.templates {
            fixed.add_template(Arc::clone(template));
        }
        let http_tools = &config.http_tools;
        let left_out = upstream::offer(&mut fixed, http_tools, apis, surroundings)?;
        let has_apis = !(http_tools.is_empty() && apis.is_empty());
        if fixed.has_no_tools() && !has_apis && upstreams.is_empty() {
            fixed.add_tool(Arc::new(BestPersonLookerUpper))?;
        }
        Ok(Self {
            fixed,
            left_out,
            upstreams: Arc::clone(upstreams),
        })
    }

    /// Everything that is offered now.
    fn features(&self) -> Features {
        let mut features = self.fixed.clone();
        self.upstreams.offer(&mut features);
        features
    }

    fn log_what_is_left_out(&self) {
        for left_out in &self.left_out {
            tracing::warn!("not offered: {left_out}");
        }
    }

    /// What would be offered, as far as that can be told without reaching anything.
    pub(crate) fn rehearse(self) -> Rehearsal {
        let features = self.features();
        let mut left_out = self.left_out;
        left_out.extend(self.upstreams.labels().map(|label| LeftOut {
            api: label.to_owned(),
            what: "its tools".to_owned(),
            why: "they are known when it is reached, which is when the server runs".to_owned(),
        }));
        let tools = features.tools_as_json();
        let tools = tools
            .map(|(name, words)| (name.to_owned(), String::from_utf8_lossy(words).into_owned()));
        Rehearsal {
            tools: tools.collect(),
            left_out,
        }
    }
}

/// What a server would offer.
#[derive(Debug)]
pub struct Rehearsal {
    /// The tools, by name, each with what clients are told of it, in JSON.
    pub tools: Vec<(String, String)>,
    /// What the configuration speaks of and is not offered, or not known yet.
    pub left_out: Vec<LeftOut>,
}

impl Rehearsal {
    /// About how many tokens a model reads before it has done anything: four characters are one,
    /// as a rule.
    pub fn tokens(words: &str) -> usize {
        words.chars().count().div_ceil(4)
    }
}

/// What is offered, and where it comes from at the moment.
pub(crate) struct Offering {
    pub(crate) offered: Arc<Offered>,
    sources: Mutex<Sources>,
}

impl Offering {
    /// Offers what comes from `sources`. `changes` tells clients when that becomes something else.
    pub(crate) fn of(sources: Sources, changes: Changes) -> Arc<Self> {
        sources.log_what_is_left_out();
        Arc::new(Self {
            offered: Arc::new(Offered::new(sources.features(), changes)),
            sources: Mutex::new(sources),
        })
    }

    /// From now on it comes from elsewhere.
    pub(crate) fn change(&self, sources: Sources) {
        sources.log_what_is_left_out();
        // One after the other, so that the last to be made is the last to be offered.
        let mut current = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        self.offered.replace(sources.features());
        *current = sources;
    }

    /// Something behind the server has changed.
    fn renew(&self) {
        let current = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        self.offered.replace(current.features());
    }

    /// Reaches these upstreams, and offers everything anew whenever one of them changes.
    pub(crate) async fn reach(self: &Arc<Self>, upstreams: &McpUpstreams) {
        let offering = Arc::clone(self);
        upstreams.start(Arc::new(move || offering.renew())).await;
    }
}
