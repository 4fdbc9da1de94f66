//! The vendor of a client: a site that publishes the client's metadata document, as it is told to.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
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

use super::{OAuthClient, REDIRECT_URI, Site, TestServer, TlsSite};

/// A vendor's site.
pub(crate) struct Vendor {
    site: TlsSite,
    published: Arc<Mutex<Published>>,
}

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
        let published = Arc::new(Mutex::new(Published {
            status: StatusCode::OK,
            cache_control: "max-age=3600",
            body: String::new(),
            fetched: 0,
        }));
        let router = Router::new()
            .route("/client.json", get(answer))
            .with_state(Arc::clone(&published));
        let vendor = Self {
            site: TlsSite::start(router).await,
            published,
        };
        vendor.publish(&vendor.document());
        vendor
    }

    /// The client's identifier.
    pub(crate) fn client_id(&self) -> String {
        self.site.url("/client.json")
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

    pub(crate) fn publish(&self, document: &Value) {
        self.publish_text(&document.to_string());
    }

    pub(crate) fn publish_text(&self, body: &str) {
        let mut published = self.published.lock().expect("no panic");
        body.clone_into(&mut published.body);
        published.status = StatusCode::OK;
    }

    /// Answers like this from now on.
    pub(crate) fn fail(&self, status: u16) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.published.lock().expect("no panic").status = status;
    }

    pub(crate) fn cache_control(&self, value: &'static str) {
        self.published.lock().expect("no panic").cache_control = value;
    }

    /// How often the document was asked for.
    pub(crate) fn fetched(&self) -> usize {
        self.published.lock().expect("no panic").fetched
    }

    pub(crate) fn connections(&self) -> usize {
        self.site.connections()
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.site.authority()
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
        let fetcher = Fetcher::with(FetchSettings {
            certificates: Some(self.authority()),
            ..FetchSettings::new(allow)
        });
        TestServer::offering(settings, |builder| builder.fetcher(fetcher)).await
    }

    /// The client, which registers nowhere.
    pub(crate) fn client(&self, site: &Site) -> OAuthClient {
        OAuthClient::known_as(site, &self.client_id(), REDIRECT_URI)
    }
}

async fn answer(State(published): State<Arc<Mutex<Published>>>) -> Response {
    let mut published = published.lock().expect("no panic");
    published.fetched += 1;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, published.cache_control),
        (header::LOCATION, "https://elsewhere.example/client.json"),
    ];
    (published.status, headers, published.body.clone()).into_response()
}
