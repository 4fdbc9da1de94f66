//! Two programs on one Postgres behind a load balancer are one server, also while one after the other
//! is restarted.

use std::{net::SocketAddr, pin::Pin, thread, time::Duration};

use futures_util::future::join_all;
use remote_mcp_auth::CancellationToken;
use serde_json::{Value, json};
use tokio::{task::spawn_blocking, time::timeout};

use crate::support::{
    Balancer, Connected, Launch, McpClient, ModernClient, Program, Site, Tokens, connect, postgres,
};

/// What both are called.
const PUBLIC_URL: &str = "https://mcp.example.com";

/// How often each is restarted where every change is tested, and where there is time.
const FEW: usize = 2;
const MANY: usize = 50;

/// How long they are left alone between two restarts.
const BREATH: Duration = Duration::from_millis(200);

/// How long it may take until the other replica has heard that something was taken back.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

struct Replicas {
    balancer: Balancer,
    database: String,
    programs: Vec<(Program, SocketAddr)>,
}

impl Replicas {
    /// Nothing, where there is no Postgres.
    async fn start() -> Option<Self> {
        let database = postgres::database().await?;
        let programs = [launch(&database), launch(&database)];
        let programs = programs.map(|program| {
            let addr = program.site().addr();
            (program, addr)
        });
        let replicas = Self {
            balancer: Balancer::start().await,
            database,
            programs: programs.into(),
        };
        replicas.tell_the_balancer();
        Some(replicas)
    }

    /// All that a client sees of them.
    fn site(&self) -> Site {
        Site::new(self.balancer.addr(), PUBLIC_URL)
    }

    /// Ends one in order and starts another one in its place. The balancer hears of it when that
    /// listens, and not before.
    fn restart(&mut self, which: usize) {
        let (old, _) = self.programs.remove(which);
        let ended = old.terminate();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let new = launch(&self.database);
        let addr = new.site().addr();
        self.programs.insert(which, (new, addr));
        self.tell_the_balancer();
    }

    fn tell_the_balancer(&self) {
        self.balancer
            .to(self.programs.iter().map(|(_, addr)| *addr));
    }
}

fn launch(database: &str) -> Program {
    Launch::serving()
        .env("PUBLIC_URL", PUBLIC_URL)
        .env("DATABASE_URL", database)
        .env("RATE_LIMITS", "off")
        .start()
}

/// A call of the example tool.
fn looking_up_ada() -> Value {
    json!({ "name": "best_person_looker_upper", "arguments": { "startsWith": "A" } })
}

#[track_caller]
fn check_ada(result: &Value) {
    let name = &result["structuredContent"]["name"];
    assert_eq!(name, "Ada Lovelace", "{result}");
}

#[track_caller]
fn check_list(result: &Value) {
    assert!(!result["tools"].as_array().unwrap().is_empty(), "{result}");
}

