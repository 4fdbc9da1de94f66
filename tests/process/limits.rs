//! Limits of the system that the program runs into.

use crate::support::{Launch, RawConnection};

#[tokio::test]
async fn more_connections_fit_than_the_shell_gave_files() {
    let program = Launch::serving_after("ulimit -Sn 64").start();
    let site = program.site();
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut connection = RawConnection::open(site.addr()).await;
        connection
            .send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        let head = connection.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        open.push(connection);
    }
    assert!(!program.log().contains("limits.connections"));
}

#[test]
fn fewer_files_than_connections_is_a_warning_that_names_the_setting() {
    let program = Launch::serving_after("ulimit -n 164").start();
    program.logged("at most 100 connections");
    program.logged("limits.connections");
    assert_eq!(program.terminate().code, Some(0));
}
