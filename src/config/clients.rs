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

use super::{
    ConfigError, Environment, ResourceServerConfig,
    table::{self, Table},
};
use crate::{
    clock::Timestamp,
    model::{
        client::{Client, ClientId},
        client_document,
        client_metadata::{AuthMethod, ClientMetadata, GrantType, MetadataRules, MetadataSource},
        scope::ScopeCatalogue,
    },
    secret::Digest,
};

/// What can be said of a client. Whoever registers may say more, which is ignored; what the operator
/// writes and we do not know is a typing mistake.
const MEMBERS: [&str; 22] = [
    "client_id",
    "client_secret",
    "client_secret_env",
    "redirect_uris",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "grant_types",
    "response_types",
    "application_type",
    "client_name",
    "scope",
    "contacts",
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "jwks_uri",
    "jwks",
    "software_id",
    "software_version",
    "dpop_bound_access_tokens",
    "require_pushed_authorization_requests",
];

/// Understands `[[clients]]`.
pub(super) fn read(
    tables: &[Table],
    rules: &MetadataRules,
    scopes: &ScopeCatalogue,
    environment: Environment<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<Client> {
    table::each_once(
        tables,
        errors,
        |client: &Client| client.id.as_str(),
        |table| client(table, rules, scopes, environment),
    )
}

fn client(
    table: &Table,
    rules: &MetadataRules,
    scopes: &ScopeCatalogue,
    environment: Environment<'_>,
) -> Result<Client, String> {
    table.knows_only(&MEMBERS)?;
    check_grant_types(table)?;
    table.check_scope(scopes)?;
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

/// Whoever registers may ask for what other servers have. Here it would go unnoticed.
fn check_grant_types(table: &Table) -> Result<(), String> {
    let known = GrantType::ALL.map(GrantType::as_str);
    let named = table.list("grant_types")?;
    match named.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!(
            "grant_types: {unknown:?} is not one of {}",
            known.join(", ")
        )),
        None => Ok(()),
    }
}

/// Printable, no URL (those name metadata documents), and the same in a Basic header whether it is
/// encoded there or not.
fn identifier(table: &Table) -> Result<String, String> {
    let id = table.text("client_id")?;
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'%');
    if id.len() <= 200 && id.bytes().all(is_allowed) {
        Ok(id)
    } else {
        Err("client_id must be up to 200 printable ASCII characters, without : and %".to_owned())
    }
}

/// Understands `[[pinned_documents]]`: metadata documents of clients whose server turns ours away.
pub(super) fn read_pinned(
    tables: &[Table],
    rules: &MetadataRules,
    errors: &mut Vec<ConfigError>,
) -> Vec<Client> {
    table::each(tables, errors, |table, _| {
        client_document::pinned(table.members(), rules)
    })
}

/// Understands `[[resource_servers]]`. Their names are told apart from each other's and from those of
/// `clients`: whoever asks about a token is one or the other.
pub(super) fn read_resource_servers(
    tables: &[Table],
    clients: &[Client],
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
        let id = identifier(table)?;
        if clients.iter().any(|client| client.id.as_str() == id) {
            return Err(table::twice(&id));
        }
        Ok(ResourceServerConfig {
            id: Arc::from(id),
            secret: Digest::of(&secret),
            audience: table.optional_text("audience")?.map(Arc::from),
        })
    };
    table::each_once(
        tables,
        errors,
        |server: &ResourceServerConfig| &server.id,
        read,
    )
}

#[cfg(test)]
pub(super) mod tests {
    use std::{collections::HashMap, fs};

    use super::*;
    use crate::config::{Config, ConfigErrors};

