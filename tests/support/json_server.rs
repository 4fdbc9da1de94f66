//! An MCP server as simple as can be: a function from messages to results, without a guard.

use std::net::SocketAddr;

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse as _,
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// It ends when it is dropped.
pub(crate) struct JsonServer {
    addr: SocketAddr,
    serving: JoinHandle<()>,
}

/// What comes of a request: a result, or an error.
pub(crate) type Outcome = Result<Value, Value>;

impl JsonServer {
    /// At a port of its own.
    pub(crate) async fn start(answer: fn(&Value) -> Outcome) -> Self {
        let handle = move |message: String| async move {
            let message: Value = serde_json::from_str(&message).expect("JSON");
            let Some(id) = message.get("id") else {
                return StatusCode::ACCEPTED.into_response();
            };
            let mut response = json!({ "jsonrpc": "2.0", "id": id });
            match answer(&message) {
                Ok(result) => response["result"] = result,
                Err(error) => response["error"] = error,
            }
            (
                [(header::CONTENT_TYPE, "application/json")],
                response.to_string(),
            )
                .into_response()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let routes = Router::new().route("/mcp", post(handle));
        let serving = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves");
        });
        Self { addr, serving }
    }

    /// Where it is.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The table that puts it behind a gateway.
    pub(crate) fn table(&self) -> String {
        format!("[[upstreams]]\nurl = \"http://{}/mcp\"\n", self.addr)
    }
}

impl Drop for JsonServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
