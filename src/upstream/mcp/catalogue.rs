//! What an upstream offers, as it describes it.

use std::time::Duration;

use rmcp::service::ServiceError;
use serde_json::{Map, Value, json};

use super::connection::Connection;
use crate::mcp::feature::Change;

/// How long one page of a list may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How many pages a list may have.
const MAX_PAGES: usize = 1000;

/// The whole lists of an upstream, and what it says of itself.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Catalogue {
    pub(super) tools: Vec<Map<String, Value>>,
    pub(super) prompts: Vec<Map<String, Value>>,
    pub(super) resources: Vec<Map<String, Value>>,
    pub(super) templates: Vec<Map<String, Value>>,
    pub(super) instructions: Option<String>,
    /// Its capabilities.
    pub(super) offers: Value,
    /// Whether some arguments of its tools are repeated in headers.
    pub(super) has_header_params: bool,
}

impl Catalogue {
    /// Reads all of it.
    pub(super) async fn read(connection: &Connection) -> Result<Self, ServiceError> {
        let offers = connection.offers();
        let list = async |capability: &str, method: &str, member: &str| match offers.get(capability)
        {
            Some(_) => read_all(connection, method, member).await,
            None => Ok(Vec::new()),
        };
        let tools = list("tools", "tools/list", "tools").await?;
        let mut schemas = tools.iter().filter_map(|tool| tool.get("inputSchema"));
        let has_header_params =
            schemas.any(|schema| schema.to_string().contains("\"x-mcp-header\""));
        Ok(Self {
            has_header_params,
            tools,
            prompts: list("prompts", "prompts/list", "prompts").await?,
            resources: list("resources", "resources/list", "resources").await?,
            templates: list("resources", "resources/templates/list", "resourceTemplates").await?,
            instructions: connection.instructions().map(str::to_owned),
            offers,
        })
    }

    /// What a change of a list is about.
    pub(super) fn lists(&self, list: &Change) -> [&[Map<String, Value>]; 2] {
        match list {
            Change::Tools => [&self.tools, &[]],
            Change::Prompts => [&self.prompts, &[]],
            _ => [&self.resources, &self.templates],
        }
    }

    /// Whether it has something of that kind: `completions`, `resources` …
    pub(super) fn has(&self, capability: &str) -> bool {
        self.offers.get(capability).is_some()
    }

    /// Whether it tells of resources that have changed.
    pub(super) fn has_subscriptions(&self) -> bool {
        let resources = self.offers.get("resources");
        resources.and_then(|resources| resources.get("subscribe")) == Some(&Value::Bool(true))
    }
}

/// Reads all pages of a list.
pub(super) async fn read_all(
    connection: &Connection,
    method: &str,
    member: &str,
) -> Result<Vec<Map<String, Value>>, ServiceError> {
    let mut all = Vec::new();
    let mut params = Map::new();
    for _ in 0..MAX_PAGES {
        let page = connection.request(method, params, PAGE_TIMEOUT).await;
        let mut page = match page {
            Ok(page) => page,
            // It declared more than it has: some servers without templates do.
            Err(ServiceError::McpError(error)) if error.code.0 == -32601 => break,
            Err(error) => return Err(error),
        };
        if let Some(Value::Array(items)) = page.get_mut(member).map(Value::take) {
            all.extend(items.into_iter().filter_map(|item| match item {
                Value::Object(item) => Some(item),
                _ => None,
            }));
        }
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(cursor) if !cursor.is_empty() => {
                params = Map::from_iter([("cursor".to_owned(), json!(cursor))]);
            }
            _ => break,
        }
    }
    Ok(all)
}
