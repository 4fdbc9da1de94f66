// The official TypeScript client, 2.x, against a running server:
//   SIGN_IN_PASSCODE=… node typescript-sdk-2.mjs http://localhost:4000/mcp [auto]
// With `auto` it first asks the server which protocol revisions it speaks.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

import { journey } from "./journey.mjs";

await journey({
  Client,
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  clientOptions: { versionNegotiation: { mode: process.argv[3] ?? "legacy" } },
  finishAuth: (transport, callback) => transport.finishAuth(callback.searchParams), // checks `iss` too
});
