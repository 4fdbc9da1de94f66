// The official MCP conformance suite, in two pinned releases, against the example program `conformance`: its features,
// behind the real bearer guard, and its authorization server, through the real pages. Nothing is excused but one bug of
// the older release. See `runs.mjs` for what is expected.
//
//     cargo build --release --example conformance
//     npm ci                      # here; once
//     node run.mjs [PROGRAM] [--replicas | --gateway [--sessions-only]] [--repeat N] [--only TEXT]
//
// PROGRAM, or CONFORMANCE_PROGRAM, is the built example; the default is the one cargo puts in `target`. `--repeat` does
// everything N times against one running program; `--only` keeps the runs whose name contains TEXT ("alpha.12",
// "2026-07-28"). `--replicas` starts two of the program on an installed Postgres, behind a proxy that sends every request to
// the other one than the last. `--gateway` puts the program behind the binary beside it, which the suite then talks to;
// `--sessions-only` lets that speak 2025-11-25 to the program, whatever the suite speaks. Prints one line per run and exits 1 if anything deviates.

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { startGateway } from "./gateway.mjs";
import { start } from "./program.mjs";
import { startReplicas } from "./replicas.mjs";
import { releases } from "./runs.mjs";
import { runSuite } from "./suite.mjs";
import { accessToken } from "./token.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeat: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    replicas: { type: "boolean", default: false },
    gateway: { type: "boolean", default: false },
    "sessions-only": { type: "boolean", default: false },
  },
});
const path =
  positionals[0] ??
  process.env.CONFORMANCE_PROGRAM ??
  join(
    process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../target", import.meta.url)),
    "release/examples/conformance",
  );
const rounds = Number(values.repeat);
const chosen = releases
  .flatMap(({ release, module, runs }) => runs.map((run) => ({ module, run, name: `${release} ${run.name}` })))
  .filter(({ name }) => name.includes(values.only));
if (!(rounds >= 1) || chosen.length === 0) {
  console.error("nothing to run: see --repeat and --only");
  process.exit(2);
}

const passcode = randomBytes(18).toString("base64url");
const directory = await mkdtemp(join(tmpdir(), "conformance-"));
const tally = { passed: 0, failed: 0 };
const program = await (values.gateway ? startGateway : values.replicas ? startReplicas : start)(
  path,
  passcode,
  values.gateway ? values["sessions-only"] : undefined,
);
try {
  for (let round = 1; round <= rounds; round++) {
    if (rounds > 1) console.log(`round ${round} of ${rounds}`);
    const token = await accessToken(program.connector, passcode);
    for (const [index, { module, run, name }] of chosen.entries()) {
      const result = await runSuite({
        module,
        run,
        program,
        token,
        passcode,
        directory: join(directory, `${round}-${index}`),
      });
      if (!program.running()) result.problems.push("the program has ended");
      tell(name, result);
      tally[result.problems.length === 0 ? "passed" : "failed"]++;
    }
  }
} finally {
  const code = await program.stop();
  if (code !== 0) {
    console.log(`FAILED the program ended with ${code ?? "a signal"}`);
    tally.failed++;
  }
  if (tally.failed > 0) console.log(`\nlog of the program, its end:\n${program.log()}\nresults: ${directory}`);
  else await rm(directory, { recursive: true });
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed > 0 ? 1 : 0;

function tell(name, { passed, failed, warned, scenarios, seconds, problems, output }) {
  const counts = `${scenarios.size} scenarios, ${passed.length}/${failed.length}/${warned.length} in ${seconds} s`;
  console.log(`${problems.length === 0 ? "ok    " : "FAILED"} ${name}: ${counts}`);
  for (const problem of problems) console.log(`         ${problem.slice(0, 2000)}`);
  // Where there is not one result, only the suite's own words explain why.
  if (scenarios.size === 0) console.log(output.slice(-4000));
}
