//! Parameters of operations: in the path, the query and the header.

use axum::http::HeaderName;
use serde_json::{Value, json};

use super::{
    document::Document,
    style::{Manner, Style},
};

/// Where a parameter stands, in the order in which names are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

impl Place {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// One parameter.
#[derive(Debug, Clone)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place,
    pub(super) manner: Manner,
    pub(super) required: bool,
    pub(super) description: Option<&'a str>,
    /// `None`: anything.
    pub(super) schema: Option<&'a Value>,
}

/// Headers that no argument may set: those of the message and the connection, and those that say
/// who calls. OpenAPI ignores the first three of them itself.
const NOT_AN_ARGUMENT: [&str; 14] = [
    "accept",
    "content-type",
    "authorization",
    "proxy-authorization",
    "cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "forwarded",
];

/// What is no argument.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoArgument {
    #[error("a parameter is in another document or missing")]
    Lost,
    #[error("a parameter has no name or no place")]
    Nameless,
    /// In a cookie, say.
    #[error("the {}{place} parameter {name:?}", if *.required { "required " } else { "" })]
    Elsewhere {
        name: String,
        place: String,
        required: bool,
    },
}

/// The parameters of an operation: its own, and those of its path that it does not replace. What
/// cannot be offered goes to `omissions`, unless nothing can be asked without it.
pub(super) fn read<'a>(
    document: &'a Document,
    path_item: &'a Value,
    operation: &'a Value,
    omissions: &mut Vec<String>,
) -> Result<Vec<Parameter<'a>>, NoArgument> {
    let mut parameters: Vec<Parameter<'a>> = Vec::new();
    for (owner, is_own) in [(path_item, false), (operation, true)] {
        let listed = owner.get("parameters").and_then(Value::as_array);
        for written in listed.into_iter().flatten() {
            match one(document, written) {
                Ok(Some(parameter)) => {
                    if is_own {
                        parameters.retain(|other| {
                            (other.name, other.place) != (parameter.name, parameter.place)
                        });
                    }
                    parameters.push(parameter);
                }
                Ok(None) => {}
                Err(needed @ NoArgument::Elsewhere { required: true, .. }) => return Err(needed),
                Err(other) => omissions.push(other.to_string()),
            }
        }
    }
    parameters.sort_by_key(|parameter| parameter.place);
    Ok(parameters)
}

/// `None`: one that OpenAPI says is to be ignored, or that is not an argument's to say.
fn one<'a>(
    document: &'a Document,
    written: &'a Value,
) -> Result<Option<Parameter<'a>>, NoArgument> {
    let written = document.resolve(written).ok_or(NoArgument::Lost)?;
    let text = |name: &str| written.get(name).and_then(Value::as_str);
    let flag = |name: &str| written.get(name).and_then(Value::as_bool);
    let (Some(name), Some(place)) = (text("name"), text("in")) else {
        return Err(NoArgument::Nameless);
    };
    let (place, usual) = match place {
        "path" => (Place::Path, Style::Simple),
        "query" => (Place::Query, Style::Form),
        "header" if !is_settable(name) => return Ok(None),
        "header" => (Place::Header, Style::Simple),
        other => {
            return Err(NoArgument::Elsewhere {
                name: name.to_owned(),
                place: other.to_owned(),
                required: flag("required") == Some(true),
            });
        }
    };
    let content = written.get("content").and_then(Value::as_object);
    let content = content.and_then(|content| content.values().next());
    let style = text("style").and_then(Style::parse).unwrap_or(usual);
    Ok(Some(Parameter {
        name,
        place,
        manner: Manner {
            allow_reserved: flag("allowReserved") == Some(true),
            as_json: content.is_some(),
            ..Manner::of(style, flag("explode"))
        },
        required: place == Place::Path || flag("required") == Some(true),
        description: text("description"),
        schema: content
            .and_then(|media| document.resolve(media)?.get("schema"))
            .or_else(|| written.get("schema")),
    }))
}

fn is_settable(name: &str) -> bool {
    let parsed = HeaderName::try_from(name);
    parsed.is_ok_and(|name| !NOT_AN_ARGUMENT.contains(&name.as_str()) && !is_proxys(name.as_str()))
}

/// What proxies say of where a request comes from.
fn is_proxys(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "x-real-ip"
}

/// The names that a path has places for.
pub(super) fn places(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for rest in path.split('{').skip(1) {
        if let Some((name, _)) = rest.split_once('}') {
            names.push(name);
        }
    }
    names
}

/// A place in a path that nobody describes is a text.
pub(super) fn undescribed(name: &str) -> Parameter<'_> {
    Parameter {
        name,
        place: Place::Path,
        manner: Manner::of(Style::Simple, None),
        required: true,
        description: None,
        schema: None,
    }
}

/// The schema of a parameter that has none.
pub(super) fn any_text() -> Value {
    json!({ "type": "string" })
}
