//! What a request costs, beside the same request to bare axum: `cargo bench --bench http`.
//!
//! Nothing here fails on a figure: machines differ, and are busy. The processor time that a process
//! has used holds on a busy machine too; requests per second and latencies hold on an idle one.

mod bare;
mod connection;
mod figures;
mod footprint;
mod load;
mod messages;
mod process;
mod server;
mod startup;
#[path = "../../tests/support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::indexing_slicing,
    reason = "the stories of the tests need more of it, and may end where they fail"
)]
mod support;
mod throughput;

use messages::Era;
use server::{Server, launch};

fn main() {
    let is_bare_axum = std::env::args().any(|arg| arg == bare::ARGUMENT);
    if is_bare_axum {
        return bare::serve();
    }
    // One thread: the load must leave a processor to what is measured.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(run());
}

async fn run() {
    startup::measure();
    footprint::measure().await;

    let server = Server::start(launch()).await;
    for era in [Era::Legacy, Era::Modern] {
        throughput::measure(&server, era).await;
    }
    throughput::measure_event_stream(&server).await;
}
