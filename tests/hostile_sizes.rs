//! Input that is too deep, too long or too much, in both eras.

use serde_json::json;

use crate::{
    hostile_input::{Hand, Hand::Session, assert_code, assert_protocol, message},
    support::Workshop,
};

#[tokio::test]
async fn depth_is_bounded() {
    let shop = Workshop::open().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    for hand in Hand::both(&shop).await {
        for nested in [&deep, &objects] {
            assert_code(&hand.call("7", nested).await, Some("7"), -32602);
            let arguments = format!("{{\"text\":{nested}}}");
            assert_code(&hand.call("7", &arguments).await, Some("7"), -32602);
            // Where it means nothing it does no harm.
            let arguments = "\"name\":\"echo\",\"arguments\":{\"text\":\"a\"}";
            let params = hand.params(&format!("{arguments},\"unknown\":{nested}"));
            let answer = hand.post(message("7", "\"tools/call\"", &params)).await;
            assert_protocol(&answer, Some("7"));
            for body in [
                message("7", "\"tools/call\"", nested),
                format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":{nested}}}"),
            ] {
                assert_protocol(&hand.post(body).await, Some("7"));
            }
            assert_protocol(&hand.post(nested.clone()).await, None);
            let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{nested},\"method\":\"ping\"}}");
            assert_code(&hand.post(body).await, None, -32600);
        }
        assert_code(&hand.post("[".repeat(100_000)).await, None, -32700);
    }
}

#[tokio::test]
async fn ids_of_any_size_come_back() {
    let shop = Workshop::open().await;
    let digits = "9".repeat(1000);
    let negative = format!("-{digits}");
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    for hand in Hand::both(&shop).await {
        for id in [
            &digits,
            &negative,
            &long,
            "\"\\u0000\"",
            "\"\\ud800\"",
            "\"\\\"\\\\\"",
            "-0",
        ] {
            let answer = hand.call(id, "{\"text\":\"a\"}").await;
            assert_protocol(&answer, Some(id));
            assert_eq!(answer.status, 200);
            // In an error too.
            let answer = hand.call(id, "5").await;
            assert_protocol(&answer, Some(id));
        }
        for id in ["1.5", "1e3", "1e400", "null", "true", "{}", "[1]"] {
            let answer = hand.call(id, "{\"text\":\"a\"}").await;
            assert_code(&answer, None, -32600);
        }
    }
}

#[tokio::test]
async fn strangers_among_the_members_are_passed_over() {
    let shop = Workshop::open().await;
    let strangers: Vec<String> = (0..10_000)
        .map(|n| format!("\"x{n}\":{{\"y\":[{n}]}}"))
        .collect();
    let strangers = strangers.join(",");
    for hand in Hand::both(&shop).await {
        let plain = "\"name\":\"echo\",\"arguments\":{\"text\":\"a\"}";
        let params = hand.params(&format!("{plain},{strangers}"));
        let inside = message("7", "\"tools/call\"", &params);
        let params = hand.params(plain);
        let outside = format!(
            "{{{strangers},\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{params}}}"
        );
        let arguments = format!("\"name\":\"echo\",\"arguments\":{{\"text\":\"a\",{strangers}}}");
        let deeper = message("7", "\"tools/call\"", &hand.params(&arguments));
        for body in [inside, outside, deeper] {
            let answer = hand.post(body).await.expect(200);
            assert_eq!(answer.rpc()["result"]["content"][0]["text"], "a");
        }
    }
}

#[tokio::test]
async fn numbers_of_any_size_are_answered() {
    let shop = Workshop::open().await;
    let digits = "9".repeat(1000);
    for hand in Hand::both(&shop).await {
        for number in [
            digits.as_str(),
            "1e400",
            "-1e400",
            "1e-400",
            "18446744073709551616",
            "-0",
        ] {
            let arguments = format!("{{\"text\":\"a\",\"n\":{number}}}");
            assert_protocol(&hand.call("7", &arguments).await, Some("7"));
        }
    }
}

#[tokio::test]
async fn names_of_any_length_are_not_repeated_at_length() {
    let shop = Workshop::open().await;
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    let session = shop.legacy("2025-11-25", json!({})).await;
    let hand = Session(session);
    for body in [
        message("7", &long, "{}"),
        message("7", "\"tools/call\"", &format!("{{\"name\":{long}}}")),
        message("7", "\"prompts/get\"", &format!("{{\"name\":{long}}}")),
        message("7", "\"resources/read\"", &format!("{{\"uri\":{long}}}")),
        message(
            "7",
            "\"logging/setLevel\"",
            &format!("{{\"level\":{long}}}"),
        ),
    ] {
        let answer = hand.post(body).await;
        assert_protocol(&answer, Some("7"));
        let message = answer.rpc()["error"]["message"].as_str().unwrap().len();
        assert!(message < 1000, "{message}");
    }
}
