//! The connection below HTTP: sizes, patience, and how many there may be.

use std::time::{Duration, Instant};

use tokio::time::{interval, timeout};

use crate::support::{McpClient, RawConnection, TestServer, connect};

const SECOND: Duration = Duration::from_secs(1);

fn healthz(filling: usize) -> String {
    let filling = "x".repeat(filling);
    format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-filling: {filling}\r\nconnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_header_block_over_32_kib_is_too_large() {
    let server = TestServer::start().await;

    let mut connection = RawConnection::open(server.addr()).await;
    connection.send(healthz(30 * 1024)).await;
    let head = connection.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");

    let mut connection = RawConnection::open(server.addr()).await;
    connection.send(healthz(34 * 1024)).await;
    // RFC 6585 §5.
    let head = connection.read_head().await;
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
}

#[tokio::test]
async fn many_small_headers_are_too_large_together() {
    let server = TestServer::start().await;
    let request = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x-small: filling\r\n".repeat(3000),
    );
    let mut connection = RawConnection::open(server.addr()).await;
    connection.send(request).await;
    let head = connection.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 431 "),
        "{}",
        head.get(..200).unwrap_or(&head)
    );
}

#[tokio::test]
async fn headers_that_trickle_in_are_cut_off_after_ten_seconds() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    let started = Instant::now();
    connection
        .send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n")
        .await;

    // One more header every second: never silent, never complete.
    let trickle = async {
        let mut seconds = interval(SECOND);
        loop {
            seconds.tick().await;
            if !connection.send("x-more: y\r\n").await {
                break;
            }
        }
    };
    timeout(15 * SECOND, trickle)
        .await
        .expect("the server loses its patience");
    assert!(
        started.elapsed() > 8 * SECOND,
        "cut off after {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    let (_, waited) = connection.read_to_end(15 * SECOND).await;
    assert!(waited > 8 * SECOND, "closed after {waited:?}");
}

#[tokio::test]
#[ignore = "waits half a minute of real time for a body that never ends"]
async fn a_body_that_trickles_in_is_cut_off_after_thirty_seconds() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    connection
        .send(
            "POST /register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: 1000\r\n\r\n{",
        )
        .await;
    let (answer, waited) = connection.read_to_end(40 * SECOND).await;
    assert!(waited > 25 * SECOND, "cut off after {waited:?}");
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
}

#[tokio::test]
async fn bodies_over_the_limit_of_their_route_are_too_large() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;

    for (path, length) in [
        ("/mcp", 17 * 1024 * 1024),
        ("/register", 65 * 1024),
        ("/token", 17 * 1024 * 1024),
    ] {
        let mut connection = RawConnection::open(server.addr()).await;
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n",
            server.authority(),
        )
        .into_bytes();
        request.resize(request.len() + length, b' ');
        let head = connection.send_until_answered(&request).await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{path}: {head}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_is_counted() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    let chunks = format!("4000\r\n{}\r\n", "x".repeat(0x4000)).repeat(5);
    let request = format!(
        "POST /register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{chunks}",
    );
    let head = connection.send_until_answered(request.as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
}

/// Refused before the body was read; nobody reads the answer before all of it was sent.
#[tokio::test]
async fn an_early_refusal_is_no_broken_connection() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;
    for (path, authorization, length, status) in [
        ("/mcp", String::new(), 5 * 1024 * 1024, "401"),
        (
            "/mcp",
            format!("authorization: Bearer {token}\r\n"),
            17 * 1024 * 1024,
            "413",
        ),
        ("/register", String::new(), 1024 * 1024, "413"),
        ("/nowhere", String::new(), 1024 * 1024, "404"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{authorization}content-type: application/json\r\n",
            server.authority(),
        );
        let body = " ".repeat(length);
        for request in [
            format!("{head}content-length: {length}\r\n\r\n{body}"),
            format!("{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"),
        ] {
            let mut connection = RawConnection::open(server.addr()).await;
            assert!(
                connection.send(request).await,
                "{path}: reset while sending"
            );
            let head = connection.read_head().await;
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{path}: {head}"
            );
            // The whole of it was taken, so the connection is good for more.
            connection
                .send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await;
            let rest = connection.read_until("\r\n\r\nok").await;
            assert!(rest.contains("HTTP/1.1 200 "), "{path}: {rest}");
        }
    }
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_not_read_for_ever() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    let length = 64 * 1024 * 1024;
    let head = format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    connection.send(head).await;
    assert!(
        !connection.send(vec![b' '; length]).await,
        "all of it was taken"
    );
}

#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_that_nobody_wants_is_not_asked() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    connection
        .send(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
             content-length: 1000\r\n\r\n",
        )
        .await;
    let (answer, waited) = connection.read_to_end(15 * SECOND).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(waited < 5 * SECOND, "closed after {waited:?}");
}

#[tokio::test]
#[ignore = "waits half a minute of real time for a body that never ends"]
async fn a_body_that_nobody_wants_has_thirty_seconds_too() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    connection
        .send("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{")
        .await;
    let (answer, waited) = connection.read_to_end(40 * SECOND).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(waited > 25 * SECOND, "closed after {waited:?}");
}

