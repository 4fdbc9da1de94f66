//! The page of a signed-in person: what they have let in, and how to take it back.

mod moment;
mod view;

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};

use crate::{
    access::DescribeTools,
    identity::{self, IdentityState, PostedForm, ReturnTo, SignedIn, cookies, csrf, sign_in},
    model::{
        client::{Client, ClientId},
        grant::GrantId,
        scope::ScopeCatalogue,
    },
    store::StoreError,
    web::{page::Page, params::Params, see_other},
};

use view::{AccountPage, Done, SignedOutPage};

/// Where the page is, and where its forms are sent.
pub(crate) const PATH: &str = "/account";

/// Where somebody is who has signed out.
const SIGNED_OUT: &str = "/signed-out";

/// Keeps these forms' token from serving another form.
const FORM: &str = "account form";

/// What this room works with.
#[derive(Clone)]
pub(crate) struct AccountState {
    /// Who the person is.
    pub(crate) identity: IdentityState,
    /// What scopes mean.
    pub(crate) scopes: Arc<ScopeCatalogue>,
    /// What tools are called.
    pub(crate) tools: Arc<dyn DescribeTools>,
    /// Clients that the operator set up.
    pub(crate) clients: Arc<HashMap<ClientId, Arc<Client>>>,
}

/// The routes of this room.
pub(crate) fn routes(state: AccountState) -> Router {
    Router::new()
        .route(PATH, routing::get(get).post(post))
        .route(SIGNED_OUT, routing::get(signed_out))
        .with_state(state)
}

/// Shows what is connected, once somebody has signed in.
async fn get(State(account): State<AccountState>, request: Request) -> Response {
    let params = Params::of_query(&request);
    let shown = match account.identity.signed_in(request.headers()).await {
        Ok(Some(person)) => show(&account, &person, &params).await,
        Ok(None) => Ok(ask_to_sign_in()),
        Err(error) => Err(error),
    };
    shown.unwrap_or_else(identity::problem::unavailable)
}

/// Does what a button says.
async fn post(
    State(account): State<AccountState>,
    headers: HeaderMap,
    PostedForm(params): PostedForm,
) -> Response {
    if csrf::is_cross_site(&headers, &account.identity.public_url) {
        return identity::problem::not_our_form();
    }
    let done = match account.identity.signed_in(&headers).await {
        Ok(Some(person)) => act(&account, &person, &params).await,
        // They have signed out meanwhile, perhaps in another tab.
        Ok(None) => Ok(ask_to_sign_in()),
        Err(error) => Err(error),
    };
    done.unwrap_or_else(identity::problem::unavailable)
}

async fn signed_out() -> Response {
    let again = sign_in::url(&here(), false);
    Page(StatusCode::OK, SignedOutPage { again }).into_response()
}

async fn show(
    account: &AccountState,
    person: &SignedIn,
    params: &Params,
) -> Result<Response, StoreError> {
    let now = account.identity.clock.now();
    let store = &account.identity.store;
    let connections = store.connections(&person.user, now).await?;
    let last_visit = store.visit(&person.user, now).await?;
    let done = params.only("done");
    let page = AccountPage {
        user: person.user.as_str(),
        csrf: csrf::token(FORM, person.session.expose()),
        done: done.and_then(|done| Done::read(done, person)),
        more: view::more(connections.len()),
        connections: view::connections(account, connections, last_visit, now),
    };
    Ok(Page(StatusCode::OK, page).into_response())
}

/// Does what the person asks for. Whatever it is, the page is shown anew afterwards, so that to load
/// it again does nothing again.
async fn act(
    account: &AccountState,
    person: &SignedIn,
    params: &Params,
) -> Result<Response, StoreError> {
    let field = |name| params.only(name).unwrap_or_default();
    if !csrf::is_token(field("csrf"), FORM, person.session.expose()) {
        return Ok(identity::problem::not_our_form());
    }
    let done = match field("action") {
        "disconnect" => match GrantId::parse(field("connection")) {
            Some(grant) => disconnect(account, person, |theirs| theirs == grant).await?,
            None => Done::Gone,
        },
        "disconnect_all" => disconnect(account, person, |_| true).await?,
        "sign_out" => {
            account.identity.sign_out(person).await?;
            return Ok(to_signed_out(account));
        }
        "sign_out_everywhere" => {
            account.identity.sign_out_everywhere(person).await?;
            tracing::info!(event = "signed_out_everywhere", user = %person.user, "a person signed out of every browser");
            return Ok(to_signed_out(account));
        }
        _ => return Ok(see_other(PATH)),
    };
    Ok(see_other(&format!("{PATH}?done={}", done.write(person))))
}

/// Ends those of a person's grants that are meant. A grant is never another person's later, so it
/// does no harm to look first.
async fn disconnect(
    account: &AccountState,
    person: &SignedIn,
    is_meant: impl Fn(GrantId) -> bool,
) -> Result<Done, StoreError> {
    let store = &account.identity.store;
    let now = account.identity.clock.now();
    let mut ended = 0;
    for connection in store.connections(&person.user, now).await? {
        let grant = connection.grant;
        if is_meant(grant.id) && store.revoke_grant(grant.id).await? {
            tracing::info!(event = "grant_revoked", grant.id = %grant.id, client.id = %grant.client, user = %grant.user, "a person ended a grant");
            ended += 1;
        }
    }
    Ok(match ended {
        0 => Done::Gone,
        1 => Done::Disconnected,
        _ => Done::AllDisconnected,
    })
}

fn to_signed_out(account: &AccountState) -> Response {
    let mut response = see_other(SIGNED_OUT);
    let cookie = cookies::clear_browser_session(&account.identity.public_url);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

fn ask_to_sign_in() -> Response {
    see_other(&sign_in::url(&here(), false))
}

fn here() -> ReturnTo {
    ReturnTo::parse(PATH).unwrap_or_else(ReturnTo::home)
}
