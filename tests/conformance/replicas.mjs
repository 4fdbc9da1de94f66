// Several servers that are one: the program under test twice, on one Postgres, behind a proxy that takes turns.

import { start } from "./program.mjs";
import { startPostgres } from "./postgres.mjs";
import { startProxy } from "./proxy.mjs";

const REPLICAS = 2;

/** Like `start` of the program, for several of it: all that a client sees is the proxy. */
export async function startReplicas(path, passcode) {
  const postgres = await startPostgres();
  const proxy = await startProxy();
  const replicas = [];
  const stop = async () => {
    const codes = await Promise.all(replicas.map((replica) => replica.stop()));
    proxy.stop();
    await postgres.stop();
    return codes.find((code) => code !== 0) ?? 0;
  };
  try {
    // At the same time, on a database without tables: one of them makes those.
    const settings = { PUBLIC_URL: proxy.origin, DATABASE_URL: postgres.url };
    const started = Array.from({ length: REPLICAS }, () =>
      start(path, passcode, settings).then((replica) => replicas.push(replica)),
    );
    for (const outcome of await Promise.allSettled(started)) if (outcome.reason) throw outcome.reason;
  } catch (error) {
    await stop();
    throw error;
  }
  proxy.to(replicas.map(({ mcp }) => mcp));
  const [{ connector }] = replicas;
  return {
    connector,
    mcp: connector,
    replicas: replicas.length,
    log: () => replicas.map((replica) => replica.log()).join("\n--- another replica ---\n"),
    running: () => replicas.every((replica) => replica.running()),
    stop,
  };
}
