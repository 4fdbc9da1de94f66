//! What each version leaves out of descriptions, contents and results.

use serde_json::{Value, json};

use crate::{
    every_method::LEGACY,
    support::{McpClient, ModernClient, TestServer, Workshop, connect},
};

/// A client of whatever version.
pub(crate) enum Client {
    Session(McpClient),
    Modern(ModernClient),
}

impl Client {
    pub(crate) async fn result(&self, method: &str, params: &Value) -> Value {
        match self {
            Self::Session(mcp) => mcp.result(method, params).await,
            Self::Modern(mcp) => mcp.result(method, params).await,
        }
    }

    async fn call(&self, tool: &str) -> Value {
        let params = json!({ "name": tool, "arguments": { "text": "hi" } });
        self.result("tools/call", &params).await
    }
}

/// A client of every version, oldest first.
async fn clients(shop: &Workshop) -> Vec<(&'static str, Client)> {
    let mut clients = Vec::new();
    for version in LEGACY {
        let session = shop.legacy(version, json!({})).await;
        clients.push((version, Client::Session(session)));
    }
    clients.push(("2026-07-28", Client::Modern(shop.modern().await)));
    clients
}

fn find<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut items = list.as_array().unwrap().iter();
    items.find(|item| item["name"] == name).unwrap()
}

#[tokio::test]
async fn descriptions_have_what_their_version_knows() {
    let shop = Workshop::open().await;
    for (version, client) in clients(&shop).await {
        let tools = client.result("tools/list", &json!({})).await["tools"].clone();
        let (echo, numbers) = (find(&tools, "echo"), find(&tools, "numbers"));
        let has_titles = version >= "2025-06-18";
        assert_eq!(echo.get("title").is_some(), has_titles, "{version}");
        assert_eq!(
            echo.get("annotations").is_some(),
            version >= "2025-03-26",
            "{version}"
        );
        assert_eq!(
            echo.get("outputSchema").is_some(),
            version >= "2025-06-18",
            "{version}"
        );
        // Before 2026-07-28 the root of an output schema is an object.
        assert_eq!(
            numbers.get("outputSchema").is_some(),
            version == "2026-07-28",
            "{version}"
        );
        for tool in tools.as_array().unwrap() {
            assert!(tool.get("execution").is_none(), "{version}: {tool}");
            assert_eq!(tool["inputSchema"]["type"], "object");
        }
        for (method, list, name) in [
            ("prompts/list", "prompts", "greeting"),
            ("resources/list", "resources", "note"),
            ("resources/templates/list", "resourceTemplates", "item"),
        ] {
            let result = client.result(method, &json!({})).await;
            let found = find(&result[list], name);
            assert_eq!(
                found.get("title").is_some(),
                has_titles,
                "{version}: {found}"
            );
            assert!(result.get("nextCursor").is_none(), "{version}: {result}");
        }
    }
}

#[tokio::test]
async fn lists_are_in_the_same_order_in_every_version() {
    let shop = Workshop::open().await;
    let mut lists = Vec::new();
    for (_, client) in clients(&shop).await {
        let result = client.result("tools/list", &json!({})).await;
        let tools = result["tools"].as_array().unwrap().clone();
        lists.push(
            tools
                .into_iter()
                .map(|tool| tool["name"].clone())
                .collect::<Vec<_>>(),
        );
    }
    assert!(lists.windows(2).all(|pair| pair[0] == pair[1]), "{lists:?}");
}

#[tokio::test]
async fn contents_are_what_their_version_can_carry() {
    let shop = Workshop::open().await;
    for (version, client) in clients(&shop).await {
        let result = client.call("rich").await;
        let kinds: Vec<&str> = result["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|content| content["type"].as_str().unwrap())
            .collect();
        let sound = if version >= "2025-03-26" {
            "audio"
        } else {
            "text"
        };
        let link = if version >= "2025-06-18" {
            "resource_link"
        } else {
            "text"
        };
        assert_eq!(
            kinds,
            ["text", "image", sound, link, "resource"],
            "{version}"
        );
        // What cannot be carried is told in words.
        let link = result["content"][3].to_string();
        assert!(link.contains("test://note"), "{version}: {link}");
        assert_eq!(result["content"][1]["mimeType"], "image/png");
        assert_eq!(result["content"][4]["resource"]["text"], "noted");
    }
}

#[tokio::test]
async fn results_have_a_shape_where_their_version_knows_shapes() {
    let shop = Workshop::open().await;
    for (version, client) in clients(&shop).await {
        let echo = client.call("echo").await;
        let numbers = client.call("numbers").await;
        let is_modern = version == "2026-07-28";
        assert_eq!(
            echo.get("structuredContent").is_some(),
            version >= "2025-06-18",
            "{version}"
        );
        assert_eq!(
            numbers.get("structuredContent").is_some(),
            is_modern,
            "{version}"
        );
        assert_eq!(numbers["content"][0]["text"], "[1,2]");
        for result in [
            &echo,
            &client
                .result("resources/read", &json!({ "uri": "test://note" }))
                .await,
        ] {
            for member in ["resultType", "_meta"] {
                assert_eq!(
                    result.get(member).is_some(),
                    is_modern,
                    "{version}: {result}"
                );
            }
        }
        let list = client.result("tools/list", &json!({})).await;
        for member in ["resultType", "_meta", "ttlMs", "cacheScope"] {
            assert_eq!(list.get(member).is_some(), is_modern, "{version}: {member}");
        }
    }
}

#[tokio::test]
async fn what_a_tool_says_beside_its_answer_arrives_in_every_version() {
    let shop = Workshop::open().await;
    for (version, client) in clients(&shop).await {
        let result = client.call("noted").await;
        for (key, value) in [("vendor.example/beside", 1), ("vendor.example/within", 2)] {
            assert_eq!(result["_meta"][key], value, "{version}: {result}");
        }
    }
}

#[tokio::test]
async fn what_is_offered_is_declared_as_each_version_does() {
    let shop = Workshop::open().await;
    let token = connect(&shop).await.tokens.access;
    for version in LEGACY {
        let result = McpClient::new(&shop, &token).initialize(version).await;
        let mut expected = json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "logging": {},
        });
        // 2025-03-26 made completion a capability of its own.
        if version >= "2025-03-26" {
            expected["completions"] = json!({});
        }
        assert_eq!(result["capabilities"], expected, "{version}");
    }
}

#[tokio::test]
async fn completion_that_is_not_offered_is_not_found() {
    let server = TestServer::start().await;
    let token = connect(&server).await.tokens.access;
    for version in LEGACY {
        let mcp = McpClient::initialized(&server, &token, version).await;
        let reference = json!({ "type": "ref/prompt", "name": "greeting" });
        let argument = json!({ "name": "tone", "value": "" });
        let params = json!({ "ref": reference, "argument": argument });
        // server/utilities/completion, “Error Handling”: -32601 without the capability.
        let answer = mcp.request("completion/complete", &params).await;
        assert_eq!(answer.rpc_error(), -32601, "{version}");
    }
}
