//! What is offered, by name, with schemas compiled and descriptions written for every era.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, OnceLock},
};

use serde_json::{Value, json};

use super::{
    completion::{Completing, Completion},
    context::{CallError, Context},
    prompt::{Prompt, PromptDefinition},
    registered_tool::RegisteredTool,
    resource::{Resource, ResourceContents, ResourceDefinition, ResourceTemplate, Watch},
    tool::{TaskSupport, Tool},
    wire,
};
use crate::{
    mcp::era::Era,
    model::{
        offered_tool::OfferedTool,
        plain_text::readable,
        scope::{Requirement, ScopeCatalogue, ScopeSet},
    },
};

/// The longest name of a tool that people are shown.
const LONGEST_TITLE: usize = 80;

/// Everything that is offered, in the order in which it was registered. Clones share what is
/// registered already.
#[derive(Clone)]
pub struct Features {
    scopes: Arc<ScopeCatalogue>,
    tools: Vec<Arc<RegisteredTool>>,
    tools_by_name: HashMap<Cow<'static, str>, Arc<RegisteredTool>>,
    prompts: Vec<Arc<RegisteredPrompt>>,
    resources: Vec<RegisteredResource>,
    templates: Vec<Arc<dyn ResourceTemplate>>,
    /// Made when somebody asks, for all eras at once.
    resource_lists: OnceLock<BTreeMap<Era, ResourceLists>>,
    instructions: Option<String>,
}

/// A prompt, ready to be filled in.
pub(in crate::mcp) struct RegisteredPrompt {
    prompt: Arc<dyn Prompt>,
    pub(in crate::mcp) definition: PromptDefinition,
    pub(in crate::mcp) requirement: Requirement,
}

#[derive(Clone)]
struct RegisteredResource {
    resource: Arc<dyn Resource>,
    definition: ResourceDefinition,
}

/// Resources and their families, as one era is told of them.
#[derive(Clone)]
struct ResourceLists {
    resources: Vec<u8>,
    templates: Vec<u8>,
}

/// Why something cannot be offered. A mistake of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The name breaks the specification's rules.
    #[error("the name {0:?} must be 1 to 128 of A-Z a-z 0-9 _ . -")]
    Name(String),
    /// Two of one kind with one name.
    #[error("there are two named {0:?}")]
    Duplicate(String),
    /// A schema that is none, or that refers to another document.
    #[error("the {which} schema of tool {name:?} cannot be used: {problem}")]
    Schema {
        /// The tool.
        name: String,
        /// `input` or `output`.
        which: &'static str,
        /// Why.
        problem: String,
    },
}

impl Features {
    /// Nothing is offered yet. `scopes` decides which token opens what.
    pub fn new(scopes: Arc<ScopeCatalogue>) -> Self {
        Self {
            scopes,
            tools: Vec::new(),
            tools_by_name: HashMap::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            resource_lists: OnceLock::new(),
            instructions: None,
        }
    }

    /// Offers a tool.
    pub fn add_tool(&mut self, tool: Arc<dyn Tool>) -> Result<(), RegistryError> {
        let tool = RegisteredTool::new(tool, &self.scopes)?;
        let name = tool.definition.name.clone();
        if self.tools_by_name.contains_key(&name) {
            return Err(RegistryError::Duplicate(name.into_owned()));
        }
        let tool = Arc::new(tool);
        self.tools_by_name.insert(name, Arc::clone(&tool));
        self.tools.push(tool);
        Ok(())
    }

    /// Offers a prompt.
    pub fn add_prompt(&mut self, prompt: Arc<dyn Prompt>) -> Result<(), RegistryError> {
        let definition = prompt.definition();
        let name = &*definition.name;
        // The specification has no rules for it.
        if name.is_empty() {
            return Err(RegistryError::Name(name.to_owned()));
        }
        if self.prompt(name).is_some() {
            return Err(RegistryError::Duplicate(name.to_owned()));
        }
        self.prompts.push(Arc::new(RegisteredPrompt {
            prompt,
            requirement: self.scopes.requirement_of_prompt(name),
            definition,
        }));
        Ok(())
    }

