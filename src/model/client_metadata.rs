//! What a client says of itself (RFC 7591 §2): read from outside, judged once, kept as it was
//! accepted. Registrations, metadata documents and the operator's own table all come through here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    plain_text::is_deceptive,
    redirect_uri::{RedirectUri, RedirectUriError},
};
use crate::jose::{Algorithm, KeySet};

/// The most that is kept of one.
const MAX_METADATA: usize = 8 * 1024;
const MAX_REDIRECT_URIS: usize = 20;
/// A text that is two bytes of JSON takes ten times as much in memory.
const MAX_CONTACTS: usize = 20;
const MAX_NAME: usize = 200;
const MAX_TEXT: usize = 1000;

/// How a client proves who it is (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: it has no secret, PKCE protects its codes.
    None,
    /// The secret in the request body.
    ClientSecretPost,
    /// The secret in HTTP Basic.
    ClientSecretBasic,
    /// A signed assertion (OpenID Connect Core §9).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// All that this server supports, in the order in which it advertises them.
    pub const ALL: [Self; 4] = [
        Self::None,
        Self::ClientSecretPost,
        Self::ClientSecretBasic,
        Self::PrivateKeyJwt,
    ];

    /// The registered name (RFC 7591 §4.2).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// Whether client and server share a secret.
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::ClientSecretPost | Self::ClientSecretBasic)
    }
}

/// The grant types of this server (RFC 7591 §2, `grant_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// A code, for the first tokens.
    AuthorizationCode,
    /// A refresh token, for the next ones.
    RefreshToken,
    /// Nobody's but the client's own authority (RFC 6749 §4.4). For clients that the operator
    /// has set up.
    ClientCredentials,
    /// An assertion of who the person is, by somebody whom the operator trusts (RFC 7523 §2.1).
    JwtBearer,
}

impl GrantType {
    /// All that this server supports.
    pub const ALL: [Self; 4] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::JwtBearer,
    ];

    /// Whether a client may have it without the operator's doing.
    const fn is_for_everyone(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::RefreshToken)
    }

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        }
    }
}

/// Where a client runs (OpenID Connect Registration §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// On a server.
    Web,
    /// On the person's own machine.
    Native,
}

/// Who says what a client is. It decides what may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataSource {
    /// The client, by registering (RFC 7591).
    Registration,
    /// The client, in a document at the URL that is its identifier.
    Document,
    /// The operator, in the configuration.
    Configuration,
}

/// What the operator allows.
#[derive(Debug, Clone, Default)]
pub struct MetadataRules {
    /// Private-use schemes that may be redirected to (RFC 8252 §7.1).
    pub redirect_schemes: Vec<String>,
    /// Hosts that clients which register may redirect to; empty: any.
    pub redirect_hosts: Vec<String>,
}

/// Why metadata is refused, for the developer of the client (RFC 7591 §3.2.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// `invalid_redirect_uri`.
    #[error("{0}")]
    RedirectUri(String),
    /// `invalid_client_metadata`.
    #[error("{0}")]
    Other(String),
}

/// The metadata that was accepted, as it is echoed. Reading it back is for stores: what they kept was
/// judged once, and the operator's rules may have changed since.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// Where its authorization responses may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it authenticates at the token endpoint.
    pub token_endpoint_auth_method: AuthMethod,
    /// Other ways in which it can (OpenID Connect Relying Party Metadata Choices §2), of those that
    /// its source may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods_supported: Vec<AuthMethod>,
    /// The one algorithm that it signs with, if it chose one (OpenID Connect Registration §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<Algorithm>,
    /// Its public keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<KeySet>,
    /// Where they are, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// What it may ask the token endpoint for.
    pub grant_types: Vec<GrantType>,
    /// Always `code`.
    #[serde(skip_deserializing, default = "only_code")]
    pub response_types: [&'static str; 1],
    /// `web` or `native` (OpenID Connect Registration §2).
    pub application_type: ApplicationType,
    /// What it calls itself. Anyone can write anything here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The scopes it said it would ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// People responsible for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its logo. Kept for the echo; the consent page does not load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Which software it is an instance of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Which version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// Whether its tokens must be bound to its keys (RFC 9449 §5.2).
    #[serde(default, skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// Whether its authorization requests must be pushed first (RFC 9126 §6).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// Whether it listed `grant_types` of its own accord and left `refresh_token` out. One that
    /// listed none gets the RFC's default echoed and a refresh token all the same: its people
    /// expect to stay connected.
    #[serde(skip)]
    pub declined_refresh_tokens: bool,
}

