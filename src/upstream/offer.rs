//! Everything that stands behind tools by configuration, offered at once.

use std::{collections::HashSet, fmt};

use super::{declared, openapi::Described, site::Surroundings};
use crate::{
    api::HttpTool,
    mcp::feature::{Features, RegistryError},
};

/// Something that the configuration or a description speaks of, and that is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Whose it is.
    pub api: String,
    /// What it is.
    pub what: String,
    /// Why not.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.api, self.what, self.why)
    }
}

/// Offers the tools that the operator declared, of which each must be one, and those of the APIs; of
/// these it tells what is left out. Done with another configuration, it offers what that says, and
/// nothing else has to be remembered.
pub fn offer(
    features: &mut Features,
    http_tools: &[HttpTool],
    apis: &[Described],
    surroundings: &Surroundings,
) -> Result<Vec<LeftOut>, RegistryError> {
    let mut left_out = Vec::new();
    let mut names: HashSet<String> = features.tool_names().map(str::to_owned).collect();
    names.extend(http_tools.iter().map(|tool| tool.name.clone()));
    for declared in http_tools {
        features.add_tool(declared::tool(declared, surroundings))?;
    }
    for described in apis {
        let (tools, not_converted) = described.tools(surroundings, &mut names);
        left_out.extend(not_converted);
        for tool in tools {
            let name = tool.definition().name;
            if let Err(error) = features.add_tool(tool) {
                left_out.push(LeftOut {
                    api: described.name().to_owned(),
                    what: name.into_owned(),
                    why: error.to_string(),
                });
            }
        }
    }
    Ok(left_out)
}
