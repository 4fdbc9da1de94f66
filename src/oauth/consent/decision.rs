//! The decision: what comes of it, and what is remembered.

use std::sync::Arc;

use axum::response::Response;

use crate::{
    identity::SignedIn,
    model::{
        authorization::{CodeGrant, PendingAuthorization},
        client::Client,
    },
    oauth::{
        OAuthState,
        authorize::{ErrorReply, ReplyTo},
    },
    secret::AuthorizationCode,
    store::{Consent, StoreError},
};

/// A person who has signed in does not want it.
pub(super) fn deny(
    oauth: &OAuthState,
    person: &SignedIn,
    pending: &PendingAuthorization,
) -> Response {
    tracing::info!(event = "consent_denied", client.id = %pending.client, user = %person.user, "access was denied");
    with_access_denied(oauth, pending)
}

/// They do, and are not asked again.
pub(super) async fn allow(
    oauth: &OAuthState,
    person: &SignedIn,
    client: &Client,
    pending: &PendingAuthorization,
) -> Result<Response, StoreError> {
    // RFC 8252 §8.6: what waits on a loopback address or private-use scheme may be another program
    // next time, so the person is asked every time.
    if !pending.redirect_uri.is_local() {
        let consent = remembered_as(person, client, pending);
        oauth.store.remember_consent(consent).await?;
    }
    issue_code(oauth, person, pending).await
}

/// The code, for whoever has allowed it now or before.
pub(super) async fn issue_code(
    oauth: &OAuthState,
    person: &SignedIn,
    pending: &PendingAuthorization,
) -> Result<Response, StoreError> {
    let code = AuthorizationCode::mint();
    let grant = CodeGrant {
        client: pending.client.clone(),
        user: person.user.clone(),
        redirect_uri: pending.redirect_uri.clone(),
        code_challenge: pending.code_challenge.clone(),
        dpop_jkt: pending.dpop_jkt,
        scopes: pending.scopes.clone(),
        resource: Arc::clone(&pending.resource),
        expires_at: oauth.clock.now() + oauth.lifetimes.code,
    };
    oauth.store.insert_code(code.digest(), grant).await?;
    tracing::info!(event = "authorization_granted", client.id = %pending.client, user = %person.user, "access was allowed");
    Ok(ReplyTo::of(pending).with_code(oauth, code.expose()))
}

/// Tells the client.
pub(super) fn with_access_denied(oauth: &OAuthState, pending: &PendingAuthorization) -> Response {
    let reply = ErrorReply {
        error: "access_denied",
        description: "the person did not allow it".to_owned(),
    };
    ReplyTo::of(pending).with_error(oauth, &reply)
}

/// Whether the person has allowed exactly that before.
pub(super) async fn is_remembered(
    oauth: &OAuthState,
    person: &SignedIn,
    client: &Client,
    pending: &PendingAuthorization,
) -> Result<bool, StoreError> {
    let consent = remembered_as(person, client, pending);
    oauth.store.is_consent_remembered(&consent).await
}

fn remembered_as(person: &SignedIn, client: &Client, pending: &PendingAuthorization) -> Consent {
    Consent {
        user: person.user.clone(),
        client: pending.client.clone(),
        appearance: client.appearance(),
        redirect_uri: pending.redirect_uri.clone(),
        scopes: pending.scopes.clone(),
    }
}
