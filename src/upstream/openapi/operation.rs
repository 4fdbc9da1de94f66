//! One operation of a description, as a tool.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    Described,
    arguments::Arguments,
    body,
    document::Document,
    keywords::shortened,
    naming::{self, unique},
    output,
    parameter::{self, Parameter, Place},
    plan::{BodyPlan, Piece, Placed, RequestPlan},
    server,
};
use crate::{
    api::{Api, BaseUrl, Method, Selector},
    mcp::feature::ToolDefinition,
    model::scope::Scope,
    upstream::{declared::method as http_method, target::literal, tool::annotations},
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
    pub(super) fn is_selected_by(&self, selectors: &[Selector]) -> bool {
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
        described: &Described,
        names: &mut HashSet<String>,
    ) -> Result<Converted, String> {
        let Described { api, document, .. } = described;
        if self.method == Method::Trace {
            return Err("TRACE is not for APIs".to_owned());
        }
        if self.path.contains('#') {
            return Err("its path has a fragment".to_owned());
        }
        let base = server::of(described, self.item, self.value)?;
        let mut omissions = Vec::new();
        let mut parameters = parameter::read(document, self.item, self.value, &mut omissions)
            .map_err(|needed| format!("{needed} cannot be an argument"))?;
        let in_path = parameter::places(self.path);
        parameters.retain(|p| p.place != Place::Path || in_path.contains(&p.name));
        for name in &in_path {
            let is_described = |p: &Parameter<'_>| p.place == Place::Path && p.name == *name;
            if !parameters.iter().any(is_described) {
                parameters.insert(0, parameter::undescribed(name));
            }
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
            omissions,
        })
    }

    /// What the operator calls it, or the description, or where it is.
    fn name(&self, api: &Api, names: &mut HashSet<String>) -> String {
        let place = format!("{} {}", self.method.as_str(), self.path);
        let renamed = self.id().and_then(|id| api.rename.get(id));
        let renamed = renamed.or_else(|| api.rename.get(&place));
        let name = if let Some(name) = renamed {
            naming::tool_name("", name)
        } else if let Some(id) = self.id() {
            naming::tool_name(&api.prefix, id)
        } else {
            let place = naming::of_place(self.method.as_str(), self.path);
            naming::tool_name(&api.prefix, &place)
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
