// What people meet on the pages. Each story begins with nobody signed in.

import assert from "node:assert/strict";
import { App } from "./app.mjs";
import { look, person, portrait } from "./browser.mjs";

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
  const field = page.getByLabel("Connector URL");
  assert.equal(await field.inputValue(), `${server}/mcp`);
  await field.focus();
  await page.keyboard.press("ControlOrMeta+A");
  const selected = await field.evaluate((input) => input.value.slice(input.selectionStart, input.selectionEnd));
  assert.equal(selected, `${server}/mcp`, "it can be selected with the keyboard alone");
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

/** The operator's name, logo, colour and links, on the pages that people see most. */
export async function branded({ browser, server, passcode }) {
  const { page, complaints } = await person(browser);
  await page.goto(server);
  const accent = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--fill").trim());
  const name = `branded-${accent.slice(1)}`;
  const drawn = await page.locator("img.logo").evaluate((logo) => logo.complete && logo.naturalWidth);
  assert.equal(drawn, 96, "the logo is there");
  assert.equal(await page.getByRole("link", { name: "Privacy" }).getAttribute("href"), "https://paper.example/privacy");
  assert.equal(await page.getByRole("link", { name: "Help" }).getAttribute("href"), "mailto:help@paper.example");
  await look(page, `${name}-home`);
  const app = await App.register(server, { name: "Claude" });
  await page.goto(app.url({ scope: "files.read files.write files.delete offline_access" }));
  await look(page, `${name}-sign-in`);
  await signIn(page, passcode);
  await page.getByRole("button", { name: "Allow" }).waitFor();
  await look(page, `${name}-consent`);
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(/[?&]code=/);
  await app.redeem(page.url());
  await page.goto(new URL("/account", server).href);
  await look(page, `${name}-account`);
  await page.goto(new URL("/nowhere", server).href);
  await look(page, `${name}-nowhere`);
  assert.deepEqual(complaints, []);
}

/** The two pictures of the README. */
export async function portraits({ browser, server, passcode, ask }) {
  const { page } = await person(browser, { viewport: { width: 560, height: 700 } });
  // One that the operator has set up.
  const app = new App(server, { client_id: "notes", redirect_uris: ["https://notes.example/callback"] });
  await page.goto(app.url({ scope: "files.read files.write files.delete" }));
  await signIn(page, passcode);
  await page.getByRole("button", { name: "Allow" }).waitFor();
  await portrait(page, "consent");
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(/[?&]code=/);
  await app.redeem(page.url(), { userAgent: "notes/2.1 (Windows)" });
  for (const tool of ["list_files", "write_file"]) assert.equal(await app.call(tool), 200);
  await page.goto(new URL("/account", server).href);
  await ask("advance 2880");
  const other = await App.register(server, { name: "Cursor", redirectUri: "http://localhost:43110/callback" });
  const more = { scope: "files.read files.delete" };
  await other.redeem(await allow(page, other, passcode, more), { userAgent: "Cursor/1.7 (darwin arm64)" });
  await page.setViewportSize({ width: 760, height: 700 });
  await page.goto(new URL("/account", server).href);
  await page.getByText("One connection is new").waitFor();
  await portrait(page, "account");
}

/** Whatever people do instead of what was meant: each time there is a page that says what to do. */
export async function detours({ browser, server, passcode, ask }) {
  const { context, page, complaints, openTab } = await person(browser);
  const app = await App.register(server, { name: "Claude" });
  const leadsOn = async (tab, heading, name) => {
    await tab.getByRole("heading", { level: 1, name: heading }).waitFor();
    await tab.locator("main a.button").first().waitFor();
    await look(tab, name);
  };

  // No cookies: the browser drops them, as it does with those of third parties.
  await page.goto(app.url());
  await context.clearCookies();
  await signIn(page, passcode);
  await leadsOn(page, "This form cannot be accepted", "detour-no-cookies");

  // Twice on the button.
  await page.goto(app.url());
  await signIn(page, passcode);
  await page.getByRole("button", { name: "Allow" }).dblclick();
  await page.waitForURL(/[?&]code=/);
  await app.redeem(page.url());
  // Twice on the keyboard.
  const keyboard = await App.register(server, { name: "Keyboard" });
  await page.goto(keyboard.url());
  await page.getByRole("button", { name: "Allow" }).focus();
  await Promise.all([page.keyboard.press("Enter"), page.keyboard.press("Enter")]);
  await page.waitForURL(/[?&]code=/);
  await keyboard.redeem(page.url());
  // The way back, and once more.
  await page.goBack();
  await leadsOn(page, "There is nothing to answer here any more", "detour-back");
  await page.getByRole("link", { name: "See what is connected" }).click();
  await page.getByRole("heading", { level: 2, name: "Claude" }).waitFor();

  // Two tabs: each answers its own question.
  const [first, second] = await Promise.all([
    App.register(server, { name: "First" }), App.register(server, { name: "Second" })]);
  await page.goto(first.url());
  const tab = await openTab();
  await tab.goto(second.url());
  await page.getByRole("heading", { name: /First/ }).waitFor();
  await page.getByRole("button", { name: "Deny" }).click();
  await page.waitForURL(/[?&]error=access_denied/);
  await tab.getByRole("button", { name: "Allow" }).click();
  await tab.waitForURL(/[?&]code=/);

  // A link that was kept: the question is asked anew, and the old one is over.
  const kept = first.url();
  await page.goto(kept);
  const question = page.url();
  await page.getByRole("button", { name: "Deny" }).click();
  await page.waitForURL(/[?&]error=/);
  await page.goto(question);
  await leadsOn(page, "There is nothing to answer here any more", "detour-reopened");
  await page.goto(kept);
  await page.getByRole("button", { name: "Allow" }).waitFor();

  // A form that was left open over lunch.
  await ask("advance 40");
  await page.getByRole("button", { name: "Allow" }).click();
  await leadsOn(page, "There is nothing to answer here any more", "detour-expired");

  // Signed out in the other tab.
  await page.goto(new URL("/account", server).href);
  await tab.goto(new URL("/account", server).href);
  await tab.getByRole("button", { name: "Sign out", exact: true }).click();
  await tab.getByRole("heading", { name: "You are signed out" }).waitFor();
  await page.getByRole("button", { name: "Disconnect", exact: true }).first().click();
  await page.getByLabel("Passcode").waitFor();
  await signIn(page, passcode);
  await page.getByRole("heading", { name: "Connected apps" }).waitFor();

  // What the app did wrong.
  await page.goto(new URL("/authorize?client_id=unknown", server).href);
  await leadsOn(page, "This app is not known here", "detour-unknown-client");
  await page.goto(app.url({ redirect_uri: "https://elsewhere.example/callback" }));
  await leadsOn(page, "This app's return address is not registered", "detour-wrong-redirect");
  await page.goto(new URL("/authorize", server).href);
  await leadsOn(page, "This link is incomplete", "detour-incomplete");
  await page.goto(new URL("/nowhere", server).href);
  await leadsOn(page, "There is nothing here", "detour-nowhere");
  assert.deepEqual(complaints, []);
}

