//! What the behaviours are told with: clients, requests, codes, grants, and many callers at once.

use std::{sync::Arc, time::Duration};

use remote_mcp_auth::{
    clock::Timestamp,
    jose::Thumbprint,
    model::{
        authorization::{CodeChallenge, CodeGrant, PendingAuthorization, Prompt},
        client::{Client, ClientId},
        client_metadata::{ApplicationType, AuthMethod, ClientMetadata, GrantType},
        grant::{Authorization, Grant, GrantId, Origin, SealedAnswer},
        redirect_uri::RedirectUri,
        scope::ScopeSet,
        user::UserId,
    },
    secret::Digest,
    store::{Consent, Issue, Redemption, Store, Successor},
};
use tokio::{sync::Barrier, task::JoinSet};

/// When the stories begin.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

pub(super) const INSTANT: Duration = Duration::from_millis(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// How long things last here.
pub(super) const CODE_TTL: Duration = MINUTE;
pub(super) const ACCESS_TTL: Duration = HOUR;
pub(super) const REFRESH_TTL: Duration = Duration::from_hours(720);
pub(super) const GRACE: Duration = Duration::from_mins(2);

/// How many callers come at once.
pub(super) const MANY: usize = 50;

/// The moment before.
pub(super) fn before(moment: Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.as_millis() - 1)
}

pub(super) fn digest(text: &str) -> Digest {
    Digest::of(text)
}

pub(super) fn client_id(name: &str) -> ClientId {
    ClientId::presented(name)
}

pub(super) fn scopes() -> ScopeSet {
    ScopeSet::parse("mcp offline_access")
}

pub(super) fn redirect_uri() -> RedirectUri {
    RedirectUri::parse("https://client.example/callback", &[]).unwrap()
}

fn resource() -> Arc<str> {
    "https://mcp.example.com/mcp".into()
}

fn challenge() -> CodeChallenge {
    CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap()
}

pub(super) fn client(name: &str) -> Client {
    Client {
        id: client_id(name),
        issued_at: NOW,
        secret: Some(digest("client secret")),
        registration_token: Some(digest("registration token")),
        document: None,
        metadata: ClientMetadata {
            redirect_uris: vec![redirect_uri()],
            token_endpoint_auth_method: AuthMethod::ClientSecretPost,
            token_endpoint_auth_methods_supported: Vec::new(),
            token_endpoint_auth_signing_alg: None,
            jwks: None,
            jwks_uri: None,
            grant_types: GrantType::ALL.to_vec(),
            response_types: ["code"],
            application_type: ApplicationType::Web,
            client_name: Some(format!("Client {name}")),
            scope: None,
            contacts: vec!["operator@client.example".to_owned()],
            client_uri: None,
            logo_uri: None,
            tos_uri: None,
            policy_uri: None,
            software_id: None,
            software_version: None,
            dpop_bound_access_tokens: false,
            require_pushed_authorization_requests: false,
            declined_refresh_tokens: false,
        },
    }
}

/// The client `name` as an update leaves it: under another name, managed with the token `token`.
pub(super) fn updated(name: &str, token: &str) -> Client {
    let mut client = client(name);
    client.registration_token = Some(digest(token));
    client.metadata.client_name = Some(format!("Managed with {token}"));
    client
}

/// A request of `browser`, or of none yet, that waits for half an hour.
pub(super) fn pending(browser: Option<&str>) -> PendingAuthorization {
    PendingAuthorization {
        client: client_id("app"),
        redirect_uri: redirect_uri(),
        state: Some(Box::from(*b"state \xFF")),
        code_challenge: challenge(),
        dpop_jkt: Some(thumbprint()),
        scopes: scopes(),
        resource: resource(),
        prompt: Prompt::default(),
        browser: browser.map(digest),
        expires_at: NOW + Duration::from_mins(30),
    }
}

/// The key of RFC 7638 §3.1.
fn thumbprint() -> Thumbprint {
    Thumbprint::parse("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs").unwrap()
}

