//! The page at `/`: what this is, and how to connect each client to it.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    model::resource::PublicUrl,
    web::{brand::Brand, page::Page, params},
};

/// What clients call a server whose operator has not given it a name.
const SHORT_NAME: &str = "my-tools";

#[derive(Debug, Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    name: Option<&'a str>,
    connector_url: &'a str,
    /// Whether only programs on this computer can reach it.
    is_local: bool,
    short_name: &'a str,
    cursor_link: String,
    cursor_json: String,
    vs_code_link: String,
    vs_code_json: String,
}

#[derive(Clone)]
struct HomeState {
    public_url: PublicUrl,
    brand: Brand,
}

/// The page's route.
pub(crate) fn routes(public_url: PublicUrl, brand: Brand) -> Router {
    Router::new()
        .route("/", routing::get(get))
        .with_state(HomeState { public_url, brand })
}

async fn get(State(home): State<HomeState>) -> Response {
    let name = home.brand.given_name();
    let url = &**home.public_url.resource();
    let short_name = name.and_then(short).unwrap_or(SHORT_NAME.to_owned());
    let server = json!({ "url": url }).to_string();
    let config = params::encode(STANDARD.encode(&server).as_bytes());
    let vs_code = json!({ "name": short_name, "type": "http", "url": url });
    let page = HomePage {
        name,
        connector_url: url,
        is_local: home.public_url.is_loopback(),
        cursor_link: format!(
            "cursor://anysphere.cursor-deeplink/mcp/install?name={short_name}&config={config}"
        ),
        cursor_json: nested("mcpServers", &short_name, &[("url", url)]),
        vs_code_link: format!(
            "vscode:mcp/install?{}",
            params::encode(vs_code.to_string().as_bytes())
        ),
        vs_code_json: nested("servers", &short_name, &[("type", "http"), ("url", url)]),
        short_name: &short_name,
    };
    Page(StatusCode::OK, page).into_response()
}

/// JSON as people write it, in the order in which it is given.
fn nested(outer: &str, name: &str, members: &[(&str, &str)]) -> String {
    let members = members.iter();
    let lines: Vec<String> = members
        .map(|(key, value)| format!("      \"{key}\": {}", json!(value)))
        .collect();
    let lines = lines.join(",\n");
    format!("{{\n  \"{outer}\": {{\n    \"{name}\": {{\n{lines}\n    }}\n  }}\n}}")
}

/// A name as it can stand in a command: lower case, digits and hyphens.
fn short(name: &str) -> Option<String> {
    let mut words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut short = words.next()?.to_ascii_lowercase();
    for word in words {
        short.push('-');
        short.push_str(&word.to_ascii_lowercase());
    }
    short.truncate(40);
    Some(short.trim_end_matches('-').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shortened_to_what_a_command_takes() {
        for (name, expected) in [
            ("Paper & Sons", Some("paper-sons")),
            ("  ACME 2 ", Some("acme-2")),
            ("$(reboot)", Some("reboot")),
            ("ملفاتي", None),
        ] {
            assert_eq!(short(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_to_be_pasted_is_json() {
        let url = "https://mcp.example.com/mcp";
        let text = nested("servers", "my-tools", &[("type", "http"), ("url", url)]);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            read["servers"]["my-tools"],
            json!({ "type": "http", "url": url })
        );
    }
}
