// The program under test: started on a free port, ended at the end.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const PATIENCE_MS = 20_000;

/** Starts `path` with these settings besides, and waits for the two lines that say where it is. */
export async function start(path, passcode, settings = {}) {
  const child = spawn(path, [], {
    env: {
      ...process.env,
      LISTEN_ADDR: "127.0.0.1:0",
      ADMIN_ADDR: "off",
      SIGN_IN_PASSCODE: passcode,
      // One token lasts for a whole round.
      ACCESS_TOKEN_TTL: "1h",
      RATE_LIMITS: "off",
      RUST_LOG: process.env.RUST_LOG ?? "warn",
      ...settings,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Whoever stops this script stops the program too.
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      child.kill("SIGKILL");
      process.exit(1);
    });
  }

  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-20_000)));
  const ended = new Promise((resolve) => {
    child.on("error", (error) => {
      log += error;
      resolve(null);
    });
    child.on("exit", resolve);
  });

  let address, connector;
  const ready = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      address ??= line.match(/^listening on (http:\/\/\S+)$/)?.[1];
      connector ??= line.match(/^connector URL: (http\S+)$/)?.[1];
      if (address && connector) resolve();
    });
  });
  const outcome = await within(Promise.race([ready.then(() => "ready"), ended.then(() => "ended")]));
  if (outcome !== "ready") {
    child.kill("SIGKILL");
    throw new Error(`${path} did not start:\n${log}`);
  }
  return {
    connector,
    // By address: what `localhost` stands for is up to the machine.
    mcp: address + new URL(connector).pathname,
    log: () => log,
    running: () => child.exitCode === null && child.signalCode === null,
    /** Ends it as an operator would; the exit code, or what it was killed for. */
    async stop() {
      child.kill("SIGTERM");
      const code = await within(ended);
      if (code === undefined) child.kill("SIGKILL");
      return code;
    },
  };
}

async function within(promise) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
