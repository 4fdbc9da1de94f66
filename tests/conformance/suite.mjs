// One run of the suite: start it, wait for it, read what it wrote, judge it.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { authorization } from "./authorization.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Far more than the slowest run takes; alpha.11 itself waits for ever. */
const PATIENCE_MS = 180_000;

/** The suite needs Node 22 and dies on 20: this one if it is new enough, else the one that came with the packages. */
function node() {
  if (Number(process.versions.node.split(".")[0]) >= 22) return process.execPath;
  const installed = join(here, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");
  if (existsSync(installed)) return installed;
  throw new Error("the suite needs Node 22 or later: `npm ci` here installs one for Linux, elsewhere bring your own");
}

/** Runs `run` of the suite release in `module` against `program`; what went wrong is in `problems`. */
export async function runSuite({ module, run: everywhere, program, token, passcode, directory }) {
  const run = program.replicas || program.gateway ? { ...everywhere, ...everywhere.onReplicas } : everywhere;
  const results = join(directory, "results");
  await mkdir(results, { recursive: true });
  const { before = [], args, environment, person } = run.authorization
    ? await authorization({ run, program, passcode })
    : await server({ run, program, token, directory });

  const started = Date.now();
  const { code, timedOut, output, stuck } = await call(
    [...before, join(here, "node_modules", module, "dist", "index.js"), ...args, "-o", results],
    environment,
    person,
  );
  const seconds = ((Date.now() - started) / 1000).toFixed(1);

  const report = await readResults(results, run.leavesOut);
  const problems = judge(run, report);
  if (run.revision) problems.push(...(await judgeScored(module, run, report)));
  if (stuck) problems.push(`the person at the pages: ${stuck.message}`);
  else if (timedOut) problems.push(`no end within ${PATIENCE_MS / 1000} s`);
  else if (code !== 0) problems.push(`exit code ${code}`);
  return { ...report, problems, output, seconds };
}

/** How the suite is called to test what is behind the guard: every request of it gets the token. */
async function server({ run, program, token, directory }) {
  // Strict: nothing is expected to fail, and with such a list a warning counts as a failure.
  const strict = join(directory, "expected-failures.yml");
  await writeFile(strict, "server: []\n");
  return {
    before: ["--require", join(here, "inject.cjs")],
    args: ["server", "--url", program.mcp, ...run.args, "--expected-failures", strict],
    environment: { CONFORMANCE_ORIGIN: new URL(program.mcp).origin, CONFORMANCE_TOKEN: token },
  };
}

/** Calls the suite and waits for its end. A `person` reads what it prints, and what becomes of that is waited for too. */
function call(args, environment, person) {
  return new Promise((resolve, reject) => {
    const child = spawn(node(), args, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let timedOut = false;
    let stuck;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    if (person) {
      person(createInterface({ input: child.stdout })).catch((error) => {
        // The suite would wait for minutes for somebody who does not come.
        stuck = error;
        child.kill("SIGKILL");
      });
    }
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, PATIENCE_MS);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, timedOut, output, stuck });
    });
  });
}

/** Every check of every scenario. The summary the suite prints leaves warnings out, so it is not what counts. */
async function readResults(directory, leavesOut = () => false) {
  const scenarios = new Map();
  for (const name of await readdir(directory)) {
    // `server-NAME-TIMESTAMP` or `authorization-server-NAME-TIMESTAMP`
    const scenario = name.replace(/^(authorization-)?server-/, "").replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, "");
    if (leavesOut(scenario)) continue;
    const file = join(directory, name, "checks.json");
    // A scenario that threw leaves an empty directory.
    scenarios.set(scenario, existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : []);
  }
  const checks = [...scenarios].flatMap(([scenario, list]) => list.map((check) => ({ scenario, check })));
  const of = (status) => checks.filter(({ check }) => check.status === status);
  return { scenarios, passed: of("SUCCESS"), failed: of("FAILURE"), warned: of("WARNING") };
}

function judge(run, { scenarios, passed, failed, warned }) {
  const problems = [];
  const excused = failed.filter(run.excused ?? (() => false));
  for (const { scenario, check } of [...failed, ...warned]) {
    if (excused.some((other) => other.check === check)) continue;
    problems.push(`${scenario}: ${check.status} ${check.id} (${check.name}): ${check.errorMessage ?? check.description}`);
  }
  if (excused.length !== (run.excuses ?? 0)) problems.push(`${excused.length} excused, not ${run.excuses ?? 0}`);
  if (scenarios.size !== run.scenarios) problems.push(`${scenarios.size} scenarios, not ${run.scenarios}`);
  if (passed.length !== run.passes) problems.push(`${passed.length} passed, not ${run.passes}`);
  return problems;
}

/** Each scenario that the revision scores was run, passed something and failed nothing. */
async function judgeScored(module, run, { passed, failed, warned }) {
  const file = join(here, "node_modules", module, "requirements", `${run.revision}.yaml`);
  const [, list] = (await readFile(file, "utf8")).match(/^server:\n((?: +- .+\n|\s*#.*\n|\n)+)/m);
  const names = [...list.matchAll(/^ +- (\S+)/gm)].map(([, name]) => name);
  const touched = (checks, name) => checks.some(({ scenario }) => scenario === name);
  const full = names.filter((name) => touched(passed, name) && !touched([...failed, ...warned], name));
  return names.length === run.scored && full.length === names.length
    ? []
    : [`${full.length} of ${names.length} scored scenarios pass, not ${run.scored} of ${run.scored}`];
}
