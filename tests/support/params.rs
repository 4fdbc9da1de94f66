//! Ordered parameters, as they stand in queries, forms and JSON token requests.

use serde_json::{Map, Value};

/// A list of names and values; a name may occur twice, because attackers can write it twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// These, in this order.
    pub(crate) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        pairs
            .into_iter()
            .fold(Self::default(), |params, (name, value)| {
                params.and(name, value)
            })
    }

    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(encoded: &str) -> Self {
        Self(
            form_urlencoded::parse(encoded.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// One more, even if the name is there already.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// This value instead of whatever the name had.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// Without any of that name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// The value, which must occur at most once.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(other, _)| other == name);
        let first = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} occurs more than once");
        first
    }

    /// As a query or a form body.
    pub(crate) fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }

    /// As a JSON object of strings.
    pub(crate) fn json(&self) -> Value {
        let members = self
            .0
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()));
        Value::Object(members.collect::<Map<_, _>>())
    }
}