pub(super) fn code_of(client: &str) -> CodeGrant {
    CodeGrant {
        client: client_id(client),
        user: UserId::owner(),
        redirect_uri: redirect_uri(),
        code_challenge: challenge(),
        dpop_jkt: Some(thumbprint()),
        scopes: scopes(),
        resource: resource(),
        expires_at: NOW + CODE_TTL,
    }
}

/// What a redemption by `client` at `now` would issue: the tokens `{tokens} access` and
/// `{tokens} refresh`.
pub(super) fn issue(client: &str, tokens: &str, now: Timestamp) -> Issue {
    let grant = Grant {
        id: GrantId::mint(),
        user: UserId::owner(),
        client: client_id(client),
        client_name: format!("Client {client}"),
        scopes: scopes(),
        resource: resource(),
        jkt: Some(thumbprint()),
        origin: Origin {
            address: Some([203, 0, 113, 7].into()),
            device: Some("Story client on Linux".into()),
        },
        created_at: now,
        last_used_at: now,
    };
    Issue {
        access: access_token(&grant, &format!("{tokens} access"), now),
        refresh: Some((digest(&format!("{tokens} refresh")), now + REFRESH_TTL)),
        grant,
    }
}

pub(super) fn access_token(grant: &Grant, text: &str, now: Timestamp) -> Authorization {
    Authorization {
        owner: grant.owner(),
        grant: grant.id,
        scopes: grant.scopes.clone(),
        resource: Arc::clone(&grant.resource),
        jkt: grant.jkt,
        token: digest(text),
        issued_at: now,
        expires_at: now + ACCESS_TTL,
    }
}

/// The tokens `{tokens} access` and `{tokens} refresh` that replace others at `now`.
pub(super) fn successor(grant: &Grant, tokens: &str, now: Timestamp) -> Successor {
    Successor {
        digest: digest(&format!("{tokens} refresh")),
        expires_at: now + REFRESH_TTL,
        access: access_token(grant, &format!("{tokens} access"), now),
        answer: answer(tokens),
        grace: GRACE,
    }
}

pub(super) fn answer(text: &str) -> SealedAnswer {
    SealedAnswer(text.as_bytes().into())
}

/// The owner's consent to what [`code_of`] stands for.
pub(super) fn consent_to(client: &str) -> Consent {
    Consent {
        user: UserId::owner(),
        client: client_id(client),
        appearance: digest("what it looked like"),
        redirect_uri: redirect_uri(),
        scopes: scopes(),
    }
}

/// A person lets `client` in at `now`: it holds `{tokens} access` and `{tokens} refresh`.
pub(super) async fn let_in(store: &dyn Store, client: &str, tokens: &str, now: Timestamp) -> Grant {
    let code = digest(&format!("{tokens} code"));
    let stored = CodeGrant {
        expires_at: now + CODE_TTL,
        ..code_of(client)
    };
    store.insert_code(code, stored).await.unwrap();
    let issue = issue(client, tokens, now);
    let grant = issue.grant.clone();
    let redeemed = store.redeem_code(&code, issue, now).await.unwrap();
    assert_eq!(redeemed, Redemption::Redeemed);
    grant
}

/// Whether `/mcp` would be opened by the access token `text`.
pub(super) async fn opens(store: &dyn Store, text: &str, now: Timestamp) -> bool {
    let found = store.access_token(&digest(text), now).await.unwrap();
    found.is_some()
}

/// Whether the refresh token `text` is known.
pub(super) async fn refreshes(store: &dyn Store, text: &str, now: Timestamp) -> bool {
    let found = store.refresh_token(&digest(text), now).await.unwrap();
    found.is_some()
}

/// Many callers who all begin at once: what each was told, with its number.
pub(super) async fn at_once<T, F>(call: impl Fn(usize) -> F) -> Vec<(usize, T)>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(MANY));
    let mut callers = JoinSet::new();
    for number in 0..MANY {
        let (start, call) = (Arc::clone(&start), call(number));
        callers.spawn(async move {
            start.wait().await;
            (number, call.await)
        });
    }
    callers.join_all().await
}
