//! What the server offers to models and people: tools, prompts and resources, written once for
//! every version of the protocol.

mod best_person;
mod changes;
mod completion;
mod content;
mod context;
mod header_params;
mod offered;
mod prompt;
mod question;
mod registered_tool;
mod registry;
mod resource;
mod schema;
mod tool;
mod wire;

pub use best_person::BestPersonLookerUpper;
pub use changes::{Change, Changes};
pub use completion::{Completing, Completion};
pub use content::{Content, Role};
pub use context::{CallError, Context, LogLevel};
pub use offered::Offered;
pub use prompt::{Prompt, PromptArgument, PromptDefinition, PromptMessage, PromptResult};
pub use question::{Capability, ClientCapabilities, Elicited, Question};
pub use registry::{Features, RegistryError};
pub use resource::{
    Resource, ResourceBody, ResourceContents, ResourceDefinition, ResourceTemplate,
    ResourceTemplateDefinition, Watch,
};
pub use schema::schema_problem;
pub use tool::{TaskSupport, Tool, ToolAnnotations, ToolDefinition, ToolResult};

pub(super) use context::{Answers, Hints, Stop};
pub(super) use header_params::{decode as decode_header, single as header_value};
pub(super) use question::TASKS_EXTENSION;
pub(super) use registered_tool::RegisteredTool;
pub(super) use registry::RegisteredPrompt;