    /// The configuration of a file, where one variable of the environment holds a secret.
    pub(in crate::config) fn load(contents: &str) -> Result<Config, ConfigErrors> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("server.toml"), contents).unwrap();
        let environment = |name: &str| match name {
            "CONFIG_FILE" => Some("server.toml".into()),
            "A_SECRET" => Some("from the environment".into()),
            "A_BLANK" => Some("  ".into()),
            _ => None,
        };
        Config::load(&HashMap::new(), &environment, directory.path())
    }

    /// The one thing that is wrong with a file.
    #[track_caller]
    fn problem(contents: &str) -> String {
        let message = load(contents).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    /// Checks that of a table with these lines one thing is said, with the place.
    #[track_caller]
    pub(in crate::config) fn check(name: &str, lines: &str, said: &str) {
        let message = problem(&format!("# nothing\n\n[[{name}]]\n{lines}\n"));
        let place = format!("{name} (in server.toml, line 3): ");
        assert!(message.starts_with(&place), "{lines}: {message}");
        assert!(message.contains(said), "{lines}: {message}");
    }

    #[test]
    fn a_client_is_what_its_table_says() {
        let config = load(
            r#"
            [[scopes]]
            name = "read"
            description = "Read"

            [[clients]]
            client_id = "my-app"
            redirect_uris = ["https://app.example.com/callback"]
            client_name = "My app"

            [[clients]]
            client_id = "nightly-report"
            client_secret = "written here"
            grant_types = ["client_credentials"]
            scope = "read"

            [[clients]]
            client_id = "other-report"
            client_secret_env = "A_SECRET"
            token_endpoint_auth_method = "client_secret_post"
            grant_types = ["client_credentials"]
            "#,
        );
        let clients = config.unwrap().clients;
        let [app, nightly, other] = &clients[..] else {
            panic!("not three: {clients:?}");
        };
        let method = app.metadata.token_endpoint_auth_method;
        assert!(method == AuthMethod::None && app.secret.is_none());
        assert_eq!(app.display_name(), "My app");
        assert_eq!(app.metadata.grant_types, [GrantType::AuthorizationCode]);
        let method = nightly.metadata.token_endpoint_auth_method;
        assert_eq!(method, AuthMethod::ClientSecretBasic);
        assert_eq!(nightly.secret, Some(Digest::of("written here")));
        assert_eq!(nightly.metadata.scope.as_deref(), Some("read"));
        assert_eq!(other.secret, Some(Digest::of("from the environment")));
        // Nobody has registered them, so nobody manages them.
        assert!(clients.iter().all(|c| c.registration_token.is_none()));
    }

    #[test]
    fn a_client_id_is_text_that_no_header_and_no_url_could_distort() {
        let uris = "redirect_uris = [\"https://app.example.com/callback\"]";
        for (lines, said) in [
            (vec![uris], "client_id must be a text"),
            (vec!["client_id = 7", uris], "client_id must be a text"),
            (vec!["client_id = \" \"", uris], "client_id must be a text"),
            (vec!["client_id = \"a b\"", uris], "client_id must be"),
            (vec!["client_id = \"a:b\"", uris], "client_id must be"),
            (vec!["client_id = \"a%b\"", uris], "client_id must be"),
            (
                vec!["client_id = \"https://a.example\"", uris],
                "client_id must be",
            ),
            (vec!["client_id = \"caf\u{e9}\"", uris], "client_id must be"),
        ] {
            check("clients", &lines.join("\n"), said);
        }
    }

    #[test]
    fn a_secret_is_written_once_and_fits_the_method() {
        let id = "client_id = \"app\"";
        let uris = "redirect_uris = [\"https://app.example.com/callback\"]";
        let secret = "client_secret = \"a secret\"";
        for (lines, said) in [
            (
                vec![id, uris, "client_secret = 7"],
                "client_secret must be a text",
            ),
            (
                vec![id, uris, "client_secret = \"\""],
                "client_secret must be a text",
            ),
            (
                vec![id, uris, secret, "client_secret_env = \"A_SECRET\""],
                "set client_secret or client_secret_env, not both",
            ),
            (
                vec![id, uris, "client_secret_env = \"NOT_SET\""],
                "client_secret_env: the variable NOT_SET is not set",
            ),
            (
                vec![id, uris, "client_secret_env = \"A_BLANK\""],
                "client_secret_env: the variable A_BLANK is not set",
            ),
            (
                vec![
                    id,
                    uris,
                    "token_endpoint_auth_method = \"client_secret_basic\"",
                ],
                "client_secret (or client_secret_env) is missing",
            ),
            (
                vec![id, uris, secret, "token_endpoint_auth_method = \"none\""],
                "a client with token_endpoint_auth_method none has no secret",
            ),
            (
                vec![id, uris, "token_endpoint_auth_method = \"magic\""],
                "token_endpoint_auth_method must be one of none",
            ),
        ] {
            check("clients", &lines.join("\n"), said);
        }
    }

    #[test]
    fn a_bad_client_is_named_by_file_line_and_key() {
        let id = "client_id = \"app\"";
        let uris = "redirect_uris = [\"https://app.example.com/callback\"]";
        let secret = "client_secret = \"a secret\"";
        let own = "grant_types = [\"client_credentials\"]";
        for (lines, said) in [
            (vec![id], "redirect_uris must name at least one"),
            (
                vec![id, "redirect_uris = \"x\""],
                "redirect_uris must be a list",
            ),
            (
                vec![id, "redirect_uris = [\"http://app.example.com/\"]"],
                "redirect_uris[0] may use http only for localhost",
            ),
            (
                vec![id, "redirect_uris = [\"app.example:/callback\"]"],
                "redirect_uris[0] has the scheme \"app.example\"",
            ),
            (
                vec![id, secret, "grant_types = [\"client_credential\"]"],
                "grant_types: \"client_credential\" is not one of authorization_code",
            ),
            (
                vec![
                    id,
                    uris,
                    "grant_types = [\"authorization_code\", \"password\"]",
                ],
                "grant_types: \"password\" is not one of authorization_code",
            ),
            (
                vec![id, secret, own, "scope = \"mpc\""],
                "scope: \"mpc\" is not defined",
            ),
            (
                vec![id, secret, own, "scope = \"mcp offline_access\""],
                "scope: \"offline_access\" is not defined",
            ),
            (
                vec![id, secret, own, "scope = [\"mcp\"]"],
                "scope must be a text",
            ),
            (
                vec![id, uris, "client_name = 7"],
                "client_name must be a string",
            ),
            (
                vec![id, uris, "client_uri = \"about\""],
                "client_uri must be an https URL",
            ),
            (
                vec![id, uris, "require_pushed_authorization_requests = \"on\""],
                "require_pushed_authorization_requests must be true or false",
            ),
            (
                vec![id, uris, "redirect_uri = \"x\""],
                "unknown key \"redirect_uri\"",
            ),
            (
                vec![id, secret, own, "scopes = \"mcp\""],
                "unknown key \"scopes\"",
            ),
        ] {
            check("clients", &lines.join("\n"), said);
        }
    }

    #[test]
    fn a_bad_resource_server_is_named_by_file_line_and_key() {
        let id = "client_id = \"api\"";
        let secret = "client_secret = \"a secret\"";
        for (lines, said) in [
            (vec![secret], "client_id must be a text"),
            (vec!["client_id = \"a:b\"", secret], "client_id must be"),
            (vec![id], "client_secret (or client_secret_env) is missing"),
            (
                vec![id, "client_secret = 7"],
                "client_secret must be a text",
            ),
            (
                vec![id, "client_secret_env = \"NOT_SET\""],
                "client_secret_env: the variable NOT_SET is not set",
            ),
            (vec![id, secret, "audience = 7"], "audience must be a text"),
            (
                vec![id, secret, "audience = [\"x\"]"],
                "audience must be a text",
            ),
            (
                vec![id, secret, "redirect_uris = []"],
                "unknown key \"redirect_uris\"",
            ),
        ] {
            check("resource_servers", &lines.join("\n"), said);
        }
    }

    #[test]
    fn a_name_stands_for_one_alone() {
        let client = "client_id = \"twin\"\nredirect_uris = [\"https://a.example/\"]\n";
        let server = "client_id = \"twin\"\nclient_secret = \"a secret\"\n";
        let clients = format!("[[clients]]\n{client}");
        let servers = format!("[[resource_servers]]\n{server}");
        for (contents, place) in [
            (
                format!("{clients}{clients}"),
                "clients (in server.toml, line 4)",
            ),
            (
                format!("{servers}{servers}"),
                "resource_servers (in server.toml, line 4)",
            ),
            (
                format!("{servers}{clients}"),
                "resource_servers (in server.toml, line 1)",
            ),
        ] {
            let said = problem(&contents);
            assert_eq!(said, format!("{place}: \"twin\" stands there twice"));
        }
    }

    #[test]
    fn what_is_no_table_is_told_how_to_be_one() {
        for name in ["clients", "resource_servers"] {
            for value in ["7", "[1]", "[{}, 1]", "{ client_id = \"x\" }"] {
                let said = problem(&format!("\n{name} = {value}\n"));
                let place = format!("{name} (in server.toml, line 2)");
                assert_eq!(said, format!("{place}: write each as a table, [[{name}]]"));
            }
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_no_secret_with_it() {
        let message = load(
            r#"
            [[clients]]
            client_id = "app"
            client_secret = "swordfish"
            token_endpoint_auth_method = "none"
            redirect_uris = ["https://app.example.com/callback"]

            [[clients]]
            client_id = "other"

            [[resource_servers]]
            client_id = "api"
            client_secret = "swordfish"
            audience = 7
            "#,
        );
        let message = message.unwrap_err().to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 3, "{message}");
        for (line, place) in lines.iter().zip(["line 2", "line 8", "line 11"]) {
            assert!(line.contains(place), "{message}");
        }
        assert!(!message.contains("swordfish"), "{message}");
    }

    #[test]
    fn where_no_audience_is_written_the_servers_own_is_meant() {
        let table = "[[resource_servers]]\nclient_id = \"api\"\nclient_secret_env = \"A_SECRET\"\n";
        let config = load(table).unwrap();
        assert_eq!(config.resource_servers.len(), 1);
        assert_eq!(&*config.resource_servers[0].id, "api");
        assert_eq!(
            config.resource_servers[0].secret,
            Digest::of("from the environment")
        );
        assert_eq!(config.resource_servers[0].audience, None);
        let table = format!("{table}audience = \"https://other.example/mcp\"\n");
        let servers = load(&table).unwrap().resource_servers;
        assert_eq!(
            servers[0].audience.as_deref(),
            Some("https://other.example/mcp")
        );
    }
}
