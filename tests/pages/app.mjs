// An app that people connect: it registers, sends them to the pages, and trades what it gets back.

import { createHash, randomBytes } from "node:crypto";

export class App {
  #server;
  #verifier;

  constructor(server, client) {
    this.#server = server;
    this.client = client;
  }

  /** Registers, by this name and with this address to come back to. */
  static async register(server, { name, redirectUri = "https://app.example/callback", ...more } = {}) {
    const response = await fetch(new URL("/register", server), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: "none",
        ...(name === undefined ? {} : { client_name: name }),
        ...more,
      }),
    });
    const client = await response.json();
    if (response.status !== 201) throw new Error(`not registered: ${JSON.stringify(client)}`);
    return new App(server, client);
  }

  /** Where it sends people. */
  url(more = {}) {
    this.#verifier = randomBytes(32).toString("base64url");
    const url = new URL("/authorize", this.#server);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: this.client.client_id,
      redirect_uri: this.client.redirect_uris[0],
      code_challenge: createHash("sha256").update(this.#verifier).digest("base64url"),
      code_challenge_method: "S256",
      state: "story",
      ...more,
    });
    return url.href;
  }

  /** What the code is good for. */
  async redeem(callbackUrl, { userAgent = "story-app/1.0 (linux)" } = {}) {
    const code = new URL(callbackUrl).searchParams.get("code");
    if (!code) throw new Error(`no code in ${callbackUrl}`);
    const response = await fetch(new URL("/token", this.#server), {
      method: "POST",
      headers: { "user-agent": userAgent },
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: this.client.client_id,
        redirect_uri: this.client.redirect_uris[0],
        code,
        code_verifier: this.#verifier,
      }),
    });
    const tokens = await response.json();
    if (response.status !== 200) throw new Error(`no tokens: ${JSON.stringify(tokens)}`);
    this.tokens = tokens;
    return tokens;
  }

  /** Calls a tool, in the session-less way of 2026-07-28. Says what status it was answered with. */
  async call(name, args = {}) {
    const response = await fetch(new URL("/mcp", this.#server), {
      method: "POST",
      headers: {
        authorization: `Bearer ${this.tokens.access_token}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": name,
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: {
          name,
          arguments: args,
          _meta: {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { name: "story-app", version: "1.0" },
            "io.modelcontextprotocol/clientCapabilities": {},
          },
        },
      }),
    });
    await response.text();
    return response.status;
  }
}
