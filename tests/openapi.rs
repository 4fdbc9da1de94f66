//! APIs that describe themselves: which tools there are, what the API gets, and what the model does.

use axum::{Router, routing};
use serde_json::{Value, json};

use crate::support::{
    Api, Browser, Launch, McpClient, OAuthClient, Received, Reply, TestServer, TlsSite, Tokens,
};

const VERSION: &str = "2025-11-25";

/// The description of the pets of the stories, as YAML.
const DESCRIPTION: &str = r##"
openapi: 3.0.3
info: { title: Pets, version: "1" }
servers: [{ url: /v1 }]
paths:
  /pets:
    get:
      operationId: listPets
      summary: List all pets
      tags: [pets]
      parameters:
        - { name: limit, in: query, schema: { type: integer, maximum: 100, default: 20 } }
        - { name: "tag[]", in: query, schema: { type: array, items: { type: string } } }
        - { name: ids, in: query, explode: false, schema: { type: array, items: { type: integer } } }
        - { name: filter, in: query, style: deepObject, schema: { type: object } }
        - { name: X-Request-Source, in: header, schema: { type: string } }
        - { name: Authorization, in: header, schema: { type: string } }
        - { name: sid, in: cookie, schema: { type: string } }
      responses:
        "200":
          content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Pet" } } } }
    post:
      operationId: addPet
      description: Adds a pet.
      tags: [pets]
      requestBody:
        required: true
        content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } }
      responses:
        "201":
          content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } }
  /pets/{petId}:
    parameters:
      - { name: petId, in: path, required: true, schema: { type: integer } }
    get:
      operationId: getPet
      tags: [pets]
      responses:
        "200":
          content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } }
    put:
      operationId: movePet
      tags: [admin]
      requestBody:
        content:
          application/json:
            schema:
              type: object
              required: [petId]
              properties: { petId: { type: integer }, shop: { type: string } }
      responses: { "204": { description: moved } }
    delete:
      tags: [admin]
      responses: { "204": { description: gone } }
  /pets/{petId}/picture:
    post:
      operationId: pets/upload-picture
      requestBody:
        content:
          multipart/form-data:
            schema:
              type: object
              properties:
                file: { type: string, format: binary }
                caption: { type: string }
      responses: { "200": { description: ok } }
  /elsewhere:
    get:
      operationId: elsewhere
      servers: [{ url: "https://uploads.example" }]
      responses: { "200": { description: ok } }
  /xml:
    post:
      operationId: sendXml
      requestBody: { required: true, content: { application/xml: {} } }
      responses: { "200": { description: ok } }
components:
  schemas:
    Pet:
      type: object
      required: [id, name]
      properties:
        id: { type: integer, readOnly: true }
        name: { type: string, minLength: 1, example: Rex }
        nick: { type: string, nullable: true }
        mother: { $ref: "#/components/schemas/Pet" }
"##;

fn pets(request: &Received) -> Reply {
    let pet = || json!({ "id": 7, "name": "Ada", "nick": null });
    match request.line().split('?').next().unwrap_or_default() {
        "GET /openapi.yaml" => Reply::new(200, DESCRIPTION),
        "GET /v1/pets" => Reply::json(200, &json!([pet()])),
        "POST /v1/pets" => Reply::json(201, &pet()),
        "GET /v1/pets/7" => Reply::json(200, &pet()),
        // Nothing of what the description says.
        "GET /v1/pets/8" => Reply::json(200, &json!({ "id": "eight", "name": 8, "more": true })),
        "GET /v1/pets/9" => Reply::json(200, &json!(["not", "an", "object"])),
        "PUT /v1/pets/7" | "DELETE /v1/pets/7" => Reply::new(204, ""),
        "POST /v1/pets/7/picture" => Reply::json(200, &json!({ "stored": true })),
        _ => Reply::json(
            404,
            &json!({ "title": "Not here", "detail": "there is no such pet" }),
        ),
    }
}

const ALL: &str = "[[apis]]\ndocument = \"API/openapi.yaml\"\n";

fn named<'a>(tools: &'a [Value], name: &str) -> &'a Value {
    let mut tools = tools.iter();
    let tool = tools.find(|tool| tool["name"] == name);
    tool.unwrap_or_else(|| panic!("there is no {name}"))
}

