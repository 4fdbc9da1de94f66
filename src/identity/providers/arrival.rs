//! How a browser comes back from a provider.

use axum::{
    Extension,
    extract::{Path, Request, State},
    http::HeaderMap,
    response::Response,
};

use super::{Arrived, Journey, Upstream, UpstreamError, openid, pages};
use crate::{
    identity::{IdentityState, ReturnTo, consent, cookies, problem},
    model::{
        provider::{Departure, ProvidedPerson, ProviderKind},
        user::{Profile, UserId},
    },
    secret::{BrowserId, DepartureId},
    store::StoreError,
    web::{client_address::Connection, params::Params},
};

/// Why somebody who comes back is not let in.
enum Turned {
    /// They did not want to be.
    Cancelled,
    /// The provider did not say who they are.
    Upstream(UpstreamError),
    /// It did, and they may not enter.
    NotAllowed(ProvidedPerson),
}

impl From<UpstreamError> for Turned {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

/// Takes what the provider's answer says.
pub(super) async fn get(
    State(identity): State<IdentityState>,
    Extension(connection): Extension<Connection>,
    Path(provider): Path<String>,
    request: Request,
) -> Response {
    let params = Params::of_query(&request);
    let headers = request.headers();
    let Some(upstream) = identity.providers.find(&provider) else {
        return pages::no_such_provider();
    };
    let came_back = match come_back(&identity, upstream, headers, &params).await {
        Ok(came_back) => came_back,
        Err(error) => return problem::unavailable(error),
    };
    let Some((browser, departure, journey)) = came_back else {
        tracing::warn!(event = "provider_answer_refused", provider = %provider, "an answer that no sign-in of that browser waits for");
        return pages::nobody_waits();
    };
    let return_to = ReturnTo::parse(&departure.return_to).unwrap_or_else(ReturnTo::home);
    let address = identity.address(connection, headers);
    let now = identity.clock.now();
    if let Some(throttle) = &identity.throttle
        && let Err(wait) = throttle.attempt(address, now)
    {
        tracing::warn!(event = "sign_in_throttled", client.address = %address, "too many failed sign-ins");
        return problem::too_many_requests(wait);
    }
    let recognised = recognise(&identity, upstream, &params, journey).await;
    // Made-up codes count as failed; what is nobody's fault, or nobody's attempt, does not.
    let is_failure = matches!(
        recognised,
        Err(Turned::Upstream(
            UpstreamError::Refused(_) | UpstreamError::Invalid(_)
        ))
    );
    if let Some(throttle) = identity.throttle.as_ref().filter(|_| !is_failure) {
        throttle.succeeded(address, now);
    }
    let page = pages::Turned {
        provider: &upstream.provider,
        browser: &browser,
        return_to: &return_to,
    };
    match recognised {
        Ok(arrived) => {
            let admitted = admit(
                &identity, upstream, headers, arrived, &departure, &return_to,
            );
            admitted.await.unwrap_or_else(problem::unavailable)
        }
        Err(Turned::Cancelled) => page.cancelled(),
        Err(Turned::Upstream(error)) => page.because_of(&error),
        Err(Turned::NotAllowed(person)) => page.not_allowed(&person),
    }
}

/// The journey that a browser comes back from, if it left for this provider and has not come back before.
async fn come_back(
    identity: &IdentityState,
    upstream: &Upstream,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Option<(BrowserId, Departure, Journey)>, StoreError> {
    let browser = cookies::browser(headers, &identity.public_url);
    let state = params.only("state");
    let (Some(browser), Some(state)) = (browser, state) else {
        return Ok(None);
    };
    let state = DepartureId::presented(state);
    let now = identity.clock.now();
    let taken = identity
        .store
        .take_departure(&state.digest(), &browser.digest(), now)
        .await?;
    let departure = taken.filter(|departure| departure.provider == *upstream.provider.id);
    Ok(departure.map(|departure| {
        let journey = Journey::of(state, &browser);
        (browser, departure, journey)
    }))
}

/// Who came back, if they may enter.
async fn recognise(
    identity: &IdentityState,
    upstream: &Upstream,
    params: &Params,
    journey: Journey,
) -> Result<Arrived, Turned> {
    let text = |name| {
        let text = params.text(name);
        text.map_err(|error| UpstreamError::Invalid(error.to_string()))
    };
    if let ProviderKind::OpenId { .. } = upstream.provider.kind {
        openid::check_issuer(upstream, text("iss")?, identity.clock.now()).await?;
    }
    match (text("error")?, text("code")?) {
        (Some("access_denied"), _) => Err(Turned::Cancelled),
        (Some(error), _) => {
            let code = error.chars().filter(char::is_ascii_graphic).take(100);
            Err(UpstreamError::Refused(code.collect()).into())
        }
        (None, None) => Err(UpstreamError::Invalid("there is no code".to_owned()).into()),
        (None, Some(code)) => {
            let code = code.to_owned();
            let arrived = upstream.redeem(identity, code, journey).await?;
            if upstream.provider.entry.admit(&arrived.person) {
                Ok(arrived)
            } else {
                Err(Turned::NotAllowed(arrived.person))
            }
        }
    }
}

async fn admit(
    identity: &IdentityState,
    upstream: &Upstream,
    headers: &HeaderMap,
    arrived: Arrived,
    departure: &Departure,
    return_to: &ReturnTo,
) -> Result<Response, StoreError> {
    let user = UserId::of_issuer(upstream.provider.issuer(), &arrived.person.subject);
    let person = arrived.person;
    let profile = Profile {
        name: person.name,
        email: person.email.filter(|_| person.email_verified),
    };
    identity.store.keep_profile(&user, profile).await?;
    let kept = identity.keep_tokens(&user, &upstream.provider, arrived.tokens);
    kept.await?;
    let go_on = |session: &_| match &departure.allowed {
        Some(allowed) => consent::url_of_answered(return_to, allowed, session),
        None => return_to.as_str().to_owned(),
    };
    identity.admit(headers, user, go_on).await
}
