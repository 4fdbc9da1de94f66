// Tells one story in a real browser: `node run.mjs STORY URL`. The one who runs it turns the clock
// when a line asks for that.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { withBrowser } from "./browser.mjs";
import * as stories from "./stories.mjs";

const [story, server] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks whoever runs this for something. */
async function ask(what) {
  console.log(what);
  const { value } = await lines.next();
  assert.equal(value, "done", what);
}

const world = { server, passcode: process.env.SIGN_IN_PASSCODE, ask };
try {
  await withBrowser((browser) => stories[story]({ ...world, browser }));
  console.log("told");
  process.exit(0);
} catch (error) {
  console.log(error.stack ?? String(error));
  process.exit(1);
}