impl ClientMetadata {
    /// Understands what a client asks to be. Unknown members are ignored (RFC 7591 §2).
    pub fn accept(
        members: &Map<String, Value>,
        source: MetadataSource,
        rules: &MetadataRules,
    ) -> Result<Self, MetadataError> {
        let requested_grants = list(members, "grant_types")?;
        let grant_types = grant_types(requested_grants.as_deref(), source)?;
        let metadata = Self {
            redirect_uris: redirect_uris(members, &grant_types, source, rules)?,
            token_endpoint_auth_method: auth_method(members, source)?,
            token_endpoint_auth_methods_supported: auth_choices(members, source)?,
            token_endpoint_auth_signing_alg: signing_algorithm(members, source)?,
            jwks: keys(members)?,
            jwks_uri: https_uri(members, "jwks_uri")?,
            grant_types,
            response_types: response_types(members)?,
            application_type: application_type(members)?,
            client_name: client_name(members)?,
            scope: text(members, "scope")?,
            contacts: contacts(members)?,
            client_uri: https_uri(members, "client_uri")?,
            logo_uri: https_uri(members, "logo_uri")?,
            tos_uri: https_uri(members, "tos_uri")?,
            policy_uri: https_uri(members, "policy_uri")?,
            software_id: text(members, "software_id")?,
            software_version: text(members, "software_version")?,
            dpop_bound_access_tokens: switch(members, "dpop_bound_access_tokens")?,
            require_pushed_authorization_requests: switch(
                members,
                "require_pushed_authorization_requests",
            )?,
            declined_refresh_tokens: requested_grants.is_some_and(|requested| {
                let refresh = GrantType::RefreshToken.as_str();
                !requested.iter().any(|grant| grant == refresh)
            }),
        };
        metadata.check_keys()?;
        let size = serde_json::to_vec(&metadata).map_or(usize::MAX, |json| json.len());
        if size > MAX_METADATA {
            return Err(error(format!(
                "the metadata is too long: {size} bytes, at most {MAX_METADATA} are kept"
            )));
        }
        Ok(metadata)
    }
}

impl ClientMetadata {
    /// Whether the client may prove itself in this way.
    pub fn accepts(&self, method: AuthMethod) -> bool {
        self.token_endpoint_auth_method == method
            || self.token_endpoint_auth_methods_supported.contains(&method)
    }

    /// RFC 7591 §2: one way to find the keys, not two; and one at all for who signs.
    fn check_keys(&self) -> Result<(), MetadataError> {
        match (&self.jwks, &self.jwks_uri) {
            (Some(_), Some(_)) => Err(error("jwks and jwks_uri must not both be there")),
            (None, None) if self.token_endpoint_auth_method == AuthMethod::PrivateKeyJwt => Err(
                error("a client that signs with private_key_jwt needs jwks or jwks_uri"),
            ),
            _ => Ok(()),
        }
    }
}

fn error(description: impl Into<String>) -> MetadataError {
    MetadataError::Other(description.into())
}

