//! Requests under load beside the same to bare axum, and one streamed answer at a time.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    bare::BareAxum,
    connection::Connection,
    figures::{Figures, millis, percentiles},
    load::{CONNECTIONS, Target},
    messages::{self, Era},
    server::Server,
};

/// Slices of ours and of bare axum's take turns, so that whatever else the machine does falls on both.
const ROUNDS: u32 = 40;
const REQUESTS: u32 = 8_000;

const STREAMED: u32 = 500;

/// Both requests in one era. An era that the server does not speak is said to be skipped.
pub(crate) async fn measure(server: &Server, era: Era) {
    for (method, request) in [
        ("tools/list", messages::list_tools(&server.caller, era)),
        ("tools/call", messages::call_tool(&server.caller, era)),
    ] {
        let (name, version) = (era.name(), era.version());
        println!("\n{name} {method} ({version})");
        if let Err(problem) = compare(server, era, request).await {
            println!("    skipped: {problem}");
        }
    }
}

async fn compare(server: &Server, era: Era, request: Vec<u8>) -> io::Result<()> {
    let addr = server.site.addr();
    let mut connection = Connection::open(addr).await?;
    let answer = connection.exchange(&request).await?;
    if answer.status != 200 {
        let (status, version) = (answer.status, era.version());
        return Err(io::Error::other(format!(
            "the server answers {status}: it does not speak {version} yet"
        )));
    }
    let bare = BareAxum::answering(answer.body);
    let mut ours = Target::connect(server.program.pid(), addr, request.clone()).await?;
    let mut bares = Target::connect(bare.pid(), bare.addr(), request).await?;
    ours.slice(REQUESTS).await?;
    bares.slice(REQUESTS).await?;
    let (mut slices_of_ours, mut slices_of_bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        slices_of_ours.push(ours.slice(REQUESTS).await?);
        slices_of_bare.push(bares.slice(REQUESTS).await?);
    }
    println!("    {ROUNDS} slices of {REQUESTS} requests each over {CONNECTIONS} connections");
    let most_processor_time = match era {
        Era::Legacy => 1.5,
        Era::Modern => 1.4,
    };
    Figures::of(&slices_of_ours).print_beside(&Figures::of(&slices_of_bare), most_processor_time);
    Ok(())
}

/// A streamed answer to a client that waits for it. Without `TCP_NODELAY` it would take some 40 ms.
pub(crate) async fn measure_event_stream(server: &Server) {
    match streamed_answers(server).await {
        Ok(times) => {
            let [median, slow] = percentiles(times, [50, 99]);
            println!(
                "\none streamed answer: {} (p99 {}, one at a time, {STREAMED} in all; target far below 40 ms)",
                millis(median),
                millis(slow)
            );
        }
        Err(error) => println!("\none streamed answer: not measured: {error}"),
    }
}

async fn streamed_answers(server: &Server) -> io::Result<Vec<Duration>> {
    let request = messages::call_tool_for_events(&server.caller);
    let mut connection = Connection::open(server.site.addr()).await?;
    let mut times = Vec::new();
    for _ in 0..STREAMED {
        let began = Instant::now();
        let answer = connection.exchange(&request).await?;
        times.push(began.elapsed());
        if answer.header("content-type")? != "text/event-stream" {
            return Err(io::Error::other(answer.head.to_owned()));
        }
    }
    Ok(times)
}
