//! One operation of a description, as a tool.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    body::{self, Body, Kind},
    document::Document,
    keywords::{described, shortened},
    naming::{self, argument_name, unique},
    output,
    parameter::{self, Parameter, Place, any_text},
    plan::{BodyArguments, BodyPlan, Piece, Placed, RequestPlan, literal},
    schema::{Schemas, types},
    server,
};
use crate::{
    mcp::feature::ToolDefinition,
    model::{
        api::{Api, BaseUrl, Method},
        scope::Scope,
    },
    upstream::{declared::method as http_method, tool::annotations},
};

/// How much a model reads about a tool, in characters.
const MAX_DESCRIPTION: usize = 1000;

/// The longest title.
const MAX_TITLE: usize = 100;

/// An operation where it stands.
pub(super) struct Operation<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    item: &'a Value,
    value: &'a Value,
}

/// What it has become.
pub(super) struct Converted {
    pub(super) definition: ToolDefinition,
    pub(super) scope: Option<Scope>,
    pub(super) plan: RequestPlan,
    pub(super) base: BaseUrl,
    /// What is missing of it, in words.
    pub(super) omissions: Vec<String>,
}

/// Every operation of a description, in the order of paths and methods.
pub(super) fn all(document: &Document) -> Vec<Operation<'_>> {
    let paths = document.get("paths").and_then(Value::as_object);
    let mut operations = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        let Some(item) = document.resolve(item).filter(|_| path.starts_with('/')) else {
            continue;
        };
        for method in Method::ALL {
            let name = method.as_str().to_ascii_lowercase();
            if let Some(value) = item.get(&name).filter(|value| value.is_object()) {
                operations.push(Operation {
                    method,
                    path,
                    item,
                    value,
                });
            }
        }
    }
    operations
}

