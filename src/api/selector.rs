//! Which operations of an API are meant.

use super::{Method, fits};

/// Operations, by what their description says of them. `*` stands for anything.
///
/// | text | means |
/// | --- | --- |
/// | `listPets`, `list*` | operations of that `operationId` |
/// | `tag:pets` | operations with that tag |
/// | `/pets/*` | operations at such a path, as the description writes it |
/// | `GET` | operations with that method |
/// | `GET /pets/*` | both |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    meaning: Meaning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    OperationId(String),
    Tag(String),
    At {
        method: Option<Method>,
        path: Option<String>,
    },
}

impl Selector {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let meaning = if let Some(tag) = text.strip_prefix("tag:") {
            Meaning::Tag(tag.trim().to_owned())
        } else if text.starts_with('/') {
            Meaning::At {
                method: None,
                path: Some(text.to_owned()),
            }
        } else if let Some(method) = Method::parse(first) {
            let path = (!rest.is_empty()).then(|| rest.to_owned());
            if path
                .as_ref()
                .is_some_and(|path| !path.starts_with(['/', '*']))
            {
                return Err(format!("{text:?}: a path begins with /"));
            }
            Meaning::At {
                method: Some(method),
                path,
            }
        } else if text.is_empty() {
            return Err("an empty text selects nothing".to_owned());
        } else {
            Meaning::OperationId(text.to_owned())
        };
        Ok(Self {
            text: text.to_owned(),
            meaning,
        })
    }

    /// Whether an operation is meant.
    pub fn selects(
        &self,
        operation_id: Option<&str>,
        tags: &[&str],
        method: Method,
        path: &str,
    ) -> bool {
        match &self.meaning {
            Meaning::OperationId(pattern) => operation_id.is_some_and(|id| fits(pattern, id)),
            Meaning::Tag(pattern) => tags.iter().any(|tag| fits(pattern, tag)),
            Meaning::At {
                method: wanted,
                path: pattern,
            } => {
                wanted.is_none_or(|wanted| wanted == method)
                    && pattern.as_ref().is_none_or(|pattern| fits(pattern, path))
            }
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_selected_by_what_is_said_of_them() {
        let selects = |text: &str| {
            let selector = Selector::parse(text).unwrap();
            selector.selects(Some("getPetById"), &["pets"], Method::Get, "/pets/{petId}")
        };
        for text in [
            "getPetById",
            "get*",
            "*ById",
            "g*P*d",
            "*",
            "tag:pets",
            "tag:p*",
            "/pets/{petId}",
            "/pets/*",
            "GET",
            "GET /pets/*",
            "GET  *",
        ] {
            assert!(selects(text), "{text}");
        }
        for text in [
            "getPet",
            "get*Id*x",
            "tag:stores",
            "/pets",
            "POST",
            "POST /pets/*",
            "GET /stores/*",
            "*get",
            "pets",
        ] {
            assert!(!selects(text), "{text}");
        }
        let nameless = Selector::parse("*").unwrap();
        assert!(!nameless.selects(None, &[], Method::Get, "/pets"));
        assert!(Selector::parse("").is_err() && Selector::parse("GET pets").is_err());
    }
}
