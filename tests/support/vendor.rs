//! The vendor of a client: a site that publishes the client's metadata document, as it is told to.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use remote_mcp_auth::web::fetch::{FetchAllow, FetchSettings, Fetcher};
use serde_json::{Value, json};

use super::{OAuthClient, REDIRECT_URI, Site, TestServer, TlsSite, config_file};

/// A vendor's site.
pub(crate) struct Vendor {
    site: TlsSite,
    document: Publication,
    /// The client's public keys.
    pub(crate) keys: Publication,
}

/// Something that the site publishes.
#[derive(Clone)]
pub(crate) struct Publication(Arc<Mutex<Published>>);

/// What the site answers.
struct Published {
    status: StatusCode,
    cache_control: &'static str,
    body: String,
    fetched: usize,
}

impl Vendor {
    /// Publishes the document of a public client.
    pub(crate) async fn start() -> Self {
        let (document, keys) = (Publication::new(), Publication::new());
        let router = Router::new()
            .route("/client.json", get(answer).with_state(document.clone()))
            .route("/keys.json", get(answer).with_state(keys.clone()));
        let vendor = Self {
            site: TlsSite::start(router).await,
            document,
            keys,
        };
        vendor.publish(&vendor.document());
        vendor
    }

    /// The client's identifier.
    pub(crate) fn client_id(&self) -> String {
        self.site.url("/client.json")
    }

    /// Where its public keys are.
    pub(crate) fn jwks_uri(&self) -> String {
        self.site.url("/keys.json")
    }

    /// A proper document.
    pub(crate) fn document(&self) -> Value {
        json!({
            "client_id": self.client_id(),
            "client_name": "Vendor's client",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.site.connections()
    }

    /// A server that may fetch from here, although here is loopback.
    pub(crate) async fn server<const N: usize>(&self, settings: [(&str, &str); N]) -> TestServer {
        let allow = FetchAllow::new(vec!["localhost".to_owned()], Vec::new());
        self.server_with(allow, settings).await
    }

    /// A server that may fetch what `allow` says.
    pub(crate) async fn server_with<const N: usize>(
        &self,
        allow: FetchAllow,
        settings: [(&str, &str); N],
    ) -> TestServer {
        let fetcher = self.fetcher(allow);
        TestServer::offering(settings, |builder| builder.fetcher(fetcher)).await
    }

    /// The same with a configuration file.
    pub(crate) async fn server_reading(&self, file: &str) -> TestServer {
        let allow = FetchAllow::new(vec!["localhost".to_owned()], Vec::new());
        let fetcher = self.fetcher(allow);
        TestServer::configured(config_file(file), |builder| builder.fetcher(fetcher)).await
    }

    fn fetcher(&self, allow: FetchAllow) -> Fetcher {
        Fetcher::with(FetchSettings {
            certificates: Some(self.site.authority()),
            ..FetchSettings::new(allow)
        })
    }

    /// The client, which registers nowhere.
    pub(crate) fn client(&self, site: &Site) -> OAuthClient {
        OAuthClient::known_as(site, &self.client_id(), REDIRECT_URI)
    }
}

/// Its metadata document.
impl Deref for Vendor {
    type Target = Publication;

    fn deref(&self) -> &Publication {
        &self.document
    }
}

impl Publication {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Published {
            status: StatusCode::OK,
            cache_control: "max-age=3600",
            body: String::new(),
            fetched: 0,
        })))
    }

    pub(crate) fn publish(&self, document: &Value) {
        self.publish_text(&document.to_string());
    }

    pub(crate) fn publish_text(&self, body: &str) {
        let mut published = self.lock();
        body.clone_into(&mut published.body);
        published.status = StatusCode::OK;
    }

    /// Answers like this from now on.
    pub(crate) fn fail(&self, status: u16) {
        self.lock().status = StatusCode::from_u16(status).expect("a status");
    }

    pub(crate) fn cache_control(&self, value: &'static str) {
        self.lock().cache_control = value;
    }

    /// How often it was asked for.
    pub(crate) fn fetched(&self) -> usize {
        self.lock().fetched
    }

    fn lock(&self) -> MutexGuard<'_, Published> {
        self.0.lock().expect("no panic")
    }
}

async fn answer(State(publication): State<Publication>) -> Response {
    let mut published = publication.lock();
    published.fetched += 1;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, published.cache_control),
        (header::LOCATION, "https://elsewhere.example/client.json"),
    ];
    (published.status, headers, published.body.clone()).into_response()
}
