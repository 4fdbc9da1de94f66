//! The question: what a person is shown, and what of it they choose.

use axum::response::Response;

use crate::{
    identity::consent::{self, Ability, Known},
    model::{
        authorization::PendingAuthorization,
        client::Client,
        client_document::DocumentUrl,
        scope::{Scope, ScopeSet},
    },
    oauth::OAuthState,
    secret::PendingId,
    web::params::Params,
};

/// Shows the question.
pub(super) fn with_prompt(
    oauth: &OAuthState,
    id: &PendingId,
    client: &Client,
    pending: &PendingAuthorization,
    show: impl FnOnce(consent::ConsentPrompt<'_>) -> Response,
) -> Response {
    let abilities = abilities(oauth, pending);
    let document = client
        .document
        .and_then(|_| DocumentUrl::parse(&client.id).ok());
    let known = match &document {
        Some(document) => Known::PublishedBy(document.host()),
        None if oauth.clients.contains_key(&client.id) => Known::SetUpHere,
        None => Known::Claimed,
    };
    let prompt = consent::ConsentPrompt {
        request: id.expose(),
        appearance: &client.appearance().to_base64url(),
        client_name: client.metadata.client_name.as_deref(),
        known,
        destination: &pending.redirect_uri.display_host(),
        is_local: pending.redirect_uri.is_local(),
        resource: oauth.public_url.resource(),
        abilities: &abilities,
    };
    show(prompt)
}

/// What a request asks for, in words. What goes without saying cannot be left out.
fn abilities(oauth: &OAuthState, pending: &PendingAuthorization) -> Vec<Ability> {
    let required = oauth.scopes.required(&pending.scopes);
    let opened_anyway = oauth.tools.opened_by(&required);
    let asked = oauth.scopes.all();
    let asked = asked.filter(|definition| pending.scopes.contains(&definition.scope));
    asked
        .map(|definition| {
            let scope = &definition.scope;
            let is_required = required.contains(scope);
            let mut tools = oauth
                .tools
                .opened_by(&[scope.clone()].into_iter().collect());
            // Of what can be left out, what it adds is shown.
            tools.retain(|tool| is_required || !opened_anyway.contains(tool));
            Ability {
                description: definition.description.clone(),
                field: (!is_required).then(|| field_of(scope)),
                tools,
            }
        })
        .collect()
}

/// The field of an answer that says yes to a scope.
fn field_of(scope: &Scope) -> String {
    format!("scope:{}", scope.as_str())
}

/// What a person allowed of what was asked for.
pub(super) fn chosen(
    oauth: &OAuthState,
    pending: &PendingAuthorization,
    params: &Params,
) -> ScopeSet {
    let required = oauth.scopes.required(&pending.scopes);
    let asked = pending.scopes.iter();
    asked
        .filter(|scope| required.contains(scope) || params.contains(&field_of(scope)))
        .cloned()
        .collect()
}

/// From here on it is as if no more had been asked for: the code, the token and what is remembered
/// follow. Whoever asks for the rest again, asks the person again.
pub(super) fn narrowed(pending: &PendingAuthorization, chosen: ScopeSet) -> PendingAuthorization {
    PendingAuthorization {
        scopes: chosen,
        ..pending.clone()
    }
}
