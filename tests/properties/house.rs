//! The server's rooms without a listener, and a person with a browser who has let an app in.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fs,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, header, request::Builder},
};
use http_body_util::BodyExt as _;
use remote_mcp_auth::{
    Server,
    clock::{ManualClock, Timestamp},
    config::Config,
    mcp::feature::{BestPersonLookerUpper, CallError, Context, Tool, ToolDefinition, ToolResult},
    web::client_address::Connection,
};
use serde_json::{Map, Value, json};
use tokio::{runtime::Runtime, time::timeout};
use tower::ServiceExt as _;

/// What the world calls the house.
pub(crate) const ORIGIN: &str = "https://mcp.example.com";
const HOST: &str = "mcp.example.com";

const PASSCODE: &str = "correct horse battery staple";

/// `app` is an app of a person's, `two` has a secret, and `job` acts for itself.
const FILE: &str = r#"
listen = "127.0.0.1:0"
admin_listen = "off"
public_url = "https://mcp.example.com"
sign_in_passcode = "correct horse battery staple"
rate_limits = "off"
# Nothing is fetched at the word of an input.
client_documents = "off"

[limits]
clients = 100
pending_authorizations = 100
mcp_sessions = 100
mcp_sessions_per_grant = 100

[[clients]]
client_id = "app"
redirect_uris = ["https://client.example/callback", "http://localhost/callback"]
grant_types = ["authorization_code", "refresh_token"]

[[clients]]
client_id = "two"
client_secret = "two's secret"
redirect_uris = ["https://two.example/callback?x=y"]
grant_types = ["authorization_code", "refresh_token"]

[[clients]]
client_id = "job"
client_secret = "job's secret"
grant_types = ["client_credentials"]
scope = "mcp"
"#;

/// The secrets of the file.
pub(crate) const SECRETS: [&str; 2] = ["two's secret", "job's secret"];

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// After so many requests what they left behind is thrown away, with the house.
const REQUESTS: u32 = 20_000;

/// A server that is only asked from within.
pub(crate) struct House {
    runtime: Runtime,
    router: Router,
    requests: Cell<u32>,
    spent: Cell<bool>,
    app: OnceCell<App>,
}

/// What an app has when somebody has let it in.
pub(crate) struct App {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// For a second time, not yet redeemed.
    pub(crate) code: String,
}

/// Status, headers, and as much of the body as there is at once.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Lends a house. The same one for long, because some of what it gives takes time.
pub(crate) fn visit<T>(guest: impl FnOnce(&House) -> T) -> T {
    thread_local!(static HOUSE: RefCell<Option<House>> = const { RefCell::new(None) });
    HOUSE.with_borrow_mut(|house| {
        let is_done = |house: &mut House| house.spent.get() || house.requests.get() > REQUESTS;
        if house.as_mut().is_some_and(is_done) {
            *house = None;
        }
        guest(house.get_or_insert_with(House::open))
    })
}

impl House {
    fn open() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("server.toml"), FILE).expect("a file");
        let environment = |name: &str| (name == "CONFIG_FILE").then(|| "server.toml".into());
        let config = Config::load(&[].into(), &environment, directory.path());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let clock = ManualClock::at(Timestamp::from_millis(1_767_225_600_000));
        let builder = Server::builder(config.expect("a valid file"))
            .clock(Arc::new(clock))
            .tool(Arc::new(BestPersonLookerUpper))
            .tool(Arc::new(Asker));
        let server = runtime.block_on(builder.bind()).expect("a free port");
        Self {
            router: server.routes(),
            runtime,
            requests: Cell::new(0),
            spent: Cell::new(false),
            app: OnceCell::new(),
        }
    }

    /// What this house gives can be used once, and was.
    pub(crate) fn is_spent(&self) {
        self.spent.set(true);
    }

    /// A request that has still to say what it wants.
    pub(crate) fn request(path: &str) -> Builder {
        let connection = Connection {
            peer: ([127, 0, 0, 1], 50_000).into(),
            local: ([127, 0, 0, 1], 4_000).into(),
        };
        Request::builder()
            .uri(path)
            .extension(connection)
            .header(header::HOST, HOST)
    }

    /// The answer to a request that HTTP allows.
    pub(crate) fn ask(&self, request: Request<Body>) -> Answer {
        self.requests.update(|requests| requests + 1);
        let answering = async {
            let response = self.router.clone().oneshot(request).await;
            let (parts, mut body) = response.unwrap_or_else(|never| match never {}).into_parts();
            let mut read = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.expect("the body does not break off");
                read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                // A stream may go on until the client does something.
                if is_stream(&parts.headers) && has_message(&read) {
                    break;
                }
            }
            Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: String::from_utf8(read).expect("every answer is text"),
            }
        };
        let answer = async { timeout(PATIENCE, answering).await };
        let answer = self.runtime.block_on(answer);
        let answer = answer.expect("every request is answered");
        assert!(answer.status < 500, "{answer:#?}");
        answer
    }

    /// A form of ours or of a client's.
    pub(crate) fn post_form(&self, path: &str, form: impl Into<Body>) -> Answer {
        let request = Self::request(path)
            .method("POST")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request.body(form.into()).expect("a request"))
    }

    /// An app that somebody has let in.
    pub(crate) fn app(&self) -> &App {
        self.app.get_or_init(|| {
            let mut person = Person {
                house: self,
                cookies: Vec::new(),
            };
            let code = person.allow();
            let form = form(&[
                ("grant_type", "authorization_code"),
                ("client_id", "app"),
                ("redirect_uri", "https://client.example/callback"),
                ("code", &code),
                ("code_verifier", VERIFIER),
            ]);
            let tokens = self.post_form("/token", form).json();
            let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
            App {
                access_token: token("access_token"),
                refresh_token: token("refresh_token"),
                code: person.allow(),
            }
        })
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.and_then(Result::ok).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:#?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The error code of an endpoint for programs. The description keeps to its alphabet.
    #[track_caller]
    pub(crate) fn oauth_error(&self) -> String {
        let body = self.json();
        let description = body["error_description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{self:#?}");
        assert!(description.chars().all(may_describe), "{self:#?}");
        body["error"].as_str().expect("an error code").to_owned()
    }

    /// A page that carries nothing out and takes nothing in.
    #[track_caller]
    pub(crate) fn assert_page(&self) {
        assert!(self.header("content-type").starts_with("text/html"));
        assert!(
            self.header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert_eq!(self.header("cache-control"), "no-store");
        assert!(!self.body.contains("<script"), "{self:#?}");
    }
}

/// RFC 6749 §5.2 and §4.1.2.1: what an `error_description` may hold.
pub(crate) fn may_describe(c: char) -> bool {
    matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e')
}

/// Names and values as a form or a query has them.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "text/event-stream")
}