/** Several ways to sign in, of which one cannot be gone. */
export async function ways_to_sign_in({ browser, server, passcode }) {
  const { page, complaints } = await person(browser);
  const app = await App.register(server, { name: "Claude" });
  await page.goto(app.url());
  await look(page, "sign-in-ways");
  await page.getByRole("button", { name: "Continue with Example SSO" }).click();
  // The question comes before anybody is sent elsewhere.
  await page.getByText("You sign in with Example SSO").waitFor();
  await look(page, "consent-before-sign-in");
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("heading", { name: "Example SSO" }).waitFor();
  await look(page, "provider-out-of-reach");
  // The other ways are still open.
  await page.goto(app.url());
  await signIn(page, passcode);
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(/[?&]code=/);
  assert.deepEqual(complaints, []);
}

/** Somebody who tries one passcode after the other. */
export async function guessing({ browser, server }) {
  const { page, complaints } = await person(browser);
  await page.goto(new URL("/sign-in", server).href);
  for (let attempt = 0; attempt < 11; attempt += 1) {
    await signIn(page, `guess ${attempt}`);
    await page.getByRole("alert").waitFor();
  }
  await page.getByText(/too many failed attempts. Try again in [0-9]+ seconds/).waitFor();
  const described = await page.getByLabel("Passcode").getAttribute("aria-describedby");
  assert.ok(described.includes("problem"), "a screen reader says what is wrong");
  await look(page, "sign-in-throttled");
  assert.deepEqual(complaints, []);
}

/** Names that try to be something else. */
export async function hostile_names({ browser, server, passcode }) {
  const { page, complaints } = await person(browser);
  const names = {
    markup: `<img src=x onerror="alert(1)"><script>alert(2)</script>`,
    quotes: `Claude” — verified by this server. It says it is “nobody`,
    endless: "W".repeat(200),
    arabic: "مساعد الملفات الذكي (Google)",
    hebrew: "עוזר הקבצים 123 (v2)",
    entities: "&lt;b&gt;Claude&lt;/b&gt; &amp; {{7*7}}",
  };
  for (const [kind, name] of Object.entries(names)) {
    const app = await App.register(server, { name });
    await page.goto(app.url());
    if (await page.getByLabel("Passcode").isVisible()) await signIn(page, passcode);
    await page.getByRole("button", { name: "Allow" }).waitFor();
    const shown = await page.locator("h1 bdi").textContent();
    // A name is text. One that would push everything else out of sight is cut.
    assert.equal(shown, name.length > 60 ? `${name.slice(0, 60)}…` : name);
    assert.ok((await page.locator(".who").textContent()).includes("Nobody has verified that name"));
    if (kind === "markup") {
      await page.getByText("5 tools").click();
      const text = await page.locator(".tools").textContent();
      assert.ok(text.length < 1000 && text.includes("…"), "endless names are cut");
      assert.ok(!/[\u202a-\u202e\u200b\ufeff]/.test(text), "nothing turns around what is read");
      assert.equal(await page.locator("h1").count(), 1);
    }
    await look(page, `hostile-${kind}`);
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL(/[?&]code=/);
    await app.redeem(page.url(), { userAgent: `<script>alert(3)</script>${"x".repeat(4000)}` });
  }
  await page.goto(new URL("/account", server).href);
  await page.getByRole("heading", { name: "Connected apps" }).waitFor();
  assert.equal(await page.locator(".connections > li").count(), Object.keys(names).length);
  await look(page, "hostile-account");
  // What nobody should have to read does not come in.
  for (const name of ["\u202egnihton\u202c", "line\nbreak", "x".repeat(4096), "zero\u200bwidth"]) {
    await assert.rejects(App.register(server, { name }), /invalid_client_metadata/);
  }
  assert.deepEqual(complaints, []);
}

/** The whole way in a browser that runs no scripts at all. */
export async function without_scripts({ browser, server, passcode }) {
  const { page } = await person(browser, { javaScriptEnabled: false });
  const app = await App.register(server, { name: "Claude" });
  await app.redeem(await allow(page, app, passcode));
  await page.goto(new URL("/account", server).href);
  await page.getByRole("button", { name: "Disconnect", exact: true }).click();
  await page.getByText("The app is disconnected").waitFor();
}
