// What a person does with the sign-in and consent pages, without a browser: reads each page's form,
// fills it in and presses a button. Cookies are kept as a browser keeps them; nothing needs JavaScript.

/** A browser that knows redirects, cookies and forms, and nothing else. */
export class Browser {
  #cookies = new Map();

  /**
   * Opens an authorization URL, signs in where asked, presses the consent button, and returns the
   * URL at which the server sent the browser back to the client.
   */
  async answer(authorizationUrl, { redirectUri, passcode, username = "owner", decision = "allow" }) {
    let response = await this.#request("GET", new URL(authorizationUrl));
    let signedIn = false;
    // Authorization, sign-in page, its answer, consent page, its answer: eight steps are plenty.
    for (let step = 0; step < 8; step += 1) {
      if (response.status >= 300 && response.status < 400) {
        const target = new URL(response.headers.get("location"), response.url);
        if (target.href.startsWith(redirectUri)) return target;
        response = await this.#request("GET", target);
        continue;
      }
      const html = await response.text();
      if (!response.ok) {
        throw new Error(`${response.url} answered ${response.status}: ${asText(html)}`);
      }
      const form = readForm(html);
      if (!form) throw new Error(`${response.url} shows no form: ${asText(html)}`);
      if (form.fields.has("password")) {
        if (signedIn) throw new Error(`the passcode was not accepted: ${asText(html)}`);
        signedIn = true;
        if (!form.fields.get("username")) form.fields.set("username", username);
        form.fields.set("password", passcode);
      } else if (form.buttons.some((button) => button.name === "decision" && button.value === decision)) {
        form.fields.set("decision", decision);
      } else {
        throw new Error(`${response.url} is neither the sign-in nor the consent page: ${asText(html)}`);
      }
      response = await this.#submit(form, response.url);
    }
    throw new Error("the pages lead nowhere: eight steps, and still not back at the client");
  }

  async #submit(form, pageUrl) {
    const action = new URL(form.action || pageUrl, pageUrl);
    return this.#request("POST", action, new URLSearchParams([...form.fields]).toString(), {
      "content-type": "application/x-www-form-urlencoded",
      origin: new URL(pageUrl).origin,
      referer: pageUrl,
      "sec-fetch-site": "same-origin",
    });
  }

  async #request(method, url, body, headers = {}) {
    const cookies = [...this.#cookies]
      .filter(([, cookie]) => url.pathname.startsWith(cookie.path))
      .map(([name, cookie]) => `${name}=${cookie.value}`);
    const response = await fetch(url, {
      method,
      body,
      redirect: "manual",
      headers: { accept: "text/html", ...headers, ...(cookies.length && { cookie: cookies.join("; ") }) },
      signal: AbortSignal.timeout(10_000),
    });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    return response;
  }

  #keep(line) {
    const [pair, ...attributes] = line.split(";").map((part) => part.trim());
    const equals = pair.indexOf("=");
    const attribute = (name) =>
      attributes.find((a) => a.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
    const name = pair.slice(0, equals);
    if (attribute("max-age") === "0") this.#cookies.delete(name);
    else this.#cookies.set(name, { value: pair.slice(equals + 1), path: attribute("path") ?? "/" });
  }
}

/** The first form of a page: where it goes, its fields as they stand, and its submit buttons. */
function readForm(html) {
  const form = /<form\b([^>]*)>(.*?)<\/form>/is.exec(html);
  if (!form) return undefined;
  const fields = new Map();
  for (const [, tag] of form[2].matchAll(/<input\b([^>]*)>/gis)) {
    const { name, type = "text", value = "", checked } = attributes(tag);
    if (type === "checkbox" && checked === undefined) continue;
    if (name && type !== "submit") fields.set(name, value);
  }
  const buttons = [...form[2].matchAll(/<(?:button|input)\b([^>]*)>/gis)]
    .map(([, tag]) => attributes(tag))
    .filter((tag) => tag.name && tag.value !== undefined && (tag.type ?? "submit") === "submit");
  return { action: attributes(form[1]).action, fields, buttons };
}

function attributes(tag) {
  const pairs = tag.matchAll(/([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi);
  return Object.fromEntries(
    [...pairs].map(([, name, double, single, bare]) => [name.toLowerCase(), unescape(double ?? single ?? bare ?? "")]),
  );
}

function unescape(text) {
  const named = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#([0-9]+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(parseInt(decimal, 10));
    return named[name] ?? whole;
  });
}

function asText(html) {
  return html.replace(/<(style|title)\b.*?<\/\1>/gis, " ").replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim().slice(0, 400);
}
