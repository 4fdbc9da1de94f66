//! `initialize`: the version, what we offer, and a session.

use std::borrow::Cow;

use axum::{http::HeaderValue, response::Response};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{answer, sessions};
use crate::mcp::{
    dispatch,
    era::{Era, LegacyVersion},
    exchange::Exchange,
    feature::ClientCapabilities,
    params::Params,
    rejection::Rejection,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams<'a> {
    #[serde(borrow)]
    protocol_version: Cow<'a, str>,
    #[serde(default)]
    capabilities: Value,
}

/// Answers with the version that was asked for, if we speak it, and begins a session. Its name goes
/// out in a header, and clients must send it from then on.
pub(super) async fn initialize<'a>(
    exchange: &Exchange<'_>,
    id: &RawValue,
    params: &Params<'_>,
) -> Result<Response, Rejection<'a>> {
    let params: InitializeParams<'_> = match params.read() {
        Ok(params) => params,
        Err(error) => return Ok(exchange.reply(answer(id, Err(error)))),
    };
    let version = LegacyVersion::parse(&params.protocol_version).unwrap_or(LegacyVersion::NEWEST);
    let era = Era::Legacy(version);
    let mut result = json!({
        "protocolVersion": version.as_str(),
        "capabilities": dispatch::capabilities(exchange.features, era),
        "serverInfo": dispatch::server_info(era),
    });
    if let (Some(instructions), Some(result)) =
        (exchange.features.instructions(), result.as_object_mut())
    {
        result.insert("instructions".to_owned(), json!(instructions));
    }
    let client = ClientCapabilities::read(&params.capabilities);
    let session = sessions::begin(exchange.mcp, exchange.authorization, version, client).await?;
    let result = result.to_string().into_bytes();
    let mut response = exchange.reply(answer(id, Ok(result)));
    let session = HeaderValue::try_from(session.expose())
        .expect("a minted secret is visible ASCII, as the specification asks");
    response.headers_mut().insert(sessions::HEADER, session);
    Ok(response)
}
