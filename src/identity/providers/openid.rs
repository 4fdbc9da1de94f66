//! A provider that speaks OpenID Connect: what it publishes, where browsers are sent, and what an ID
//! token has to be like (OpenID Connect Core §3.1).

use std::{
    error::Error as _,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::{Request, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl,
    RefreshToken, RequestTokenError, Scope, StandardErrorResponse, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType,
        CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreGrantType, CoreIdToken,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
        CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex as AsyncMutex;

use super::{Arrived, Http, Journey, Tokens, Upstream, UpstreamError};
use crate::{
    clock::Timestamp,
    model::provider::{Provider, ProviderKind, Vendor, find},
    web::fetch::FetchError,
};

/// How long what a provider publishes is relied on, and how long if it cannot be asked again.
const FRESH_FOR: Duration = Duration::from_hours(1);
const OLD_AFTER: Duration = Duration::from_hours(24);

/// How soon it is asked again for keys that were not among those it published.
const KEYS_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// What is asked for tokens that outlast the sign-in (OpenID Connect Core §11).
const OFFLINE: &str = "offline_access";

/// How far in the future a token may have been made: clocks differ.
const LEEWAY: Duration = Duration::from_mins(5);

/// Signatures that need a key of the provider's own. What anybody can make who knows our secret, or
/// nobody's, is none of them.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What a provider publishes beside what the crate knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Besides {
    /// Whether its answers name it (RFC 9207 §3).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Besides {}

type Metadata = ProviderMetadata<
    Besides,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What a provider has published, as of when.
#[derive(Default)]
pub(super) struct Discovery {
    known: RwLock<Option<Known>>,
    /// One asks, and the others wait for the answer.
    turn: AsyncMutex<()>,
}

#[derive(Clone)]
struct Known {
    metadata: Arc<Metadata>,
    at: Timestamp,
}

impl Discovery {
    fn known(&self) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// What the provider publishes, asked for no longer ago than `age`. Where it cannot be asked, what it
    /// said before serves for a day.
    async fn metadata(
        &self,
        provider: &Provider,
        http: &Http,
        age: Duration,
        now: Timestamp,
    ) -> Result<Arc<Metadata>, UpstreamError> {
        let fresh = |known: &Known| now.since(known.at) < age;
        if let Some(known) = self.known().filter(fresh) {
            return Ok(known.metadata);
        }
        let _turn = self.turn.lock().await;
        if let Some(known) = self.known().filter(fresh) {
            return Ok(known.metadata);
        }
        let issuer = IssuerUrl::new(provider.issuer().to_owned()).map_err(invalid)?;
        match Metadata::discover_async(issuer, http).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                let known = Known {
                    metadata: Arc::clone(&metadata),
                    at: now,
                };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                Ok(metadata)
            }
            Err(error) => {
                let error = discovery_error(error);
                let old = self.known();
                match old.filter(|known| now.since(known.at) < OLD_AFTER) {
                    Some(known) => {
                        tracing::warn!(event = "provider_unreachable", provider = %provider.id, error = %error, "what the provider publishes cannot be read again; the copy serves");
                        Ok(known.metadata)
                    }
                    None => Err(error),
                }
            }
        }
    }
}

fn discovery_error(error: DiscoveryError<FetchError>) -> UpstreamError {
    match error {
        DiscoveryError::Request(error) => UpstreamError::Unreachable(error),
        // Not what came instead: it may be a page of any size.
        DiscoveryError::Response(status, ..) => {
            UpstreamError::Invalid(format!("its metadata is answered with {status}"))
        }
        other => invalid(other),
    }
}

fn invalid(error: impl std::fmt::Display) -> UpstreamError {
    UpstreamError::Invalid(error.to_string().chars().take(300).collect())
}

fn client(
    provider: &Provider,
    metadata: &Metadata,
    redirect_uri: String,
) -> Result<Client, UpstreamError> {
    let secret = provider.client_secret.as_ref();
    let secret = secret.map(|secret| ClientSecret::new(secret.expose().to_owned()));
    let id = ClientId::new(provider.client_id.to_string());
    // RFC 8414 §2: Basic, where it does not say.
    let methods = metadata.token_endpoint_auth_methods_supported();
    let takes_basic =
        methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
    let auth_type = if takes_basic {
        AuthType::BasicAuth
    } else {
        AuthType::RequestBody
    };
    Ok(Client::from_provider_metadata(metadata.clone(), id, secret)
        .set_auth_type(auth_type)
        .set_redirect_uri(RedirectUrl::new(redirect_uri).map_err(invalid)?))
}