#[tokio::test]
async fn the_operations_of_an_api_are_tools() {
    let api = Api::start(pets).await;
    let (_server, client) = api.connected(ALL).await;
    let expected = [
        "listPets",
        "addPet",
        "getPet",
        "movePet",
        "delete_pets_petId",
        "pets_upload-picture",
    ];
    assert_eq!(client.tool_names().await, expected);
    let listed = client.result("tools/list", &json!({})).await;
    let tools = listed["tools"].as_array().unwrap();

    let list = named(tools, "listPets");
    assert_eq!(list["title"], "List all pets");
    assert_eq!(list["description"], "List all pets");
    assert_eq!(list["annotations"]["readOnlyHint"], true);
    assert!(
        list.get("outputSchema").is_none(),
        "a list has no shape: {list}"
    );
    let arguments = list["inputSchema"]["properties"].as_object().unwrap();
    let arguments: Vec<&str> = arguments.keys().map(String::as_str).collect();
    assert_eq!(
        arguments,
        ["X-Request-Source", "filter", "ids", "limit", "tag"]
    );
    let limit = json!({ "type": "integer", "maximum": 100, "default": 20 });
    assert_eq!(list["inputSchema"]["properties"]["limit"], limit);

    let add = named(tools, "addPet");
    assert_eq!(add["inputSchema"]["required"], json!(["name"]));
    let properties = &add["inputSchema"]["properties"];
    assert!(
        properties.get("id").is_none(),
        "only answers have it: {add}"
    );
    assert_eq!(
        properties["name"],
        json!({ "type": "string", "minLength": 1 })
    );
    assert_eq!(properties["nick"], json!({ "type": ["string", "null"] }));
    assert_eq!(add["annotations"]["readOnlyHint"], false);
    assert_eq!(add["annotations"]["idempotentHint"], false);
    assert_eq!(add["outputSchema"]["type"], "object");
    assert!(add["outputSchema"]["properties"]["id"].is_object(), "{add}");

    let moved = named(tools, "movePet");
    let properties = &moved["inputSchema"]["properties"];
    assert!(
        properties.get("petId").is_some() && properties.get("body_petId").is_some(),
        "{moved}"
    );
    assert_eq!(moved["annotations"]["idempotentHint"], true);
    assert_eq!(
        named(tools, "delete_pets_petId")["annotations"]["destructiveHint"],
        true
    );
}