    /// Offers a resource.
    pub fn add_resource(&mut self, resource: Arc<dyn Resource>) -> Result<(), RegistryError> {
        let definition = resource.definition();
        if self
            .resources
            .iter()
            .any(|r| r.definition.uri == definition.uri)
        {
            return Err(RegistryError::Duplicate(definition.uri.into_owned()));
        }
        self.resources.push(RegisteredResource {
            resource,
            definition,
        });
        self.resource_lists = OnceLock::new();
        Ok(())
    }

    /// Offers a family of resources.
    pub fn add_template(&mut self, template: Arc<dyn ResourceTemplate>) {
        self.templates.push(template);
        self.resource_lists = OnceLock::new();
    }

    fn resource_lists(&self, era: Era) -> &ResourceLists {
        let all = self.resource_lists.get_or_init(|| {
            let eras = Era::ALL.into_iter();
            eras.map(|era| (era, self.describe_resources(era)))
                .collect()
        });
        &all[&era]
    }

    fn describe_resources(&self, era: Era) -> ResourceLists {
        let listed = self.resources.iter().filter(|r| r.resource.is_listed());
        let resources = listed.map(|r| {
            let resource = wire::resource(&r.definition, era);
            wire::described(&resource, &r.resource.extra())
        });
        let listed = self.templates.iter().filter(|t| t.is_listed());
        let templates = listed.map(|t| {
            let template = wire::template(&t.definition(), era);
            wire::described(&template, &t.extra())
        });
        ResourceLists {
            resources: wire::to_json(&json!({ "resources": resources.collect::<Vec<_>>() })),
            templates: wire::to_json(
                &json!({ "resourceTemplates": templates.collect::<Vec<_>>() }),
            ),
        }
    }

    /// Whether no tool is offered.
    pub fn has_no_tools(&self) -> bool {
        self.tools.is_empty()
    }

