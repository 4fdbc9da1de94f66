//! How a browser leaves for a provider.

use std::{net::IpAddr, time::Duration};

use axum::{
    Extension,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::{Journey, pages};
use crate::{
    identity::{IdentityState, PostedForm, ReturnTo, consent, problem, sign_in},
    model::provider::Departure,
    secret::{BrowserId, DepartureId},
    web::{
        client_address::{Connection, limit_key},
        see_other,
    },
};

/// How long somebody may take at a provider.
const AWAY_FOR: Duration = Duration::from_mins(10);

/// A browser that is about to leave.
#[derive(Debug)]
pub struct Leaving<'a> {
    /// The identifier of the provider.
    pub provider: &'a str,
    /// Where it goes on afterwards.
    pub return_to: &'a ReturnTo,
    /// What its person has allowed whoever asks at `return_to`, in the asker's words, which come back with
    /// [`consent::answered_before`].
    pub allowed: Option<String>,
    /// Whether the provider is to ask who they are, even if it knows.
    pub anew: bool,
    /// The address that it comes from.
    pub address: IpAddr,
}

/// Takes the form with a provider's button.
pub(crate) async fn post(
    State(identity): State<IdentityState>,
    Extension(connection): Extension<Connection>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    PostedForm(entered): PostedForm,
) -> Response {
    let Some(browser) = sign_in::sent_by(&identity, &headers, &entered) else {
        return problem::not_our_form();
    };
    let return_to = sign_in::destination(&entered);
    let anew = sign_in::asks_again(&entered);
    // Whoever comes on behalf of an app is asked about it first.
    if let Some(request) = consent::question_at(&return_to)
        && identity.providers.find(&provider).is_some()
    {
        return see_other(&consent::url_before_sign_in(request, &provider, anew));
    }
    let leaving = Leaving {
        provider: &provider,
        return_to: &return_to,
        allowed: None,
        anew,
        address: identity.address(connection, &headers),
    };
    identity.leave(&browser, leaving).await
}

impl IdentityState {
    /// Sends a browser to a provider. Its person has been asked about whoever sent them.
    pub async fn leave(&self, browser: &BrowserId, leaving: Leaving<'_>) -> Response {
        let Some(upstream) = self.providers.find(leaving.provider) else {
            return pages::no_such_provider();
        };
        // What is kept has a cap: nobody may fill it alone and drive out those who are away.
        let (address, now) = (limit_key(leaving.address), self.clock.now());
        if let Some(throttle) = &self.departures
            && let Err(wait) = throttle.take(&address, now)
        {
            return problem::too_many_requests(wait);
        }
        let state = DepartureId::mint();
        let departure = Departure {
            provider: leaving.provider.to_owned(),
            browser: browser.digest(),
            return_to: leaving.return_to.as_str().to_owned(),
            allowed: leaving.allowed,
            expires_at: now + AWAY_FOR,
        };
        let digest = state.digest();
        let journey = Journey::of(state, browser);
        let url = upstream
            .authorization_url(self, &journey, leaving.anew)
            .await;
        let page = pages::Turned {
            provider: &upstream.provider,
            browser,
            return_to: leaving.return_to,
        };
        let url = match url {
            Ok(url) => url,
            Err(error) => return page.because_of(&error),
        };
        match self.store.insert_departure(digest, departure).await {
            Ok(()) => see_other(&url),
            Err(error) => problem::unavailable(error),
        }
    }
}
