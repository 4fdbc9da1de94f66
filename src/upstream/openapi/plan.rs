//! How the arguments of a tool become the request that an operation describes.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
};
use serde_json::{Map, Value};

use super::{body::Writer, style::Manner};
use crate::upstream::{site::Prepared, tool::Plan};

/// JSON, if there is a choice.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.5");

/// A request with places for arguments.
#[derive(Debug)]
pub(super) struct RequestPlan {
    pub(super) method: Method,
    pub(super) path: Vec<Piece>,
    pub(super) query: Vec<Placed>,
    pub(super) headers: Vec<Placed>,
    pub(super) body: Option<BodyPlan>,
}

/// A piece of a path.
#[derive(Debug)]
pub(super) enum Piece {
    Literal(String),
    Argument(Placed),
}

/// An argument that is a parameter.
#[derive(Debug)]
pub(super) struct Placed {
    /// What the tool calls it.
    pub(super) argument: String,
    /// What the API calls it.
    pub(super) name: String,
    pub(super) manner: Manner,
}

/// The body.
#[derive(Debug)]
pub(super) struct BodyPlan {
    pub(super) writer: Writer,
    pub(super) required: bool,
    pub(super) arguments: BodyArguments,
}

/// The arguments that make it.
#[derive(Debug)]
pub(super) enum BodyArguments {
    /// One, which is all of it.
    Whole(String),
    /// One for each member: what the tool calls it, and what the API does.
    Members(Vec<(String, String)>),
}

impl Plan for RequestPlan {
    fn request(&self, mut arguments: Map<String, Value>) -> Result<Prepared, String> {
        let mut target = self.path(&arguments)?;
        let pairs = self.query.iter().filter_map(|placed| {
            let value = arguments.get(&placed.argument)?;
            Some(placed.manner.pairs(&placed.name, value))
        });
        for pair in pairs.flatten() {
            // A description may have begun the query itself.
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&pair);
        }
        let mut headers = HeaderMap::from_iter([(header::ACCEPT, ACCEPT)]);
        for placed in &self.headers {
            let Some(value) = arguments.get(&placed.argument).filter(|v| !v.is_null()) else {
                continue;
            };
            let value = HeaderValue::try_from(placed.manner.in_header(value));
            let value =
                value.map_err(|_| format!("{} cannot stand in a header", placed.argument))?;
            if let Ok(name) = HeaderName::try_from(placed.name.as_str()) {
                headers.insert(name, value);
            }
        }
        let body = match &self.body {
            Some(body) => body.write(&mut arguments, &mut headers)?,
            None => Bytes::new(),
        };
        Ok(Prepared {
            method: self.method.clone(),
            target,
            headers,
            body,
        })
    }
}

impl RequestPlan {
    /// The path with its arguments in place. None may be empty: `/pets/` is another resource than
    /// `/pets/7`, and sometimes all of them.
    fn path(&self, arguments: &Map<String, Value>) -> Result<String, String> {
        let mut path = String::new();
        for piece in &self.path {
            match piece {
                Piece::Literal(text) => path.push_str(text),
                Piece::Argument(placed) => {
                    let value = arguments.get(&placed.argument).unwrap_or(&Value::Null);
                    let is_empty = match value {
                        Value::Null => true,
                        Value::String(text) => text.is_empty(),
                        Value::Array(items) => items.is_empty(),
                        Value::Object(members) => members.is_empty(),
                        Value::Bool(_) | Value::Number(_) => false,
                    };
                    if is_empty {
                        let argument = &placed.argument;
                        return Err(format!(
                            "{argument} must not be empty: it is part of the address"
                        ));
                    }
                    path.push_str(&placed.manner.in_path(&placed.name, value));
                }
            }
        }
        Ok(path)
    }
}

impl BodyPlan {
    fn write(
        &self,
        arguments: &mut Map<String, Value>,
        headers: &mut HeaderMap,
    ) -> Result<Bytes, String> {
        let value = match &self.arguments {
            BodyArguments::Whole(name) => arguments.remove(name),
            BodyArguments::Members(members) => {
                let members = members.iter();
                let members: Map<String, Value> = members
                    .filter_map(|(argument, name)| {
                        Some((name.clone(), arguments.remove(argument)?))
                    })
                    .collect();
                (self.required || !members.is_empty()).then_some(Value::Object(members))
            }
        };
        match value {
            Some(value) => self.writer.write(&value, headers),
            None => Ok(Bytes::new()),
        }
    }
}
