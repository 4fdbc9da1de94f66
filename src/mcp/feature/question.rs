//! What a tool or prompt may ask while it runs: the person (elicitation), the client's model
//! (sampling), the client itself (roots).

use serde_json::{Map, Value, json};

use super::schema;
use crate::mcp::era::Era;

/// What a client said it can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClientCapabilities(u8);

/// One thing that a client may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Show a form.
    ElicitationForm = 1,
    /// Send the person to a page.
    ElicitationUrl = 2,
    /// Ask its model.
    Sampling = 4,
    /// Tell its roots.
    Roots = 8,
    /// Follow tasks (`io.modelcontextprotocol/tasks`).
    Tasks = 16,
}

/// The tasks extension's name.
pub(in crate::mcp) const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

impl ClientCapabilities {
    /// Reads the `capabilities` of a handshake or request.
    pub fn read(declared: &Value) -> Self {
        let elicitation = declared.get("elicitation").and_then(Value::as_object);
        let mut read = Self::default();
        if let Some(modes) = elicitation {
            // An empty object means forms, as it did before there was another mode.
            if modes.contains_key("form") || !modes.contains_key("url") {
                read = read.with(Capability::ElicitationForm);
            }
            if modes.contains_key("url") {
                read = read.with(Capability::ElicitationUrl);
            }
        }
        let extensions = declared.get("extensions");
        for (capability, declaration) in [
            (Capability::Sampling, declared.get("sampling")),
            (Capability::Roots, declared.get("roots")),
            (
                Capability::Tasks,
                extensions.and_then(|extensions| extensions.get(TASKS_EXTENSION)),
            ),
        ] {
            if declaration.is_some_and(Value::is_object) {
                read = read.with(capability);
            }
        }
        read
    }

    /// Everything that a client can do for a call.
    pub fn all() -> Self {
        let all = Capability::OF_CALLS.into_iter();
        all.fold(Self::default(), Self::with)
    }

    /// What of it is for calls, and not for what may become of them.
    #[must_use]
    pub fn of_calls(self) -> Self {
        Self(self.0 & !(Capability::Tasks as u8))
    }

    /// Whether the client can do that.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & capability as u8 != 0
    }

    /// What is left in an era that does not have all of it.
    pub(in crate::mcp) fn within(self, era: Era) -> Self {
        let mut without = 0;
        if !era.has_elicitation() {
            without |= Capability::ElicitationForm as u8;
        }
        if !era.has_elicitation_modes() {
            without |= Capability::ElicitationUrl as u8;
        }
        Self(self.0 & !without)
    }

    fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability as u8)
    }

    /// As a number, for whoever keeps it.
    pub(in crate::mcp) fn bits(self) -> u8 {
        self.0
    }

    /// From such a number.
    pub(in crate::mcp) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

impl Capability {
    /// What a client can do for a call that is under way.
    const OF_CALLS: [Self; 4] = [
        Self::ElicitationUrl,
        Self::ElicitationForm,
        Self::Sampling,
        Self::Roots,
    ];

    /// What is missing, as an error of 2026-07-28 says it.
    pub fn read_missing(data: &Value) -> Option<Self> {
        let declared = ClientCapabilities::read(data.get("requiredCapabilities")?);
        let mut known = Self::OF_CALLS.into_iter();
        known.find(|known| declared.contains(*known))
    }

    /// As a client would have to declare it.
    pub(in crate::mcp) fn declaration(self) -> Value {
        match self {
            Self::ElicitationForm => json!({ "elicitation": {} }),
            Self::ElicitationUrl => json!({ "elicitation": { "url": {} } }),
            Self::Sampling => json!({ "sampling": {} }),
            Self::Roots => json!({ "roots": {} }),
            Self::Tasks => json!({ "extensions": { TASKS_EXTENSION: {} } }),
        }
    }
}

/// Something to ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Ask the person to fill in a form. Never for secrets.
    Form {
        /// Why.
        message: String,
        /// A flat object: JSON Schema of strings, numbers, booleans and choices.
        schema: Value,
    },
    /// Ask the person to visit a page, for what must not pass through the client.
    Url {
        /// Why.
        message: String,
        /// Where; https.
        url: String,
    },
    /// Ask the client's model: the parameters of `sampling/createMessage`.
    Sampling(Value),
    /// Ask which folders the client works in.
    Roots,
}

impl Question {
    /// What the client must be able to do.
    pub fn capability(&self) -> Capability {
        match self {
            Self::Form { .. } => Capability::ElicitationForm,
            Self::Url { .. } => Capability::ElicitationUrl,
            Self::Sampling(_) => Capability::Sampling,
            Self::Roots => Capability::Roots,
        }
    }

    pub(in crate::mcp) fn method(&self) -> &'static str {
        match self {
            Self::Form { .. } | Self::Url { .. } => "elicitation/create",
            Self::Sampling(_) => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    /// The parameters on the wire. `modes`: whether forms say that they are forms.
    /// `elicitation_id` names a visit to a page where the version wants that.
    pub(in crate::mcp) fn params(&self, modes: bool, elicitation_id: Option<&str>) -> Value {
        match self {
            Self::Form { message, schema } => {
                let mut params = Map::new();
                if modes {
                    params.insert("mode".to_owned(), json!("form"));
                }
                params.insert("message".to_owned(), json!(message));
                params.insert("requestedSchema".to_owned(), schema.clone());
                Value::Object(params)
            }
            Self::Url { message, url } => match elicitation_id {
                Some(id) => {
                    json!({ "mode": "url", "message": message, "url": url, "elicitationId": id })
                }
                None => json!({ "mode": "url", "message": message, "url": url }),
            },
            Self::Sampling(params) => params.clone(),
            Self::Roots => json!({}),
        }
    }

    /// Whether `answer` has the shape of an answer to this. A client's answer is input from
    /// outside like any other.
    pub(in crate::mcp) fn is_answered_by(&self, answer: &Value) -> bool {
        match self {
            Self::Form { schema, .. } => match Elicited::read(answer) {
                Some(Elicited::Accepted(content)) => schema::fits(schema, &Value::Object(content)),
                Some(Elicited::Declined | Elicited::Cancelled) => true,
                None => false,
            },
            Self::Url { .. } => Elicited::read(answer).is_some(),
            Self::Sampling(_) => answer.get("role").is_some() && answer.get("content").is_some(),
            Self::Roots => answer.get("roots").is_some_and(Value::is_array),
        }
    }
}

/// What a person made of a form or a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elicited {
    /// Filled in; for a visit the content is empty.
    Accepted(Map<String, Value>),
    /// They would not.
    Declined,
    /// They turned away without an answer.
    Cancelled,
}

impl Elicited {
    /// Reads an answer that came with others ([`Context::ask`](super::Context::ask)); `None` if it
    /// is none.
    pub fn read(answer: &Value) -> Option<Self> {
        match answer.get("action")?.as_str()? {
            "accept" => match answer.get("content") {
                Some(Value::Object(content)) => Some(Self::Accepted(content.clone())),
                None | Some(Value::Null) => Some(Self::Accepted(Map::new())),
                Some(_) => None,
            },
            "decline" => Some(Self::Declined),
            "cancel" => Some(Self::Cancelled),
            _ => None,
        }
    }
}
