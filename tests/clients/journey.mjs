// The whole way of a user with a new client: add the URL, sign in, allow, call the tool, come back
// later, leave. The SDK under test does everything that is OAuth or MCP; here are only the person,
// the client's memory, and the questions whether each step went as it must.

import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { Browser } from "./pages.mjs";
import { equal, fail, step } from "./say.mjs";

const REDIRECT_URI = "http://127.0.0.1:33418/callback";

/** What a client remembers about one server: the memory that the SDKs ask a client to provide. */
class Memory {
  redirectUrl = REDIRECT_URI;
  clientMetadata = {
    client_name: "Real client test",
    redirect_uris: [REDIRECT_URI],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };

  state = () => (this.sentState ??= crypto.randomUUID());
  clientInformation = () => this.client;
  saveClientInformation = (client) => void (this.client = client);
  tokens = () => this.saved;
  saveTokens = (tokens) => void (this.saved = tokens);
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  discoveryState = () => this.discovery;
  saveDiscoveryState = (discovery) => void (this.discovery = discovery);
  redirectToAuthorization = (url) => void (this.authorizationUrl = url);
}

/** Runs the journey with one SDK; `finishAuth` hands it the callback in its own way. */
export async function journey({ Client, Transport, UnauthorizedError, clientOptions, finishAuth }) {
  const url = new URL(process.argv[2] ?? fail("usage: node SCRIPT CONNECTOR_URL (and SIGN_IN_PASSCODE)"));
  const passcode = process.env.SIGN_IN_PASSCODE ?? fail("SIGN_IN_PASSCODE is not set");
  const memory = new Memory();
  const wire = new Wire();
  const connection = () => new Transport(url, { authProvider: memory, fetch: wire.fetch });
  const newClient = () => new Client({ name: "real-client-test", version: "1.0.0" }, clientOptions);

  // Without a token the server refuses, and its 401 leads the SDK through discovery and registration
  // to the point where a person is needed.
  const first = connection();
  await newClient().connect(first).then(
    () => fail("the server let a client in without a token"),
    (error) => error instanceof UnauthorizedError || fail("connecting failed otherwise than by a 401", error),
  );
  wire.expect("POST /mcp 401");
  wire.expect("GET /.well-known/oauth-protected-resource/mcp 200");
  wire.expect("GET /.well-known/oauth-authorization-server 200");
  wire.expect("POST /register 201");
  step(`discovered, and registered as ${memory.client.client_id}`);

  const callback = await new Browser().answer(memory.authorizationUrl, { redirectUri: REDIRECT_URI, passcode });
  equal(callback.searchParams.get("error"), null, "error in the callback");
  equal(callback.searchParams.get("state"), memory.sentState, "state in the callback");
  equal(callback.searchParams.get("iss"), url.origin, "iss in the callback");
  step("signed in and allowed");

  await finishAuth(first, callback);
  wire.expect("POST /token authorization_code 200");
  ["access_token", "refresh_token"].forEach((name) => memory.saved[name] || fail(`the token response has no ${name}`));
  step(`code exchanged for tokens, scope ${memory.saved.scope}`);

  const client = newClient();
  const transport = connection();
  await client.connect(transport);
  const hasSession = client.getProtocolEra?.() !== "modern"; // 1.x knows only revisions with sessions
  if (hasSession && !transport.sessionId) fail("the server issued no Mcp-Session-Id");
  step(`connected to ${client.getServerVersion().name}, protocol ${transport.protocolVersion}`);

  const { tools } = await client.listTools();
  tools.some((tool) => tool.name === "best_person_looker_upper") || fail("tools/list lacks the tool", tools);
  step(`tools/list: ${tools.map((tool) => tool.name).join(", ")}`);

  await lookUpAda(client);
  step("tools/call: Ada Lovelace");

  memory.authorizationUrl = undefined;
  for (const signal of process.env.RESTARTS?.split(" ") ?? []) {
    await restarted(signal);
    await lookUpAda(client);
    equal(memory.authorizationUrl, undefined, "a person is asked again");
    step(`the same call answered after the server had got SIG${signal}`);
  }

  const before = { ...memory.saved };
  await ageAccessToken(memory);
  await lookUpAda(client);
  wire.expect("POST /token refresh_token 200");
  memory.saved.access_token !== before.access_token || fail("the access token did not change");
  memory.saved.refresh_token !== before.refresh_token || fail("the refresh token did not rotate");
  equal(memory.authorizationUrl, undefined, "a person is asked again");
  step("refreshed on a 401, and the same call answered again");

  wire.expectOnce("POST /register");
  await transport.terminateSession();
  if (hasSession) wire.expect("DELETE /mcp 20");
  await client.close();
  step("left");
}

/** Asks whoever runs us to end the server with that signal and to start it again, and waits for the word. */
async function restarted(signal) {
  const lines = createInterface({ input: process.stdin });
  console.log(`restart: ${signal}`);
  const [line] = await once(lines, "line");
  equal(line, "restarted", "the answer");
  // Otherwise this would wait for more of them at the end.
  lines.close();
}

/** Calls the example tool and insists on its answer, as text and as structured content. */
async function lookUpAda(client) {
  const result = await client.callTool({ name: "best_person_looker_upper", arguments: { startsWith: "A" } });
  if (result.isError) fail("the tool answered with an error", result);
  const text = result.content.find((block) => block.type === "text")?.text ?? "";
  text.includes("Ada Lovelace") || fail("the tool's text does not name Ada Lovelace", result);
  equal(result.structuredContent?.name, "Ada Lovelace", "structured content");
}

/** Waits until a short-lived access token has run out; a long-lived one is spoilt instead. */
async function ageAccessToken(memory) {
  if (memory.saved.expires_in <= 10) await sleep((memory.saved.expires_in + 1) * 1000);
  else memory.saved = { ...memory.saved, access_token: "no-longer-valid" };
}

/** Passes the SDK's requests on and remembers each as "METHOD /path [grant_type] status". */
class Wire {
  #seen = [];

  fetch = async (input, init) => {
    const path = new URL(input.url ?? input).pathname;
    const grant = path === "/token" && new URLSearchParams(String(init.body)).get("grant_type");
    const response = await fetch(input, init);
    this.#seen.push([init?.method ?? "GET", path, grant, response.status].filter(Boolean).join(" "));
    return response;
  };

  /** Insists that no more than one was. */
  expectOnce(line) {
    equal(this.#seen.filter((seen) => seen.startsWith(line)).length, 1, `requests like “${line}”`);
  }

  /** Insists that a request of that beginning was made. */
  expect(line) {
    this.#seen.some((seen) => seen.startsWith(line)) || fail(`expected the SDK to see “${line}”`, this.#seen);
  }
}
