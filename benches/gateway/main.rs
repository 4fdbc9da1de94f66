//! What a gateway adds to the calls of a server behind it: `cargo bench --bench gateway`.
//!
//! The same call, to the same server, goes there directly and through the gateway, in turns, so that
//! whatever else the machine does falls on both. Nothing here fails on a figure: on a busy machine the
//! processor time holds, and on an idle one the latencies do.

#[path = "../http/connection.rs"]
#[expect(dead_code, reason = "another benchmark looks at headers")]
mod connection;
#[path = "../http/figures.rs"]
#[expect(dead_code, reason = "another benchmark compares with bare axum")]
mod figures;
#[path = "../http/load.rs"]
#[expect(dead_code, reason = "another benchmark puts one process under load")]
mod load;
#[path = "../http/messages.rs"]
#[expect(dead_code, reason = "another benchmark sends more kinds of them")]
mod messages;
#[path = "../http/process.rs"]
#[expect(dead_code, reason = "another benchmark measures memory as well")]
mod process;
#[path = "../http/server.rs"]
mod server;
#[path = "../../tests/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::indexing_slicing,
    reason = "the stories of the tests need more of it, and may end where they fail"
)]
mod support;

use std::{io, sync::Arc};

use connection::Connection;
use figures::{Figures, millis, percentiles, print_heading};
use load::{CONNECTIONS, Same, Target};
use messages::Era;
use server::{Server, launch};
use support::connect;

/// Slices under load, and the calls in each.
const LOADED: (u32, u32) = (20, 2_000);
/// The same with one call at a time.
const ALONE: (u32, u32) = (20, 200);

fn main() {
    // One thread: the load must leave a processor to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run()).expect("every call succeeds");
}

async fn run() -> io::Result<()> {
    let upstream = Server::start(launch()).await;
    let token = connect(&upstream.site).await.tokens.access;
    let gateway = launch()
        .env("UPSTREAM", &format!("http://{}/mcp", upstream.site.addr()))
        .env("UPSTREAM_AUTHORIZATION", &format!("Bearer {token}"));
    let gateway = Server::start(gateway).await;
    let pids = [upstream.program.pid(), gateway.program.pid()];
    for era in [Era::Legacy, Era::Modern] {
        for ((rounds, calls), connections) in [(LOADED, CONNECTIONS), (ALONE, 1)] {
            let mut direct = calling(&upstream, era, &pids[..1], connections).await?;
            let mut through = calling(&gateway, era, &pids, connections).await?;
            let (name, version) = (era.name(), era.version());
            println!("\n{name} calls ({version}), {connections} at a time");
            println!("    {rounds} slices of {calls} each; CPU of both processes");
            compare(&mut direct, &mut through, rounds, calls).await?;
        }
    }
    Ok(())
}

async fn compare(
    direct: &mut Target<Same>,
    through: &mut Target<Same>,
    rounds: u32,
    calls: u32,
) -> io::Result<()> {
    direct.slice(calls).await?;
    through.slice(calls).await?;
    let (mut directly, mut passed_on) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        directly.push(direct.slice(calls).await?);
        passed_on.push(through.slice(calls).await?);
    }
    print_heading("calls");
    let [of_direct, of_passed] = [&directly, &passed_on].map(|slices| Figures::of(slices));
    of_direct.print("directly");
    of_passed.print("through the gateway");
    let rate = of_passed.rate_beside(&of_direct);
    let latencies = |slices: &[load::Slice]| {
        let all = slices.iter().flat_map(|slice| slice.latencies.clone());
        percentiles(all.collect(), [50, 99])
    };
    let ([p50, p99], [more_p50, more_p99]) = (latencies(&directly), latencies(&passed_on));
    println!(
        "    times as many, and added{rate:5.2} {:>9} {:>9}",
        millis(more_p50.saturating_sub(p50)),
        millis(more_p99.saturating_sub(p99)),
    );
    Ok(())
}

/// The same call on so many connections, while these processes work for it.
async fn calling(
    server: &Server,
    era: Era,
    pids: &[u32],
    connections: u32,
) -> io::Result<Target<Same>> {
    let request: Arc<[u8]> = messages::call_tool(&server.caller, era).into();
    let mut workers = Vec::new();
    for _ in 0..connections {
        let connection = Connection::open(server.site.addr()).await?;
        workers.push((connection, Same(Arc::clone(&request))));
    }
    Ok(Target::of(pids.to_vec(), workers))
}
