//! Memory: of a fresh server, and of a session that nobody uses.

use std::io;

use crate::{
    load::{Same, Target},
    messages, process,
    server::launch,
    support::{Connected, Program, connect},
};

/// Between these two numbers of sessions the memory of one is measured. The larger is the most that
/// one grant may have.
const FEW: u32 = 1_000;
const MANY: u32 = 100_000;

pub(crate) async fn measure() {
    let program = launch().start();
    let site = program.site();
    site.get("/healthz").send().await.expect(200);
    let mebibytes = |bytes| f64::from(bytes) / 1024.0 / 1024.0;
    let idle = mebibytes(process::resident_memory(program.pid()));
    let anonymous = mebibytes(process::anonymous_memory(program.pid()));
    println!(
        "idle resident memory: {idle:.1} MiB, {anonymous:.1} MiB of it not backed by a file (target < 10 MiB)"
    );

    let Connected { tokens, .. } = connect(&site).await;
    let initialize = messages::initialize(site.authority(), &tokens.access);
    let target = Target::connect(program.pid(), site.addr(), initialize).await;
    match slope(target, &program).await {
        Ok(slope) => println!(
            "idle legacy session: {slope:.0} bytes (slope from {FEW} to {MANY} sessions; target ≤ 512)"
        ),
        Err(error) => println!("idle legacy session: not measured: {error}"),
    }
}

async fn slope(target: io::Result<Target<Same>>, program: &Program) -> io::Result<f64> {
    let mut target = target?;
    target.slice(FEW).await?;
    let with_few = f64::from(process::resident_memory(program.pid()));
    target.slice(MANY - FEW).await?;
    let with_many = f64::from(process::resident_memory(program.pid()));
    Ok((with_many - with_few) / f64::from(MANY - FEW))
}
