// The stories of strict OAuth libraries that know nothing of MCP. Each library checks what it is answered by itself, with
// everything on that it can check; here is what a client does with it, and what it must find. An adapter (the other
// scripts) puts each library's own words behind the same few methods.

import { parseArgs } from "node:util";

import { generateKeyPair } from "oauth4webapi";

import { Browser } from "./pages.mjs";
import { equal, fail, step } from "./say.mjs";

const REDIRECT_URI = "http://127.0.0.1:33418/callback";

const stories = { code, client_credentials: clientCredentials };

/**
 * Runs the story that the command line names:
 *
 *     SIGN_IN_PASSCODE=… node SCRIPT CONNECTOR_URL STORY --method METHOD [--key ALGORITHM] [--dpop ALGORITHM]
 *
 * METHOD is how the client authenticates, and the algorithms what it signs that with, and proofs of possession.
 */
export async function tell(Library) {
  const options = { method: { type: "string" }, key: { type: "string" }, dpop: { type: "string" } };
  const { positionals, values } = parseArgs({ allowPositionals: true, options });
  const [connector, name] = positionals;
  const story = stories[name] ?? fail(`the stories are ${Object.keys(stories).join(", ")}`);
  await story(() => new Library({ connector: new URL(connector), redirectUri: REDIRECT_URI }), values);
}

/** A client that registers, is allowed in by a person, works for a while, and gives its access back. */
async function code(newClient, { method, key, dpop }) {
  const client = newClient();
  equal(await client.discover(), client.connector.origin, "the authorization server of the resource");
  const metadata = {
    client_name: "Strict client test",
    redirect_uris: [REDIRECT_URI],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: method,
  };
  const pair = key && (await generateKeyPair(key));
  if (pair) metadata.jwks = { keys: [await crypto.subtle.exportKey("jwk", pair.publicKey)] };
  if (dpop) metadata.dpop_bound_access_tokens = true;
  const registered = await client.register(metadata, pair?.privateKey);
  equal(registered.token_endpoint_auth_method, method, "the method in the registration");
  equal("client_secret" in registered, method.startsWith("client_secret_"), "a secret in the registration");
  step(`discovered, and registered for ${method}`);
  const proofKey = dpop && (await generateKeyPair(dpop));
  const thumbprint = dpop && (await client.proveWith(proofKey));

  // A refusal has to pass the library's checks as well: `state`, and `iss` as RFC 9207 §2.4 wants it.
  const browser = new Browser();
  const denied = await answer(browser, await client.authorizationUrl(), "deny");
  await refused(client.redeem(denied), { error: "access_denied" });
  const callback = await answer(browser, await client.authorizationUrl(), "allow");
  equal(callback.searchParams.get("iss"), client.connector.origin, "iss in the callback");
  step("pushed two requests; one was denied, one allowed");

  const type = dpop ? "dpop" : "bearer";
  const first = await client.redeem(callback);
  isTokenResponse(first, type);
  await isLetIn(client, first.access_token);
  step(`code exchanged for tokens, scope ${first.scope}`);

  const second = await client.refresh(first.refresh_token);
  isTokenResponse(second, type);
  second.access_token !== first.access_token || fail("the access token did not change");
  second.refresh_token !== first.refresh_token || fail("the refresh token did not rotate");
  await isLetIn(client, second.access_token);
  step("refreshed");

  const resource = await resourceServer(newClient);
  const known = await resource.introspect(second.access_token);
  isKnown(known, registered.client_id, client.connector);
  equal(known.token_type?.toLowerCase(), type, "the type, to a resource server");
  equal(known.cnf?.jkt, thumbprint, "the key, to a resource server");
  equal((await resource.introspect(second.refresh_token)).active, false, "a refresh token, to a resource server");
  if (method !== "none") {
    isKnown(await client.introspect(second.access_token), registered.client_id, client.connector);
    equal((await client.introspect(second.refresh_token)).active, true, "the refresh token, to its client");
  }
  step("introspected");

  if (dpop) {
    await client.proveWith(await generateKeyPair(dpop));
    await isShutOut(client, second.access_token, type);
    await client.proveWith(undefined);
    await isShutOut(client, second.access_token, "bearer");
    await client.proveWith(proofKey);
    await isLetIn(client, second.access_token);
    step("shut out with another key, and without one");
  }

  await client.revoke(second.refresh_token);
  equal((await resource.introspect(second.access_token)).active, false, "after the revocation");
  await refused(client.refresh(second.refresh_token), { error: "invalid_grant", status: 400 });
  await refused(client.redeem(callback), { error: "invalid_grant", status: 400 });
  await isShutOut(client, second.access_token, type);
  // RFC 7009 §2.2: what is not good any more is no error either.
  await client.revoke(second.access_token);
  step("revoked, and with it the access token");
}

