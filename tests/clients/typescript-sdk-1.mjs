// The official TypeScript SDK, 1.x, against a running server:
//   SIGN_IN_PASSCODE=… node typescript-sdk-1.mjs http://localhost:4000/mcp

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { journey } from "./journey.mjs";

await journey({
  Client,
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  finishAuth: (transport, callback) => transport.finishAuth(callback.searchParams.get("code")),
});
