//! A tool that is one HTTP request, as the operator declares it.

use serde_json::Value;

use super::{Manner, Method, UrlTemplate};
use crate::model::scope::Scope;

/// A tool that is one HTTP request.
#[derive(Debug, Clone)]
pub struct HttpTool {
    /// What models call it.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What it does, for models.
    pub description: String,
    /// The request's method.
    pub method: Method,
    /// Its URL.
    pub url: UrlTemplate,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// What it sends.
    pub body: RequestBody,
    /// What the method does not say of what it does to the world.
    pub hints: Hints,
    /// The scope that opens it; `None`: the table of scopes says.
    pub scope: Option<Scope>,
    /// How the request is made.
    pub manner: Manner,
}

/// What a request sends.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestBody {
    /// Nothing.
    Nothing,
    /// The arguments that have no place in the URL, as JSON.
    Arguments,
    /// This, as JSON. A text `"{name}"` becomes the argument with its type, and is left out with
    /// its member where there is none.
    Json(Value),
}

/// What the operator says a tool does to the world.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy.
    pub destructive: Option<bool>,
    /// A second call with the same arguments changes nothing more.
    pub idempotent: Option<bool>,
    /// It reaches out to a world that others change too.
    pub open_world: Option<bool>,
}