/// A member; null counts as absent.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// A text; an empty one counts as absent. What people will read must not be able to mislead them.
fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, MetadataError> {
    let Some(value) = member(members, name) else {
        return Ok(None);
    };
    let text = value
        .as_str()
        .ok_or_else(|| error(format!("{name} must be a string")))?;
    if text.chars().count() > MAX_TEXT {
        return Err(error(format!("{name} is too long")));
    }
    if text.chars().any(is_deceptive) {
        return Err(error(format!(
            "{name} must not contain control, bidirectional-override or invisible characters"
        )));
    }
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A list of texts; an empty one counts as absent.
fn list(members: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, MetadataError> {
    let Some(value) = member(members, name) else {
        return Ok(None);
    };
    let items = value.as_array().and_then(|items| {
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<String>>>()
    });
    match items {
        Some(items) => Ok((!items.is_empty()).then_some(items)),
        None => Err(error(format!("{name} must be a list of strings"))),
    }
}

/// A switch; absent means off.
fn switch(members: &Map<String, Value>, name: &str) -> Result<bool, MetadataError> {
    match member(members, name) {
        None => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(_) => Err(error(format!("{name} must be true or false"))),
    }
}

fn redirect_uris(
    members: &Map<String, Value>,
    grant_types: &[GrantType],
    source: MetadataSource,
    rules: &MetadataRules,
) -> Result<Vec<RedirectUri>, MetadataError> {
    let invalid = MetadataError::RedirectUri;
    let texts = list(members, "redirect_uris")
        .map_err(|error| invalid(error.to_string()))?
        .unwrap_or_default();
    if texts.is_empty() && grant_types.contains(&GrantType::AuthorizationCode) {
        return Err(invalid(
            "redirect_uris must name at least one URI".to_owned(),
        ));
    }
    if texts.len() > MAX_REDIRECT_URIS {
        return Err(invalid(format!(
            "redirect_uris may name {MAX_REDIRECT_URIS} URIs at most"
        )));
    }
    let check = |text: &str| -> Result<RedirectUri, RedirectUriError> {
        let uri = RedirectUri::parse(text, &rules.redirect_schemes)?;
        // What the operator wrote is allowed by being written, and documents have a list of their own.
        if source == MetadataSource::Registration {
            uri.check_host(&rules.redirect_hosts)?;
        }
        Ok(uri)
    };
    let parse = |(index, text): (usize, &String)| {
        check(text).map_err(|problem| invalid(format!("redirect_uris[{index}] {problem}")))
    };
    texts.iter().enumerate().map(parse).collect()
}

/// RFC 7591 §2: whoever registers and names none means `client_secret_basic`. A document that everyone
/// can read cannot mean that.
fn auth_method(
    members: &Map<String, Value>,
    source: MetadataSource,
) -> Result<AuthMethod, MetadataError> {
    let Some(name) = text(members, "token_endpoint_auth_method")? else {
        let has_secret = members.contains_key("client_secret");
        return Ok(match source {
            MetadataSource::Document => AuthMethod::None,
            MetadataSource::Configuration if !has_secret => AuthMethod::None,
            MetadataSource::Registration | MetadataSource::Configuration => {
                AuthMethod::ClientSecretBasic
            }
        });
    };
    let named = auth_method_of(&name, source);
    // What it prefers may be beyond us, and one of its other ways not.
    let choices = || auth_choices(members, source).ok()?.first().copied();
    named.or_else(choices).ok_or_else(|| {
        let supported: Vec<&str> = auth_methods(source).map(AuthMethod::as_str).collect();
        let supported = supported.join(", ");
        error(format!(
            "token_endpoint_auth_method must be one of {supported}"
        ))
    })
}

/// The other ways that it can take, as far as we know them.
fn auth_choices(
    members: &Map<String, Value>,
    source: MetadataSource,
) -> Result<Vec<AuthMethod>, MetadataError> {
    // Whoever registers is told which way was chosen, and keeps to it.
    if source != MetadataSource::Document {
        return Ok(Vec::new());
    }
    let names = list(members, "token_endpoint_auth_methods_supported")?.unwrap_or_default();
    let known = names.iter().filter_map(|name| auth_method_of(name, source));
    Ok(known.collect())
}

fn auth_methods(source: MetadataSource) -> impl Iterator<Item = AuthMethod> {
    let is_possible =
        move |method: &AuthMethod| source != MetadataSource::Document || !method.has_secret();
    AuthMethod::ALL.into_iter().filter(is_possible)
}

fn auth_method_of(name: &str, source: MetadataSource) -> Option<AuthMethod> {
    auth_methods(source).find(|method| method.as_str() == name)
}

/// Another one than ours is an error for who signs, and of no consequence for anybody else.
fn signing_algorithm(
    members: &Map<String, Value>,
    source: MetadataSource,
) -> Result<Option<Algorithm>, MetadataError> {
    let Some(name) = text(members, "token_endpoint_auth_signing_alg")? else {
        return Ok(None);
    };
    let algorithm = Algorithm::parse(&name);
    if algorithm.is_none() && auth_method(members, source)? == AuthMethod::PrivateKeyJwt {
        let supported = Algorithm::names().join(", ");
        return Err(error(format!(
            "token_endpoint_auth_signing_alg must be one of {supported}"
        )));
    }
    Ok(algorithm)
}

fn keys(members: &Map<String, Value>) -> Result<Option<KeySet>, MetadataError> {
    let keys = member(members, "jwks").map(KeySet::from_json).transpose();
    keys.map_err(|problem| error(format!("jwks: {problem}")))
}

/// Those that we have, of those that were asked for. Clients list grants for other servers too.
fn grant_types(
    requested: Option<&[String]>,
    source: MetadataSource,
) -> Result<Vec<GrantType>, MetadataError> {
    let Some(requested) = requested else {
        // RFC 7591 §2.
        return Ok(vec![GrantType::AuthorizationCode]);
    };
    let is_configured = source == MetadataSource::Configuration;
    let accepted: Vec<GrantType> = GrantType::ALL
        .into_iter()
        .filter(|grant| requested.iter().any(|name| name == grant.as_str()))
        .filter(|grant| is_configured || grant.is_for_everyone())
        .collect();
    if accepted.contains(&GrantType::AuthorizationCode) || (is_configured && !accepted.is_empty()) {
        Ok(accepted)
    } else {
        Err(error("grant_types must contain authorization_code"))
    }
}

fn response_types(members: &Map<String, Value>) -> Result<[&'static str; 1], MetadataError> {
    match list(members, "response_types")? {
        Some(types) if !types.iter().any(|name| name == "code") => {
            Err(error("response_types must contain code"))
        }
        _ => Ok(only_code()),
    }
}

fn application_type(members: &Map<String, Value>) -> Result<ApplicationType, MetadataError> {
    match text(members, "application_type")?.as_deref() {
        Some("native") => Ok(ApplicationType::Native),
        Some("web") | None => Ok(ApplicationType::Web),
        Some(_) => Err(error("application_type must be web or native")),
    }
}

fn client_name(members: &Map<String, Value>) -> Result<Option<String>, MetadataError> {
    let name = text(members, "client_name")?;
    match name {
        Some(name) if name.chars().count() > MAX_NAME => Err(error(format!(
            "client_name may have {MAX_NAME} characters at most"
        ))),
        name => Ok(name),
    }
}

fn contacts(members: &Map<String, Value>) -> Result<Vec<String>, MetadataError> {
    let contacts = list(members, "contacts")?.unwrap_or_default();
    if contacts.len() > MAX_CONTACTS {
        return Err(error(format!(
            "contacts may name {MAX_CONTACTS} people at most"
        )));
    }
    if contacts
        .iter()
        .any(|contact| contact.chars().any(is_deceptive))
    {
        return Err(error(
            "contacts must not contain control, bidirectional-override or invisible characters",
        ));
    }
    Ok(contacts)
}

fn https_uri(members: &Map<String, Value>, name: &str) -> Result<Option<String>, MetadataError> {
    let Some(uri) = text(members, name)? else {
        return Ok(None);
    };
    let is_https = fluent_uri::Uri::parse(uri.as_str()).is_ok_and(|uri| {
        uri.scheme().as_str().eq_ignore_ascii_case("https")
            && uri.authority().is_some_and(|a| !a.host().is_empty())
    });
    if is_https {
        Ok(Some(uri))
    } else {
        Err(error(format!("{name} must be an https URL")))
    }
}

const fn only_code() -> [&'static str; 1] {
    ["code"]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}