#[tokio::test]
async fn arguments_are_written_where_the_description_says() {
    let api = Api::start(pets).await;
    let (_server, client) = api.connected(ALL).await;
    let arguments = json!({
        "limit": 5, "tag": ["a b", "c"], "ids": [1, 2], "filter": { "kind": "cat" },
        "X-Request-Source": "story",
    });
    client.call("listPets", &arguments).await;
    let sent = api.last();
    assert_eq!(
        sent.line(),
        "GET /v1/pets?limit=5&tag%5B%5D=a%20b&tag%5B%5D=c&ids=1,2&filter%5Bkind%5D=cat"
    );
    assert_eq!(sent.header("x-request-source"), Some("story"));

    client
        .call(
            "addPet",
            &json!({ "name": "Ada", "nick": null, "mother": { "name": "Eve" } }),
        )
        .await;
    let sent = api.last();
    assert_eq!(sent.line(), "POST /v1/pets");
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(
        sent.json(),
        json!({ "name": "Ada", "nick": null, "mother": { "name": "Eve" } })
    );

    client
        .call(
            "movePet",
            &json!({ "petId": 7, "body_petId": 8, "shop": "x" }),
        )
        .await;
    let sent = api.last();
    assert_eq!(
        (sent.line(), sent.json()),
        ("PUT /v1/pets/7", json!({ "petId": 8, "shop": "x" }))
    );
    client.call("movePet", &json!({ "petId": 7 })).await;
    assert_eq!(
        api.last().body,
        "",
        "nobody said anything for a body that need not be there"
    );

    let arguments = json!({ "petId": "7", "file": "aGVsbG8=", "caption": "Ada" });
    let result = client.call("pets_upload-picture", &arguments).await;
    assert_eq!(result["content"][0]["text"], r#"{"stored":true}"#);
    let sent = api.last();
    assert!(
        sent.header("content-type")
            .unwrap()
            .starts_with("multipart/form-data; boundary=")
    );
    assert!(sent.body.contains("filename=\"file\"") && sent.body.contains("\r\n\r\nhello\r\n"));

    let result = client
        .call("delete_pets_petId", &json!({ "petId": 7 }))
        .await;
    assert_eq!(api.last().line(), "DELETE /v1/pets/7");
    assert_eq!(result["content"][0]["text"], "Done (204 No Content)");

    let requests = api.received().len();
    for bad in [
        json!({}),
        json!({ "petId": "../7" }),
        json!({ "petId": 7, "x": 1 }),
    ] {
        let refused = client.call("getPet", &bad).await;
        assert_eq!(refused["isError"], true, "{refused}");
    }
    assert_eq!(
        api.received().len(),
        requests,
        "what does not fit is not sent"
    );
}

#[tokio::test]
async fn an_answer_has_a_shape_and_an_api_that_deviates_breaks_nothing() {
    let api = Api::start(pets).await;
    let (_server, client) = api.connected(ALL).await;
    let get = async |id: u64| client.call("getPet", &json!({ "petId": id })).await;
    let result = get(7).await;
    let pet = json!({ "id": 7, "name": "Ada", "nick": null });
    assert_eq!(result["structuredContent"], pet);
    assert_eq!(result["content"][0]["text"], pet.to_string());

    let deviating = json!({ "id": "eight", "name": 8, "more": true });
    assert_eq!(get(8).await["structuredContent"], deviating);
    let list = json!({ "result": ["not", "an", "object"] });
    assert_eq!(get(9).await["structuredContent"], list);

    let refused = get(404).await;
    assert_eq!(refused["isError"], true);
    let said = "The API answered 404 Not Found: Not here: there is no such pet";
    assert_eq!(refused["content"][0]["text"], said);
}

#[tokio::test]
async fn the_operator_chooses_and_names() {
    let api = Api::start(pets).await;
    let file = ALL.to_owned()
        + r#"
        prefix = "shop_"
        include = ["tag:pets", "DELETE /pets/*"]
        exclude = ["listPets"]
        rename = { getPet = "look", "DELETE /pets/{petId}" = "remove" }
        fields = ["name"]
    "#;
    let (_server, client) = api.connected(&file).await;
    assert_eq!(client.tool_names().await, ["shop_addPet", "look", "remove"]);
    let result = client.call("look", &json!({ "petId": 7 })).await;
    assert_eq!(result["structuredContent"], json!({ "name": "Ada" }));
}

#[tokio::test]
async fn an_operation_needs_the_scope_that_the_operator_says() {
    let api = Api::start(pets).await;
    let file = ALL.to_owned()
        + r#"
        scopes = { write = ["POST", "PUT"], admin = ["DELETE"] }

        [[scopes]]
        name = "read"
        description = "Look at pets"

        [[scopes]]
        name = "write"
        description = "Change pets"
        implies = ["read"]

        [[scopes]]
        name = "admin"
        description = "Remove pets"
    "#;
    let server = TestServer::reading(&file.replace("API", &api.url())).await;
    let client = async |scope: &str| {
        let client = OAuthClient::register(&server).await;
        let url = client.authorize_url_with(&client.authorization().set("scope", scope));
        let code = Browser::new(&server).approve(&url).await.code();
        let tokens = Tokens::of(&client.redeem(&code).await);
        McpClient::initialized(&server, &tokens.access, VERSION).await
    };
    let reader = client("read").await;
    assert_eq!(reader.tool_names().await, ["listPets", "getPet"]);
    let params = json!({ "name": "addPet", "arguments": { "name": "Ada" } });
    let refused = reader.request("tools/call", &params).await;
    assert_eq!(refused.status, 403);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("scope=\"write\""), "{challenge}");

    let writer = client("write").await;
    let expected = [
        "listPets",
        "addPet",
        "getPet",
        "movePet",
        "pets_upload-picture",
    ];
    assert_eq!(writer.tool_names().await, expected);
    assert_eq!(
        client("admin").await.tool_names().await,
        ["delete_pets_petId"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_which_tools_there_are_how_large_they_are_and_what_is_left_out() {
    let api = Api::start(pets).await;
    let check = |file: String| {
        Launch::bare()
            .file("server.toml", &file)
            .file("openapi.yaml", DESCRIPTION)
            .args(&["check", "--config", "server.toml"])
            .run()
    };
    let ended = check(ALL.replace("API", &api.url()) + "exclude = [\"getPet\", \"nothing*\"]\n");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "the configuration is valid");
    let tokens = |name: &str| -> usize {
        let line = lines
            .iter()
            .find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in {ended:#?}"));
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    let five = [
        "listPets",
        "addPet",
        "movePet",
        "delete_pets_petId",
        "pets_upload-picture",
    ];
    let sum: usize = five.map(tokens).iter().sum();
    assert_eq!(tokens("total"), sum);
    assert!((20..400).contains(&tokens("listPets")), "{ended:#?}");
    assert!(ended.stdout.contains("tokens in 5 tools"), "{ended:#?}");
    for part in [
        "the cookie parameter \"sid\"",
        "elsewhere (GET /elsewhere): it is at another server, https://uploads.example",
        "sendXml (POST /xml): its body is application/xml",
        "1 of 8 operations: include and exclude say so",
        "\"nothing*\": no operation is meant by it",
    ] {
        assert!(ended.stdout.contains(part), "no {part} in {ended:#?}");
    }

    // A file has no place that its server could be relative to.
    let ended = check("[[apis]]\ndocument = \"openapi.yaml\"\n".to_owned());
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("set base_url"), "{ended:#?}");
    let base = "[[apis]]\ndocument = \"openapi.yaml\"\nbase_url = \"https://api.example.com\"\n";
    assert_eq!(check(base.to_owned()).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_names_its_own_host_alone() {
    let description = "openapi: 3.1.0\nservers: [{ url: 'http://169.254.169.254/' }]\npaths: {}\n";
    let api = Api::start(move |_| Reply::new(200, description)).await;
    let run = |more: &str| {
        let file = ALL.replace("API", &api.url()) + more;
        Launch::bare()
            .file("server.toml", &file)
            .args(&["check", "--config", "server.toml"])
            .run()
    };
    let ended = run("");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(
        ended
            .stderr
            .contains("names a server at http://169.254.169.254"),
        "{ended:#?}"
    );
    assert_eq!(run("base_url = \"http://169.254.169.254\"\n").code, Some(0));
}

#[test]
fn a_mistake_is_named_with_file_line_and_key() {
    const TOOL: &str = "[[http_tools]]\nname = \"a\"\ndescription = \"A.\"\n";
    for (table, said) in [
        ("[[apis]]\n".to_owned(), "document must be a text"),
        (
            "[[apis]]\ndocument = \"gone.yaml\"\n".to_owned(),
            "document gone.yaml",
        ),
        (
            "[[apis]]\ndocument = \"x.yaml\"\ncolour = 1\n".to_owned(),
            "unknown key \"colour\"",
        ),
        (
            "[[apis]]\ndocument = \"x.yaml\"\nbase_url = \"api\"\n".to_owned(),
            "base_url must be a URL",
        ),
        (
            "[[apis]]\ndocument = \"x.yaml\"\ninclude = [\"GET pets\"]\n".to_owned(),
            "include: \"GET pets\": a path begins with /",
        ),
        (
            "[[apis]]\ndocument = \"x.yaml\"\nscopes = { admin = [\"DELETE\"] }\n".to_owned(),
            "scopes: scope \"admin\" is not defined",
        ),
        (
            "[[apis]]\ndocument = \"x.yaml\"\nidentity = { value_env = \"NOT_SET\" }\n".to_owned(),
            "the variable NOT_SET is not set",
        ),
        (
            "[[apis]]\ndocument = \"x.yaml\"\ntimeout = \"1h\"\n".to_owned(),
            "timeout must be at most 10m",
        ),
        (
            "[[apis]]\ndocument = \"x.yaml\"\nheaders = { Host = \"x\" }\n".to_owned(),
            "Host is set by the server itself",
        ),
        (TOOL.to_owned(), "url must be a text"),
        (
            format!("{TOOL}url = \"https://{{h}}/\"\n"),
            "url has places for arguments only in",
        ),
        (
            format!("{TOOL}url = \"https://x/\"\nbody = \"arguments\"\n"),
            "a GET request has no body",
        ),
        (
            format!("{TOOL}url = \"https://x/\"\nmethod = \"FETCH\"\n"),
            "method \"FETCH\"",
        ),
        (
            format!("{TOOL}url = \"https://x/\"\nscope = \"x\"\n"),
            "scope \"x\" is not defined",
        ),
        (
            format!("{TOOL}url = \"https://x/{{id}}\"\ninput_schema = {{ type = \"object\" }}\n"),
            "a place for {id}",
        ),
        (
            format!("{TOOL}url = \"https://x/\"\n{TOOL}url = \"https://x/\"\n"),
            "\"a\" stands there twice",
        ),
    ] {
        let ended = Launch::bare()
            .file("server.toml", &format!("# A comment.\n\n{table}"))
            .file("x.yaml", "openapi: 3.1.0")
            .args(&["check", "--config", "server.toml"])
            .run();
        assert_eq!(ended.code, Some(2), "{table}: {ended:#?}");
        assert!(
            ended.stderr.contains("(in server.toml, line "),
            "{ended:#?}"
        );
        assert!(ended.stderr.contains(said), "{said}: {ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_over_tls_must_be_who_it_says() {
    let description = json!({
        "openapi": "3.1.0",
        "paths": { "/pets": { "get": { "operationId": "listPets" } } },
    });
    let routes = Router::new()
        .route("/openapi.json", routing::get(description.to_string()))
        .route("/pets", routing::get(json!(["Ada"]).to_string()));
    let site = TlsSite::start(routes).await;
    let file = format!("[[apis]]\ndocument = \"{}\"\n", site.url("/openapi.json"));
    let launch = || {
        Launch::serving()
            .file("server.toml", &file)
            .env("CONFIG_FILE", "server.toml")
    };
    let ended = launch().run();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("cannot be reached"), "{ended:#?}");

    let authority = site.authority();
    let program = launch()
        .env("SSL_CERT_FILE", authority.to_str().unwrap())
        .start();
    let site = program.site();
    let client = McpClient::connected(&site, VERSION).await;
    let result = client.call("listPets", &json!({})).await;
    assert_eq!(result["content"][0]["text"], r#"["Ada"]"#);
}
