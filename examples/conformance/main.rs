//! What the official conformance suite calls, and nothing else: `cargo run --release --example
//! conformance`. Settings, start-up lines and sign-in are the server's own.

mod asking;
mod content;
mod fixture;
mod prompts;
mod resources;
mod rounds;
mod schemas;
mod speaking;
mod tasks;

use std::process::ExitCode;

use remote_mcp_auth::{ServerBuilder, cli};

fn main() -> ExitCode {
    cli::run_with(offer)
}

/// The suite's header scenarios call whatever tool is listed first, without arguments.
fn offer(builder: ServerBuilder) -> ServerBuilder {
    let tools = content::tools()
        .into_iter()
        .chain(speaking::tools())
        .chain(asking::tools())
        .chain(schemas::tools())
        .chain(rounds::tools())
        .chain(tasks::tools());
    let builder = tools.fold(builder, ServerBuilder::tool);
    let builder = prompts::prompts()
        .into_iter()
        .fold(builder, ServerBuilder::prompt);
    resources::resources()
        .into_iter()
        .fold(builder, ServerBuilder::resource)
        .resource_template(resources::template())
}