impl Operation<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        let text = self.value.get(name)?.as_str()?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// What the description calls it.
    pub(super) fn id(&self) -> Option<&str> {
        self.text("operationId")
    }

    /// The same, or where it is.
    pub(super) fn label(&self) -> String {
        let place = format!("{} {}", self.method.as_str(), self.path);
        self.id()
            .map_or_else(|| place.clone(), |id| format!("{id} ({place})"))
    }

    /// Whether one of the selectors means it.
    pub(super) fn is_selected_by(&self, selectors: &[crate::model::api::Selector]) -> bool {
        let tags = self.value.get("tags").and_then(Value::as_array);
        let tags: Vec<&str> = tags
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        selectors
            .iter()
            .any(|selector| selector.selects(self.id(), &tags, self.method, self.path))
    }

    /// The tool that it becomes; or why it becomes none.
    pub(super) fn convert(
        &self,
        document: &Document,
        api: &Api,
        fetched_from: Option<&BaseUrl>,
        names: &mut HashSet<String>,
    ) -> Result<Converted, String> {
        if self.method == Method::Trace {
            return Err("TRACE is not for APIs".to_owned());
        }
        if self.path.contains('#') {
            return Err("its path has a fragment".to_owned());
        }
        let base = server::of(document, api, self.item, self.value, fetched_from)?;
        let mut omissions = Vec::new();
        let mut parameters = parameter::read(document, self.item, self.value, &mut omissions);
        let places = parameter::places(self.path);
        parameters.retain(|p| p.place != Place::Path || places.contains(&p.name));
        for name in &places {
            let is_described = |p: &Parameter<'_>| p.place == Place::Path && p.name == *name;
            if !parameters.iter().any(is_described) {
                parameters.insert(0, parameter::undescribed(name));
            }
        }
        if let Some(needed) = omissions.iter().find(|o| o.contains("the required ")) {
            return Err(format!("{needed} cannot be an argument"));
        }
        let body = body::read(document, self.value)?.filter(|_| !self.method.is_safe());

        let mut arguments = Arguments::new(document);
        let placed: Vec<(String, &Parameter<'_>)> = parameters
            .iter()
            .map(|parameter| (arguments.parameter(parameter), parameter))
            .collect();
        let body = body.map(|body| arguments.body(&body));
        let plan = self.plan(&base, &placed, body);
        let input_schema = arguments.schema(&mut omissions);

        let mut definition =
            ToolDefinition::new(self.name(api, names), self.description(), input_schema);
        definition.title = self
            .text("summary")
            .map(|summary| shortened(summary, MAX_TITLE).into());
        definition.output_schema = output::schema(document, self.value, &api.manner.fields);
        definition.annotations = annotations(self.method);
        let mut scopes = api.scopes.iter();
        let scope = scopes.find(|(_, selectors)| self.is_selected_by(selectors));
        Ok(Converted {
            definition,
            scope: scope.map(|(scope, _)| scope.clone()),
            plan,
            base,
            omissions,
        })
    }

    /// What the operator calls it, or the description, or where it is.
    fn name(&self, api: &Api, names: &mut HashSet<String>) -> String {
        let place = format!("{} {}", self.method.as_str(), self.path);
        let renamed = self.id().and_then(|id| api.rename.get(id));
        let name = match renamed.or_else(|| api.rename.get(&place)) {
            Some(name) => naming::tool_name("", name),
            None => match self.id() {
                Some(id) => naming::tool_name(&api.prefix, id),
                None => {
                    let place = naming::of_place(self.method.as_str(), self.path);
                    naming::tool_name(&api.prefix, &place)
                }
            },
        };
        unique(&name, names)
    }

    fn description(&self) -> String {
        let (summary, said) = (self.text("summary"), self.text("description"));
        let text = match (summary, said) {
            (Some(summary), Some(said)) if !said.starts_with(summary) => {
                let end = if summary.ends_with(['.', '!', '?']) {
                    ""
                } else {
                    "."
                };
                format!("{summary}{end} {said}")
            }
            (_, Some(said)) => said.to_owned(),
            (Some(summary), None) => summary.to_owned(),
            (None, None) => format!("{} {}", self.method.as_str(), self.path),
        };
        let is_deprecated = self.value.get("deprecated") == Some(&Value::Bool(true));
        let text = if is_deprecated {
            format!("(Deprecated.) {text}")
        } else {
            text
        };
        shortened(&text, MAX_DESCRIPTION)
    }

    fn plan(
        &self,
        base: &BaseUrl,
        placed: &[(String, &Parameter<'_>)],
        body: Option<BodyPlan>,
    ) -> RequestPlan {
        let in_place = |place: Place| {
            placed
                .iter()
                .filter(move |(_, parameter)| parameter.place == place)
                .map(|(argument, parameter)| Placed {
                    argument: argument.clone(),
                    name: parameter.name.to_owned(),
                    manner: parameter.manner,
                })
        };
        let mut path = vec![Piece::Literal(base.path().to_owned())];
        let mut rest = self.path;
        while let Some((before, after)) = rest.split_once('{') {
            path.push(Piece::Literal(literal(before)));
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            path.extend(
                in_place(Place::Path)
                    .find(|p| p.name == name)
                    .map(Piece::Argument),
            );
            rest = after;
        }
        path.push(Piece::Literal(literal(rest)));
        RequestPlan {
            method: http_method(self.method.as_str()),
            path,
            query: in_place(Place::Query).collect(),
            headers: in_place(Place::Header).collect(),
            body,
        }
    }
}

/// The arguments of a tool, as they come together.
struct Arguments<'a> {
    document: &'a Document,
    schemas: Schemas<'a>,
    properties: Map<String, Value>,
    required: Vec<String>,
    taken: HashSet<String>,
}

impl<'a> Arguments<'a> {
    fn new(document: &'a Document) -> Self {
        Self {
            document,
            schemas: Schemas::new(document),
            properties: Map::new(),
            required: Vec::new(),
            taken: HashSet::new(),
        }
    }

    /// A name that nobody has. Whoever comes second says where it belongs.
    fn name(&mut self, wanted: &str, place: &str) -> String {
        let plain = argument_name(wanted);
        if self.taken.insert(plain.clone()) {
            return plain;
        }
        unique(&argument_name(&format!("{place}_{plain}")), &mut self.taken)
    }

    fn add(&mut self, name: &str, schema: Value, description: Option<&str>, required: bool) {
        let mut schema = schema;
        let description = description.and_then(|text| described(text, 300));
        if let (Some(description), Value::Object(members)) = (description, &mut schema) {
            members.insert("description".to_owned(), description);
        }
        self.properties.insert(name.to_owned(), schema);
        if required {
            self.required.push(name.to_owned());
        }
    }

    fn parameter(&mut self, parameter: &Parameter<'_>) -> String {
        let name = self.name(parameter.name, parameter.place.as_str());
        let schema = match parameter.schema {
            Some(schema) => self.schemas.convert(schema),
            None => any_text(),
        };
        self.add(&name, schema, parameter.description, parameter.required);
        name
    }

    /// The arguments that make the body: its members, or all of it.
    fn body(&mut self, body: &Body<'_>) -> BodyPlan {
        let converted = match (body.kind, body.schema) {
            (Kind::Bytes, _) => json!({ "type": "string", "contentEncoding": "base64" }),
            (Kind::Text, None) => any_text(),
            (_, Some(schema)) => self.schemas.convert(schema),
            (_, None) => json!({}),
        };
        let is_file = |name: &str| {
            body.kind == Kind::Multipart && is_file(self.document, body.schema, name, 0)
        };
        let members = match members_of(&converted) {
            Some(members) => members.clone(),
            None => {
                let known = body
                    .schema
                    .and_then(|schema| self.document.resolve(schema)?.get("properties"));
                let known = known.and_then(Value::as_object);
                let known: Vec<String> = known
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.clone())
                    .collect();
                let writer = body.writer(is_file, &known);
                let name = self.name("body", "request");
                self.add(&name, converted, body.description, body.required);
                return BodyPlan {
                    writer,
                    required: body.required,
                    arguments: BodyArguments::Whole(name),
                };
            }
        };
        let names: Vec<String> = members.keys().cloned().collect();
        let writer = body.writer(is_file, &names);
        let files: Vec<&String> = names.iter().filter(|name| is_file(name)).collect();
        let needed = converted.get("required").and_then(Value::as_array);
        let needed: Vec<&str> = needed
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut arguments = Vec::new();
        for (member, mut schema) in members {
            if files.contains(&&member) {
                in_base64(&mut schema);
            }
            let name = self.name(&member, "body");
            let required = body.required && needed.contains(&member.as_str());
            self.add(&name, schema, None, required);
            arguments.push((name, member));
        }
        BodyPlan {
            writer,
            required: body.required,
            arguments: BodyArguments::Members(arguments),
        }
    }

    fn schema(mut self, omissions: &mut Vec<String>) -> Value {
        let definitions = self.schemas.definitions();
        omissions.extend(self.schemas.omissions.iter().map(|&o| o.to_owned()));
        let mut schema = json!({
            "type": "object",
            "properties": self.properties,
            "additionalProperties": false,
        });
        if let Value::Object(members) = &mut schema {
            if !self.required.is_empty() {
                members.insert("required".to_owned(), json!(self.required));
            }
            if !definitions.is_empty() {
                members.insert("$defs".to_owned(), Value::Object(definitions));
            }
        }
        schema
    }
}

