// The suite's scenarios for authorization servers. They want a client that is registered, and a person who opens the URL
// that they print.

import { createServer } from "node:net";

import { allow } from "./pages.mjs";
import { discover, register } from "./token.mjs";

/** How the suite is called to test the authorization server, and the person that it waits for. */
export async function authorization({ run, program, passcode }) {
  const port = await freePort();
  // The suite's own choice, but for the port.
  const redirectUri = `http://127.0.0.1:${port}/callback`;
  const client = await register(await discover(program.connector), redirectUri);
  return {
    args: [
      "authorization",
      // What the operator calls the server. Taken from the metadata, it could not differ from the `issuer` there.
      "--url", new URL(program.connector).origin,
      "--client-id", client.client_id,
      "--port", String(port),
      ...(run.resource ? ["--resource", program.connector] : []),
      ...run.args,
    ],
    person: (printed) => allowWhatIsPrinted(printed, redirectUri, passcode),
  };
}

/** Opens the URL, signs in, allows, and is back at the suite's own server, as soon as that listens. */
async function allowWhatIsPrinted(printed, redirectUri, passcode) {
  let url;
  for await (const line of printed) {
    if (line.includes("response_type=code")) url = line.trim();
    if (url && line.startsWith("Callback server started")) {
      const back = await fetch(await allow(url, redirectUri, passcode));
      if (!back.ok) throw new Error(`the client answers ${back.status}`);
      // Once; and read on, for whoever closes the lines stops the suite's output.
      url = undefined;
    }
  }
}

/** A port that nothing listens on. The system gives the same one again only much later. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
