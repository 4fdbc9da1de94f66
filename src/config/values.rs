//! What the text of a setting means, or why it means nothing.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::http::HeaderName;
use ipnet::IpNet;

use super::{Exemptions, LogFormat};
use crate::model::{audit_arguments::AuditArguments, resource::PublicUrl};

/// The longest that anything may last. It keeps sums and products of durations far from where they
/// overflow.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

/// The most that there may be of anything, for the same reason: a second divided by it is not
/// nothing yet.
const MOST: u64 = 1_000_000_000;

#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of every parser here"
)]
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "is not an address and port such as 127.0.0.1:4000 or [::]:4000".to_owned())
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| "is not a duration such as 90s, 15m, 1h or 30d".to_owned())?;
    if duration > LONGEST {
        return Err("must be at most 10y".to_owned());
    }
    Ok(duration)
}

pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration(text)?;
    if lifetime < Duration::from_secs(1) {
        return Err("must be at least 1s".to_owned());
    }
    Ok(lifetime)
}

pub(super) fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    text.parse::<u64>()
        .ok()
        .filter(|number| (1..=MOST).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("must be a whole number from 1 to {MOST}"))
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    address_or_network(text)
        .ok_or_else(|| format!("{text:?} is not an address or CIDR such as 10.0.0.0/8 or ::1"))
}

/// An address is a network of one.
fn address_or_network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>();
    network
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()
}

pub(super) fn exemptions(text: &str) -> Result<Exemptions, String> {
    let mut exemptions = Exemptions::default();
    let items = text.split(',').map(str::trim);
    for item in items.filter(|item| !item.is_empty()) {
        match address_or_network(item) {
            Some(network) => exemptions.networks.push(network),
            None if is_host_name(item) => exemptions.hosts.push(item.to_ascii_lowercase()),
            None => {
                return Err(format!(
                    "{item:?} is not a host, address or CIDR such as localhost, ::1 or 10.0.0.0/8"
                ));
            }
        }
    }
    Ok(exemptions)
}

/// A name, without port or wildcard. One that ends in a number would be read as an address.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(text).map_err(|_| "is not the name of a header".to_owned())
}

pub(super) fn origin(text: &str) -> Result<String, String> {
    PublicUrl::parse(text)
        .map(|url| url.origin().to_owned())
        .map_err(|error| format!("{text:?} {error}"))
}

/// A host as it stands in redirect URIs: without a port, in lower case.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let url = PublicUrl::parse(&format!("https://{host}"));
    if url.is_ok_and(|url| url.host() == host) {
        Ok(host)
    } else {
        Err(format!("{text:?} is not a host such as app.example.com"))
    }
}

/// RFC 3986 §3.1. Schemes that a browser itself acts on are never an application's own.
pub(super) fn private_use_scheme(text: &str) -> Result<String, String> {
    let scheme = text.to_ascii_lowercase();
    let mut bytes = scheme.bytes();
    let well_formed = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let never = [
        "http",
        "https",
        "javascript",
        "data",
        "file",
        "vbscript",
        "blob",
        "about",
        "ftp",
        "ws",
        "wss",
        "mailto",
    ];
    if !well_formed || never.contains(&scheme.as_str()) {
        return Err(format!(
            "{text:?} cannot be a private-use scheme (RFC 8252 §7.1)"
        ));
    }
    Ok(scheme)
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("is not a log filter such as info or hyper=debug: {error}"))
}

pub(super) fn audit_arguments(text: &str) -> Result<AuditArguments, String> {
    match text {
        "names" => Ok(AuditArguments::Names),
        "values" => Ok(AuditArguments::Values),
        _ => Err("must be names or values".to_owned()),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be pretty or json".to_owned()),
    }
}