pub(super) async fn authorization_url(
    upstream: &Upstream,
    redirect_uri: String,
    journey: &Journey,
    anew: bool,
    now: Timestamp,
) -> Result<String, UpstreamError> {
    let provider = &upstream.provider;
    let metadata = upstream
        .discovery
        .metadata(provider, &upstream.http, FRESH_FOR, now)
        .await?;
    let client = client(provider, &metadata, redirect_uri)?;
    let state = CsrfToken::new(journey.state.expose().to_owned());
    let nonce = Nonce::new(journey.nonce.clone());
    let verifier = PkceCodeVerifier::new(journey.code_verifier.clone());
    let mut request = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || state,
            move || nonce,
        )
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    // The crate asks for `openid` by itself.
    for scope in provider.scopes.iter().filter(|scope| *scope != "openid") {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    let vendor = match provider.kind {
        ProviderKind::OpenId { vendor, .. } => vendor,
        ProviderKind::GitHub { .. } => Vendor::Other,
    };
    if anew {
        // Otherwise whoever may not enter would be sent back as the same person, without a word.
        request = request.add_prompt(match vendor {
            Vendor::Google | Vendor::Entra => CoreAuthPrompt::SelectAccount,
            Vendor::Other => CoreAuthPrompt::Login,
        });
    }
    if provider.keep_tokens {
        // OpenID Connect Core §11: tokens for when nobody is there want the person's consent.
        request = match vendor {
            Vendor::Google => request.add_extra_param("access_type", "offline"),
            Vendor::Other if provider.scopes.iter().any(|scope| scope == OFFLINE) => {
                request.add_prompt(CoreAuthPrompt::Consent)
            }
            Vendor::Entra | Vendor::Other => request,
        };
    }
    Ok(request.url().0.to_string())
}

/// Whether an answer comes from the provider that the browser was sent to (RFC 9207 §2.4): what says
/// where it is from must be right, and a provider that always says so must have.
pub(super) async fn check_issuer(
    upstream: &Upstream,
    iss: Option<&str>,
    now: Timestamp,
) -> Result<(), UpstreamError> {
    let provider = &upstream.provider;
    let metadata = upstream
        .discovery
        .metadata(provider, &upstream.http, FRESH_FOR, now)
        .await?;
    let besides = metadata.additional_metadata();
    match iss {
        Some(iss) if iss == provider.issuer() => Ok(()),
        None if !besides.authorization_response_iss_parameter_supported => Ok(()),
        Some(_) => Err(invalid("the answer is another issuer's (iss)")),
        None => Err(invalid("the answer does not say whose it is (iss)")),
    }
}

pub(super) async fn redeem(
    upstream: &Upstream,
    redirect_uri: String,
    code: String,
    journey: Journey,
    now: Timestamp,
) -> Result<Arrived, UpstreamError> {
    let (provider, http) = (&upstream.provider, &upstream.http);
    let discovery = &upstream.discovery;
    let metadata = discovery.metadata(provider, http, FRESH_FOR, now).await?;
    let redeeming = client(provider, &metadata, redirect_uri.clone())?;
    let tokens = redeeming
        .exchange_code(AuthorizationCode::new(code))
        .map_err(invalid)?
        .set_pkce_verifier(PkceCodeVerifier::new(journey.code_verifier))
        .request_async(http)
        .await
        .map_err(token_error)?;
    let id_token = tokens
        .id_token()
        .ok_or_else(|| invalid("there is no ID token"))?;
    let nonce = Nonce::new(journey.nonce);
    let mut claims = verify(&redeeming, provider, id_token, &nonce, now);
    if matches!(claims, Err(Unverified::Signature(_))) {
        // Its keys may be new.
        let metadata = discovery.metadata(provider, http, KEYS_AGAIN_AFTER, now);
        let redeeming = client(provider, &*metadata.await?, redirect_uri)?;
        claims = verify(&redeeming, provider, id_token, &nonce, now);
    }
    let mut claims = claims.map_err(invalid)?;
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|subject| is_subject(subject))
        .ok_or_else(|| invalid("its subject (sub) is none"))?
        .to_owned();
    if let Some(url) = metadata.userinfo_endpoint()
        && lacks(provider, &claims)
    {
        let token = tokens.access_token().secret();
        let more = user_info(http, url.as_str(), token, &subject).await?;
        // What was signed counts.
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
    }
    Ok(Arrived {
        person: provider.person(&subject, claims),
        tokens: Tokens::of(&tokens, now),
    })
}