    /// The names of all tools, in their order.
    pub fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|tool| &*tool.definition.name)
    }

    /// All tools, each as clients of the newest version are told of it.
    pub fn tools_as_json(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let tools = self.tools.iter();
        tools.map(|tool| (&*tool.definition.name, tool.described(Era::Modern)))
    }

    /// All tools in words: what a client would have to read anew if it were not the same.
    pub(super) fn tools_described(&self) -> Vec<u8> {
        let listed = self.tools.iter().filter(|tool| tool.is_listed);
        let tools = listed.flat_map(|tool| tool.described(Era::Modern));
        tools.copied().collect()
    }

    /// The same of all prompts.
    pub(super) fn prompts_described(&self) -> Vec<u8> {
        let listed = self.prompts.iter().filter(|p| p.prompt.is_listed());
        wire::to_json(&listed.map(|p| p.described(Era::Modern)).collect::<Vec<_>>())
    }

    /// The same of all resources and their families.
    pub(super) fn resources_described(&self) -> Vec<u8> {
        let lists = self.resource_lists(Era::Modern);
        [&lists.resources[..], &lists.templates].concat()
    }

    /// Whether any tool may become a task.
    pub(in crate::mcp) fn has_tasks(&self) -> bool {
        let mut tools = self.tools.iter();
        tools.any(|tool| tool.definition.task != TaskSupport::Never)
    }

    pub(in crate::mcp) fn has_prompts(&self) -> bool {
        !self.prompts.is_empty()
    }

    pub(in crate::mcp) fn has_resources(&self) -> bool {
        !(self.resources.is_empty() && self.templates.is_empty())
    }

    /// The result of `tools/list`: what `granted` opens.
    pub(in crate::mcp) fn tool_list(&self, granted: &ScopeSet, era: Era) -> Vec<u8> {
        const BEGINNING: &[u8] = b"{\"tools\":[";
        const END: &[u8] = b"]}";
        let is_told =
            |tool: &&Arc<RegisteredTool>| tool.is_listed && tool.requirement.is_met_by(granted);
        let told = self.tools.iter().filter(is_told);
        let told = told.map(|tool| tool.described(era));
        let length: usize = told.clone().map(|described| described.len() + 1).sum();
        let mut list = Vec::with_capacity(BEGINNING.len() + length + END.len());
        list.extend_from_slice(BEGINNING);
        for (index, description) in told.enumerate() {
            if index > 0 {
                list.push(b',');
            }
            list.extend_from_slice(description);
        }
        list.extend_from_slice(END);
        list
    }

    /// The same for people. What tools say of themselves may come from elsewhere.
    pub(super) fn tools_in_words(&self, granted: &ScopeSet) -> Vec<OfferedTool> {
        let opened = self.tools.iter();
        let opened = opened.filter(|tool| tool.requirement.is_met_by(granted));
        let words = opened.map(|tool| {
            let definition = &tool.definition;
            let title = definition.title.as_deref().unwrap_or_default();
            let title = readable(title.trim(), LONGEST_TITLE);
            OfferedTool {
                name: definition.name.to_string(),
                title: if title.is_empty() {
                    definition.name.to_string()
                } else {
                    title
                },
                effect: definition.annotations.effect(),
            }
        });
        words.collect()
    }

    pub(in crate::mcp) fn prompt_list(&self, granted: &ScopeSet, era: Era) -> Vec<u8> {
        let opened = self.prompts.iter();
        let opened = opened.filter(|p| p.prompt.is_listed() && p.requirement.is_met_by(granted));
        let prompts: Vec<_> = opened.map(|p| p.described(era)).collect();
        wire::to_json(&json!({ "prompts": prompts }))
    }

    pub(in crate::mcp) fn resource_list(&self, era: Era) -> Vec<u8> {
        self.resource_lists(era).resources.clone()
    }

    pub(in crate::mcp) fn template_list(&self, era: Era) -> Vec<u8> {
        self.resource_lists(era).templates.clone()
    }

    pub(in crate::mcp) fn tool(&self, name: &str) -> Option<&Arc<RegisteredTool>> {
        self.tools_by_name.get(name)
    }

    pub(in crate::mcp) fn prompt(&self, name: &str) -> Option<&Arc<RegisteredPrompt>> {
        self.prompts.iter().find(|p| p.definition.name == name)
    }

    /// Reads what is at an address; `None` if nothing is.
    pub(in crate::mcp) async fn read(
        &self,
        uri: &str,
        context: &Context,
    ) -> Result<Option<Vec<ResourceContents>>, CallError> {
        if let Some(found) = self.resources.iter().find(|r| r.definition.uri == uri) {
            return found.resource.read(context).await.map(Some);
        }
        for template in &self.templates {
            if let Some(contents) = template.read(uri, context).await? {
                return Ok(Some(contents));
            }
        }
        Ok(None)
    }

    /// Somebody wants to be told when the resource at an address changes, for as long as what comes
    /// back is kept.
    pub(in crate::mcp) async fn watch(
        &self,
        uri: &str,
        context: &Context,
    ) -> Result<Option<Watch>, CallError> {
        if let Some(found) = self.resources.iter().find(|r| r.definition.uri == uri) {
            return found.resource.watch(context).await;
        }
        for template in &self.templates {
            if let Some(watch) = template.watch(uri, context).await? {
                return Ok(Some(watch));
            }
        }
        Ok(None)
    }

    /// Completes a prompt's argument; `None`: there is no such prompt or argument.
    pub(in crate::mcp) async fn complete_prompt(
        &self,
        name: &str,
        completing: Completing<'_>,
        context: &Context,
    ) -> Result<Option<Completion>, CallError> {
        let Some(found) = self.prompt(name) else {
            return Ok(None);
        };
        let mut arguments = found.definition.arguments.iter();
        if !arguments.any(|argument| argument.name == completing.name) {
            return Ok(None);
        }
        found.prompt.complete(completing, context).await.map(Some)
    }

    /// Completes a variable of a family of addresses; `None`: there is no such family.
    pub(in crate::mcp) async fn complete_template(
        &self,
        uri_template: &str,
        completing: Completing<'_>,
        context: &Context,
    ) -> Result<Option<Completion>, CallError> {
        let mut known = self.templates.iter();
        let found = known.find(|template| {
            let pattern = template.definition().uri_template;
            pattern == uri_template && variables(&pattern).any(|name| name == completing.name)
        });
        match found {
            Some(template) => template.complete(completing, context).await.map(Some),
            None => Ok(None),
        }
    }

    /// What clients tell their models about all of it.
    pub fn set_instructions(&mut self, instructions: Option<String>) {
        self.instructions = instructions;
    }

    pub(in crate::mcp) fn instructions(&self) -> Option<&str> {
        self.instructions.as_deref()
    }
}

