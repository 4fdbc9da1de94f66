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
  await look(page, "consent-local");
  await page.goto(new URL("/authorize?client_id=unknown", server).href);
  await look(page, "problem-unknown-client");
  assert.deepEqual(complaints, []);
}
