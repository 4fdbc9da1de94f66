// What people meet on the pages. Each story begins with nobody signed in.

import assert from "node:assert/strict";
import { App } from "./app.mjs";
import { look, person } from "./browser.mjs";

/** Signs in on the page that is open. */
async function signIn(page, passcode) {
  await page.getByLabel("Passcode").fill(passcode);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Somebody who allows whatever an app asks for, and what the app gets for it. */
async function allow(page, app, passcode, more) {
  await page.goto(app.url(more));
  if (await page.getByLabel("Passcode").isVisible()) await signIn(page, passcode);
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(/[?&]code=/);
  return page.url();
}

/** Everything that a first connection shows. */
export async function first_look({ browser, server, passcode }) {
  const { page, complaints } = await person(browser);
  await page.goto(server);
  await look(page, "home");
  const app = await App.register(server, { name: "Claude" });
  await page.goto(app.url());
  await look(page, "sign-in");
  await signIn(page, "wrong");
  await page.getByRole("alert").waitFor();
  await look(page, "sign-in-wrong");
  await signIn(page, passcode);
  await page.getByRole("button", { name: "Allow" }).waitFor();
  await look(page, "consent");
  const local = await App.register(server, { name: "Cursor", redirectUri: "http://localhost:43110/callback" });
  await page.goto(local.url());
  await page.getByText("Did you just start this yourself?").waitFor();
  await look(page, "consent-local");
  await page.goto(new URL("/authorize?client_id=unknown", server).href);
  await look(page, "problem-unknown-client");
  assert.deepEqual(complaints, []);
}

/** A person looks at what is connected, finds something new, and takes it back. */
export async function taking_back({ browser, server, passcode, ask }) {
  const { page, complaints } = await person(browser);
  await page.goto(new URL("/account", server).href);
  await signIn(page, passcode);
  await page.getByText("No app is connected").waitFor();
  await look(page, "account-empty");

  const notes = await App.register(server, { name: "Claude" });
  await notes.redeem(await allow(page, notes, passcode, { scope: "files.read files.write offline_access" }));
  for (const tool of ["list_files", "write_file"]) assert.equal(await notes.call(tool), 200);
  await page.goto(new URL("/account", server).href);
  await ask("advance 2880");
  const other = await App.register(server, { name: "صائد الملفات", redirectUri: "http://localhost:43110/callback" });
  const userAgent = "Cursor/1.7 (darwin arm64)";
  await other.redeem(await allow(page, other, passcode, { scope: "files.read files.delete" }), { userAgent });
  await page.goto(new URL("/account", server).href);
  await page.getByText("One connection is new").waitFor();
  await look(page, "account");

  const connection = page.getByRole("listitem").filter({ hasText: "صائد الملفات" });
  await connection.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("status").waitFor();
  await look(page, "account-disconnected");
  assert.equal(await other.call("list_files"), 401);
  assert.equal(await notes.call("list_files"), 200);
  // The way back, and once more.
  await page.goBack();
  await page.getByRole("button", { name: "Disconnect", exact: true }).first().click();
  await page.getByRole("status").waitFor();

  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await look(page, "signed-out");
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.getByLabel("Passcode").waitFor();
  assert.deepEqual(complaints, []);
}

/** Somebody reads what each scope opens, and leaves one out with the keyboard alone. */
export async function leaving_one_out({ browser, server, passcode }) {
  const { page, complaints } = await person(browser);
  const app = await App.register(server, { name: "Paper trail" });
  await page.goto(app.url({ scope: "files.read files.write files.delete offline_access" }));
  await signIn(page, passcode);
  const box = page.getByRole("checkbox", { name: "Delete files for good" });
  await box.waitFor();
  await look(page, "consent-scopes");
  await page.getByRole("checkbox").first().focus();
  while (!(await box.evaluate((element) => element === document.activeElement))) await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  assert.equal(await box.isChecked(), false);
  const allow = page.getByRole("button", { name: "Allow" });
  while (!(await allow.evaluate((element) => element === document.activeElement))) await page.keyboard.press("Tab");
  const outline = await allow.evaluate((element) => getComputedStyle(element).outlineStyle);
  assert.equal(outline, "solid", "whoever uses the keyboard sees where they are");
  await page.keyboard.press("Enter");
  await page.waitForURL(/[?&]code=/);
  const tokens = await app.redeem(page.url());
  assert.equal(tokens.scope, "files.read files.write offline_access");
  assert.equal(await app.call("write_file"), 200);
  assert.equal(await app.call("delete_file"), 403);
  assert.deepEqual(complaints, []);
}
