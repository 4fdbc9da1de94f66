// The program under test behind the released binary: all that a client sees is the gateway.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { start } from "./program.mjs";
import { accessToken } from "./token.mjs";

/** Like `start` of the program. `sessionsOnly`: the gateway does not use 2026-07-28 towards the program. */
export async function startGateway(path, passcode, sessionsOnly) {
  const upstream = await start(path, passcode);
  const directory = await mkdtemp(join(tmpdir(), "gateway-"));
  let gateway;
  const stop = async () => {
    const code = await gateway?.stop();
    const upstreamCode = await upstream.stop();
    await rm(directory, { recursive: true });
    return code || upstreamCode;
  };
  try {
    // The gateway is a client of the program like any other: it has a token of its own.
    const token = await accessToken(upstream.connector, passcode);
    const config = join(directory, "server.toml");
    const upstreams = `[[upstreams]]\nurl = "${upstream.mcp}"\nauthorization_env = "TOKEN"\nsessions_only = ${sessionsOnly}\n`;
    await writeFile(config, upstreams);
    const binary = join(dirname(path), "..", "remote-mcp-auth");
    gateway = await start(binary, passcode, { CONFIG_FILE: config, TOKEN: `Bearer ${token}` });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...gateway,
    gateway: true,
    log: () => `${gateway.log()}\n--- behind it ---\n${upstream.log()}`,
    running: () => gateway.running() && upstream.running(),
    stop,
  };
}
