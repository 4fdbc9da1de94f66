//! APIs that stand behind the tools, as the operator describes them: plain data, and no part of
//! the model, whose data stores keep. What is shown to an API is a secret that has to be said.

mod base_url;
mod field_path;
mod http_tool;
mod identity;
mod method;
mod pattern;
mod selector;
mod template;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use crate::{model::scope::Scope, secret::Credential};

pub use base_url::BaseUrl;
pub(crate) use base_url::split_origin;
pub use field_path::FieldPath;
pub use http_tool::{Hints, HttpTool, RequestBody};
pub use identity::UpstreamIdentity;
pub use method::Method;
pub(crate) use pattern::fits;
pub use selector::Selector;
pub use template::{Part, Template, UrlTemplate};

/// The largest description, in bytes.
pub const MAX_DOCUMENT: usize = 32 << 20;

/// An API that has a description of its own (OpenAPI 3.0 or 3.1).
#[derive(Debug, Clone)]
pub struct Api {
    /// What the log and messages call it.
    pub name: String,
    /// Its description.
    pub document: ApiDocument,
    /// Where it is; `None`: where its description says.
    pub base_url: Option<BaseUrl>,
    /// What the names of its tools begin with.
    pub prefix: String,
    /// Which operations become tools; empty: all.
    pub include: Vec<Selector>,
    /// But not those.
    pub exclude: Vec<Selector>,
    /// Names of tools, by what the description calls the operation.
    pub rename: BTreeMap<String, String>,
    /// Scopes that open operations. The first that names one counts.
    pub scopes: Vec<(Scope, Vec<Selector>)>,
    /// How it is called.
    pub manner: Manner,
}

/// Where the description of an API is.
#[derive(Clone)]
pub enum ApiDocument {
    /// In a file, which has been read.
    File {
        /// Where, as the operator wrote it.
        path: String,
        /// What it says.
        text: Arc<str>,
    },
    /// Elsewhere. It is fetched when the server starts.
    Url(BaseUrl),
}

impl fmt::Debug for ApiDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "File({path})"),
            Self::Url(url) => write!(f, "Url({url})"),
        }
    }
}

/// How an API is called.
#[derive(Debug, Clone)]
pub struct Manner {
    /// What it is told of who calls.
    pub identity: UpstreamIdentity,
    /// Headers that every call has.
    pub headers: Vec<(String, Credential)>,
    /// How long a call may take.
    pub timeout: Duration,
    /// What is kept of answers; empty: everything.
    pub fields: Vec<FieldPath>,
    /// The longest answer, in characters. What is longer is cut, and says so.
    pub max_chars: usize,
}
