//! Whose server this is, as every page shows it: a name, a logo, a colour, and where to read on.

mod colour;
mod image;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use askama::Template;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::page;

pub use colour::Colour;
pub use image::{Image, ImageError, MAX_IMAGE};

/// The one stylesheet, written into every page: a page that explains a failure must not depend on
/// a second request.
const STYLE: &str = include_str!("../style.css");

/// Where the logo is. Its name says what it is made of, so it can be kept for good.
const LOGO: &str = "/logo/";

/// What an operator says of the server.
#[derive(Debug, Clone, Default)]
pub struct BrandSettings {
    /// What it is called; `None`: by its host.
    pub name: Option<String>,
    /// What links and the buttons that matter look like.
    pub accent: Option<Colour>,
    /// A page about what is done with people's data.
    pub privacy_url: Option<String>,
    /// A page, or an address to write to, for people who need help.
    pub support_url: Option<String>,
}

/// What every page shows of the operator. Clones share it.
#[derive(Clone)]
pub struct Brand(Arc<Inner>);

struct Inner {
    settings: BrandSettings,
    host: String,
    style: String,
    /// Its SHA-256, in base64.
    style_hash: String,
    /// Fetched after the server has started, where it comes from elsewhere.
    logo: OnceLock<Logo>,
}

struct Logo {
    /// Its path.
    path: String,
    image: Image,
}

/// The name as it stands in HTML.
#[derive(Template)]
#[template(source = "{{ name }}", ext = "html")]
struct Name<'a> {
    name: &'a str,
}

#[derive(Template)]
#[template(path = "web/brand/banner.html")]
struct Banner<'a> {
    name: &'a str,
    logo: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "web/brand/footer.html")]
struct Footer<'a> {
    privacy_url: Option<&'a str>,
    support_url: Option<&'a str>,
}

impl Brand {
    /// The brand of the server that browsers know as `host`.
    pub fn new(settings: BrandSettings, host: &str) -> Self {
        let accent = settings.accent.map(Colour::style).unwrap_or_default();
        let style = format!("{STYLE}{accent}");
        Self(Arc::new(Inner {
            host: host.to_owned(),
            style_hash: STANDARD.encode(Sha256::digest(&style)),
            style,
            settings,
            logo: OnceLock::new(),
        }))
    }

    /// Shows this logo from now on. The first one stays.
    pub fn set_logo(&self, image: Image) {
        let path = format!("{LOGO}{}.{}", image.fingerprint(), image.extension());
        // A second one would be no news.
        let _ = self.0.logo.set(Logo { path, image });
    }

    /// What the operator calls the server, if anything.
    pub fn given_name(&self) -> Option<&str> {
        self.0.settings.name.as_deref()
    }

    /// What the server is called.
    pub fn name(&self) -> &str {
        self.given_name().unwrap_or(&self.0.host)
    }

    /// Puts the brand's parts where they belong in a page.
    pub(super) fn dress(&self, html: String) -> Result<String, askama::Error> {
        let Inner {
            settings, style, ..
        } = &*self.0;
        let logo = self.0.logo.get().map(|logo| logo.path.as_str());
        let icon = logo.map_or(String::new(), |path| {
            format!("<link rel=\"icon\" href=\"{path}\">\n")
        });
        let name = Name { name: self.name() };
        let banner = Banner {
            name: self.name(),
            logo,
        };
        let footer = Footer {
            privacy_url: settings.privacy_url.as_deref(),
            support_url: settings.support_url.as_deref(),
        };
        let parts = [
            (page::NAME, name.render()?),
            (page::HEAD, format!("{icon}<style>{style}</style>")),
            (page::BANNER, banner.render()?),
            (page::FOOTER, footer.render()?),
        ];
        let dressed = parts
            .iter()
            .fold(html, |html, (place, part)| html.replacen(place, part, 1));
        Ok(dressed)
    }

    /// What a page may load: the stylesheet, by its hash, and our own logo. Nothing may be run or
    /// framed.
    ///
    /// There is no `form-action`: Chromium applies it to the redirect that answers a form, and that
    /// leads to the client. The forms have no part that an attacker could write.
    pub(super) fn content_security_policy(&self) -> HeaderValue {
        let hash = &self.0.style_hash;
        let images = match self.0.logo.get() {
            Some(_) => "; img-src 'self'",
            None => "",
        };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'{images}; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        HeaderValue::try_from(policy).expect("a policy of printable ASCII")
    }
}

impl fmt::Debug for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brand({})", self.name())
    }
}

/// The logo's route.
pub fn routes(brand: Brand) -> Router {
    Router::new()
        .route(&format!("{LOGO}{{name}}"), routing::get(get))
        .with_state(brand)
}

async fn get(State(brand): State<Brand>, Path(name): Path<String>) -> Response {
    let found = brand.0.logo.get();
    let found = found.filter(|logo| logo.path.strip_prefix(LOGO) == Some(&name));
    let Some(logo) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // It is shown as what it was found to be, and as nothing else: whoever opens it by itself gets
    // a picture in which nothing runs.
    let headers = [
        (header::CONTENT_TYPE, logo.image.media_type()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
    ];
    let bytes: Bytes = logo.image.bytes().clone();
    (headers, bytes).into_response()
}