/// The members of an object that can stand beside the parameters: one that says nothing about them
/// together but which are required.
fn members_of(schema: &Value) -> Option<&Map<String, Value>> {
    const HARMLESS: [&str; 8] = [
        "type",
        "properties",
        "required",
        "description",
        "default",
        "minProperties",
        "maxProperties",
        "additionalProperties",
    ];
    let members = schema.as_object()?;
    let properties = members.get("properties")?.as_object()?;
    let is_plain = members.keys().all(|name| HARMLESS.contains(&name.as_str()))
        && matches!(types(schema).as_slice(), ["object"] | [_, _, _, _, _, _, _])
        && matches!(
            members.get("additionalProperties"),
            None | Some(Value::Bool(false))
        );
    (is_plain && !properties.is_empty()).then_some(properties)
}

/// Whether a member of a form is bytes: `format: binary` in 3.0, `contentMediaType` in 3.1. A list
/// of such is several.
fn is_file(document: &Document, schema: Option<&Value>, name: &str, depth: usize) -> bool {
    let Some(schema) = schema.and_then(|schema| document.resolve(schema)) else {
        return false;
    };
    let is_binary = |schema: &Value| {
        schema.get("format") == Some(&json!("binary"))
            || (schema.get("contentMediaType").is_some() && schema.get("contentEncoding").is_none())
    };
    let member = schema
        .get("properties")
        .and_then(|members| members.get(name));
    let member = member.and_then(|member| document.resolve(member));
    let items = member.and_then(|member| document.resolve(member.get("items")?));
    if member.into_iter().chain(items).any(is_binary) {
        return true;
    }
    let parts = schema.get("allOf").and_then(Value::as_array);
    let mut parts = parts.into_iter().flatten();
    depth < 4 && parts.any(|part| is_file(document, Some(part), name, depth + 1))
}

/// A text that stands for bytes.
fn in_base64(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    match members.get_mut("items") {
        Some(items) => in_base64(items),
        None => {
            members.insert("contentEncoding".to_owned(), json!("base64"));
        }
    }
}
