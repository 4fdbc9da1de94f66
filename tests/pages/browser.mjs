// A real Chromium in front of the pages, and what is asked of every page that it shows: no violation
// that axe knows of, by day and by night, nothing wider than the narrowest phone, nothing that the
// browser complains of. A picture of each is left in target/pages.

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const PICTURES = fileURLToPath(new URL("../../target/pages/", import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SIZES = { phone: { width: 320, height: 640 }, wide: { width: 1280, height: 860 } };

/** Opens a browser; it ends with the story, however that ends. */
export async function withBrowser(story) {
  await mkdir(PICTURES, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Where tests run as root, Chromium's sandbox does not.
    chromiumSandbox: process.getuid?.() !== 0,
    // As every browser will be: no cookies for third parties.
    args: ["--test-third-party-cookie-phaseout"],
  });
  try {
    await story(browser);
  } finally {
    await browser.close();
  }
}

/** A person with a browser of their own. What it complains of is held against the page. */
export async function person(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: SIZES.wide, ...options });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const complaints = [];
  const watch = (tab) => {
    tab.on("console", (message) => {
      // A refusal is a page with a status, of which Chromium makes a message.
      const isStatus = /Failed to load resource: the server responded with a status/.test(message.text());
      if (message.type() === "error" && !isStatus) complaints.push(`${tab.url()}: ${message.text()}`);
    });
    tab.on("pageerror", (error) => complaints.push(`${tab.url()}: ${error}`));
    tab.on("dialog", (dialog) => {
      complaints.push(`${tab.url()}: a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  };
  watch(page);
  await landAtApps(context, page);
  const openTab = async () => {
    const tab = await context.newPage();
    watch(tab);
    await landAtApps(context, tab);
    return tab;
  };
  return { context, page, complaints, openTab };
}

/** Where apps live: they take what they are sent. Playwright's own routes do not see redirects. */
async function landAtApps(context, page) {
  const session = await context.newCDPSession(page);
  const urlPatterns = ["https://*.example/*", "http://localhost:43110/*"];
  await session.send("Fetch.enable", { patterns: urlPatterns.map((urlPattern) => ({ urlPattern })) });
  session.on("Fetch.requestPaused", ({ requestId }) => {
    const body = Buffer.from("<!doctype html><title>the app</title>").toString("base64");
    const responseHeaders = [{ name: "content-type", value: "text/html" }];
    session.send("Fetch.fulfillRequest", { requestId, responseCode: 200, responseHeaders, body }).catch(() => {});
  });
}

/** Looks at a page as everybody may see it, and takes pictures. */
export async function look(page, name) {
  const faults = [];
  for (const scheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize(viewport);
      await page.screenshot({ path: `${PICTURES}${name}-${scheme}-${size}.png`, fullPage: true });
      const { scrollWidth, clientWidth } = await page.evaluate(() => document.scrollingElement);
      const width = await page.evaluate(() => document.scrollingElement.scrollWidth);
      if (width > viewport.width) faults.push(`${name} is ${width} px wide on a ${size} (${scrollWidth}/${clientWidth})`);
    }
    for (const fault of await violations(page)) faults.push(`${name}, ${scheme}: ${fault}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(SIZES.wide);
  if (faults.length) throw new Error(faults.join("\n"));
}

/** One picture, for people to see what the page is like. */
export async function portrait(page, name) {
  await page.screenshot({ path: `${PICTURES}portrait-${name}.png`, fullPage: true });
}

async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id} (${help}): ${node.html}\n  ${node.failureSummary}`));
}
