// A Postgres of our own, from the installed programs: started in a new directory, gone at the end.

import { execFile, spawn } from "node:child_process";
import { chown, mkdtemp, readdir, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const PATIENCE_MS = 60_000;

/** Postgres refuses to run as root: then it runs as nobody. */
const NOBODY = process.getuid() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** Ends the server when its own standard input ends, whatever ended the script. */
const GUARD = `"$@" & server=$!; read -r word; kill -QUIT "$server"; wait "$server"`;

/** Starts it; `url` is that of an empty database. */
export async function startPostgres() {
  const bin = await installed();
  const home = await mkdtemp(join(tmpdir(), "postgres-"));
  if (NOBODY.uid) await chown(home, NOBODY.uid, NOBODY.gid);
  const data = join(home, "data");
  const rules = ["--username=tests", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"];
  await promisify(execFile)(join(bin, "initdb"), [...rules, "--pgdata", data], { cwd: home, ...NOBODY });

  const settings = ["listen_addresses=", "fsync=off"].flatMap((setting) => ["-c", setting]);
  const guard = spawn("sh", ["-c", GUARD, "sh", join(bin, "postgres"), "-D", data, "-k", home, ...settings], {
    cwd: home,
    stdio: ["pipe", "ignore", "pipe"],
    ...NOBODY,
  });
  let log = "";
  guard.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  const ended = new Promise((resolve) => guard.on("exit", resolve));
  for (const deadline = Date.now() + PATIENCE_MS; !(await answers(join(home, ".s.PGSQL.5432"))); await sleep(50)) {
    if (Date.now() > deadline || guard.exitCode !== null) throw new Error(`Postgres did not start:\n${log}`);
  }
  return {
    url: `postgres://tests@localhost/postgres?host=${home}`,
    async stop() {
      guard.stdin.end();
      await ended;
      await rm(home, { recursive: true });
    },
  };
}

/** The directory of the programs: on the path, or where Debian keeps them. */
async function installed() {
  const versions = await readdir("/usr/lib/postgresql").catch(() => []);
  const places = [
    ...(process.env.PATH ?? "").split(delimiter),
    ...versions.map((version) => join("/usr/lib/postgresql", version, "bin")),
  ];
  const bin = places.find((place) => existsSync(join(place, "postgres")) && existsSync(join(place, "initdb")));
  if (!bin) throw new Error("replicas need an installed Postgres");
  return bin;
}

function answers(socket) {
  return new Promise((resolve) => {
    const connection = createConnection(socket, () => {
      connection.destroy();
      resolve(true);
    }).on("error", () => resolve(false));
  });
}
