//! Why a document was not fetched.

use std::{net::IpAddr, time::Duration};

use axum::http::StatusCode;

use crate::web::cause::{chain, innermost};

/// Why a document was not fetched. The words are for the operator; they name the host, and nothing
/// else of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not a URL that can be fetched.
    #[error("documents are fetched from https URLs without a user name or password")]
    Url,
    /// The host is, or resolves to, an address that strangers may not send us to. Nothing was
    /// connected to.
    #[error("{}", special_use(.host, *.address))]
    SpecialUse {
        /// As the URL names it.
        host: String,
        /// The first that is not public.
        address: IpAddr,
    },
    /// Nobody knows the host.
    #[error("{host} has no address: {cause}")]
    Unresolved {
        /// As the URL names it.
        host: String,
        /// What the resolver says.
        cause: String,
    },
    /// No connection, no trust in who is there, or a connection that broke.
    #[error("{host} cannot be read from: {cause}")]
    Connection {
        /// As the URL names it.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// Not there in time.
    #[error("{host} did not answer within {}", humantime::format_duration(*.limit))]
    TooSlow {
        /// As the URL names it.
        host: String,
        /// How long it had.
        limit: Duration,
    },
    /// The document is elsewhere, or so they say.
    #[error("{host} answered with {status}; redirects are not followed")]
    Redirect {
        /// As the URL names it.
        host: String,
        /// What it answered.
        status: StatusCode,
    },
    /// There is no document, or none for us.
    #[error("{host} answered with {status}")]
    Status {
        /// As the URL names it.
        host: String,
        /// What it answered.
        status: StatusCode,
    },
    /// A web page, most likely.
    #[error("{host} answered with something else than JSON")]
    NotJson {
        /// As the URL names it.
        host: String,
    },
    /// Longer than what is wanted from there may be.
    #[error("the document of {host} is larger than {} KiB", .most / 1024)]
    TooLarge {
        /// As the URL names it.
        host: String,
        /// How much it may be, in bytes.
        most: usize,
    },
    /// Our own fault, and the operator's to mend.
    #[error("documents cannot be fetched: {0}")]
    Setup(String),
}

impl FetchError {
    /// Whether the URL leads to where strangers may not send us: worth an alarm.
    pub const fn is_special_use(&self) -> bool {
        matches!(self, Self::SpecialUse { .. })
    }

    /// The same for strangers, who need not know which addresses names have where we are, nor
    /// what our system says about them.
    pub fn in_plain_words(&self) -> String {
        match self {
            Self::SpecialUse { host, .. } => format!("{host} is not at a public address"),
            Self::Unresolved { host, .. } => format!("{host} has no address"),
            Self::Connection { host, .. } => format!("{host} cannot be read from"),
            Self::Setup(_) => "this server cannot fetch documents".to_owned(),
            others => others.to_string(),
        }
    }

    /// What a failed exchange comes to. The resolver's own words come through unchanged.
    pub(super) fn of(host: &str, error: &reqwest::Error) -> Self {
        let ours = chain(error).find_map(|cause| cause.downcast_ref::<Self>());
        ours.cloned().unwrap_or_else(|| Self::Connection {
            host: host.to_owned(),
            cause: innermost(error),
        })
    }
}

fn special_use(host: &str, address: IpAddr) -> String {
    if super::literal(host).is_some() {
        format!("{host} is not a public address")
    } else {
        format!("{host} resolves to {address}, which is not a public address")
    }
}
