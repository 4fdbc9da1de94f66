//! How values are written into paths, queries and headers (OpenAPI 3.1.1, “Style Values”; RFC 6570).

use serde_json::Value;

use crate::upstream::{
    declared::as_text,
    target::{encoded, encoded_but_reserved},
};

/// The styles of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

impl Style {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "form" => Self::Form,
            "spaceDelimited" => Self::SpaceDelimited,
            "pipeDelimited" => Self::PipeDelimited,
            "deepObject" => Self::DeepObject,
            _ => return None,
        })
    }
}

/// How one value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) style: Style,
    /// Whether items and members stand apart.
    pub(super) explode: bool,
    /// Whether reserved characters may stand as they are.
    pub(super) allow_reserved: bool,
    /// Whether it is JSON, and nothing of the above counts.
    pub(super) as_json: bool,
}

/// A value in the pieces that are written one by one.
enum Pieces {
    One(String),
    List(Vec<String>),
    Members(Vec<(String, String)>),
}

impl Pieces {
    fn is_empty(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Members(members) => members.is_empty(),
        }
    }

    /// One after the other: members as `name=value` if they are to stand apart, else names and values
    /// alike.
    fn in_a_row(self, explode: bool) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::List(items) => items,
            Self::Members(members) => {
                let members = members.into_iter();
                if explode {
                    let pairs = members.map(|(name, value)| format!("{name}={value}"));
                    pairs.collect()
                } else {
                    members.flat_map(|(name, value)| [name, value]).collect()
                }
            }
        }
    }

    /// Under names: members under their own if they are to stand apart, and all else under `name`.
    fn named(self, name: &str, explode: bool, between: &str) -> Vec<(String, String)> {
        match self {
            Self::Members(members) if explode => members,
            Self::List(items) if explode => {
                let items = items.into_iter();
                items.map(|item| (name.to_owned(), item)).collect()
            }
            pieces => vec![(name.to_owned(), pieces.in_a_row(false).join(between))],
        }
    }
}

impl Manner {
    /// What a style is without further words. Items and members stand apart where nothing else is
    /// said in these two (OpenAPI 3.1.1, `explode`).
    pub(super) fn of(style: Style, explode: Option<bool>) -> Self {
        let usual = matches!(style, Style::Form | Style::DeepObject);
        Self {
            style,
            explode: explode.unwrap_or(usual),
            allow_reserved: false,
            as_json: false,
        }
    }

    fn encoded(self, text: &str) -> String {
        if self.allow_reserved {
            encoded_but_reserved(text)
        } else {
            encoded(text)
        }
    }

    fn pieces(self, value: &Value, encode: impl Fn(&str) -> String) -> Pieces {
        if self.as_json {
            return Pieces::One(encode(&value.to_string()));
        }
        let one = |value: &Value| encode(&flat(value));
        match value {
            Value::Array(items) => Pieces::List(items.iter().map(one).collect()),
            Value::Object(members) => {
                let members = members.iter().filter(|(_, value)| !value.is_null());
                Pieces::Members(
                    members
                        .map(|(name, value)| (encode(name), one(value)))
                        .collect(),
                )
            }
            value => Pieces::One(one(value)),
        }
    }

    /// What takes the place of `{name}` in a path.
    pub(super) fn in_path(self, name: &str, value: &Value) -> String {
        let pieces = self.pieces(value, encoded);
        match self.style {
            Style::Label => {
                let between = if self.explode { "." } else { "," };
                format!(".{}", pieces.in_a_row(self.explode).join(between))
            }
            Style::Matrix => {
                let pairs = pieces.named(&encoded(name), self.explode, ",").into_iter();
                pairs
                    .map(|(name, value)| assignment(&name, &value))
                    .collect()
            }
            _ => pieces.in_a_row(self.explode).join(","),
        }
    }

    /// The value of a header.
    pub(super) fn in_header(self, value: &Value) -> String {
        let pieces = self.pieces(value, str::to_owned);
        pieces.in_a_row(self.explode).join(",")
    }

    /// The pairs of a query or a form.
    pub(super) fn pairs(self, name: &str, value: &Value) -> Vec<String> {
        if value.is_null() && !self.as_json {
            return Vec::new();
        }
        if self.style == Style::DeepObject && !self.as_json {
            let mut pairs = Vec::new();
            self.deep(name, value, &mut pairs);
            return pairs;
        }
        let pieces = self.pieces(value, |text| self.encoded(text));
        if pieces.is_empty() {
            return Vec::new();
        }
        let between = match self.style {
            Style::SpaceDelimited => "%20",
            Style::PipeDelimited => "%7C",
            _ => ",",
        };
        let pairs = pieces.named(&encoded(name), self.explode, between);
        let pairs = pairs.into_iter();
        pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// `color[R]=100`. What lies deeper goes on in the same way, as servers that know this at all
    /// read it.
    fn deep(self, name: &str, value: &Value, pairs: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (member, value) in members {
                    self.deep(&format!("{name}[{member}]"), value, pairs);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.deep(name, item, pairs)),
            Value::Null => {}
            value => pairs.push(format!("{}={}", encoded(name), self.encoded(&flat(value)))),
        }
    }
}

