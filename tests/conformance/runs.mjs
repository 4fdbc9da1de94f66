// What is run, and how it has to come out.
//
// The number of checks that pass is asserted beside "none failed": against a server that refuses every request, about
// thirty checks pass all the same, and a scenario that was skipped fails nothing.
//
// 2025-11-25 and 2026-07-28 could have one more: lists are answered in JSON, which the specification leaves to the server
// and the scenario of several streams reports as INFO instead of SUCCESS.

/** Scenarios of the tasks extension. `--suite all` leaves extensions out, `--requirements` runs them unscored. */
const isTasks = (scenario) => scenario.startsWith("tasks-");

/**
 * A bug of alpha.11 alone: it holds the answer that creates a task, `resultType: "task"`, against the schema of a tool's
 * result. Whatever else the eight scenarios that create a task check is asserted there too.
 */
const createsTask = ({ scenario, check }) =>
  isTasks(scenario) &&
  check.id === "wire-schema-valid" &&
  check.details.violations.every(({ message }) => message.result?.resultType === "task");

/** A task lives in the process that began it, and the client asks for it at another one: there, these are not counted. */
const withoutTasks = (scenarios, passes) => ({
  onReplicas: { scenarios, passes, leavesOut: isTasks, excused: undefined, excuses: 0 },
});

const suite = (version, scenarios, passes) => ({
  name: `all ${version}`,
  args: ["--suite", "all", "--spec-version", version],
  scenarios,
  passes,
});

const requirements = (version, scenarios, scored, passes, rest = {}) => ({
  name: `requirements ${version}`,
  args: ["--requirements", version],
  revision: version,
  scenarios,
  scored,
  passes,
  ...rest,
});

/**
 * The authorization server: its metadata, that it takes the URL of a document for a client, and a code for a public client.
 * The suite skips the last one silently when it is called wrongly, so that here too only the count tells.
 */
const authorization = (name, rest = {}) => ({ name, authorization: true, args: [], scenarios: 2, passes: 3, ...rest });

export const releases = [
  {
    release: "alpha.11",
    module: "conformance-alpha-11",
    runs: [
      suite("2025-03-26", 1, 3),
      suite("2025-06-18", 27, 57),
      suite("2025-11-25", 33, 83),
      suite("2026-07-28", 40, 151),
      requirements("2025-11-25", 33, 30, 83),
      // 151 and 36 of the 44 checks of the tasks scenarios: eight are excused.
      requirements("2026-07-28", 50, 37, 187, { excused: createsTask, excuses: 8, ...withoutTasks(40, 151) }),
      // Without scope and resource: the server has to have a default for both.
      authorization("authorization"),
    ],
  },
  {
    release: "alpha.12",
    module: "conformance-alpha-12",
    runs: [
      suite("2025-03-26", 1, 3),
      // One less than before: tool names are looked at from 2025-11-25 on.
      suite("2025-06-18", 27, 56),
      suite("2025-11-25", 33, 83),
      // One more: `tools/list` keeps its order.
      suite("2026-07-28", 40, 152),
      requirements("2025-11-25", 33, 30, 83),
      requirements("2026-07-28", 50, 37, 196, withoutTasks(40, 152)),
      authorization("authorization"),
      authorization("authorization for a resource", { resource: true }),
    ],
  },
];
