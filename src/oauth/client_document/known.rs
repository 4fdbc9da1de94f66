//! The best known clients' documents, as they were in October 2026. A fetch that succeeds overrides
//! them.

use serde_json::{Value, json};

use crate::model::{client::Client, client_document::pinned, client_metadata::MetadataRules};

/// One copy for each.
pub(super) fn clients(rules: &MetadataRules) -> Vec<Client> {
    let documents = [
        public(
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "Claude",
            &[
                "https://claude.ai/api/mcp/auth_callback",
                "https://claude.com/api/mcp/auth_callback",
            ],
        ),
        public(
            "https://claude.ai/oauth/claude-code-client-metadata",
            "Claude Code",
            &["http://localhost/callback", "http://127.0.0.1/callback"],
        ),
        chatgpt(),
        public(
            "https://chatgpt.com/oauth/codex/client.json",
            "Codex",
            &["http://127.0.0.1/callback", "http://localhost/callback"],
        ),
        public(
            "https://vscode.dev/oauth/client-metadata.json",
            "Visual Studio Code",
            &["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        ),
        public(
            "https://zed.dev/oauth/client-metadata.json",
            "Zed",
            &["http://127.0.0.1/callback"],
        ),
        public(
            "https://opencode.ai/oauth/opencode/client.json",
            "OpenCode",
            &["http://127.0.0.1/callback", "http://localhost/callback"],
        ),
    ];
    let members = documents.iter().filter_map(Value::as_object);
    members
        .filter_map(|members| pinned(members, rules).ok())
        .collect()
}

fn public(client_id: &str, client_name: &str, redirect_uris: &[&str]) -> Value {
    json!({
        "client_id": client_id,
        "client_name": client_name,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    })
}

/// It signs what it sends to the token endpoint, where the server says that it can check that.
fn chatgpt() -> Value {
    json!({
        "client_id": "https://chatgpt.com/oauth/client.json",
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_a_document_that_we_would_accept() {
        let clients = clients(&MetadataRules::default());
        let names: Vec<&str> = clients.iter().map(Client::display_name).collect();
        let expected = [
            "Claude",
            "Claude Code",
            "ChatGPT",
            "Codex",
            "Visual Studio Code",
            "Zed",
            "OpenCode",
        ];
        assert_eq!(names, expected);
    }
}
