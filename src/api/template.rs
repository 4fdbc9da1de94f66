//! Texts with places for arguments: `/pets/{id}` (RFC 6570, level 1).

use std::collections::BTreeSet;

use super::{
    BaseUrl,
    base_url::{is_dot_segment, split_origin},
};

/// A text with places for arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Always the same.
    Literal(String),
    /// The argument of that name.
    Argument(String),
}

impl Template {
    /// Reads one. Braces around anything but a name mean themselves.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            literal.push_str(before);
            let name = from_brace
                .get(1..)
                .and_then(|inner| inner.split_once('}'))
                .filter(|(name, _)| is_name(name));
            if let Some((name, after)) = name {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Argument(name.to_owned()));
                rest = after;
            } else {
                literal.push('{');
                rest = from_brace.get(1..).unwrap_or_default();
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self(parts)
    }

    /// Its pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The argument, if that is all it is.
    pub fn as_argument(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Argument(name)] => Some(name),
            _ => None,
        }
    }

    /// The arguments that it has places for.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Argument(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }
}

fn is_name(name: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// A URL with places for arguments in its path and its query, and nowhere else: no argument can
/// say who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    /// Who is called.
    pub origin: BaseUrl,
    /// Where.
    pub path: Template,
    /// With which query, pair by pair.
    pub query: Vec<(String, Template)>,
}

impl UrlTemplate {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (origin, rest) = split_origin(text);
        if origin.contains(['{', '}']) {
            return Err("has places for arguments only in its path and its query".to_owned());
        }
        let origin = BaseUrl::parse(origin).map_err(str::to_owned)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // With the places filled it has to be what RFC 3986 calls a URI.
        let filled = |template: &Template| -> String {
            let parts = template.parts().iter();
            let parts = parts.map(|part| match part {
                Part::Literal(text) => text,
                Part::Argument(_) => "x",
            });
            parts.collect()
        };
        let path = Template::parse(if path.is_empty() { "/" } else { path });
        let query: Vec<(String, Template)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), Template::parse(value)))
            .collect();
        let pairs = query.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={}", filled(value)));
        let pairs = pairs.collect::<Vec<_>>().join("&");
        let whole = format!("{origin}{}?{pairs}", filled(&path));
        let parsed = fluent_uri::Uri::parse(whole.as_str());
        if parsed.is_err() || text.contains('#') {
            return Err("is not a URL such as https://api.example.com/pets/{id}".to_owned());
        }
        if filled(&path).split('/').any(is_dot_segment) {
            return Err("must have no . or .. in its path".to_owned());
        }
        Ok(Self {
            origin,
            path,
            query,
        })
    }

    /// The arguments that it has places for.
    pub fn arguments(&self) -> BTreeSet<&str> {
        let in_query = self.query.iter().flat_map(|(_, value)| value.arguments());
        self.path.arguments().chain(in_query).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_for_arguments_stand_in_braces() {
        for (text, arguments) in [
            ("", vec![]),
            ("/pets", vec![]),
            ("/pets/{id}", vec!["id"]),
            ("{a}{b-c}.{d_1}", vec!["a", "b-c", "d_1"]),
            ("{ \"json\": {} }", vec![]),
            ("{{a}}", vec!["a"]),
            ("{a", vec![]),
        ] {
            let template = Template::parse(text);
            assert!(template.arguments().eq(arguments), "{text}: {template:?}");
        }
        assert_eq!(Template::parse("{a}").as_argument(), Some("a"));
        assert_eq!(Template::parse("{a} ").as_argument(), None);
    }

    #[test]
    fn arguments_have_places_in_path_and_query_alone() {
        let url = UrlTemplate::parse("https://api.example/pets/{id}?limit={n}&all=1").unwrap();
        assert_eq!(url.origin.origin(), "https://api.example");
        assert!(url.arguments().into_iter().eq(["id", "n"]));
        assert_eq!(url.query.len(), 2);
        for bad in [
            "https://{host}/pets",
            "{scheme}://api.example/pets",
            "https://api.example:{port}/",
            "https://api.example{path}",
            "https://api.example/pets#{id}",
            "https://api.example/{}",
            "https://api.example/a/../{id}",
            "https://api.example/a b",
            "https://user:{password}@api.example/",
            "/pets/{id}",
            "https://api.example/pets?{name}=x",
        ] {
            assert!(UrlTemplate::parse(bad).is_err(), "{bad}");
        }
    }
}
