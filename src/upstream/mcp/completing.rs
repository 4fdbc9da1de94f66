//! Completion by an upstream.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{call::Failure, upstream::Upstream};
use crate::mcp::feature::{CallError, Completing, Completion, Context};

/// Lets an upstream complete what is missing in `reference`.
pub(super) async fn pass_on(
    upstream: &Arc<Upstream>,
    reference: Map<String, Value>,
    completing: Completing<'_>,
    context: &Context,
) -> Result<Completion, CallError> {
    if !upstream.known().catalogue.has("completions") {
        return Ok(Completion::default());
    }
    let mut params = Map::new();
    params.insert("ref".to_owned(), Value::Object(reference));
    let argument = json!({ "name": completing.name, "value": completing.value });
    params.insert("argument".to_owned(), argument);
    if !completing.others.is_empty() {
        let others = json!({ "arguments": completing.others });
        params.insert("context".to_owned(), others);
    }
    let passed = upstream
        .pass_on(context, "completion/complete", params)
        .await;
    let in_words = |failure: Failure| failure.into_call_error(&upstream.label);
    let result = passed.map_err(in_words)?;
    let completion = result.get("completion");
    let member = |name: &str| completion?.get(name);
    let values = member("values").and_then(Value::as_array);
    let values = values.into_iter().flatten().filter_map(Value::as_str);
    Ok(Completion {
        values: values.map(str::to_owned).collect(),
        total: member("total").and_then(Value::as_u64),
        has_more: member("hasMore").and_then(Value::as_bool).unwrap_or(false),
    })
}
