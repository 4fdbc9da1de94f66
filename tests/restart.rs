//! A server that ends, in order or not, and comes back: whoever was connected still is.

use reqwest::Method;
use tempfile::TempDir;

use crate::support::{
    Arrival, Connected, Launch, McpClient, Program, Site, Tokens, connect, postgres,
};

/// What the server is called, wherever it listens.
const PUBLIC_URL: &str = "https://mcp.example.com";

fn start(database: &str) -> (Program, Site) {
    let program = Launch::serving()
        .env("PUBLIC_URL", PUBLIC_URL)
        .env("DATABASE_URL", database)
        .start();
    let site = program.site();
    (program, site)
}

/// How a server ends.
#[derive(Clone, Copy)]
enum End {
    InOrder,
    Killed,
}

impl End {
    fn of(self, program: Program) {
        match self {
            Self::InOrder => assert_eq!(program.terminate().code, Some(0)),
            Self::Killed => {
                program.signal("KILL");
                program.ended();
            }
        }
    }
}

/// A client with a person's browser and a session, and all that it can do.
struct Life {
    connected: Connected,
    mcp: McpClient,
}

impl Life {
    async fn begin(site: &Site) -> Self {
        let connected = connect(site).await;
        let mcp = McpClient::initialized(site, &connected.tokens.access, "2025-11-25").await;
        Self { connected, mcp }
    }

    /// The answer to a refresh, which may get lost on its way.
    async fn refreshed(&self) -> Tokens {
        let Connected { client, tokens, .. } = &self.connected;
        Tokens::of(&client.refresh(tokens.refresh_token()).await)
    }

    /// Everything that it was given is still worth something. `lost`: what it was told and did not hear.
    async fn goes_on(self, site: &Site, lost: Tokens) -> Self {
        let mut connected = self.connected.moved_to(site);
        let mut mcp = self.mcp.moved_to(site);
        assert_eq!(mcp.ping().await, 200);

        let client = &connected.client;
        client.manage(Method::GET).send().await.expect(200);
        // The person is not asked for the passcode again.
        let arrival = connected.browser.open(&client.authorize_url()).await;
        if let Arrival::Page(page) = arrival {
            assert!(page.asks_for_consent(), "{page:#?}");
        }
        let again = client.refresh(connected.tokens.refresh_token()).await;
        assert_eq!(Tokens::of(&again), lost);
        mcp = mcp.with_token(&lost.access);
        assert_eq!(mcp.ping().await, 200);
        connected.tokens = lost;
        Self { connected, mcp }
    }
}

async fn whoever_is_connected_stays_so(database: &str) {
    let (mut program, mut site) = start(database);
    let mut life = Life::begin(&site).await;
    // What was taken back stays so as well.
    let mut gone = connect(&site).await;
    let refresh_token = gone.tokens.refresh_token().to_owned();
    gone.client.revoke(&refresh_token).await.expect(200);
    for end in [End::InOrder, End::Killed, End::Killed] {
        let lost = life.refreshed().await;
        end.of(program);
        (program, site) = start(database);
        life = life.goes_on(&site, lost).await;
        gone = gone.moved_to(&site);
        assert_eq!(gone.mcp(&site).ping().await, 401);
        let refused = gone.client.refresh(&refresh_token).await;
        refused.oauth_error(400, "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_connected_stays_so_on_sqlite() {
    let home = TempDir::new().unwrap();
    let database = format!("sqlite://{}", home.path().join("state.db").display());
    whoever_is_connected_stays_so(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_connected_stays_so_on_postgres() {
    if let Some(database) = postgres::database().await {
        whoever_is_connected_stays_so(&database).await;
    }
}
