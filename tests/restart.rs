//! A server that ends, in order or not, and comes back: whoever was connected still is.

use reqwest::Method;
use tempfile::TempDir;

use crate::support::{
    Arrival, Connected, Ended, Launch, McpClient, Program, Site, Tokens, connect, postgres,
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

/// What `import` of one database into another says.
fn import(from: &str, into: &str) -> Ended {
    let import = Launch::bare().env("DATABASE_URL", into);
    import.args(&["import", from]).run()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_connected_stays_so_when_the_state_moves_to_another_database() {
    let Some(postgres) = postgres::database().await else {
        return;
    };
    let home = TempDir::new().unwrap();
    let file = |name: &str| format!("sqlite://{}", home.path().join(name).display());
    let databases = [file("first.db"), postgres, file("last.db")];
    let (mut program, site) = start(&databases[0]);
    let mut life = Life::begin(&site).await;
    for (from, into) in databases.iter().zip(&databases[1..]) {
        let lost = life.refreshed().await;
        End::InOrder.of(program);
        let imported = import(from, into);
        assert_eq!(imported.code, Some(0), "{imported:#?}");
        assert!(imported.stdout.contains("entries"), "{imported:#?}");
        // Never into what others have begun to use.
        let again = import(from, into);
        assert_eq!(again.code, Some(1), "{again:#?}");
        assert!(again.stderr.contains("empty"), "{again:#?}");

        let site;
        (program, site) = start(into);
        life = life.goes_on(&site, lost).await;
    }
}

#[test]
fn state_comes_from_a_database_that_is_there_into_one_that_is_configured() {
    let home = TempDir::new().unwrap();
    let (there, other) = (home.path().join("there.db"), home.path().join("other.db"));
    let url = |path: &std::path::Path| format!("sqlite://{}", path.display());
    let refused = import(&url(&other), &url(&there));
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("no such file"), "{refused:#?}");
    assert!(!other.exists() && !there.exists());

    let refused = Launch::bare().args(&["import", &url(&other)]).run();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("DATABASE_URL"), "{refused:#?}");
    let refused = import("mysql://there", &url(&there));
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("sqlite://"), "{refused:#?}");
}
