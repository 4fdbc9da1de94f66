//! Where a provider is the only way to sign in, the question comes first: nobody is sent elsewhere before
//! they have said for whom.

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    ask_to_sign_in, back_to,
    decision::with_access_denied,
    question::{chosen, with_prompt},
    who_asks,
};
use crate::{
    identity::{Leaving, consent, cookies},
    model::{authorization::PendingAuthorization, client::Client, scope::ScopeSet},
    oauth::{OAuthState, problem},
    secret::PendingId,
    store::StoreError,
    web::{client_address::Connection, note, params::Params},
};

/// The provider that somebody goes on to.
pub(super) struct Next<'a> {
    provider: &'a str,
    name: &'a str,
    again: bool,
}

impl<'a> Next<'a> {
    /// The one that a request names, if there is one of that name.
    pub(super) fn of(oauth: &'a OAuthState, params: &'a Params) -> Option<Self> {
        let provider = params.only(consent::WITH)?;
        Some(Self {
            provider,
            name: oauth.identity.providers.name(provider)?,
            again: params.only("again").is_some(),
        })
    }
}

/// Asks whoever is at the browser, before they go to a provider and sign in there.
pub(super) async fn ask(
    oauth: &OAuthState,
    headers: &HeaderMap,
    id: &PendingId,
    pending: &PendingAuthorization,
    next: Next<'_>,
) -> Result<Response, StoreError> {
    let Some(browser) = cookies::browser(headers, &oauth.public_url) else {
        return Ok(problem::no_open_request());
    };
    let client = match who_asks(oauth, pending).await? {
        Ok(client) => client,
        Err(problem) => return Ok(problem.with_status(StatusCode::BAD_REQUEST)),
    };
    let again = next.again || pending.prompt.authenticated_since.is_some();
    Ok(with_prompt(oauth, id, &client, pending, |prompt| {
        prompt.ask_before_sign_in(&browser, (next.provider, next.name), again)
    }))
}

/// Takes an answer that is given before signing in: to go on to a provider, or to leave.
pub(super) async fn answer(
    oauth: &OAuthState,
    (connection, headers): (Connection, &HeaderMap),
    params: &Params,
    id: &PendingId,
    pending: &PendingAuthorization,
) -> Result<Response, StoreError> {
    let field = |name| params.only(name).unwrap_or_default();
    let browser = cookies::browser(headers, &oauth.public_url);
    let asked = browser
        .filter(|browser| consent::is_answer_of_browser(browser, id.expose(), field("csrf")));
    let Some(browser) = asked else {
        return ask_to_sign_in(oauth, id, pending).await;
    };
    if params.only("decision") == Some("deny") {
        let (digest, now) = (browser.digest(), oauth.clock.now());
        let taken = oauth.store.take_pending(&id.digest(), &digest, now).await?;
        let Some(pending) = taken else {
            return Ok(problem::no_open_request());
        };
        tracing::info!(event = "consent_denied", client.id = %pending.client, "access was denied before anybody signed in");
        let denied = with_access_denied(oauth, &pending);
        return Ok(note::from_client(denied, || pending.client.shared()));
    }
    let Some(next) = Next::of(oauth, params) else {
        return ask_to_sign_in(oauth, id, pending).await;
    };
    let client = match who_asks(oauth, pending).await? {
        Ok(client) => client,
        Err(problem) => return Ok(problem.with_status(StatusCode::BAD_REQUEST)),
    };
    let is_what_was_shown = field(consent::APPEARANCE) == client.appearance().to_base64url();
    if params.only("decision") != Some("allow") || !is_what_was_shown {
        return ask(oauth, headers, id, pending, next).await;
    }
    let leaving = Leaving {
        provider: next.provider,
        return_to: &back_to(id),
        allowed: Some(what_is_allowed(&client, &chosen(oauth, pending, params))),
        anew: next.again,
        address: oauth.identity.address(connection, headers),
    };
    let left = oauth.identity.leave(&browser, leaving).await;
    Ok(note::from_client(left, || pending.client.shared()))
}

/// What somebody allows before they sign in, for when they come back: whoever was shown something else
/// has not allowed this.
fn what_is_allowed(client: &Client, chosen: &ScopeSet) -> String {
    let appearance = client.appearance().to_base64url();
    format!("{appearance} {chosen}")
}

/// What they chose then, if it answers what is asked now.
pub(super) fn chosen_before(
    oauth: &OAuthState,
    client: &Client,
    pending: &PendingAuthorization,
    allowed: &str,
) -> Option<ScopeSet> {
    let (appearance, chosen) = allowed.split_once(' ')?;
    let chosen = ScopeSet::parse(chosen);
    let is_asked = chosen.iter().all(|scope| pending.scopes.contains(scope));
    let required = oauth.scopes.required(&pending.scopes);
    let is_enough = required.iter().all(|scope| chosen.contains(scope));
    let is_shown = appearance == client.appearance().to_base64url();
    (is_shown && is_asked && is_enough).then_some(chosen)
}
