//! Descriptions of real APIs, converted whole: no panic, every schema one of 2020-12, no name twice.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use remote_mcp_auth::{Rehearsal, Server, config::Config};
use serde_json::{Value, json};

use crate::support::outside::package;

/// What a server would offer of a description.
async fn converted(path: &Path) -> Result<Rehearsal, String> {
    let directory = tempfile::tempdir().unwrap();
    let table = format!(
        "[[apis]]\ndocument = {:?}\nbase_url = \"https://api.example.com\"\n",
        path.to_str().unwrap()
    );
    fs::write(directory.path().join("server.toml"), table).unwrap();
    let flags = HashMap::from([("config", "server.toml".to_owned())]);
    let config = Config::load(&flags, &|_| None, directory.path()).unwrap();
    let rehearsed = Server::builder(config).rehearse().await;
    rehearsed.map_err(|error| error.to_string())
}

/// What holds of every tool.
#[track_caller]
fn assert_sound(offering: &Rehearsal) {
    let mut names = HashSet::new();
    for (name, words) in &offering.tools {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        assert!(
            (1..=64).contains(&name.len()) && name.bytes().all(fits),
            "{name}"
        );
        assert!(names.insert(name), "{name} is there twice");
        let tool: Value = serde_json::from_str(words).unwrap();
        assert!(!tool["description"].as_str().unwrap().is_empty(), "{name}");
        for schema in ["inputSchema", "outputSchema"] {
            let Some(schema) = tool.get(schema) else {
                continue;
            };
            assert!(
                jsonschema::draft202012::meta::is_valid(schema),
                "{name}: {schema}"
            );
            let compiled = jsonschema::draft202012::new(schema);
            assert!(compiled.is_ok(), "{name}: {compiled:?}");
            assert_eq!(schema["type"], "object", "{name}");
            assert!(
                !schema.to_string().contains("#/components/"),
                "{name}: {schema}"
            );
        }
        // What one client in use takes as the name of an argument.
        for argument in tool["inputSchema"]["properties"]
            .as_object()
            .unwrap()
            .keys()
        {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            let is_name = (1..=64).contains(&argument.len()) && argument.bytes().all(fits);
            assert!(is_name, "{name}: {argument}");
        }
    }
}

