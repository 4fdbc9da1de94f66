// A real access token, the way a client gets one: ask without, find the authorization server, register, send the person
// through the sign-in and consent pages, redeem the code.

import { createHash, randomBytes } from "node:crypto";

import { allow } from "./pages.mjs";

/** Nobody listens there: the browser stops in front of it. */
const REDIRECT_URI = "http://127.0.0.1:9/callback";

export async function accessToken(connector, passcode) {
  const metadata = await discover(connector);

  const client = await register(metadata, REDIRECT_URI);

  const verifier = randomBytes(32).toString("base64url");
  const state = randomBytes(16).toString("base64url");
  const request = new URL(metadata.authorization_endpoint);
  request.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    state,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    resource: connector,
  });
  const { searchParams: answer } = await allow(request, REDIRECT_URI, passcode);
  if (answer.get("state") !== state || !answer.get("code")) throw new Error(`no code came back: ${answer}`);

  const token = await json(metadata.token_endpoint, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: answer.get("code"),
      redirect_uri: REDIRECT_URI,
      client_id: client.client_id,
      code_verifier: verifier,
      resource: connector,
    }),
  });
  return token.access_token;
}

/** From the refusal to the authorization server. Without a refusal, nothing would be guarded and nothing shown. */
export async function discover(connector) {
  const refusal = await fetch(connector, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
  });
  const challenge = refusal.headers.get("www-authenticate") ?? "";
  const [, resource] = challenge.match(/resource_metadata="([^"]+)"/) ?? [];
  if (refusal.status !== 401 || !resource) throw new Error(`not guarded: ${refusal.status} ${challenge}`);
  const { authorization_servers: [issuer] } = await json(resource);
  return json(new URL("/.well-known/oauth-authorization-server", issuer));
}

/** A public client, as the suite is one. */
export function register(metadata, redirectUri) {
  return json(metadata.registration_endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      client_name: "MCP conformance suite",
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: "none",
    }),
  });
}

async function json(url, init) {
  const answer = await fetch(url, init);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
