//! Real MCP servers behind this one: the reference server that has everything, in JavaScript, and two in
//! Python.

use std::{net::Ipv4Addr, path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::support::{McpClient, ModernClient, PATIENCE, TestServer, connect, outside};

/// The reference server. Where it is not installed, it says so.
async fn everything() -> Option<PathBuf> {
    let test = "the reference server";
    if !outside::has_node(test).await {
        return None;
    }
    outside::package(
        test,
        "@modelcontextprotocol/server-everything/dist/index.js",
    )
}

/// A program of the Python environment. Where that is not there, it says so.
fn python(program: &str) -> Option<PathBuf> {
    outside::python("a server in Python", program)
}

/// A table for a command.
fn command(arguments: &[&str]) -> String {
    format!("[[upstreams]]\ncommand = {arguments:?}\n")
}

/// A server of HTTP, at a port of its own. It ends when it is dropped.
struct HttpServer {
    port: u16,
    _child: Child,
    _held: TcpSocket,
}

impl HttpServer {
    async fn start(command: impl FnOnce(u16) -> Command) -> Self {
        // Nobody else is given a port that is held. As this does not listen there, the server still can:
        // it shares the address, as servers do that want to come back soon.
        let held = TcpSocket::new_v4().expect("a socket");
        held.set_reuseaddr(true).expect("a shared address");
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let port = held.local_addr().expect("an address").port();
        let child = command(port)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let deadline = Instant::now() + PATIENCE * 3;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "it does not listen");
            sleep(Duration::from_millis(50)).await;
        }
        Self {
            port,
            _child: child,
            _held: held,
        }
    }

    fn table(&self) -> String {
        format!(
            "[[upstreams]]\nurl = \"http://127.0.0.1:{}/mcp\"\n",
            self.port
        )
    }
}

struct Gateway {
    server: TestServer,
    token: String,
}

impl Gateway {
    async fn before(table: &str) -> Self {
        let server = TestServer::one_reading(table).await;
        let token = connect(&server).await.tokens.access;
        Self { server, token }
    }

    fn modern(&self) -> ModernClient {
        ModernClient::new(&self.server, &self.token)
    }

    async fn legacy(&self, capabilities: Value) -> McpClient {
        McpClient::declaring(&self.server, &self.token, "2025-11-25", capabilities).await
    }
}

fn text(result: &Value) -> &str {
    let text = result["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {result}"))
}

