//! Ending: nobody who was being served is dropped, and nobody who says nothing is waited for.

use std::time::{Duration, Instant};

use crate::support::{Launch, McpClient, RawConnection, Site, connect};

const SECOND: Duration = Duration::from_secs(1);
const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A connection that has been answered and stays open.
async fn idle_connection(site: &Site) -> RawConnection {
    let mut connection = RawConnection::open(site.addr()).await;
    connection.send(HEALTHZ).await;
    let head = connection.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    connection.read_until("ok").await;
    connection
}

/// A request that the server has begun to handle: it has asked for the body, and got the half of it.
async fn running_request(site: &Site, token: &str) -> (RawConnection, &'static str) {
    let (first, second) = (
        r#"{"jsonrpc":"2.0","id":0,"#,
        concat!(
            r#""method":"initialize","params":{"protocolVersion":"2025-11-25","#,
            r#""capabilities":{},"clientInfo":{"name":"story","version":"1"}}}"#
        ),
    );
    let mut connection = RawConnection::open(site.addr()).await;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        site.authority(),
        first.len() + second.len(),
    );
    connection.send(head).await;
    // RFC 9110 §10.1.1: it is sent when the server wants the body, so the handler is running.
    let asked = connection.read_head().await;
    assert!(asked.starts_with("HTTP/1.1 100 "), "{asked}");
    connection.send(first).await;
    (connection, second)
}

#[tokio::test]
async fn it_ends_well_on_either_signal_whoever_is_connected() {
    for signal in ["TERM", "INT"] {
        let program = Launch::serving().start();
        let site = program.site();
        let token = connect(&site).await.tokens.access;
        let stream = McpClient::initialized(&site, &token, "2025-11-25")
            .await
            .stream()
            .await;
        assert_eq!(stream.status(), 200);
        let idle = idle_connection(&site).await;
        let silent = RawConnection::open(site.addr()).await;

        let started = Instant::now();
        program.signal(signal);
        let ended = program.ended();
        assert_eq!(ended.code, Some(0), "{signal}: {ended:#?}");
        // Streams and idle connections are no reason to wait for the five seconds.
        assert!(
            started.elapsed() < 4 * SECOND,
            "{signal}: {:?}",
            started.elapsed()
        );
        drop((stream, idle, silent));
    }
}

#[tokio::test]
async fn a_running_request_is_finished_while_idle_connections_are_closed() {
    let program = Launch::serving().start();
    let site = program.site();
    let token = connect(&site).await.tokens.access;
    let mut idle = idle_connection(&site).await;
    let (mut running, rest) = running_request(&site, &token).await;

    program.signal("TERM");
    let (_, closed_after) = idle.read_to_end(3 * SECOND).await;
    assert!(closed_after < 2 * SECOND, "{closed_after:?}");
    running.send(rest).await;
    let (answer, _) = running.read_to_end(5 * SECOND).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("2025-11-25"), "{answer}");
    assert_eq!(program.ended().code, Some(0));
}

#[tokio::test]
async fn a_connection_in_use_is_answered_once_more_and_told_that_it_was_the_last_time() {
    let program = Launch::serving().start();
    let site = program.site();
    let mut kept = idle_connection(&site).await;
    program.signal("TERM");
    // Nobody told the load balancer, which goes on to use it until it is told.
    loop {
        kept.send(HEALTHZ).await;
        let head = kept.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head:?}");
        kept.read_until("ok").await;
        if head.contains("connection: close") {
            break;
        }
    }
    kept.read_to_end(SECOND).await;
    assert_eq!(program.ended().code, Some(0));
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_five_seconds() {
    let program = Launch::serving().start();
    let site = program.site();
    let token = connect(&site).await.tokens.access;
    let running = running_request(&site, &token).await;

    let started = Instant::now();
    program.signal("TERM");
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(
        started.elapsed() > 4 * SECOND,
        "only {:?}",
        started.elapsed()
    );
    assert!(
        started.elapsed() < 8 * SECOND,
        "even {:?}",
        started.elapsed()
    );
    drop(running);
}

#[tokio::test]
async fn connections_that_were_only_just_accepted_are_served_first() {
    let program = Launch::serving().start();
    let site = program.site();
    // While the program stands still, the system accepts for it; when it wakes up, both the signal and the
    // connections are there.
    program.signal("STOP");
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut connection = RawConnection::open(site.addr()).await;
        connection.send(HEALTHZ).await;
        waiting.push(connection);
    }
    program.signal("TERM");
    program.signal("CONT");

    for mut connection in waiting {
        let (answer, _) = connection.read_to_end(5 * SECOND).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "a rolling restart loses a request: {answer:?}"
        );
    }
    assert_eq!(program.ended().code, Some(0));
}