pub(super) async fn refresh(
    upstream: &Upstream,
    redirect_uri: String,
    refresh_token: String,
    now: Timestamp,
) -> Result<Tokens, UpstreamError> {
    let (provider, http) = (&upstream.provider, &upstream.http);
    let metadata = upstream.discovery.metadata(provider, http, FRESH_FOR, now);
    let client = client(provider, &*metadata.await?, redirect_uri)?;
    let tokens = client
        .exchange_refresh_token(&RefreshToken::new(refresh_token))
        .map_err(invalid)?
        .request_async(http)
        .await
        .map_err(token_error)?;
    Ok(Tokens::of(&tokens, now))
}

/// Whether something is still to be asked for.
fn lacks(provider: &Provider, claims: &Map<String, Value>) -> bool {
    let mut needed = provider.entry.needs().chain(["email", "name"]);
    needed.any(|name| find(claims, name).is_none())
}

/// A subject identifier (OpenID Connect Core §2): at most 255 ASCII characters.
fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// Why an ID token is not accepted.
#[derive(Debug, thiserror::Error)]
enum Unverified {
    /// The words of the layer above say nothing.
    #[error("{}", .0.source().map_or_else(|| .0.to_string(), ToString::to_string))]
    Signature(#[source] openidconnect::ClaimsVerificationError),
    #[error("{0}")]
    Claims(String),
}

/// Checks an ID token whole (OpenID Connect Core §3.1.3.7). What it says.
fn verify(
    client: &Client,
    provider: &Provider,
    id_token: &CoreIdToken,
    nonce: &Nonce,
    now: Timestamp,
) -> Result<Map<String, Value>, Unverified> {
    use openidconnect::ClaimsVerificationError as Error;
    let malformed = || Unverified::Claims("it is malformed".to_owned());
    let at = |moment: Timestamp| {
        let millis = i64::try_from(moment.as_millis()).ok();
        millis.and_then(DateTime::from_timestamp_millis)
    };
    let time = at(now).ok_or_else(malformed)?;
    let latest = at(now + LEEWAY).ok_or_else(malformed)?;
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || time)
        .set_issue_time_verifier_fn(move |made| {
            if made > latest {
                return Err("it was made in the future (iat)".to_owned());
            }
            Ok(())
        });
    let claims = id_token
        .claims(&verifier, nonce)
        .map_err(|error| match error {
            Error::SignatureVerification(_) => Unverified::Signature(error),
            other => Unverified::Claims(other.to_string()),
        })?;
    // §3.1.3.7, 4 and 5: the crate leaves it to us whom a token was made out to.
    let party = claims.authorized_party();
    if party.is_some_and(|party| **party != *provider.client_id) {
        return Err(Unverified::Claims(
            "it was made out to another client (azp)".to_owned(),
        ));
    }
    // The crate has read it all, and keeps what it knows; the rest stands in the token.
    let token = id_token.to_string();
    let payload = token.split('.').nth(1).ok_or_else(malformed)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| malformed())?;
    serde_json::from_slice(&payload).map_err(|_| malformed())
}

/// Asks the provider for what the ID token does not say (OpenID Connect Core §5.3).
async fn user_info(
    http: &Http,
    url: &str,
    token: &str,
    subject: &str,
) -> Result<Map<String, Value>, UpstreamError> {
    let request = Request::get(url)
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Vec::new())
        .map_err(|_| invalid("its access token is malformed"))?;
    let answer = openidconnect::AsyncHttpClient::call(http, request).await?;
    if !answer.status().is_success() {
        let status = answer.status();
        return Err(invalid(format_args!("user info is answered with {status}")));
    }
    let claims: Map<String, Value> = serde_json::from_slice(answer.body())
        .map_err(|_| invalid("its user info is no JSON object"))?;
    // §5.3.2: otherwise it may be somebody else's.
    if claims.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(invalid("its user info is about somebody else (sub)"));
    }
    Ok(claims)
}

/// Why a token endpoint gave nothing.
pub(super) fn token_error(
    error: RequestTokenError<FetchError, StandardErrorResponse<CoreErrorResponseType>>,
) -> UpstreamError {
    match error {
        RequestTokenError::Request(error) => UpstreamError::Unreachable(error),
        // The code alone: descriptions may quote what was sent.
        RequestTokenError::ServerResponse(response) => {
            let code = response.error().as_ref().chars().take(100);
            UpstreamError::Refused(code.collect())
        }
        RequestTokenError::Parse(..) => invalid("the answer of its token endpoint is none"),
        RequestTokenError::Other(other) => invalid(other),
    }
}
