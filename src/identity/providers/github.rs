//! GitHub, and whoever runs it themselves: OAuth with PKCE, and an API that says who somebody is.

use axum::http::{Request, StatusCode, header};
use openidconnect::{
    AsyncHttpClient as _, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, Scope, TokenUrl,
    core::{CoreAuthenticationFlow, CoreClient},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{Arrived, Http, Journey, Tokens, Upstream, UpstreamError, openid::token_error};
use crate::{clock::Timestamp, model::provider::Provider, web::params};

const PUBLIC: &str = "https://github.com";

type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointSet,
>;

fn invalid(error: impl std::fmt::Display) -> UpstreamError {
    UpstreamError::Invalid(error.to_string())
}

/// The crate's client, told the addresses that it would otherwise read.
fn client(provider: &Provider, base: &str, redirect_uri: String) -> Result<Client, UpstreamError> {
    let url = |path: &str| format!("{base}/login/oauth/{path}");
    let issuer = IssuerUrl::new(base.to_owned()).map_err(invalid)?;
    let id = ClientId::new(provider.client_id.to_string());
    let client = CoreClient::new(id, issuer, JsonWebKeySet::default())
        .set_auth_uri(AuthUrl::new(url("authorize")).map_err(invalid)?)
        .set_token_uri(TokenUrl::new(url("access_token")).map_err(invalid)?)
        .set_redirect_uri(RedirectUrl::new(redirect_uri).map_err(invalid)?)
        .set_auth_type(AuthType::RequestBody)
        .disable_openid_scope();
    Ok(match &provider.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    })
}

pub(super) fn authorization_url(
    upstream: &Upstream,
    base: &str,
    redirect_uri: String,
    journey: &Journey,
    anew: bool,
) -> Result<String, UpstreamError> {
    let provider = &upstream.provider;
    let state = CsrfToken::new(journey.state.expose().to_owned());
    let nonce = Nonce::new(journey.nonce.clone());
    let verifier = PkceCodeVerifier::new(journey.code_verifier.clone());
    let client = client(provider, base, redirect_uri)?;
    let mut request = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || state,
            move || nonce,
        )
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    for scope in &provider.scopes {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    if anew {
        request = request.add_prompt(openidconnect::core::CoreAuthPrompt::SelectAccount);
    }
    Ok(request.url().0.to_string())
}

pub(super) async fn redeem(
    upstream: &Upstream,
    base: &str,
    redirect_uri: String,
    (code, journey): (String, Journey),
    now: Timestamp,
) -> Result<Arrived, UpstreamError> {
    let (provider, http) = (&upstream.provider, &upstream.http);
    let client = client(provider, base, redirect_uri)?;
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(PkceCodeVerifier::new(journey.code_verifier))
        .request_async(http)
        .await
        .map_err(token_error)?;
    let api = Api {
        http,
        base: if base == PUBLIC {
            "https://api.github.com".to_owned()
        } else {
            format!("{base}/api/v3")
        },
        token: tokens.access_token().secret(),
    };
    let user: User = api.get("/user").await?;
    let mut claims = Map::new();
    claims.insert("preferred_username".to_owned(), json!(user.login));
    claims.insert(
        "name".to_owned(),
        json!(user.name.as_ref().unwrap_or(&user.login)),
    );
    let emails: Vec<Email> = api.get("/user/emails").await?;
    if let Some(own) = emails.into_iter().find(|email| email.primary) {
        claims.insert("email".to_owned(), json!(own.address));
        claims.insert("email_verified".to_owned(), json!(own.verified));
    }
    let mut groups = Vec::new();
    for group in &provider.entry.groups {
        if api.is_member_of(group).await? {
            groups.push(Value::from(group.as_str()));
        }
    }
    claims.insert(provider.entry.groups_claim.clone(), groups.into());
    Ok(Arrived {
        person: provider.person(&user.id.to_string(), claims),
        tokens: Tokens::of(&tokens, now),
    })
}

pub(super) async fn refresh(
    upstream: &Upstream,
    base: &str,
    redirect_uri: String,
    refresh_token: String,
    now: Timestamp,
) -> Result<Tokens, UpstreamError> {
    let client = client(&upstream.provider, base, redirect_uri)?;
    let tokens = client
        .exchange_refresh_token(&RefreshToken::new(refresh_token))
        .request_async(&upstream.http)
        .await
        .map_err(token_error)?;
    Ok(Tokens::of(&tokens, now))
}

#[derive(Deserialize)]
struct User {
    /// Stays, whatever they call themselves.
    id: u64,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    #[serde(rename = "email")]
    address: String,
    primary: bool,
    verified: bool,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
}

struct Api<'a> {
    http: &'a Http,
    base: String,
    token: &'a str,
}

impl Api<'_> {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, UpstreamError> {
        let found = self.find(path).await?;
        found.ok_or_else(|| invalid(format_args!("its API has no {path} for us")))
    }

    /// Whether somebody belongs to an organisation. An invitation that was not accepted is none.
    async fn is_member_of(&self, organisation: &str) -> Result<bool, UpstreamError> {
        let organisation = params::encode(organisation.as_bytes());
        let path = format!("/user/memberships/orgs/{organisation}");
        let found: Option<Membership> = self.find(&path).await?;
        Ok(found.is_some_and(|membership| membership.state == "active"))
    }

    /// What is at a path; nothing, if it is not there for whom we ask.
    async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, UpstreamError> {
        let request = Request::get(format!("{}{path}", self.base))
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Vec::new())
            .map_err(|_| invalid("its access token is malformed"))?;
        let answer = self.http.call(request).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => return Ok(None),
            status => return Err(invalid(format_args!("its API answers with {status}"))),
        }
        let read = serde_json::from_slice(answer.body());
        read.map(Some)
            .map_err(|_| invalid("its API says something else than it should"))
    }
}
