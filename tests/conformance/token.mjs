// A real access token, the way a client gets one: ask without, find the authorization server, register, send the person
// through the sign-in and consent pages, redeem the code. The person is a browser without script: it keeps cookies,
// follows redirects and submits forms.

import { createHash, randomBytes } from "node:crypto";

/** Nobody listens there: the browser stops in front of it. */
const REDIRECT_URI = "http://127.0.0.1:9/callback";

export async function accessToken(connector, passcode) {
  const metadata = await discover(connector);

  const client = await json(metadata.registration_endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      client_name: "MCP conformance suite",
      redirect_uris: [REDIRECT_URI],
      token_endpoint_auth_method: "none",
    }),
  });

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
  const answer = await allow(request, passcode);
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
async function discover(connector) {
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

async function json(url, init) {
  const answer = await fetch(url, init);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Walks from the authorization request through the pages to the redirect URI; what the client would receive there. */
async function allow(url, passcode) {
  const cookies = new Map();
  let init = {};
  // Authorization, sign-in, back, consent, client: a handful of steps, and never a circle.
  for (let step = 0; step < 10; step++) {
    const answer = await fetch(url, {
      ...init,
      redirect: "manual",
      headers: { ...init.headers, Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      if (value === "" || /;\s*max-age=0\b/i.test(cookie)) cookies.delete(name);
      else cookies.set(name, value);
    }
    const page = await answer.text();
    if (answer.status >= 300 && answer.status < 400) {
      url = new URL(answer.headers.get("location"), url);
      if (url.href.startsWith(REDIRECT_URI)) return url.searchParams;
      init = {};
      continue;
    }
    if (answer.status !== 200) throw new Error(`${url.pathname}: ${answer.status}`);
    const form = readForm(page, passcode);
    if (!form) throw new Error(`${url.pathname}: a page without a form`);
    url = new URL(form.action, url);
    init = { method: "POST", body: form.fields, headers: { Origin: url.origin } };
  }
  throw new Error("the pages lead nowhere");
}

/** The first form of a page, filled in, with the button pressed that allows. */
function readForm(page, passcode) {
  const [, opening, inside] = page.match(/<form\b([^>]*)>(.*?)<\/form>/s) ?? [];
  if (inside === undefined) return undefined;
  const fields = new URLSearchParams();
  for (const [, tag, text] of inside.matchAll(/<(input|button)\b([^>]*)>/g)) {
    const name = attribute(text, "name");
    const value = attribute(text, "value") ?? "";
    if (!name) continue;
    if (tag === "button" && value !== "allow") continue;
    fields.append(name, attribute(text, "type") === "password" ? passcode : value);
  }
  return { action: attribute(opening, "action") ?? "", fields };
}

function attribute(text, name) {
  const [, value] = text.match(new RegExp(`(?:^|\\s)${name}="([^"]*)"`)) ?? [];
  return value
    ?.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code) => String.fromCodePoint(parseInt(code, 16)))
    .replaceAll("&quot;", '"')
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
