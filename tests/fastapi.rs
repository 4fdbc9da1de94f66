//! A real API with its own description: FastAPI, as Python developers write it.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::support::{McpClient, TestServer, outside};

/// The API, while it runs, and its URL; `None` if it is not installed, which is said.
async fn pets(test: &str) -> Option<(Child, String)> {
    let mut child = Command::new(outside::python(test, "python")?)
        .arg(outside::here("tests/python/pets.py"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = timeout(outside::LIMIT, lines.next_line()).await;
    let url = url.unwrap().unwrap().unwrap();
    Some((child, url))
}

#[tokio::test]
async fn an_api_of_fastapi_is_a_connector() {
    let Some((_child, url)) = pets("an_api_of_fastapi_is_a_connector").await else {
        return;
    };
    let table = format!("[[apis]]\ndocument = \"{url}/openapi.json\"\nexclude = [\"tag:admin\"]\n");
    let server = TestServer::reading(&table).await;
    let client = McpClient::connected(&server, "2025-11-25").await;

    let listed = client.result("tools/list", &json!({})).await;
    let tools = listed["tools"].as_array().unwrap();
    let named = |beginning: &str| -> &Value {
        let is_it = |tool: &&Value| tool["name"].as_str().unwrap().starts_with(beginning);
        tools
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no {beginning} in {listed}"))
    };
    let name = |beginning: &str| named(beginning)["name"].as_str().unwrap();
    assert_eq!(tools.len(), 4, "{listed}");
    let schema = &named("add_pet")["inputSchema"];
    assert_eq!(
        schema["properties"]["kind"]["enum"],
        json!(["cat", "dog"]),
        "{schema}"
    );
    assert_eq!(schema["required"], json!(["name"]));
    assert_eq!(named("get_pet")["annotations"]["readOnlyHint"], true);

    let ada = json!({ "name": "Ada", "kind": "dog", "friends": [{ "name": "Bea" }] });
    let added = client.call(name("add_pet"), &ada).await;
    assert_eq!(added["isError"], false, "{added}");
    let id = added["structuredContent"]["id"].clone();
    assert_eq!(added["structuredContent"]["friends"][0]["kind"], "cat");

    let pet = client.call(name("get_pet"), &json!({ "pet_id": id })).await;
    assert_eq!(pet["structuredContent"], added["structuredContent"]);

    let arguments = json!({ "kind": "dog", "tag": ["a b", "c&d"], "x-request-source": "story" });
    let found = client.call(name("list_pets"), &arguments).await;
    let found = &found["structuredContent"];
    assert_eq!(found["pets"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found["tags"], &found["source"]),
        (&json!(["a b", "c&d"]), &json!("story"))
    );

    let picture = json!({ "pet_id": id, "picture": "AAECAwQ=" });
    let stored = client.call(name("upload_picture"), &picture).await;
    assert_eq!(
        stored["structuredContent"],
        json!({ "pet": id, "bytes": 5 }),
        "{stored}"
    );

    let nobody = client.call(name("get_pet"), &json!({ "pet_id": 99 })).await;
    assert_eq!(nobody["isError"], true);
    let said = "The API answered 404 Not Found: there is no pet 99";
    assert_eq!(nobody["content"][0]["text"], said);
}
