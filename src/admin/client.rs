//! The other end of the private listener: what the commands ask a running server.

use std::{net::SocketAddr, time::Duration};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::{Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{GrantEntry, GrantList};
use crate::web::listener_address::reachable;

/// How long the server may take. It is on this machine, and nearly always answers at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why the running server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// Nobody listens there.
    #[error("no server answers at {0} (--admin-listen, ADMIN_ADDR): {1}")]
    Unreachable(SocketAddr, #[source] std::io::Error),
    /// Somebody listens there who says nothing: perhaps not our server.
    #[error("{0} (--admin-listen, ADMIN_ADDR) did not answer within {TIMEOUT:?}")]
    Mute(SocketAddr),
    /// The conversation broke off.
    #[error("the server's answer could not be read: {0}")]
    Broken(#[from] hyper::Error),
    /// It refused or failed.
    #[error("the server answered {0}")]
    Refused(StatusCode),
    /// It answered something else.
    #[error("the server's answer is not a list of grants: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Every live grant of the server whose private listener is at `admin`.
pub async fn grants(admin: SocketAddr) -> Result<Vec<GrantEntry>, AdminClientError> {
    let (status, body) = send(admin, Method::GET, "/grants").await?;
    if status != StatusCode::OK {
        return Err(AdminClientError::Refused(status));
    }
    Ok(serde_json::from_slice::<GrantList>(&body)?.grants)
}

/// Revokes a grant; `false` if there is none of that name.
pub async fn revoke(admin: SocketAddr, id: &str) -> Result<bool, AdminClientError> {
    // What is no id is no grant's, and must not become part of a path.
    if !id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return Ok(false);
    }
    let (status, _) = send(admin, Method::DELETE, &format!("/grants/{id}")).await?;
    match status {
        StatusCode::NO_CONTENT => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        status => Err(AdminClientError::Refused(status)),
    }
}

/// Replaces the server's own keys.
pub async fn replace_keys(admin: SocketAddr) -> Result<(), AdminClientError> {
    tell(admin, "/keys").await
}

/// Tells the server that its state was changed by somebody else.
pub async fn look_again(admin: SocketAddr) -> Result<(), AdminClientError> {
    tell(admin, "/look-again").await
}

async fn tell(admin: SocketAddr, path: &str) -> Result<(), AdminClientError> {
    let (status, _) = send(admin, Method::POST, path).await?;
    match status {
        StatusCode::NO_CONTENT => Ok(()),
        status => Err(AdminClientError::Refused(status)),
    }
}

async fn send(
    admin: SocketAddr,
    method: Method,
    path: &str,
) -> Result<(StatusCode, Bytes), AdminClientError> {
    let admin = reachable(admin);
    let answered = timeout(TIMEOUT, exchange(admin, method, path)).await;
    answered.map_err(|_| AdminClientError::Mute(admin))?
}

async fn exchange(
    admin: SocketAddr,
    method: Method,
    path: &str,
) -> Result<(StatusCode, Bytes), AdminClientError> {
    let stream = TcpStream::connect(admin)
        .await
        .map_err(|error| AdminClientError::Unreachable(admin, error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", admin.to_string())
        .body(Body::empty())
        .expect("a method, a path of ours and an address make a request");
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, body))
}