fn names(offering: &Rehearsal) -> Vec<&str> {
    let tools = offering.tools.iter();
    tools.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn the_github_rest_api_becomes_tools() {
    let test = "the_github_rest_api_becomes_tools";
    let Some(path) = package(test, "@octokit/openapi/generated/api.github.com.json") else {
        return;
    };
    let described = fs::read_to_string(&path).unwrap();
    let described: Value = serde_json::from_str(&described).unwrap();
    let methods = ["get", "put", "post", "delete", "options", "head", "patch"];
    let paths = described["paths"].as_object().unwrap().values();
    let operations: usize = paths
        .map(|item| {
            methods
                .iter()
                .filter(|method| item.get(*method).is_some())
                .count()
        })
        .sum();

    let began = Instant::now();
    let offering = converted(&path).await.unwrap();
    let took = began.elapsed();
    let total: usize = offering
        .tools
        .iter()
        .map(|(_, words)| Rehearsal::tokens(words))
        .sum();
    println!(
        "{} tools, about {total} tokens, in {took:?}",
        offering.tools.len()
    );
    for left_out in &offering.left_out {
        println!("{left_out}");
    }
    assert_sound(&offering);
    let left_out = offering.left_out.iter();
    let left_out = left_out
        .filter(|left_out| !left_out.what.starts_with("of "))
        .count();
    assert_eq!(offering.tools.len() + left_out, operations);
    assert!(left_out < 10, "{left_out} operations are left out");
    // Without optimization and on a busy machine; the program itself takes a small part of it.
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[tokio::test]
async fn petstore_becomes_tools() {
    let Some(path) = package(
        "petstore_becomes_tools",
        "@readme/oas-examples/3.0/json/petstore.json",
    ) else {
        return;
    };
    let offering = converted(&path).await.unwrap();
    assert_sound(&offering);
    let names: HashSet<&str> = offering
        .tools
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in [
        "addPet",
        "getPetById",
        "uploadFile",
        "placeOrder",
        "loginUser",
        "updateUser",
    ] {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    // No operation is lost but those whose body cannot be written.
    let lost: Vec<String> = offering.left_out.iter().map(ToString::to_string).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

#[tokio::test]
async fn every_example_in_both_formats_becomes_the_same_tools() {
    let test = "every_example_in_both_formats_becomes_the_same_tools";
    let mut count = 0;
    for version in ["3.0", "3.1"] {
        let Some(directory) = package(test, &format!("@readme/oas-examples/{version}/json")) else {
            return;
        };
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let offering = converted(&path).await;
            let offering = offering.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_sound(&offering);
            let name = path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .replace(".json", ".yaml");
            let yaml = path.with_file_name("../yaml").join(&name);
            if yaml.exists() {
                let same = converted(&yaml).await;
                let same = same.unwrap_or_else(|error| panic!("{}: {error}", yaml.display()));
                assert_eq!(names(&same), names(&offering), "{name}");
            }
            count += 1;
        }
    }
    assert!(count > 50, "only {count} examples were found");
}

/// A small description that has some of everything.
const SOME_OF_EVERYTHING: &str = r##"
openapi: 3.0.3
servers: [{ url: "https://{host}/v1", variables: { host: { default: a.example } } }]
paths:
  /pets/{id}:
    parameters: [{ name: id, in: path, required: true, style: label, schema: { type: integer } }]
    post:
      operationId: changePet
      tags: [pets]
      parameters:
        - { $ref: "#/components/parameters/Limit" }
        - { name: f, in: query, content: { application/json: { schema: { type: object } } } }
      requestBody:
        required: true
        content:
          multipart/form-data:
            encoding: { icon: { contentType: image/png, style: form, explode: true } }
            schema: { $ref: "#/components/schemas/Pet" }
      responses:
        "200": { content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } } }
components:
  parameters:
    Limit: { name: limit, in: query, explode: false, schema: { type: array, items: { type: integer, minimum: 1, exclusiveMinimum: true } } }
  schemas:
    Pet:
      allOf:
        - { type: object, required: [id], properties: { id: { type: integer, readOnly: true } } }
        - type: object
          properties:
            icon: { type: string, format: binary }
            kind: { type: string, enum: [cat, dog], nullable: true, pattern: "^[a-z]+$", maxLength: 9 }
            more: { type: object, additionalProperties: { oneOf: [{ type: string }, { $ref: "#/components/schemas/Pet" }] } }
"##;

/// The same value with another in each place, one after the other.
fn with_each_place_taken_by(value: &Value, by: &Value) -> Vec<Value> {
    let mut all = vec![by.clone()];
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                for changed in with_each_place_taken_by(member, by) {
                    let mut members = members.clone();
                    members.insert(name.clone(), changed);
                    all.push(Value::Object(members));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for changed in with_each_place_taken_by(item, by) {
                    let mut items = items.clone();
                    items[index] = changed;
                    all.push(Value::Array(items));
                }
            }
        }
        _ => {}
    }
    all
}

#[tokio::test]
async fn whatever_stands_anywhere_in_a_description_nothing_breaks() {
    let whole: Value = serde_saphyr::from_str(SOME_OF_EVERYTHING).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openapi.json");
    let (mut sound, mut refused) = (0, 0);
    for by in [
        json!(null),
        json!(true),
        json!(7),
        json!("x"),
        json!([]),
        json!({}),
        json!(["x"]),
    ] {
        for changed in with_each_place_taken_by(&whole, &by) {
            fs::write(&path, changed.to_string()).unwrap();
            match converted(&path).await {
                Ok(offering) => {
                    assert_sound(&offering);
                    sound += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    // Only what is no description at all is refused.
    assert!(
        sound > 400 && refused < 30,
        "{sound} sound, {refused} refused"
    );
}
