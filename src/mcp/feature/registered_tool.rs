//! A tool that has been registered: checked, its schemas compiled, its description written for every
//! era.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jsonschema::Validator;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    header_params::HeaderParams,
    registry::RegistryError,
    schema,
    tool::{Tool, ToolDefinition, ToolResult},
    wire,
};
use crate::{
    mcp::era::Era,
    model::scope::{Requirement, ScopeCatalogue},
};

/// A tool, ready to be called.
pub(in crate::mcp) struct RegisteredTool {
    tool: Arc<dyn Tool>,
    pub(in crate::mcp) definition: ToolDefinition,
    /// `None`: it validates itself.
    input: Option<Validator>,
    output: Option<Validator>,
    pub(super) is_listed: bool,
    pub(in crate::mcp) header_params: HeaderParams,
    pub(in crate::mcp) requirement: Requirement,
    /// Its description in JSON, by era.
    described: BTreeMap<Era, Vec<u8>>,
}

/// A result that the tool's own output schema does not allow.
#[derive(Debug)]
pub(in crate::mcp) struct OutsideSchema(pub(in crate::mcp) String);

impl RegisteredTool {
    /// Checks a tool's name and schemas, and writes its description for every era.
    pub(super) fn new(tool: Arc<dyn Tool>, scopes: &ScopeCatalogue) -> Result<Self, RegistryError> {
        let definition = tool.definition();
        let is_checked = !tool.validates_itself();
        if is_checked {
            check_name(&definition.name)?;
        }
        let in_schema = |which, problem: String| RegistryError::Schema {
            name: definition.name.clone().into_owned(),
            which,
            problem,
        };
        if is_checked && definition.input_schema.get("type") != Some(&json!("object")) {
            let problem = "its root must have \"type\": \"object\"".to_owned();
            return Err(in_schema("input", problem));
        }
        let input = is_checked.then(|| schema::compile(&definition.input_schema));
        let input = input.transpose();
        let input = input.map_err(|problem| in_schema("input", problem))?;
        let output = definition.output_schema.as_ref().filter(|_| is_checked);
        let output = output.map(schema::compile);
        let output = output.transpose();
        let output = output.map_err(|problem| in_schema("output", problem))?;
        let header_params = HeaderParams::of_schema(&definition.input_schema);
        let header_params = header_params.map_err(|problem| in_schema("input", problem))?;
        let extra = tool.extra();
        let described = Era::ALL
            .into_iter()
            .map(|era| {
                let mut extra = extra.clone();
                if !era.has_tool_annotations() {
                    extra.remove("annotations");
                }
                (era, written(&wire::tool(&definition, era), &extra))
            })
            .collect();
        let requirement = match tool.scope() {
            Some(scope) => scopes.requirement_of_scope(scope),
            None => scopes.requirement_of_tool(&definition.name),
        };
        Ok(Self {
            is_listed: tool.is_listed(),
            tool,
            definition,
            input,
            output,
            header_params,
            requirement,
            described,
        })
    }

    /// What clients of an era are told of it, in JSON.
    pub(super) fn described(&self, era: Era) -> &[u8] {
        self.described.get(&era).map_or(b"{}", Vec::as_slice)
    }

    /// What is wrong with arguments, as a result that a model can act on (SEP-1303).
    pub(in crate::mcp) fn refuse(&self, arguments: &Value) -> Option<ToolResult> {
        let violations = schema::violations(self.input.as_ref()?, arguments)?;
        let name = &self.definition.name;
        Some(ToolResult::error(format!(
            "The arguments do not fit the schema of {name}: {violations}"
        )))
    }

    pub(in crate::mcp) fn handler(&self) -> &dyn Tool {
        &*self.tool
    }

    /// Holds a result against the output schema.
    pub(in crate::mcp) fn check(&self, result: &ToolResult) -> Result<(), OutsideSchema> {
        match (&self.output, &result.structured) {
            (Some(schema), Some(structured)) => schema::violations(schema, structured)
                .map_or(Ok(()), |problem| Err(OutsideSchema(problem))),
            (Some(_), None) if !result.is_error => Err(OutsideSchema(
                "there is an output schema but no structured content".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for RegisteredTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegisteredTool({})", self.definition.name)
    }
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if (1..=128).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(RegistryError::Name(name.to_owned()))
    }
}

/// A description in JSON; one that has nothing to be laid over it is written as it is.
fn written(description: &impl Serialize, extra: &Map<String, Value>) -> Vec<u8> {
    if extra.is_empty() {
        wire::to_json(description)
    } else {
        wire::to_json(&wire::described(description, extra))
    }
}
