// The stories of strict OAuth libraries that know nothing of MCP. Each library checks what it is answered by itself, with
// everything on that it can check; here is what a client does with it, and what it must find. An adapter (the other
// scripts) puts each library's own words behind the same few methods.

import { Browser } from "./pages.mjs";
import { equal, fail, step } from "./say.mjs";

const REDIRECT_URI = "http://127.0.0.1:33418/callback";

const stories = { code, client_credentials: clientCredentials };

/** Runs the story that the command line names, with what follows its name: `node SCRIPT CONNECTOR_URL STORY [METHOD]`. */
export async function tell(Library) {
  const [connector, name, ...rest] = process.argv.slice(2);
  const story = stories[name] ?? fail(`the stories are ${Object.keys(stories).join(", ")}`);
  const client = () => new Library({ connector: new URL(connector), redirectUri: REDIRECT_URI });
  await story(client, ...rest);
}

/** A client that registers, is allowed in by a person, works for a while, and gives its access back. */
async function code(newClient, method) {
  const client = newClient();
  equal(await client.discover(), new URL(client.connector).origin, "the authorization server of the resource");
  const registered = await client.register({
    client_name: "Strict client test",
    redirect_uris: [REDIRECT_URI],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: method,
  });
  equal(registered.token_endpoint_auth_method, method, "the method in the registration");
  equal("client_secret" in registered, method.startsWith("client_secret_"), "a secret in the registration");
  step(`discovered, and registered for ${method}`);

  // A refusal has to pass the library's checks as well: `state`, and `iss` as RFC 9207 §2.4 wants it.
  const browser = new Browser();
  const denied = await answer(browser, await client.authorizationUrl(), "deny");
  await refused(client.redeem(denied), { error: "access_denied" });
  const callback = await answer(browser, await client.authorizationUrl(), "allow");
  equal(callback.searchParams.get("iss"), client.connector.origin, "iss in the callback");
  step("pushed two requests; one was denied, one allowed");

  const first = await client.redeem(callback);
  isTokenResponse(first);
  await isLetIn(client, first.access_token);
  step(`code exchanged for tokens, scope ${first.scope}`);

  const second = await client.refresh(first.refresh_token);
  isTokenResponse(second);
  second.access_token !== first.access_token || fail("the access token did not change");
  second.refresh_token !== first.refresh_token || fail("the refresh token did not rotate");
  await isLetIn(client, second.access_token);
  step("refreshed");

  const resource = await resourceServer(newClient);
  isKnown(await resource.introspect(second.access_token), registered.client_id, client.connector);
  equal((await resource.introspect(second.refresh_token)).active, false, "a refresh token, to a resource server");
  if (method !== "none") {
    isKnown(await client.introspect(second.access_token), registered.client_id, client.connector);
    equal((await client.introspect(second.refresh_token)).active, true, "the refresh token, to its client");
  }
  step("introspected");

  await client.revoke(second.refresh_token);
  equal((await resource.introspect(second.access_token)).active, false, "after the revocation");
  await refused(client.refresh(second.refresh_token), { error: "invalid_grant", status: 400 });
  await refused(client.redeem(callback), { error: "invalid_grant", status: 400 });
  await isShutOut(client, second.access_token);
  // RFC 7009 §2.2: what is not good any more is no error either.
  await client.revoke(second.access_token);
  step("revoked, and with it the access token");
}

/** A client of the operator that acts for nobody but itself. */
async function clientCredentials(newClient) {
  const client = newClient();
  await client.discover();
  const { CLIENT_ID: client_id, CLIENT_SECRET: client_secret } = process.env;
  for (const token_endpoint_auth_method of ["client_secret_basic", "client_secret_post"]) {
    await client.become({ client_id, client_secret, token_endpoint_auth_method });
    const tokens = await client.clientCredentials();
    equal(tokens.token_type, "bearer", "token_type");
    equal(tokens.refresh_token, undefined, "a refresh token");
    await isLetIn(client, tokens.access_token);
    isKnown(await client.introspect(tokens.access_token), client_id, client.connector);
    await client.revoke(tokens.access_token);
    await isShutOut(client, tokens.access_token);
    step(`a token of its own, by ${token_endpoint_auth_method}`);
  }
  await client.become({ client_id, client_secret: "wrong", token_endpoint_auth_method: "client_secret_basic" });
  // RFC 6749 §5.2: 401 and a challenge, which goes before the body in the libraries' eyes.
  await refused(client.clientCredentials(), { status: 401, scheme: "basic" });
  step("and none with a wrong secret");
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

function isTokenResponse(tokens) {
  // The libraries have looked at the types, and made the type of the token small.
  equal(tokens.token_type, "bearer", "token_type");
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
async function isShutOut(client, accessToken) {
  await refused(isLetIn(client, accessToken), { status: 401, scheme: "bearer", error: "invalid_token" });
}

/** What the library throws says this: an error of the body, of the callback, or of the challenge. */
async function refused(promise, { error, status, scheme }) {
  const thrown = await promise.then(
    (value) => fail("this should have been refused", value),
    (reason) => reason,
  );
  const challenge = Array.isArray(thrown.cause) ? thrown.cause[0] : undefined;
  const found = {
    error: thrown.error ?? challenge?.parameters.error,
    status: thrown.status,
    scheme: challenge?.scheme,
  };
  for (const [name, expected] of Object.entries({ error, status, scheme })) {
    if (expected !== undefined && found[name] !== expected) fail(`${name}: expected ${expected}`, thrown);
  }
}
