//! A tool of your own: `cargo run --example greeter`, then connect a client as the README says.

use std::sync::Arc;

use async_trait::async_trait;
use remote_mcp_auth::{
    CancellationToken, Server,
    config::Config,
    mcp::feature::{CallError, Context, Tool, ToolDefinition, ToolResult},
};
use serde_json::{Map, Value, json};

struct Greeter;

#[async_trait]
impl Tool for Greeter {
    fn definition(&self) -> ToolDefinition {
        ToolDefinition::new(
            "greet",
            "Greets somebody by name, on behalf of the person who is signed in.",
            json!({
                "type": "object",
                "properties": { "name": { "type": "string" } },
                "required": ["name"]
            }),
        )
    }

    async fn call(
        &self,
        arguments: Map<String, Value>,
        context: &Context,
    ) -> Result<ToolResult, CallError> {
        // The arguments have been checked against the schema.
        let name = arguments.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let user = context.user();
        Ok(ToolResult::text(format!(
            "Hello {name}, {user} says hello!"
        )))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::from_settings([("sign_in_passcode", "open sesame")])?;
    let server = Server::builder(config)
        .tool(Arc::new(Greeter))
        .bind()
        .await?;
    println!("connector URL: {}", server.connector_url());
    // Cancel the token to stop the server in order.
    server.run(CancellationToken::new()).await?;
    Ok(())
}
