//! The tools that are offered, by name, with their schemas compiled.

use std::{collections::HashMap, fmt, sync::Arc};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::{Tool, ToolCall, ToolDefinition, ToolResult, wire::ToolList};
use crate::mcp::era::LegacyVersion;

/// How many violations of a schema a model is told of at once.
const MOST_VIOLATIONS: usize = 5;

/// The tools that are offered, in the order in which they were registered.
#[derive(Default)]
pub struct ToolRegistry {
    tools: Vec<Registered>,
    by_name: HashMap<&'static str, usize>,
}

struct Registered {
    tool: Arc<dyn Tool>,
    definition: ToolDefinition,
    input: Validator,
    output: Option<Validator>,
}

/// Why a tool cannot be offered. A mistake of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The name breaks the specification's rules.
    #[error("tool name {0:?} must be 1 to 128 of A-Z a-z 0-9 _ . -")]
    Name(String),
    /// Two tools of one name.
    #[error("there are two tools named {0:?}")]
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

/// Why a call came to nothing.
#[derive(Debug)]
pub(in crate::mcp) enum CallError {
    /// No tool of that name.
    UnknownTool,
    /// The tool answered outside its output schema.
    OutsideSchema(String),
}

impl ToolRegistry {
    /// Adds a tool.
    pub fn register(&mut self, tool: Arc<dyn Tool>) -> Result<(), RegistryError> {
        let definition = tool.definition();
        let name = definition.name;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if !(1..=128).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(RegistryError::Name(name.to_owned()));
        }
        let input = compile(name, "input", &definition.input_schema)?;
        if definition.input_schema.get("type") != Some(&json!("object")) {
            return Err(RegistryError::Schema {
                name: name.to_owned(),
                which: "input",
                problem: "its root must have \"type\": \"object\"".to_owned(),
            });
        }
        let output = definition
            .output_schema
            .as_ref()
            .map(|schema| compile(name, "output", schema))
            .transpose()?;
        if self.by_name.insert(name, self.tools.len()).is_some() {
            return Err(RegistryError::Duplicate(name.to_owned()));
        }
        self.tools.push(Registered {
            tool,
            definition,
            input,
            output,
        });
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// All of them, as `version` writes them.
    pub(in crate::mcp) fn list(&self, version: LegacyVersion) -> ToolList<'_> {
        let definitions = self.tools.iter().map(|registered| &registered.definition);
        ToolList {
            tools: definitions.map(|tool| tool.on_wire(version)).collect(),
        }
    }

    /// Calls one. Arguments that break its schema are a result that a model can act on, not an
    /// error of the protocol (SEP-1303).
    pub(in crate::mcp) async fn call(
        &self,
        name: &str,
        call: ToolCall,
    ) -> Result<ToolResult, CallError> {
        let index = self.by_name.get(name).ok_or(CallError::UnknownTool)?;
        let registered = self.tools.get(*index).ok_or(CallError::UnknownTool)?;
        let arguments = Value::Object(call.arguments);
        if let Some(violations) = violations(&registered.input, &arguments) {
            return Ok(ToolResult::error(format!(
                "The arguments do not fit the schema of {name}: {violations}"
            )));
        }
        let Value::Object(arguments) = arguments else {
            unreachable!("it was made from an object above");
        };
        let result = registered.tool.call(ToolCall { arguments, ..call }).await;
        match (&registered.output, &result.structured) {
            (Some(schema), Some(structured)) => match violations(schema, structured) {
                Some(violations) => Err(CallError::OutsideSchema(violations)),
                None => Ok(result),
            },
            (Some(_), None) if !result.is_error => Err(CallError::OutsideSchema(
                "it has no structured content".to_owned(),
            )),
            _ => Ok(result),
        }
    }
}

impl fmt::Debug for ToolRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

/// Compiles a schema. It may refer to itself, but nothing is ever fetched for it.
fn compile(name: &str, which: &'static str, schema: &Value) -> Result<Validator, RegistryError> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .build(schema)
        .map_err(|error| RegistryError::Schema {
            name: name.to_owned(),
            which,
            problem: error.to_string(),
        })
}

/// What is wrong with a value, in words for a model; `None` if nothing is. The value itself is not
/// repeated: the caller knows it, and it may be long.
fn violations(schema: &Validator, value: &Value) -> Option<String> {
    let problems: Vec<String> = schema
        .iter_errors(value)
        .take(MOST_VIOLATIONS)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            format!("at {place}: {}", error.masked())
        })
        .collect();
    (!problems.is_empty()).then(|| problems.join("; "))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    struct Named(&'static str, Value);

    #[async_trait]
    impl Tool for Named {
        fn definition(&self) -> ToolDefinition {
            ToolDefinition {
                name: self.0,
                title: None,
                description: "for a test",
                input_schema: self.1.clone(),
                output_schema: None,
                annotations: super::super::ToolAnnotations::default(),
            }
        }

        async fn call(&self, _: ToolCall) -> ToolResult {
            ToolResult::default()
        }
    }

    fn register(name: &'static str, schema: Value) -> Result<(), RegistryError> {
        ToolRegistry::default().register(Arc::new(Named(name, schema)))
    }

    #[test]
    fn names_and_schemas_are_checked_when_a_tool_is_registered() {
        let object = json!({ "type": "object" });
        assert_eq!(register("fine.name-1_a", object.clone()), Ok(()));
        for bad in ["", "Best Person", "ä"] {
            assert!(matches!(
                register(bad, object.clone()),
                Err(RegistryError::Name(_))
            ));
        }
        for bad in [
            json!({}),
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": { "a": { "type": "nonsense" } } }),
            json!({ "type": "object", "$ref": "https://schemas.example/x.json" }),
        ] {
            let refused = register("tool", bad.clone());
            assert!(
                matches!(refused, Err(RegistryError::Schema { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn two_tools_of_one_name_are_refused() {
        let mut registry = ToolRegistry::default();
        let tool = || Arc::new(Named("twin", json!({ "type": "object" })));
        assert_eq!(registry.register(tool()), Ok(()));
        assert_eq!(
            registry.register(tool()),
            Err(RegistryError::Duplicate("twin".to_owned()))
        );
    }
}
