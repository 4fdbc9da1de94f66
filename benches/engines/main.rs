//! What the kinds of stores cost, beside each other: `cargo bench --bench engines`.
//!
//! All of them run at the same time and take turns, so that whatever else the machine does falls on
//! each. Nothing here fails on a figure: on a busy machine ratios hold, and the processor time.

#[path = "../http/connection.rs"]
mod connection;
mod engine;
#[path = "../http/figures.rs"]
#[expect(dead_code, reason = "the other benchmark compares with bare axum")]
mod figures;
#[path = "../http/load.rs"]
#[expect(dead_code, reason = "the other benchmark sends one request")]
mod load;
#[path = "../http/messages.rs"]
#[expect(dead_code, reason = "the other benchmark sends more kinds of them")]
mod messages;
mod person;
#[path = "../http/process.rs"]
#[expect(dead_code, reason = "the other benchmark measures memory as well")]
mod process;
mod refreshing;
#[path = "../../tests/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::indexing_slicing,
    reason = "the stories of the tests need more of it, and may end where they fail"
)]
mod support;

use std::io;

use engine::Engine;
use figures::{Figures, print_heading};
use load::{CONNECTIONS, Slice, Target, Work};
use messages::Era;
use support::postgres::Postgres;

/// How many slices of each kind there are, and how many turns each slice takes.
const CALLS: (u32, u32) = (40, 5_000);
const REFRESHES: (u32, u32) = (10, 400);
const AUTHORIZATIONS: (u32, u32) = (10, 128);

fn main() {
    // One thread: the load must leave a processor to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run()).expect("every turn succeeds");
}

async fn run() -> io::Result<()> {
    let home = tempfile::TempDir::new()?;
    let postgres = Postgres::start_with(&["fsync=on"]);
    let mut engines = vec![Engine::memory(), Engine::sqlite(home.path())];
    match &postgres {
        Some(postgres) => {
            let url = postgres.database().await;
            engines.push(Engine::postgres("Postgres", 1, (postgres, &url)));
            engines.push(Engine::postgres(
                "Postgres, 2 replicas",
                2,
                (postgres, &url),
            ));
            println!("SQLite writes with synchronous=FULL, Postgres with fsync=on");
        }
        None => println!("no Postgres is installed: it is left out"),
    }
    println!("{CONNECTIONS} connections each; CPU with the database's own");

    for era in [Era::Legacy, Era::Modern] {
        let mut targets = Vec::new();
        for engine in &engines {
            targets.push(engine.calling(era).await?);
        }
        let things = format!("{} calls", era.name());
        let all = measure(&things, CALLS, &engines, &mut targets).await?;
        print_ratios(&engines, &all);
    }

    let mut targets = Vec::new();
    for engine in &engines {
        targets.push(engine.refreshing().await?);
    }
    measure("refreshes", REFRESHES, &engines, &mut targets).await?;

    let mut targets = Vec::new();
    for engine in &engines {
        targets.push(engine.authorizing().await?);
    }
    measure("authorizations", AUTHORIZATIONS, &engines, &mut targets).await?;
    Ok(())
}

/// Lets the engines take turns, and prints what it came to.
async fn measure<W: Work>(
    things: &str,
    (rounds, turns): (u32, u32),
    engines: &[Engine<'_>],
    targets: &mut [Target<W>],
) -> io::Result<Vec<Figures>> {
    let mut slices: Vec<Vec<Slice>> = targets.iter().map(|_| Vec::new()).collect();
    for target in &mut *targets {
        target.slice(turns).await?;
    }
    for _ in 0..rounds {
        for ((engine, target), slices) in engines.iter().zip(&mut *targets).zip(&mut slices) {
            // A database has more processes when it has more to do.
            target.pids = engine.processes();
            slices.push(target.slice(turns).await?);
        }
    }
    println!("\n{rounds} slices of {turns} {things} each");
    print_heading(things);
    let all: Vec<Figures> = slices.iter().map(|slices| Figures::of(slices)).collect();
    for (engine, figures) in engines.iter().zip(&all) {
        figures.print(engine.name);
    }
    Ok(all)
}

/// Prints how they compare with the first.
fn print_ratios(engines: &[Engine<'_>], all: &[Figures]) {
    let Some((first, others)) = all.split_first() else {
        return;
    };
    for (engine, figures) in engines.iter().skip(1).zip(others) {
        let (rate, processor) = (
            figures.rate_beside(first),
            figures.processor_time_beside(first),
        );
        println!(
            "    {:20} {rate:8.2} of memory (target ≥ 0.9), with {processor:.2} of its CPU",
            engine.name
        );
    }
}
