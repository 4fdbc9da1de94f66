//! Clients and resource servers that the operator sets up, in the TOML file:
//!
//! ```toml
//! [[clients]]
//! client_id = "nightly-report"
//! client_secret_env = "REPORT_SECRET"   # or client_secret, or neither: a public client
//! grant_types = ["client_credentials"]  # this and all else as in RFC 7591 §2
//! scope = "files.read"
//!
//! [[resource_servers]]
//! client_id = "files-api"
//! client_secret_env = "FILES_SECRET"
//! audience = "https://mcp.example.com/mcp"
//! ```

use std::sync::Arc;

use super::{ConfigError, ResourceServerConfig, table::Table};
use crate::{
    clock::Timestamp,
    model::{
        client::{Client, ClientId},
        client_document,
        client_metadata::{AuthMethod, ClientMetadata, MetadataRules, MetadataSource},
    },
    secret::Digest,
};

/// Names a secret's value in the environment.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Understands `[[clients]]`.
pub(super) fn read(
    tables: &[Table],
    rules: &MetadataRules,
    environment: Environment<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for table in tables {
        match client(table, rules, environment) {
            Ok(client) if clients.iter().any(|known| known.id == client.id) => {
                errors.push(table.problem(format!("{:?} stands there twice", client.id.as_str())));
            }
            Ok(client) => clients.push(client),
            Err(message) => errors.push(table.problem(message)),
        }
    }
    clients
}

fn client(
    table: &Table,
    rules: &MetadataRules,
    environment: Environment<'_>,
) -> Result<Client, String> {
    let secret = table.secret("client_secret", environment)?;
    let mut members = table.members().clone();
    if secret.is_some() {
        // What the metadata needs to know is that there is one.
        members.insert("client_secret".to_owned(), true.into());
    }
    let metadata = ClientMetadata::accept(&members, MetadataSource::Configuration, rules)
        .map_err(|error| error.to_string())?;
    match (metadata.token_endpoint_auth_method, &secret) {
        (method, None) if method.has_secret() => {
            return Err("client_secret (or client_secret_env) is missing".to_owned());
        }
        (AuthMethod::None, Some(_)) => {
            return Err("a client with token_endpoint_auth_method none has no secret".to_owned());
        }
        _ => {}
    }
    Ok(Client {
        id: ClientId::presented(&identifier(table)?),
        issued_at: Timestamp::from_millis(0),
        secret: secret.as_deref().map(Digest::of),
        registration_token: None,
        document: None,
        metadata,
    })
}

/// Printable, and no URL: those name metadata documents.
fn identifier(table: &Table) -> Result<String, String> {
    let id = table.text("client_id")?;
    let is_plain = id.len() <= 200 && id.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if is_plain {
        Ok(id)
    } else {
        Err("client_id must be up to 200 printable ASCII characters, without a colon".to_owned())
    }
}

/// Understands `[[pinned_documents]]`: metadata documents of clients whose server turns ours away.
pub(super) fn read_pinned(
    tables: &[Table],
    rules: &MetadataRules,
    errors: &mut Vec<ConfigError>,
) -> Vec<Client> {
    let mut clients = Vec::new();
    for table in tables {
        match client_document::pinned(table.members(), rules) {
            Ok(client) => clients.push(client),
            Err(message) => errors.push(table.problem(message)),
        }
    }
    clients
}

/// Understands `[[resource_servers]]`.
pub(super) fn read_resource_servers(
    tables: &[Table],
    environment: Environment<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<ResourceServerConfig> {
    let read = |table: &Table| -> Result<ResourceServerConfig, String> {
        table.knows_only(&[
            "client_id",
            "client_secret",
            "client_secret_env",
            "audience",
        ])?;
        let secret = table.secret("client_secret", environment)?;
        let secret = secret.ok_or("client_secret (or client_secret_env) is missing")?;
        Ok(ResourceServerConfig {
            id: Arc::from(identifier(table)?),
            secret: Digest::of(&secret),
            audience: table.optional_text("audience")?.map(Arc::from),
        })
    };
    let mut servers = Vec::new();
    for table in tables {
        match read(table) {
            Ok(server) => servers.push(server),
            Err(message) => errors.push(table.problem(message)),
        }
    }
    servers
}