#[tokio::test]
async fn a_message_just_under_the_limit_is_heard() {
    let server = TestServer::start().await;
    let mcp = connect(&server).await.mcp(&server);
    let mut message = crate::support::initialize_message("2025-11-25");
    message["params"]["_meta"] = serde_json::json!({ "filling": "x".repeat(15 * 1024 * 1024) });
    mcp.post(&message).await.expect(200);
}

#[tokio::test]
async fn the_number_of_open_connections_is_capped_and_places_become_free() {
    let server = TestServer::with([("limits.connections", "4")]).await;
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut connection = RawConnection::open(server.addr()).await;
        connection.send(request).await;
        let head = connection.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        open.push(connection);
    }

    // The fifth waits or is turned away, but is not served while the four stay.
    let mut fifth = RawConnection::open(server.addr()).await;
    fifth.send(request).await;
    let head = timeout(SECOND, fifth.read_head()).await;
    assert!(
        !head.is_ok_and(|head| head.starts_with("HTTP/1.1 200 ")),
        "five at once"
    );

    drop((open, fifth));
    let mut sixth = RawConnection::open(server.addr()).await;
    sixth.send(request).await;
    let head = sixth.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn who_has_been_idle_longest_gives_way_when_there_is_no_place() {
    let server = TestServer::with([("limits.connections", "3")]).await;
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answered = async |connection: &mut RawConnection| {
        connection.send(request).await;
        let answer = connection.read_until("\r\n\r\nok").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    };
    let mut busy = RawConnection::open(server.addr()).await;
    busy.send(
        "POST /register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n\r\n{",
    )
    .await;
    let mut first = RawConnection::open(server.addr()).await;
    answered(&mut first).await;
    let mut second = RawConnection::open(server.addr()).await;
    answered(&mut second).await;

    let mut newcomer = RawConnection::open(server.addr()).await;
    let staying = async {
        let mut seconds = interval(SECOND);
        loop {
            seconds.tick().await;
            answered(&mut first).await;
        }
    };
    tokio::select! {
        () = staying => {}
        () = answered(&mut newcomer) => {}
    }
    second.read_to_end(SECOND).await;
    // Nobody else was asked to go: not who was heard later, and not who is being served.
    answered(&mut first).await;
    busy.send("}").await;
    let head = busy.read_head().await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = TestServer::start().await;
    let mut connection = RawConnection::open(server.addr()).await;
    for _ in 0..3 {
        connection
            .send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        let head = connection.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(connection.read_until("ok").await, "ok");
    }
}

/// A session, and the connection on which its stream is open.
async fn open_stream(server: &TestServer) -> (McpClient, RawConnection) {
    let token = connect(server).await.tokens.access;
    let mcp = McpClient::initialized(server, &token, "2025-11-25").await;
    let mut connection = RawConnection::open(server.addr()).await;
    let request = format!(
        "GET /mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         accept: text/event-stream\r\nmcp-session-id: {}\r\n\
         mcp-protocol-version: 2025-11-25\r\n\r\n",
        server.authority(),
        mcp.session.as_deref().unwrap(),
    );
    connection.send(request).await;
    let head = connection.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(connection.read_until(": open").await.ends_with(": open"));
    (mcp, connection)
}

#[tokio::test]
async fn a_request_behind_an_open_stream_does_not_end_the_stream() {
    let server = TestServer::start().await;
    let (mcp, mut connection) = open_stream(&server).await;
    connection
        .send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    // Longer than the headers of a request may take.
    let comment = connection.read_until(": keep-alive\n\n").await;
    assert!(comment.ends_with(": keep-alive\n\n"), "{comment:?}");
    // Its turn comes when the stream has ended.
    mcp.end().await.expect(204);
    let rest = connection.read_until("ok").await;
    assert!(rest.contains("HTTP/1.1 200 "), "{rest:?}");
}

#[tokio::test]
async fn a_request_that_begins_behind_a_stream_has_ten_seconds_from_the_streams_end() {
    let server = TestServer::start().await;
    let (mcp, mut connection) = open_stream(&server).await;
    connection.send("GET /healthz HTTP/1.1\r\nhost: ").await;
    mcp.end().await.expect(204);
    let (_, waited) = connection.read_to_end(15 * SECOND).await;
    assert!(waited > 8 * SECOND, "closed after {waited:?}");
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_the_server_lives_on() {
    let server = TestServer::start().await;
    for nonsense in [
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        // RFC 9112 §6.1: both lengths at once is how requests are smuggled.
        "POST /token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\r\n\r\n",
    ] {
        let mut connection = RawConnection::open(server.addr()).await;
        connection.send(nonsense).await;
        let (answer, _) = connection.read_to_end(15 * SECOND).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{nonsense:?}: {answer}"
        );
    }
    server.get("/healthz").send().await.expect(200);
}