/// A value within another, which no style has rules for, is JSON.
fn flat(value: &Value) -> String {
    as_text(value).unwrap_or_else(|| match value {
        Value::Null => String::new(),
        value => value.to_string(),
    })
}

/// RFC 6570 §3.2.7: what is empty has no `=`.
fn assignment(name: &str, value: &str) -> String {
    if value.is_empty() {
        format!(";{name}")
    } else {
        format!(";{name}={value}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// “Style Examples” of OpenAPI 3.1.1: style, explode, and what becomes of the empty text, of
    /// “blue”, of blue, black and brown, and of R 100, G 200, B 150. Members stand in the order of
    /// their names, which is not said to matter; `n/a` is not defined there.
    const TABLE: &str = "
        matrix         false ;color  ;color=blue ;color=blue,black,brown             ;color=B,150,G,200,R,100
        matrix         true  ;color  ;color=blue ;color=blue;color=black;color=brown ;B=150;G=200;R=100
        label          false .       .blue       .blue,black,brown                   .B,150,G,200,R,100
        label          true  .       .blue       .blue.black.brown                   .B=150.G=200.R=100
        simple         false -       blue        blue,black,brown                    B,150,G,200,R,100
        simple         true  -       blue        blue,black,brown                    B=150,G=200,R=100
        form           false color=  color=blue  color=blue,black,brown              color=B,150,G,200,R,100
        form           true  color=  color=blue  color=blue&color=black&color=brown  B=150&G=200&R=100
        spaceDelimited false n/a     n/a         color=blue%20black%20brown          color=B%20150%20G%20200%20R%20100
        pipeDelimited  false n/a     n/a         color=blue%7Cblack%7Cbrown          color=B%7C150%7CG%7C200%7CR%7C100
        deepObject     true  n/a     n/a         n/a                                 color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100";

    #[test]
    fn values_are_written_as_the_table_of_the_specification_says() {
        let values = [
            json!(""),
            json!("blue"),
            json!(["blue", "black", "brown"]),
            json!({ "R": 100, "G": 200, "B": 150 }),
        ];
        for row in TABLE.trim().lines() {
            let cells: Vec<&str> = row.split_whitespace().collect();
            let manner = Manner::of(Style::parse(cells[0]).unwrap(), Some(cells[1] == "true"));
            for (value, expected) in values.iter().zip(&cells[2..]) {
                let written = match manner.style {
                    Style::Simple | Style::Label | Style::Matrix => manner.in_path("color", value),
                    _ => manner.pairs("color", value).join("&"),
                };
                match *expected {
                    "n/a" => {}
                    "-" => assert_eq!(written, "", "{row}"),
                    expected => assert_eq!(written, expected, "{row}"),
                }
                if manner.style == Style::Simple {
                    assert_eq!(manner.in_header(value), written, "{row}");
                }
            }
        }
    }

    #[test]
    fn every_character_of_a_value_means_itself() {
        let manner = |style, allow_reserved| Manner {
            allow_reserved,
            ..Manner::of(style, Some(true))
        };
        let form = manner(Style::Form, false);
        assert_eq!(form.pairs("a b", &json!("c&d=e")), ["a%20b=c%26d%3De"]);
        assert_eq!(
            form.pairs("q", &json!(["a,b", 1.5, true, null])),
            ["q=a%2Cb", "q=1.5", "q=true", "q="]
        );
        assert_eq!(
            form.pairs("q", &json!({ "a&": { "b": 1 } })),
            ["a%26=%7B%22b%22%3A1%7D"]
        );
        assert!(form.pairs("q", &json!(null)).is_empty());
        assert!(form.pairs("q", &json!([])).is_empty());
        let reserved = manner(Style::Form, true);
        assert_eq!(
            reserved.pairs("u", &json!("http://a/?b&c#d")),
            ["u=http://a/?b%26c%23d"]
        );
        let simple = manner(Style::Simple, false);
        assert_eq!(simple.in_path("id", &json!(["a/b", "c,d"])), "a%2Fb,c%2Cd");
        let deep = manner(Style::DeepObject, false);
        let nested = json!({ "a": { "b": [1, 2] }, "c": null });
        assert_eq!(
            deep.pairs("f", &nested),
            ["f%5Ba%5D%5Bb%5D=1", "f%5Ba%5D%5Bb%5D=2"]
        );
        let as_json = Manner {
            as_json: true,
            ..form
        };
        assert_eq!(
            as_json.pairs("f", &json!({ "a": 1 })),
            ["f=%7B%22a%22%3A1%7D"]
        );
    }
}