/** A client of the operator that acts for nobody but itself. */
async function clientCredentials(newClient, { method }) {
  const client = newClient();
  await client.discover();
  const { CLIENT_ID: client_id, CLIENT_SECRET: client_secret, CLIENT_KEY } = process.env;
  const registered = { client_id, token_endpoint_auth_method: method };
  const signs = method === "private_key_jwt";
  if (!signs) registered.client_secret = client_secret;
  await client.become(registered, signs ? await privateKey(CLIENT_KEY) : undefined);

  const tokens = await client.clientCredentials();
  equal(tokens.token_type, "bearer", "token_type");
  equal(tokens.refresh_token, undefined, "a refresh token");
  await isLetIn(client, tokens.access_token);
  isKnown(await client.introspect(tokens.access_token), client_id, client.connector);
  step(`a token of its own, by ${method}`);

  await client.revoke(tokens.access_token);
  await isShutOut(client, tokens.access_token, "bearer");
  step("given back");

  if (!signs) registered.client_secret = "wrong";
  await client.become(registered, signs ? (await generateKeyPair("ES256")).privateKey : undefined);
  // RFC 6749 §5.2: the header is answered with a challenge, which the libraries look at before the body.
  const expected = method === "client_secret_basic" ? { scheme: "basic" } : { error: "invalid_client" };
  await refused(client.clientCredentials(), { status: 401, ...expected });
  step("and none for whoever is somebody else");
}

/** A key that the test knows (P-256, RFC 5208, in Base64). */
function privateKey(text) {
  return crypto.subtle.importKey(
    "pkcs8",
    Buffer.from(text, "base64"),
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign"],
  );
}

/** The API that the operator lets ask about tokens. */
async function resourceServer(newClient) {
  const { RESOURCE_SERVER_ID: client_id, RESOURCE_SERVER_SECRET: client_secret } = process.env;
  const server = newClient();
  await server.discover();
  await server.become({ client_id, client_secret, token_endpoint_auth_method: "client_secret_basic" });
  return server;
}

function answer(browser, url, decision) {
  // Everything else was pushed (RFC 9126 §4).
  equal([...url.searchParams.keys()].sort().join(), "client_id,request_uri", "what the browser carries");
  return browser.answer(url, { redirectUri: REDIRECT_URI, passcode: process.env.SIGN_IN_PASSCODE, decision });
}

function isTokenResponse(tokens, type) {
  // The libraries have looked at the types, and made the type of the token small.
  equal(tokens.token_type, type, "token_type");
  tokens.expires_in > 0 || fail("expires_in", tokens);
  tokens.refresh_token || fail("there is no refresh token", tokens);
}

function isKnown(token, clientId, audience) {
  equal(token.active, true, "active");
  equal(token.client_id, clientId, "client_id");
  equal(token.iss, audience.origin, "iss");
  equal(String(token.aud), audience.href, "aud");
  token.exp > token.iat || fail("exp", token);
}

/** The access token opens the MCP endpoint. */
async function isLetIn(client, accessToken) {
  const headers = new Headers({ "content-type": "application/json", accept: "application/json, text/event-stream" });
  const message = {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "strict-client-test", version: "1.0.0" },
    },
  };
  const response = await client.post(accessToken, headers, JSON.stringify(message));
  equal(response.status, 200, "/mcp");
  equal((await response.json()).result?.protocolVersion, "2025-11-25", "the MCP endpoint's answer");
}

/** It does not any more, and the library can read why. */
async function isShutOut(client, accessToken, scheme) {
  await refused(isLetIn(client, accessToken), { status: 401, scheme, error: "invalid_token" });
}

/** What the library throws says this: an error of the body, of the callback, or of the challenge. */
async function refused(promise, { error, status, scheme }) {
  const thrown = await promise.then(
    (value) => fail("this should have been refused", value),
    (reason) => reason,
  );
  const challenges = Array.isArray(thrown.cause) ? thrown.cause : [];
  const challenge = challenges.find((one) => one.scheme === scheme);
  const found = {
    error: thrown.error ?? challenge?.parameters.error,
    status: thrown.status,
    scheme: challenge?.scheme,
  };
  for (const [name, expected] of Object.entries({ error, status, scheme })) {
    if (expected !== undefined && found[name] !== expected) fail(`${name}: expected ${expected}`, thrown);
  }
}
