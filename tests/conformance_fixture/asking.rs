//! Tools that ask, in whichever way the client's era has: a request on the stream of the call, or
//! an answer that asks for another round.

use serde_json::{Value, json};

use super::{Fixture, NEWEST, filled, form, one, prompt, said, sampled, server_meta};
use crate::{
    modern_rounds::next,
    support::{McpClient, ModernClient},
};

/// A call that asks one question.
struct Asking {
    tool: &'static str,
    arguments: Value,
    question: Value,
    answer: Value,
    text: &'static str,
}

impl Asking {
    async fn in_session(&self, mcp: &McpClient) {
        let mut events = mcp.open(1, self.tool, &self.arguments).await;
        let mut request = events.message().await;
        let id = request["id"].take();
        assert!(id.is_u64() || id.is_string(), "{id}");
        let mut expected = self.question.clone();
        expected["jsonrpc"] = json!("2.0");
        expected["id"] = json!(null);
        assert_eq!(request, expected, "{}", self.tool);

        mcp.answer(&id, &self.answer).await;
        let answered = json!({ "jsonrpc": "2.0", "id": 1, "result": said(self.text) });
        assert_eq!(events.rest().await, [answered]);
    }

    async fn in_rounds(&self, mcp: &ModernClient) {
        let params = json!({ "name": self.tool, "arguments": self.arguments });
        let asked = mcp.result("tools/call", &params).await;
        let expected = json!({
            "resultType": "input_required",
            "inputRequests": { "response": self.question },
            "requestState": asked["requestState"],
            "_meta": server_meta(),
        });
        assert_eq!(asked, expected, "{}", self.tool);

        let answers = json!({ "response": self.answer });
        let round = next(&params, &asked, answers);
        let mut expected = said(self.text);
        expected["resultType"] = json!("complete");
        expected["_meta"] = server_meta();
        assert_eq!(mcp.result("tools/call", &round).await, expected);
    }

    /// In one era and in the other.
    async fn goes_the_whole_way(&self, fixture: &Fixture) {
        self.in_session(&fixture.legacy(NEWEST).await).await;
        self.in_rounds(&fixture.modern()).await;
    }
}

#[tokio::test]
async fn the_model_is_asked_what_the_argument_says() {
    let fixture = Fixture::start().await;
    let answered = sampled("This is a test response");
    // Since 2025-11-25 a model may answer in several pieces.
    let mut in_pieces = answered.clone();
    in_pieces["content"] = json!([answered["content"]]);
    for answer in [answered, in_pieces] {
        let asking = Asking {
            tool: "test_sampling",
            arguments: json!({ "prompt": "Test prompt for sampling" }),
            question: prompt("Test prompt for sampling", 100),
            answer,
            text: "LLM response: This is a test response",
        };
        asking.goes_the_whole_way(&fixture).await;
    }
}

#[tokio::test]
async fn the_person_is_asked_for_a_name_and_an_address() {
    let fixture = Fixture::start().await;
    let schema = json!({
        "type": "object",
        "properties": { "username": { "type": "string" }, "email": { "type": "string" } },
        "required": ["username", "email"],
    });
    for (answer, text) in [
        (
            filled(&json!({ "username": "ada", "email": "ada@example.com" })),
            r#"User response: action=accept, content={"email":"ada@example.com","username":"ada"}"#,
        ),
        (
            json!({ "action": "decline" }),
            "User response: action=decline, content={}",
        ),
        (
            json!({ "action": "cancel" }),
            "User response: action=cancel, content={}",
        ),
    ] {
        let asking = Asking {
            tool: "test_elicitation",
            arguments: json!({ "message": "Who are you?" }),
            question: form("Who are you?", &schema),
            answer,
            text,
        };
        asking.goes_the_whole_way(&fixture).await;
    }
}

#[tokio::test]
async fn every_kind_of_field_has_a_default() {
    let fixture = Fixture::start().await;
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": {
                "type": "string",
                "enum": ["active", "inactive", "pending"],
                "default": "active",
            },
            "verified": { "type": "boolean", "default": true },
        },
        "required": [],
    });
    let asking = Asking {
        tool: "test_elicitation_sep1034_defaults",
        arguments: json!({}),
        question: form("Please review the form.", &schema),
        // Nothing is required.
        answer: filled(&json!({})),
        text: "User response: action=accept, content={}",
    };
    asking.goes_the_whole_way(&fixture).await;
}

#[tokio::test]
async fn every_kind_of_choice_is_offered() {
    let fixture = Fixture::start().await;
    let options = ["option1", "option2", "option3"];
    let titled = json!([
        { "const": "value1", "title": "First Option" },
        { "const": "value2", "title": "Second Option" },
        { "const": "value3", "title": "Third Option" },
    ]);
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": options },
            "titledSingle": { "type": "string", "oneOf": titled },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {
                "type": "array",
                "items": { "type": "string", "enum": options },
            },
            "titledMulti": { "type": "array", "items": { "anyOf": titled } },
        },
        "required": [],
    });
    let asking = Asking {
        tool: "test_elicitation_sep1330_enums",
        arguments: json!({}),
        question: form("Please choose.", &schema),
        answer: filled(&json!({ "titledMulti": ["value1", "value3"], "legacyEnum": "opt2" })),
        text: r#"User response: action=accept, content={"legacyEnum":"opt2","titledMulti":["value1","value3"]}"#,
    };
    asking.goes_the_whole_way(&fixture).await;
}

#[tokio::test]
async fn in_2026_the_streaming_tool_asks_in_its_answer() {
    let fixture = Fixture::start().await;
    let asking = Asking {
        tool: "test_streaming_elicitation",
        arguments: json!({}),
        question: form("What is your name?", &one("name", "string")),
        answer: filled(&json!({ "name": "Ada" })),
        text: r#"User response: action=accept, content={"name":"Ada"}"#,
    };
    asking.in_rounds(&fixture.modern()).await;
}