impl RegisteredPrompt {
    pub(in crate::mcp) fn handler(&self) -> &dyn Prompt {
        &*self.prompt
    }

    fn described(&self, era: Era) -> Value {
        wire::described(&wire::prompt(&self.definition, era), &self.prompt.extra())
    }
}

impl fmt::Debug for RegisteredPrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegisteredPrompt({})", self.definition.name)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Features")
            .field("tools", &self.tools_by_name.keys())
            .finish_non_exhaustive()
    }
}

/// The variables of a pattern of addresses (RFC 6570 §2.2).
fn variables(pattern: &str) -> impl Iterator<Item = &str> {
    let expressions = pattern.split('{').skip(1);
    expressions
        .filter_map(|rest| rest.split_once('}'))
        .flat_map(|(expression, _)| {
            let list = expression.trim_start_matches(['+', '#', '.', '/', ';', '?', '&']);
            list.split(',')
        })
        .map(|variable| variable.split(['*', ':']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use serde_json::Map;

    use super::*;
    use crate::mcp::feature::{ToolDefinition, ToolResult};

    struct Named(&'static str, Value);

    #[async_trait]
    impl Tool for Named {
        fn definition(&self) -> ToolDefinition {
            ToolDefinition::new(self.0, "for a test", self.1.clone())
        }

        async fn call(&self, _: Map<String, Value>, _: &Context) -> Result<ToolResult, CallError> {
            Ok(ToolResult::default())
        }
    }

    fn nothing() -> Features {
        Features::new(Arc::new(ScopeCatalogue::built_in()))
    }

    fn add(name: &'static str, schema: Value) -> Result<(), RegistryError> {
        nothing().add_tool(Arc::new(Named(name, schema)))
    }

    #[test]
    fn names_and_schemas_are_checked_when_a_tool_is_registered() {
        let object = json!({ "type": "object" });
        assert_eq!(add("fine.name-1_a", object.clone()), Ok(()));
        for bad in ["", "Best Person", "ä"] {
            let refused = add(bad, object.clone());
            assert!(matches!(refused, Err(RegistryError::Name(_))), "{bad}");
        }
        let mut deep = json!({ "type": "object" });
        for _ in 0..100 {
            deep = json!({ "type": "object", "properties": { "a": deep } });
        }
        for bad in [
            json!({}),
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": { "a": { "type": "nonsense" } } }),
            json!({ "type": "object", "$ref": "https://schemas.example/x.json" }),
            deep,
        ] {
            let refused = add("tool", bad.clone());
            assert!(
                matches!(refused, Err(RegistryError::Schema { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn two_tools_of_one_name_are_refused() {
        let mut features = nothing();
        let tool = || Arc::new(Named("twin", json!({ "type": "object" })));
        assert_eq!(features.add_tool(tool()), Ok(()));
        let twice = Err(RegistryError::Duplicate("twin".to_owned()));
        assert_eq!(features.add_tool(tool()), twice);
    }
}
