//! What the stories are told with: a server, a browser, an OAuth client, an MCP client, a bare socket.

mod answer;
mod api;
mod balancer;
mod browser;
mod events;
mod fixtures;
mod json_server;
pub(crate) mod jwt;
mod mcp;
mod modern;
mod oauth;
pub(crate) mod outside;
mod params;
mod patience;
pub(crate) mod postgres;
mod program;
pub(crate) mod provider;
mod raw;
mod server;
mod site;
mod tls;
pub(crate) mod vendor;

pub(crate) use answer::Answer;
pub(crate) use api::{Api, Received, Reply};
pub(crate) use balancer::Balancer;
pub(crate) use browser::{Arrival, Browser, Callback, Page};
pub(crate) use events::Events;
pub(crate) use fixtures::{ALL_OF_FILES, Workshop, files_server, hostile_server};
pub(crate) use json_server::{JsonServer, Outcome};
pub(crate) use mcp::{McpClient, everything, initialize_message, named};
pub(crate) use modern::{CAPABILITIES_KEY, MODERN, ModernClient, TASKS, VERSION_KEY, header_form};
pub(crate) use oauth::{
    CHALLENGE, Connected, OAuthClient, REDIRECT_URI, Tokens, VERIFIER, basic, connect,
};
pub(crate) use params::Params;
pub(crate) use patience::{PATIENCE, eventually};
pub(crate) use program::{Ended, Launch, Program};
pub(crate) use raw::RawConnection;
pub(crate) use server::{TestServer, config_file};
pub(crate) use site::{Request, Site};
pub(crate) use tls::{Certificate, TlsSite};

/// The passcode of every server that the stories start.
pub(crate) const PASSCODE: &str = "correct horse battery staple";