/// What can be done with the reference server, whichever way it is reached.
async fn do_everything(gateway: &Gateway) {
    let modern = gateway.modern();
    let listed = modern.result("tools/list", &json!({})).await;
    let tools = listed["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert!(names.contains(&"echo") && names.len() > 8, "{names:?}");

    let said = modern.call("echo", &json!({ "message": "hello" })).await;
    assert!(text(&said).contains("hello"), "{said}");
    let sum = modern.call("get-sum", &json!({ "a": 2, "b": 40 })).await;
    assert!(text(&sum).contains("42"), "{sum}");
    // Hints on content are passed on, and so is what has a shape.
    let arguments = json!({ "messageType": "error", "includeImage": true });
    let annotated = modern.call("get-annotated-message", &arguments).await;
    assert!(
        annotated["content"][0]["annotations"].is_object(),
        "{annotated}"
    );
    let shaped = modern
        .call("get-structured-content", &json!({ "location": "Chicago" }))
        .await;
    assert!(shaped["structuredContent"].is_object(), "{shaped}");

    let prompts = modern.result("prompts/list", &json!({})).await;
    assert!(!prompts["prompts"].as_array().unwrap().is_empty());
    let prompt = modern
        .result("prompts/get", &json!({ "name": "simple-prompt" }))
        .await;
    assert!(
        prompt["messages"][0]["content"]["text"].is_string(),
        "{prompt}"
    );
    let resources = modern.result("resources/list", &json!({})).await;
    let uri = &resources["resources"][0]["uri"];
    let read = modern
        .result("resources/read", &json!({ "uri": uri }))
        .await;
    assert_eq!(read["contents"][0]["uri"], *uri);

    // Progress, on the way of each era.
    let able = json!({ "elicitation": {}, "sampling": {} });
    let legacy = gateway.legacy(able.clone()).await;
    let steps = json!({ "duration": 1, "steps": 3 });
    let long = "trigger-long-running-operation";
    let messages = legacy.open(1, long, &steps).await.rest().await;
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert_eq!(messages[2]["params"]["progress"].as_f64(), Some(3.0));

    // Questions too: the client's model is asked.
    let question = json!({ "prompt": "Say hello", "maxTokens": 10 });
    let answer = json!({
        "role": "assistant", "content": { "type": "text", "text": "HELLO" }, "model": "m",
    });
    let mut events = legacy.open(2, "trigger-sampling-request", &question).await;
    let asked = events.message().await;
    assert_eq!(asked["method"], "sampling/createMessage", "{asked}");
    legacy.answer(&asked["id"], &answer).await;
    let result = events.rest().await.pop().unwrap();
    assert!(result.to_string().contains("HELLO"), "{result}");

    let modern = modern.declaring(able);
    let params = json!({ "name": "trigger-sampling-request", "arguments": question });
    let asked = modern.result("tools/call", &params).await;
    let (key, request) = asked["inputRequests"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(request["method"], "sampling/createMessage");
    let mut round = params.clone();
    round["inputResponses"] = json!({ key.as_str(): answer });
    round["requestState"] = asked["requestState"].clone();
    let result = modern.result("tools/call", &round).await;
    assert!(result.to_string().contains("HELLO"), "{result}");
}

#[tokio::test]
async fn the_reference_server_does_everything_as_a_child() {
    if let Some(script) = everything().await {
        let table = command(&["node", script.to_str().unwrap(), "stdio"]);
        do_everything(&Gateway::before(&table).await).await;
    }
}

#[tokio::test]
async fn the_reference_server_does_everything_over_http() {
    if let Some(script) = everything().await {
        let server = HttpServer::start(|port| {
            let mut node = Command::new("node");
            node.arg(script).arg("streamableHttp");
            node.env("PORT", port.to_string());
            node
        });
        let server = server.await;
        do_everything(&Gateway::before(&server.table()).await).await;
    }
}

#[tokio::test]
async fn the_time_is_told() {
    if let Some(server) = python("mcp-server-time") {
        let gateway = Gateway::before(&command(&[server.to_str().unwrap()])).await;
        let arguments = json!({ "timezone": "Europe/London" });
        let told = gateway.modern().call("get_current_time", &arguments).await;
        assert!(text(&told).contains("Europe/London"), "{told}");
        // What the server thinks of bad arguments is said in its words.
        let arguments = json!({ "timezone": "Nowhere/Never" });
        let told = gateway.modern().call("get_current_time", &arguments).await;
        assert_eq!(told["isError"], true, "{told}");
    }
}

/// The server in `tests/python/server.py` asks only within sessions; the rest it does without.
const SPOKEN_TO: [(&str, bool); 2] = [("", false), ("sessions_only = true\n", true)];

/// What can be done with it.
async fn do_all_of_ours(gateway: &Gateway, asks: bool) {
    let modern = gateway.modern();
    let sum = modern.call("add", &json!({ "a": 2, "b": 40 })).await;
    assert_eq!(sum["structuredContent"]["result"], 42, "{sum}");
    let read = modern
        .result("resources/read", &json!({ "uri": "story://Ada" }))
        .await;
    assert_eq!(read["contents"][0]["text"], "The story of Ada");
    let poem = json!({ "name": "poem", "arguments": { "about": "Ada" } });
    let poem = modern.result("prompts/get", &poem).await;
    assert_eq!(
        poem["messages"][0]["content"]["text"],
        "Write a poem about Ada"
    );
    let discovered = modern.result("server/discover", &json!({})).await;
    assert_eq!(discovered["instructions"], "Add and count.");

    let legacy = gateway.legacy(json!({ "elicitation": {} })).await;
    let messages = legacy
        .open(1, "count", &json!({ "to": 3 }))
        .await
        .rest()
        .await;
    let steps: Vec<_> = messages[..3]
        .iter()
        .map(|m| &m["params"]["message"])
        .collect();
    assert_eq!(steps, ["step 1", "step 2", "step 3"], "{messages:?}");
    if !asks {
        return;
    }
    let mut events = legacy.open(2, "greet", &json!({})).await;
    let asked = events.message().await;
    assert_eq!(asked["params"]["message"], "Who are you?", "{asked}");
    let answer = json!({ "action": "accept", "content": { "value": "Ada" } });
    legacy.answer(&asked["id"], &answer).await;
    let result = events.rest().await.pop().unwrap();
    assert_eq!(text(&result["result"]), "Hello, Ada!");
}

#[tokio::test]
async fn a_server_of_fastmcp_is_put_behind_as_a_child() {
    if let Some(python) = python("python") {
        let script = outside::here("tests/python/server.py");
        let [python, script] = [&python, &script].map(|path| path.to_str().unwrap());
        for (more, asks) in SPOKEN_TO {
            let table = command(&[python, script]) + more;
            do_all_of_ours(&Gateway::before(&table).await, asks).await;
        }
    }
}

#[tokio::test]
async fn a_server_of_fastmcp_is_put_behind_over_http() {
    if let Some(python) = python("python") {
        let server = HttpServer::start(|port| {
            let mut command = Command::new(python);
            command.arg(outside::here("tests/python/server.py"));
            command.arg(port.to_string());
            command
        });
        let server = server.await;
        for (more, asks) in SPOKEN_TO {
            let table = server.table() + more;
            do_all_of_ours(&Gateway::before(&table).await, asks).await;
        }
    }
}
