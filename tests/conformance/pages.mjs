// The person at the pages: a browser without script, which keeps cookies, follows redirects and submits forms.

/** Walks from the authorization request through sign-in and consent; where at the client the browser is sent back to. */
export async function allow(authorizationUrl, redirectUri, passcode) {
  let url = new URL(authorizationUrl);
  const cookies = new Map();
  let init = {};
  // Authorization, sign-in, back, consent, client: a handful of steps, and never a circle.
  for (let step = 0; step < 10; step++) {
    const answer = await fetch(url, {
      ...init,
      redirect: "manual",
      headers: { ...init.headers, Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      if (value === "" || /;\s*max-age=0\b/i.test(cookie)) cookies.delete(name);
      else cookies.set(name, value);
    }
    const page = await answer.text();
    if (answer.status >= 300 && answer.status < 400) {
      url = new URL(answer.headers.get("location"), url);
      if (url.href.startsWith(redirectUri)) return url;
      init = {};
      continue;
    }
    if (answer.status !== 200) throw new Error(`${url.pathname}: ${answer.status}`);
    const form = readForm(page, passcode);
    if (!form) throw new Error(`${url.pathname}: a page without a form`);
    url = new URL(form.action, url);
    init = { method: "POST", body: form.fields, headers: { Origin: url.origin } };
  }
  throw new Error("the pages lead nowhere");
}

/** The first form of a page, filled in, with the button pressed that allows. */
function readForm(page, passcode) {
  const [, opening, inside] = page.match(/<form\b([^>]*)>(.*?)<\/form>/s) ?? [];
  if (inside === undefined) return undefined;
  const fields = new URLSearchParams();
  for (const [, tag, text] of inside.matchAll(/<(input|button)\b([^>]*)>/g)) {
    const name = attribute(text, "name");
    const value = attribute(text, "value") ?? "";
    if (!name) continue;
    if (tag === "button" && value !== "allow") continue;
    fields.append(name, attribute(text, "type") === "password" ? passcode : value);
  }
  return { action: attribute(opening, "action") ?? "", fields };
}

function attribute(text, name) {
  const [, value] = text.match(new RegExp(`(?:^|\\s)${name}="([^"]*)"`)) ?? [];
  return value
    ?.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code) => String.fromCodePoint(parseInt(code, 16)))
    .replaceAll("&quot;", '"')
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
