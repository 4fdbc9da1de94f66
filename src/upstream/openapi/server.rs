//! Where the operations of an API are.

use serde_json::Value;

use super::{Described, document::Document};
use crate::api::{Api, BaseUrl};

/// The base URL of an operation. One that has a server of its own is called there only if that is
/// the same host: who is called is the operator's to say.
pub(super) fn of(
    described: &Described,
    item: &Value,
    operation: &Value,
) -> Result<BaseUrl, String> {
    let base = &described.base;
    let own = first(operation).or_else(|| first(item));
    match own.map(|server| url(server, Some(&described.relative_to))) {
        None => Ok(base.clone()),
        Some(Ok(own)) if own.origin() == base.origin() => Ok(own),
        Some(Ok(own)) => Err(format!("it is at another server, {}", own.origin())),
        Some(Err(problem)) => Err(problem),
    }
}

/// The base URL of the whole API: the operator's, or the first that the description names.
pub(super) fn base(
    document: &Document,
    api: &Api,
    fetched_from: Option<&BaseUrl>,
) -> Result<BaseUrl, String> {
    if let Some(base) = &api.base_url {
        return Ok(base.clone());
    }
    let server = document.get("servers").and_then(|servers| servers.get(0));
    let Some(server) = server else {
        let origin = fetched_from.and_then(|from| BaseUrl::parse(from.origin()).ok());
        return origin.ok_or_else(|| "it names no server; set base_url".to_owned());
    };
    let found = url(server, fetched_from)?;
    match fetched_from {
        // Whoever can change the description must not choose whom we call from here.
        Some(from) if from.origin() != found.origin() => Err(format!(
            "it was fetched from {} and names a server at {}; set base_url if that is right",
            from.origin(),
            found.origin()
        )),
        _ => Ok(found),
    }
}

/// The first server of an operation or a path.
fn first(owner: &Value) -> Option<&Value> {
    owner.get("servers")?.get(0)
}

/// The URL of a server (OpenAPI 3.1.1, “Server Object”), with its variables at their defaults.
fn url(server: &Value, relative_to: Option<&BaseUrl>) -> Result<BaseUrl, String> {
    let mut text = server
        .get("url")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let variables = server.get("variables").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten() {
        let default = variable.get("default").map(|default| match default {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        text = text.replace(&format!("{{{name}}}"), &default.unwrap_or_default());
    }
    if !text.contains("://") {
        let from = relative_to
            .ok_or_else(|| format!("its server {text:?} is relative to nothing; set base_url"))?;
        // A path that begins with a slash counts from the origin, every other from where the
        // description is.
        let directory = from
            .path()
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        text = match text.strip_prefix('/') {
            Some(path) => format!("{}/{path}", from.origin()),
            None => format!(
                "{}{directory}/{}",
                from.origin(),
                text.trim_start_matches("./")
            ),
        };
    }
    BaseUrl::parse(&text).map_err(|problem| format!("its server {text:?} {problem}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn servers_are_absolute_or_counted_from_the_description() {
        let from = BaseUrl::parse("https://api.example/docs/openapi.json").unwrap();
        for (server, expected) in [
            (
                json!({ "url": "https://a.example/v1/" }),
                "https://a.example/v1",
            ),
            (json!({ "url": "/v2" }), "https://api.example/v2"),
            (json!({ "url": "/" }), "https://api.example"),
            (json!({ "url": "v3" }), "https://api.example/docs/v3"),
            (json!({ "url": "./v3" }), "https://api.example/docs/v3"),
            (
                json!({
                    "url": "https://{user}.a.example:{port}/v2",
                    "variables": { "user": { "default": "demo" }, "port": { "default": 8443 } },
                }),
                "https://demo.a.example:8443/v2",
            ),
        ] {
            let found = url(&server, Some(&from)).unwrap();
            assert_eq!(found.to_string(), expected, "{server}");
        }
        assert!(url(&json!({ "url": "/v2" }), None).is_err());
        assert!(url(&json!({ "url": "https://{user}.a.example" }), None).is_err());
        assert!(url(&json!({}), None).is_err());
    }
}