/// Waits until both replicas have heard of something.
async fn both_say<F>(status: u16, ask: impl Fn() -> F + Send + Sync)
where
    F: Future<Output = u16> + Send,
{
    let hearing = async {
        // They take turns.
        let mut in_a_row = 0;
        while in_a_row < 2 {
            in_a_row = if ask().await == status {
                in_a_row + 1
            } else {
                0
            };
        }
    };
    let heard = timeout(HEARD_WITHIN, hearing).await;
    heard.expect("both to hear of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_client_may_land_on_another_replica() {
    let Some(replicas) = Replicas::start().await else {
        return;
    };
    let site = replicas.site();
    // Registration, the request, the sign-in page, its answer, consent, its answer, the code.
    let Connected { client, tokens, .. } = connect(&site).await;
    let again = client.refresh(tokens.refresh_token()).await;
    let again = Tokens::of(&again);
    // Within the grace window, the other one gives the same answer.
    let repeated = client.refresh(tokens.refresh_token()).await;
    assert_eq!(Tokens::of(&repeated), again);
    let tokens = again;

    let mcp = McpClient::initialized(&site, &tokens.access, "2025-11-25").await;
    for _ in 0..4 {
        check_list(&mcp.result("tools/list", &json!({})).await);
        check_ada(&mcp.result("tools/call", &looking_up_ada()).await);
    }
    mcp.end().await.expect(204);
    both_say(404, || mcp.ping()).await;

    client.revoke(tokens.refresh_token()).await.expect(200);
    let modern = ModernClient::new(&site, &tokens.access);
    both_say(401, || async {
        modern.request("tools/list", &json!({})).await.status
    })
    .await;
    for _ in 0..2 {
        let refused = client.refresh(tokens.refresh_token()).await;
        refused.oauth_error(400, "invalid_grant");
    }
}

/// Somebody with a session of the older revisions.
async fn calls_in_a_session(site: Site, enough: CancellationToken) -> usize {
    let connected = connect(&site).await;
    let mcp = McpClient::initialized(&site, &connected.tokens.access, "2025-11-25").await;
    let mut answered = 0;
    while !enough.is_cancelled() {
        check_list(&mcp.result("tools/list", &json!({})).await);
        check_ada(&mcp.result("tools/call", &looking_up_ada()).await);
        answered += 2;
    }
    mcp.end().await.expect(204);
    answered
}

/// Somebody whose requests stand alone.
async fn calls_without_a_session(site: Site, enough: CancellationToken) -> usize {
    let connected = connect(&site).await;
    let mcp = ModernClient::new(&site, &connected.tokens.access);
    let mut answered = 0;
    while !enough.is_cancelled() {
        check_list(&mcp.result("tools/list", &json!({})).await);
        check_ada(&mcp.result("tools/call", &looking_up_ada()).await);
        answered += 2;
    }
    answered
}

/// Somebody who refreshes all the time.
async fn refreshes(site: Site, enough: CancellationToken) -> usize {
    let Connected { client, tokens, .. } = connect(&site).await;
    let mut tokens = tokens;
    let mut answered = 0;
    while !enough.is_cancelled() {
        tokens = Tokens::of(&client.refresh(tokens.refresh_token()).await);
        let mcp = ModernClient::new(&site, &tokens.access);
        check_list(&mcp.result("tools/list", &json!({})).await);
        answered += 2;
    }
    answered
}

/// New clients, one after the other, from registration to the first call.
async fn arrives(site: Site, enough: CancellationToken) -> usize {
    let mut arrived = 0;
    while !enough.is_cancelled() {
        let connected = connect(&site).await;
        let mcp = McpClient::initialized(&site, &connected.tokens.access, "2025-06-18").await;
        check_ada(&mcp.result("tools/call", &looking_up_ada()).await);
        arrived += 1;
    }
    arrived
}

/// No client sees anything else than the answer that it should get.
async fn nobody_notices(restarts: usize) {
    let Some(mut replicas) = Replicas::start().await else {
        return;
    };
    let enough = CancellationToken::new();
    let mut clients: Vec<Pin<Box<dyn Future<Output = usize> + Send>>> = Vec::new();
    for _ in 0..2 {
        let site = || replicas.site();
        clients.push(Box::pin(calls_in_a_session(site(), enough.clone())));
        clients.push(Box::pin(calls_without_a_session(site(), enough.clone())));
        clients.push(Box::pin(refreshes(site(), enough.clone())));
        clients.push(Box::pin(arrives(site(), enough.clone())));
    }
    let restarting = spawn_blocking(move || {
        for _ in 0..restarts {
            for which in 0..replicas.programs.len() {
                replicas.restart(which);
                thread::sleep(BREATH);
            }
        }
        enough.cancel();
        replicas
    });
    let answered = join_all(clients).await;
    restarting.await.unwrap();
    let was_at_work = |answered: &usize| *answered > restarts;
    assert!(answered.iter().all(was_at_work), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_a_rolling_restart() {
    nobody_notices(FEW).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "restarts each replica 50 times"]
async fn nobody_notices_many_rolling_restarts() {
    nobody_notices(MANY).await;
}
