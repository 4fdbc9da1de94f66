//! The engines of the store beside one another: calls, refreshes and whole authorizations.

use std::{io, time::Duration};

use tempfile::TempDir;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    Server,
    figures::{Figures, print_engines},
    launch,
    load::Target,
    messages::{self, Era},
    support::{Site, Tokens, connect, postgres},
};

/// Asks for these figures alone.
pub(crate) const ARGUMENT: &str = "engines";

/// Slices of the engines take turns.
const ROUNDS: u32 = 20;
const REQUESTS: u32 = 8_000;

/// Clients at once, and for how long, where each step writes.
const CLIENTS: usize = 32;
const WHILE: Duration = Duration::from_secs(4);

struct Engine {
    name: &'static str,
    server: Server,
}

/// Those that there are.
pub(crate) async fn measure() {
    let home = TempDir::new().expect("a directory");
    let file = format!("sqlite://{}", home.path().join("state.db").display());
    let postgres = postgres::database().await;
    let mut engines = Vec::new();
    for (name, url) in [
        ("memory", Some(String::new())),
        ("SQLite", Some(file)),
        ("Postgres", postgres),
    ] {
        if let Some(url) = url {
            let server = Server::launched(launch().env("DATABASE_URL", &url)).await;
            engines.push(Engine { name, server });
        }
    }
    for era in [Era::Legacy, Era::Modern] {
        println!("\n{} tools/call with each engine", era.name());
        if let Err(error) = calls(&engines, era).await {
            println!("    not measured: {error}");
        }
    }
    println!("\nsteps a second, {CLIENTS} clients at once   refreshes   authorizations");
    for engine in &engines {
        let refreshes = rate(&engine.server.site, refresh).await;
        let authorizations = rate(&engine.server.site, authorize).await;
        let name = engine.name;
        println!("    {name:36} {refreshes:12.0} {authorizations:16.0}");
    }
}

async fn calls(engines: &[Engine], era: Era) -> io::Result<()> {
    let mut targets = Vec::new();
    for Engine { server, .. } in engines {
        let request = messages::call_tool(server, era);
        let pid = server.program.pid();
        let mut target = Target::connect(pid, server.site.addr(), request).await?;
        target.slice(REQUESTS).await?;
        targets.push((target, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (target, slices) in &mut targets {
            slices.push(target.slice(REQUESTS).await?);
        }
    }
    let figures = targets.iter().map(|(_, slices)| Figures::of(slices));
    let names = engines.iter().map(|engine| engine.name);
    print_engines(&names.zip(figures).collect::<Vec<_>>());
    Ok(())
}

/// How many steps a second all clients together make.
async fn rate<F>(site: &Site, steps: impl Fn(Site, Instant) -> F) -> f64
where
    F: Future<Output = u32> + Send + 'static,
{
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for _ in 0..CLIENTS {
        clients.spawn(steps(site.clone(), began + WHILE));
    }
    let steps: u32 = clients.join_all().await.into_iter().sum();
    f64::from(steps) / began.elapsed().as_secs_f64()
}

async fn refresh(site: Site, end: Instant) -> u32 {
    let connected = connect(&site).await;
    let mut tokens = connected.tokens;
    let mut steps = 0;
    while Instant::now() < end {
        let used = tokens.refresh_token().to_owned();
        tokens = Tokens::of(&connected.client.refresh(&used).await);
        steps += 1;
    }
    steps
}

async fn authorize(site: Site, end: Instant) -> u32 {
    let mut connected = connect(&site).await;
    let mut steps = 0;
    while Instant::now() < end {
        connected
            .client
            .authorize_with(&mut connected.browser)
            .await;
        steps += 1;
    }
    steps
}