/// Whether a stream has said something: some begin with an event that is empty.
fn has_message(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read);
    text.ends_with("\n\n") && text.contains("data: {")
}

/// Somebody at a browser.
struct Person<'a> {
    house: &'a House,
    cookies: Vec<String>,
}

impl Person<'_> {
    /// Lets `app` in, and returns the code that it is sent.
    fn allow(&mut self) -> String {
        let query = form(&[
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", "https://client.example/callback"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("prompt", "consent"),
        ]);
        let mut page = self.open(&format!("/authorize?{query}"));
        // Somebody who has signed in is asked at once.
        if page.body.contains("name=\"password\"") {
            let [csrf, return_to] = ["csrf", "return_to"].map(|name| page.field(name));
            let entered = [
                ("csrf", csrf.as_str()),
                ("return_to", &return_to),
                ("password", PASSCODE),
            ];
            page = self.send("/sign-in", &entered);
        }
        let [request, appearance, csrf] =
            ["request", "appearance", "csrf"].map(|name| page.field(name));
        let decided = [
            ("request", request.as_str()),
            ("appearance", &appearance),
            ("csrf", &csrf),
            ("decision", "allow"),
        ];
        let sent = self.send("/consent", &decided);
        let (_, query) = sent.header("location").split_once('?').expect("an answer");
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let code = pairs.find(|(name, _)| name == "code");
        code.expect("a code").1.into_owned()
    }

    fn open(&mut self, path: &str) -> Answer {
        let request = House::request(path).header(header::COOKIE, self.cookies.join("; "));
        let answer = self
            .house
            .ask(request.body(Body::empty()).expect("a request"));
        self.follow(answer)
    }

    fn send(&mut self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let request = House::request(path)
            .method("POST")
            .header(header::COOKIE, self.cookies.join("; "))
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = self
            .house
            .ask(request.body(form(pairs).into()).expect("a request"));
        self.follow(answer)
    }

    /// Goes where the answer sends the browser, as long as that is in this house.
    fn follow(&mut self, answer: Answer) -> Answer {
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie in ASCII");
            let (cookie, _) = cookie.split_once(';').unwrap_or((cookie, ""));
            self.cookies.push(cookie.to_owned());
        }
        match answer.header("location") {
            path if path.starts_with('/') => self.open(path),
            _ => answer,
        }
    }
}

impl Answer {
    /// The value of a field of the page's form.
    fn field(&self, name: &str) -> String {
        let before = format!("name=\"{name}\" value=\"");
        let value = self
            .body
            .split_once(&before)
            .and_then(|(_, rest)| rest.split_once('"'));
        let (value, _) = value.unwrap_or_else(|| panic!("no {name} in {self:#?}"));
        // Askama writes these as numbers.
        value
            .replace("&#38;", "&")
            .replace("&#61;", "=")
            .replace("&#63;", "?")
    }
}

/// A tool that wants to be told a name first.
struct Asker;

#[async_trait]
impl Tool for Asker {
    fn definition(&self) -> ToolDefinition {
        ToolDefinition::new("ask", "Asks for a name.", json!({ "type": "object" }))
    }

    async fn call(
        &self,
        _arguments: Map<String, Value>,
        context: &Context,
    ) -> Result<ToolResult, CallError> {
        let form = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
        let answer = context.elicit("name", "What is your name?", form).await?;
        Ok(ToolResult::text(format!("{answer:?}")))
    }
}
