//! Registrations by the ten thousand from somebody who means no good, against the real program: its
//! memory stays within what the caps allow, and whoever is connected notices nothing.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Connected, Launch, MODERN, ModernClient, Program, Site, connect};

/// Connections that the attacker keeps open.
const CONNECTIONS: usize = 8;

/// The most that one client may take up, in bytes. What is kept of its metadata is 8 KiB as JSON, and
/// keys take twice that once they are read; there are its identifiers besides.
const PER_CLIENT: usize = 20 * 1024;

/// What the program may take up beyond that: connections, buffers, and pages that the allocator has
/// not given back.
const SLACK: usize = 16 * 1024 * 1024;

/// Metadata of which as much is kept as can be, in three shapes: few long texts, many short
/// ones, and many keys. Around it stands as much as is read and thrown away.
fn greedy() -> [String; 3] {
    let path = |n: usize| format!("https://{n}.example/{}", "x".repeat(1500));
    let few_long = json!({
        "redirect_uris": [path(1), path(2), path(3), path(4)],
        "client_name": "x".repeat(200),
        "software_id": "x".repeat(900),
        "filling": "x".repeat(50 * 1024),
    });
    let many_short = json!({
        "redirect_uris": (0..20).map(|n| format!("https://{n}.example/")).collect::<Vec<_>>(),
        "contacts": vec!["x"; 20],
        "filling": vec![0; 20 * 1024],
    });
    let key = |n: u8| {
        let x = URL_SAFE_NO_PAD.encode([n; 32]);
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
    };
    let many_keys = json!({
        "redirect_uris": ["http://localhost/"],
        "jwks": { "keys": (0..95).map(key).collect::<Vec<_>>() },
    });
    [few_long, many_short, many_keys].map(|metadata| metadata.to_string())
}

/// What came of the registrations.
#[derive(Default)]
struct Outcome {
    accepted: AtomicUsize,
    refused: AtomicUsize,
}

/// Registers as fast as the program answers.
async fn attack(site: &Site, registrations: usize) -> (usize, usize) {
    let outcome = Arc::new(Outcome::default());
    let next = Arc::new(AtomicUsize::new(0));
    let mut attackers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (site, outcome, next) = (site.clone(), Arc::clone(&outcome), Arc::clone(&next));
        attackers.spawn(async move {
            let bodies = greedy();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= registrations {
                    return;
                }
                let request = site.post("/register");
                let request =
                    request.body("application/json", bodies[number % bodies.len()].as_str());
                let answer = request.send().await;
                if answer.status == 201 {
                    outcome.accepted.fetch_add(1, Ordering::Relaxed);
                } else {
                    answer.oauth_error(429, "temporarily_unavailable");
                    assert!(answer.retry_after() <= 60, "{answer:#?}");
                    outcome.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    while let Some(attacker) = attackers.join_next().await {
        attacker.unwrap();
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    (count(&outcome.accepted), count(&outcome.refused))
}

/// Resident memory, in bytes, by the kernel's own accounting.
fn memory(program: &Program) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let mut lines = status.lines();
    let resident = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kibibytes = resident.split_whitespace().next().unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

/// Goes on with what was given before the attack, and asks for more.
async fn assert_undisturbed(site: &Site, connected: &Connected) {
    let Connected {
        client,
        tokens,
        browser,
    } = connected;
    let mcp = ModernClient::new(site, &tokens.access);
    let listed = mcp.result("tools/list", &json!({})).await;
    assert!(listed["tools"][0]["name"].is_string(), "{MODERN}: {listed}");
    let refreshed = client.refresh(tokens.refresh_token()).await.expect(200);
    let access = refreshed.json()["access_token"].clone();
    ModernClient::new(site, access.as_str().unwrap())
        .result("tools/list", &json!({}))
        .await;
    // It is still known, so the person who let it in once is not even asked.
    let mut browser = browser.clone();
    browser.open(&client.authorize_url()).await.client().code();
}

/// Attacks a program that keeps `cap` clients, and holds its memory against what that allows.
async fn survive(cap: usize, registrations: usize) {
    let program = Launch::serving()
        .env("RATE_LIMITS", "off")
        .env("CONFIG_FILE", "server.toml")
        .file("server.toml", &format!("[limits]\nclients = {cap}\n"))
        .start();
    let site = program.site();
    let connected = connect(&site).await;
    let before = memory(&program);

    let (accepted, refused) = attack(&site, registrations).await;
    assert_eq!((accepted, refused), (registrations, 0));
    let grown = memory(&program).saturating_sub(before);
    let bound = cap * PER_CLIENT + SLACK;
    println!(
        "{registrations} registrations, {cap} kept: {} MiB",
        grown >> 20
    );
    assert!(grown < bound, "{grown} bytes more, {bound} are allowed");
    assert_undisturbed(&site, &connected).await;
}

#[tokio::test]
async fn many_registrations_leave_memory_bounded_and_the_connected_undisturbed() {
    survive(500, 4_000).await;
}

#[tokio::test]
#[ignore = "sends a hundred thousand requests"]
async fn a_hundred_thousand_registrations_do_so_too() {
    survive(50_000, 100_000).await;
}

#[tokio::test]
async fn an_address_that_registers_without_end_is_told_when_to_come_back() {
    let program = Launch::serving().start();
    let site = program.site();
    let connected = connect(&site).await;
    let began = Instant::now();
    let (accepted, refused) = attack(&site, 1_000).await;
    // 300 at once and one a second after that, of which the connected client had the first.
    let most = 300 + usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!(accepted <= most, "{accepted} were accepted");
    assert_eq!(accepted + refused, 1_000);
    assert_undisturbed(&site, &connected).await;
}
