//! Fetching documents at URLs that strangers name: what is document, what is refused, and that
//! nothing is connected to that was not judged before.

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;
use remote_mcp_auth::web::fetch::{
    FetchAllow, FetchError, FetchSettings, Fetched, Fetcher, MAX_BODY, Resolve,
};

use crate::support::TlsSite;

const DOCUMENT: &str = r#"{"client_name":"a client"}"#;
const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

/// A resolver that gives each answer once, and counts how often it was asked.
#[derive(Default)]
struct Answers {
    left: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Answers {
    fn of<const N: usize>(answers: [&[&str]; N]) -> Arc<Self> {
        let parse = |answer: &[&str]| answer.iter().map(|a| a.parse().unwrap()).collect();
        Arc::new(Self {
            left: Mutex::new(answers.into_iter().map(parse).collect()),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Resolve for Answers {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let answer = self.left.lock().unwrap().pop_front();
        answer.ok_or_else(|| io::Error::other("no such host"))
    }
}

/// A fetcher that trusts the site's authority.
struct Setup(FetchSettings);

impl Setup {
    fn new(site: &TlsSite) -> Self {
        Self(FetchSettings::new(FetchAllow::default())).certificates(site.authority())
    }

    fn allow_host(self, host: &str) -> Self {
        self.allow(FetchAllow::new(vec![host.to_owned()], Vec::new()))
    }

    fn allow_network(self, network: &str) -> Self {
        self.allow(FetchAllow::new(Vec::new(), vec![network.parse().unwrap()]))
    }

    fn allow(self, allow: FetchAllow) -> Self {
        Self(FetchSettings { allow, ..self.0 })
    }

    fn resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self(FetchSettings { resolver, ..self.0 })
    }

    fn timeout(self, timeout: Duration) -> Self {
        Self(FetchSettings { timeout, ..self.0 })
    }

    fn certificates(self, file: PathBuf) -> Self {
        let certificates = Some(file);
        Self(FetchSettings {
            certificates,
            ..self.0
        })
    }

    fn fetcher(self) -> Fetcher {
        Fetcher::with(self.0)
    }
}

/// A site with the document in many states.
async fn site() -> TlsSite {
    let page = || async { ([(header::CONTENT_TYPE, "text/html")], "<p>").into_response() };
    let router = Router::new()
        .route("/document", get(|| async { ([JSON], DOCUMENT) }))
        .route("/page", get(page))
        .route("/untyped", get(|| async { Body::from(DOCUMENT) }))
        .route("/largest", get(|| async { ([JSON], "1".repeat(MAX_BODY)) }))
        .route("/chunks", get(|| async { endless(Duration::ZERO) }))
        .route(
            "/drops",
            get(|| async { endless(Duration::from_millis(5)) }),
        )
        .route("/never", get(std::future::pending::<()>))
        .route("/moved", get(|| async { moved("/document") }))
        .route("/inward", get(|| async { moved("https://10.0.0.1/") }))
        .route("/empty", get(|| async { (StatusCode::NO_CONTENT, [JSON]) }))
        .route(
            "/broken",
            get(|| async { (StatusCode::BAD_GATEWAY, [JSON]) }),
        )
        .route("/declared", get(declared))
        .route("/headers", get(headers));
    TlsSite::start(router).await
}

fn moved(location: &'static str) -> impl IntoResponse {
    (StatusCode::FOUND, [JSON, (header::LOCATION, location)])
}

/// A body without a length and without an end, a kilobyte at a time.
fn endless(every: Duration) -> impl IntoResponse {
    let chunks = stream::unfold((), move |()| async move {
        tokio::time::sleep(every).await;
        Some((Ok::<_, io::Error>(Bytes::from_static(&[b'1'; 1024])), ()))
    });
    ([JSON], Body::from_stream(chunks))
}

/// A length, and a body that never comes.
async fn declared() -> impl IntoResponse {
    let length = (header::CONTENT_LENGTH, (MAX_BODY + 1).to_string());
    let body = Body::from_stream(stream::pending::<io::Result<Bytes>>());
    ([JSON], [length], body)
}

/// The headers of the request, and what they say to caches of the answer.
async fn headers(headers: HeaderMap) -> Response {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let cache = [(header::CACHE_CONTROL, "max-age=300"), (header::AGE, "60")];
    (cache, [JSON], lines.join("\n")).into_response()
}

fn refused(result: Result<Fetched, FetchError>) -> FetchError {
    result.expect_err("the fetch is refused")
}

#[tokio::test]
async fn a_document_is_fetched() {
    let site = site().await;
    let fetcher = Setup::new(&site).allow_host("localhost").fetcher();

    let document = fetcher.get(&site.url("/document")).await.unwrap();
    assert_eq!(document.body, DOCUMENT);
    assert_eq!(document.fresh_for, None);

    let largest = fetcher.get(&site.url("/largest")).await.unwrap();
    assert_eq!(largest.body.len(), MAX_BODY);
}

#[tokio::test]
async fn a_fetch_says_who_asks_and_little_more() {
    let site = site().await;
    let fetcher = Setup::new(&site).allow_host("localhost").fetcher();

    let document = fetcher.get(&site.url("/headers#part")).await.unwrap();
    let mut sent: Vec<String> = String::from_utf8_lossy(&document.body)
        .lines()
        .map(str::to_owned)
        .collect();
    sent.sort();
    let host = site.url("").replace("https://", "host: ");
    let user_agent = format!("user-agent: remote-mcp-auth/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        sent,
        ["accept: application/json".to_owned(), host, user_agent]
    );
    assert_eq!(document.fresh_for, Some(Duration::from_mins(4)));
}

#[tokio::test]
async fn only_a_document_counts() {
    let site = site().await;
    let fetcher = Setup::new(&site).allow_host("localhost").fetcher();

    for (path, expected) in [
        (
            "/moved",
            "localhost answered with 302 Found; redirects are not followed",
        ),
        (
            "/inward",
            "localhost answered with 302 Found; redirects are not followed",
        ),
        ("/nowhere", "localhost answered with 404 Not Found"),
        ("/empty", "localhost answered with 204 No Content"),
        ("/broken", "localhost answered with 502 Bad Gateway"),
        ("/page", "localhost answered with something else than JSON"),
        (
            "/untyped",
            "localhost answered with something else than JSON",
        ),
        (
            "/declared",
            "the document of localhost is larger than 64 KiB",
        ),
        ("/chunks", "the document of localhost is larger than 64 KiB"),
    ] {
        let before = site.connections();
        let error = refused(fetcher.get(&site.url(path)).await);
        assert_eq!(error.to_string(), expected, "{path}");
        assert!(!error.is_special_use(), "{path}");
        // Whatever it says, it is asked once.
        assert_eq!(site.connections(), before + 1, "{path}");
    }
}

#[tokio::test]
async fn a_fetch_ends_in_time() {
    let site = site().await;
    let limit = Duration::from_millis(200);
    let fetcher = Setup::new(&site).allow_host("localhost").timeout(limit);
    let fetcher = fetcher.fetcher();
    // What the first fetch has to make is not counted.
    for path in ["/never", "/drops"] {
        let error = refused(fetcher.get(&site.url(path)).await);
        let expected = "localhost did not answer within 200ms";
        assert_eq!(error.to_string(), expected, "{path}");
    }
}

#[tokio::test]
async fn who_resolves_slowly_is_too_slow_as_well() {
    struct Silent;
    #[async_trait]
    impl Resolve for Silent {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            std::future::pending().await
        }
    }
    let site = site().await;
    let setup = Setup::new(&site).timeout(Duration::from_millis(50));
    let fetcher = setup.resolver(Arc::new(Silent)).fetcher();
    let error = refused(fetcher.get(&site.url_at("client.test", "/document")).await);
    assert!(matches!(error, FetchError::TooSlow { .. }), "{error}");
}

#[tokio::test]
async fn only_https_is_spoken() {
    let site = site().await;
    let fetcher = Setup::new(&site).allow_host("localhost").fetcher();

    let plain = site.url("/document").replace("https://", "http://");
    let with_password = site.url_at("me:secret@localhost", "/document");
    for url in [plain, with_password] {
        assert_eq!(fetcher.get(&url).await, Err(FetchError::Url), "{url}");
    }
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn special_use_addresses_are_not_connected_to() {
    let site = site().await;

    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "::1",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "fe80::1",
        "fd00::1",
        "64:ff9b::7f00:1",
    ] {
        let setup = Setup::new(&site).resolver(Answers::of([&[address]]));
        let fetcher = setup.fetcher();
        let error = refused(fetcher.get(&site.url_at("client.test", "/?secret")).await);
        let expected = format!("client.test resolves to {address}, which is not a public address");
        assert_eq!(error.to_string(), expected);
        assert!(error.is_special_use());
    }

    // One of several is enough, wherever it stands.
    for answer in [["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "127.0.0.1"]] {
        let setup = Setup::new(&site).resolver(Answers::of([&answer]));
        let fetcher = setup.fetcher();
        let error = refused(fetcher.get(&site.url_at("client.test", "/")).await);
        assert!(error.is_special_use(), "{error}");
    }

    // An address is not resolved, and judged all the same.
    let answers = Answers::of([]);
    let fetcher = Setup::new(&site)
        .resolver(Arc::clone(&answers) as _)
        .fetcher();
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.0.0.1.",
    ] {
        let error = refused(fetcher.get(&site.url_at(host, "/document")).await);
        assert!(error.is_special_use(), "{host}: {error}");
    }
    assert_eq!(answers.asked(), 0);
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn names_that_the_system_itself_knows_are_judged() {
    let site = site().await;
    let fetcher = Setup::new(&site).fetcher();
    for host in ["localhost", "LOCALHOST"] {
        let error = refused(fetcher.get(&site.url_at(host, "/document")).await);
        assert!(error.is_special_use(), "{host}: {error}");
    }
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn a_name_that_resolves_differently_the_second_time_gains_nothing() {
    let site = site().await;
    // Nobody listens at the second address, and the third is banned.
    let answers = Answers::of([&["127.0.0.1"], &["127.0.0.2"], &["10.0.0.1"]]);
    let fetcher = Setup::new(&site)
        .allow_network("127.0.0.0/8")
        .resolver(Arc::clone(&answers) as _)
        .fetcher();
    let url = site.url_at("client.test", "/document");

    // What was judged is what is connected to: nobody asks again in between.
    assert_eq!(fetcher.get(&url).await.unwrap().body, DOCUMENT);
    assert_eq!((answers.asked(), site.connections()), (1, 1));

    // And no connection is kept for the next fetch.
    let error = refused(fetcher.get(&url).await);
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    let error = refused(fetcher.get(&url).await);
    assert!(error.is_special_use(), "{error}");
    assert_eq!((answers.asked(), site.connections()), (3, 1));
}

#[tokio::test]
async fn what_the_operator_exempts_is_fetched() {
    let site = site().await;
    let answer: [&[&str]; 1] = [&["127.0.0.1"]];

    let named = Setup::new(&site).allow_host("client.test");
    let network = Setup::new(&site).allow_network("127.0.0.0/8");
    for setup in [named, network] {
        let fetcher = setup.resolver(Answers::of(answer)).fetcher();
        let document = fetcher.get(&site.url_at("client.test", "/document")).await;
        assert_eq!(document.unwrap().body, DOCUMENT);
    }
    // An address is exempt by its network too.
    let fetcher = Setup::new(&site).allow_network("127.0.0.1/32").fetcher();
    let document = fetcher.get(&site.url_at("127.0.0.1", "/document")).await;
    assert_eq!(document.unwrap().body, DOCUMENT);

    // Others are not.
    let before = site.connections();
    for setup in [
        Setup::new(&site).allow_host("other.test"),
        Setup::new(&site).allow_network("127.0.0.2/32"),
    ] {
        let fetcher = setup.resolver(Answers::of(answer)).fetcher();
        let error = refused(fetcher.get(&site.url_at("client.test", "/document")).await);
        assert!(error.is_special_use(), "{error}");
    }
    assert_eq!(site.connections(), before);
}

#[tokio::test]
async fn who_cannot_prove_its_name_is_not_believed() {
    let site = site().await;
    let url = site.url("/document?secret=1");

    // Nobody vouches for its authority.
    let other = self::site().await;
    let stranger = Setup::new(&other).allow_host("localhost").fetcher();
    let error = refused(stranger.get(&url).await);
    let unknown = "localhost cannot be read from: invalid peer certificate: UnknownIssuer";
    assert_eq!(error.to_string(), unknown);

    // The right authority, for another name.
    let setup = Setup::new(&site).allow_host("other.test");
    let fetcher = setup.resolver(Answers::of([&["127.0.0.1"]])).fetcher();
    let error = refused(fetcher.get(&site.url_at("other.test", "/")).await);
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_host_that_nobody_knows_is_not_connected_to() {
    let site = site().await;
    let setup = Setup::new(&site).resolver(Answers::of([&[]]));
    let fetcher = setup.fetcher();
    for expected in [
        "client.test has no address: the answer is empty",
        "client.test has no address: no such host",
    ] {
        let error = refused(fetcher.get("https://client.test/?secret=1").await);
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_certificate_file_that_is_no_use_is_the_operators_to_mend() {
    let site = site().await;
    let missing = site.authority().with_file_name("missing.pem");
    let empty = site.authority().with_file_name("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for file in [missing, empty] {
        let setup = Setup::new(&site).certificates(file.clone());
        let fetcher = setup.allow_host("localhost").fetcher();
        let error = refused(fetcher.get(&site.url("/document")).await);
        assert!(matches!(error, FetchError::Setup(_)), "{error}");
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error}");

        // Once it is there, the next fetch finds it.
        std::fs::copy(site.authority(), &file).unwrap();
        assert!(fetcher.get(&site.url("/document")).await.is_ok());
    }
}

#[tokio::test]
async fn a_certificate_that_is_no_use_does_not_spoil_the_others() {
    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let site = site().await;
    let file = site.authority().with_file_name("several.pem");
    let good = std::fs::read_to_string(site.authority()).unwrap();
    std::fs::write(&file, format!("{BROKEN}{good}{BROKEN}")).unwrap();

    let setup = Setup::new(&site).certificates(file);
    let fetcher = setup.allow_host("localhost").fetcher();
    let document = fetcher.get(&site.url("/document")).await.unwrap();
    assert_eq!(document.body, DOCUMENT);
}
