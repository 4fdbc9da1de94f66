//! The operator's name, logo, colour and links on every page.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use remote_mcp_auth::config::Config;
use scraper::{Html, Selector};
use sha2::{Digest as _, Sha256};

use crate::support::{Browser, Page, TestServer, eventually, vendor::Vendor};

/// A real one.
const LOGO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pages/logo.png");

const BRAND: [(&str, &str); 5] = [
    ("branding.name", "Paper & <Sons>"),
    ("branding.logo", LOGO),
    ("branding.accent", "#0a6b43"),
    ("branding.privacy_url", "https://paper.example/privacy"),
    ("branding.support_url", "mailto:help@paper.example"),
];

async fn open(server: &TestServer, path: &str) -> Page {
    Browser::new(server).open(&server.url(path)).await.page()
}

#[tokio::test]
async fn every_page_says_whose_it_is() {
    let server = TestServer::with(BRAND).await;
    for path in [
        "/",
        "/sign-in",
        "/account",
        "/consent?request=x",
        "/authorize",
    ] {
        let page = open(&server, path).await;
        page.answer.assert_page();
        assert_eq!(page.text_of(".brand .name"), "Paper & <Sons>", "{path}");
        assert!(
            page.text_of("title").ends_with(" · Paper & <Sons>"),
            "{path}"
        );
        assert!(page.has(".brand img.logo"), "{path}");
        for link in ["https://paper.example/privacy", "mailto:help@paper.example"] {
            assert!(
                page.has(&format!("footer a[href=\"{link}\"]")),
                "{path}: {link}"
            );
        }
        assert!(page.answer.body.contains("--accent: #0a6b43"), "{path}");
    }
    let missing = server
        .get("/nowhere")
        .header("accept", "text/html")
        .send()
        .await;
    missing.expect(404).assert_page();
}

#[tokio::test]
async fn the_stylesheet_is_allowed_by_its_hash_and_pictures_only_where_there_is_one() {
    let plain = TestServer::start().await;
    let branded = TestServer::with(BRAND).await;
    for (server, has_logo) in [(&plain, false), (&branded, true)] {
        let page = open(server, "/").await;
        let document = Html::parse_document(&page.answer.body);
        let style = document.select(&Selector::parse("style").unwrap()).next();
        let style: String = style.unwrap().text().collect();
        let hash = BASE64_STANDARD.encode(Sha256::digest(&style));
        let policy = page.answer.header("content-security-policy");
        assert!(
            policy.contains(&format!("style-src 'sha256-{hash}'")),
            "{policy}"
        );
        assert_eq!(policy.contains("img-src 'self'"), has_logo, "{policy}");
    }
}

#[tokio::test]
async fn the_logo_is_served_by_us_as_a_picture_and_as_nothing_else() {
    let server = TestServer::with(BRAND).await;
    let page = open(&server, "/").await;
    let document = Html::parse_document(&page.answer.body);
    let image = document
        .select(&Selector::parse("img.logo").unwrap())
        .next();
    let path = image.unwrap().attr("src").unwrap().to_owned();
    let logo = server.get(&path).send().await.expect(200);
    assert_eq!(logo.header("content-type"), "image/png");
    assert_eq!(logo.header("x-content-type-options"), "nosniff");
    assert!(
        logo.header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert!(logo.header("cache-control").contains("immutable"));
    server.get("/logo/other.png").send().await.expect(404);
}

#[tokio::test]
async fn what_is_no_picture_is_no_logo() {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        (
            "logo.svg",
            &b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"[..],
        ),
        ("logo.png", b"<html><script>alert(1)</script></html>"),
        (
            "large.png",
            &[b"\x89PNG\r\n\x1a\n".to_vec(), vec![0; 300_000]].concat(),
        ),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let refused = Config::from_settings([("branding.logo", path.to_str().unwrap())]);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("branding.logo"), "{said}");
    }
}

#[tokio::test]
async fn a_logo_from_elsewhere_is_copied_and_one_that_is_none_is_never_shown() {
    let vendor = Vendor::start().await;
    for (picture, is_shown) in [
        ("GIF89a, more or less", true),
        ("<html>not found</html>", false),
    ] {
        vendor.publish_text(picture);
        let url = vendor.client_id();
        let before = vendor.fetched();
        let server = vendor.server([("branding.logo", url.as_str())]).await;
        // It is fetched once the server runs, and pages do not wait for it.
        let page = eventually(
            async || open(&server, "/").await,
            |page| vendor.fetched() > before && (!is_shown || page.has("img.logo")),
        )
        .await;
        page.answer.assert_page();
        assert_eq!(page.has("img.logo"), is_shown, "{picture}");
        assert!(!page.answer.body.contains(&url), "nobody is sent there");
    }
}
