//! What is offered, made from the program, the configuration and what stands behind the server; and
//! made anew when one of them changes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    api::HttpTool,
    config::Config,
    mcp::feature::{
        BestPersonLookerUpper, Changes, Features, Offered, Prompt, RegistryError, Resource,
        ResourceTemplate, Tool,
    },
    model::scope::ScopeCatalogue,
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
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) scopes: Arc<ScopeCatalogue>,
    pub(crate) own: Arc<OwnFeatures>,
    pub(crate) http_tools: Arc<[HttpTool]>,
    pub(crate) apis: Arc<[Described]>,
    pub(crate) surroundings: Surroundings,
    pub(crate) upstreams: Arc<McpUpstreams>,
}

impl Sources {
    /// Those of a configuration, and of what could be read of what it names.
    pub(crate) fn of(
        config: &Config,
        own: &Arc<OwnFeatures>,
        surroundings: &Surroundings,
        apis: Vec<Described>,
        upstreams: &Arc<McpUpstreams>,
    ) -> Self {
        Self {
            scopes: Arc::new(config.scopes.clone()),
            own: Arc::clone(own),
            http_tools: config.http_tools.as_slice().into(),
            apis: apis.into(),
            surroundings: surroundings.clone(),
            upstreams: Arc::clone(upstreams),
        }
    }

    /// Everything that is offered now, and what is left out. Without tools and upstreams it is the
    /// example tool.
    pub(crate) fn gather(&self) -> Result<(Features, Vec<LeftOut>), RegistryError> {
        let mut features = Features::new(Arc::clone(&self.scopes));
        for tool in &self.own.tools {
            features.add_tool(Arc::clone(tool))?;
        }
        for prompt in &self.own.prompts {
            features.add_prompt(Arc::clone(prompt))?;
        }
        for resource in &self.own.resources {
            features.add_resource(Arc::clone(resource))?;
        }
        for template in &self.own.templates {
            features.add_template(Arc::clone(template));
        }
        let (http_tools, apis) = (&self.http_tools, &self.apis);
        let left_out = upstream::offer(&mut features, http_tools, apis, &self.surroundings)?;
        let has_apis = !(http_tools.is_empty() && apis.is_empty());
        if features.has_no_tools() && !has_apis && self.upstreams.is_empty() {
            features.add_tool(Arc::new(BestPersonLookerUpper))?;
        }
        self.upstreams.offer(&mut features);
        Ok((features, left_out))
    }

    /// The same, for the first time: the log says what is left out.
    fn gather_first(&self) -> Result<Features, RegistryError> {
        let (features, left_out) = self.gather()?;
        for left_out in left_out {
            tracing::warn!("not offered: {left_out}");
        }
        Ok(features)
    }

    /// What would be offered, as far as that can be told without reaching anything.
    pub(crate) fn rehearse(&self) -> Result<Rehearsal, RegistryError> {
        let (features, mut left_out) = self.gather()?;
        left_out.extend(self.upstreams.labels().map(|label| LeftOut {
            api: label.to_owned(),
            what: "its tools".to_owned(),
            why: "they are known when it is reached, which is when the server runs".to_owned(),
        }));
        let tools = features.tools_as_json();
        let tools = tools
            .map(|(name, words)| (name.to_owned(), String::from_utf8_lossy(words).into_owned()));
        Ok(Rehearsal {
            tools: tools.collect(),
            left_out,
        })
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
    pub(crate) fn of(sources: Sources, changes: Changes) -> Result<Arc<Self>, RegistryError> {
        let offered = Offered::new(sources.gather_first()?, changes);
        Ok(Arc::new(Self {
            offered: Arc::new(offered),
            sources: Mutex::new(sources),
        }))
    }

    /// From now on it comes from elsewhere. If it cannot, everything stays as it was.
    pub(crate) fn change(&self, sources: Sources) -> Result<(), RegistryError> {
        // One after the other, so that the last to be made is the last to be offered.
        let mut current = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        self.offered.replace(sources.gather_first()?);
        *current = sources;
        Ok(())
    }

    /// Something behind the server has changed.
    fn renew(&self) {
        let current = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match current.gather() {
            Ok((features, _)) => self.offered.replace(features),
            Err(error) => tracing::error!(error = %error, "nothing can be offered anew"),
        }
    }

    /// Reaches these upstreams, and offers everything anew whenever one of them changes.
    pub(crate) async fn reach(self: &Arc<Self>, upstreams: &McpUpstreams) {
        let offering = Arc::clone(self);
        upstreams.start(Arc::new(move || offering.renew())).await;
    }
}
