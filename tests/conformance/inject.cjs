// Preloaded into the conformance suite (`node --require inject.cjs …`): it cannot send a bearer token itself, so this adds
// `Authorization` to what it sends to the server under test, and changes nothing else. No proxy stands between: header
// case, padding and closed connections, which the suite is about, reach the server as they are.
//
// The suite sends in three ways: global `fetch`, `http.request` and undici's `request`.
"use strict";

const http = require("node:http");
const https = require("node:https");
const { createRequire, syncBuiltinESMExports } = require("node:module");
const { realpathSync } = require("node:fs");

const origin = new URL(process.env.CONFORMANCE_ORIGIN).origin;
const authorization = `Bearer ${process.env.CONFORMANCE_TOKEN}`;

/** The token is for one origin alone: the suite also runs servers of its own. */
function isTarget(url) {
  try {
    return new URL(url).origin === origin;
  } catch {
    return false;
  }
}

/** The same headers, in whichever form they came, and the token, unless one is there. */
function withToken(headers) {
  if (headers == null) return { Authorization: authorization };
  if (headers instanceof Headers) {
    const copy = new Headers(headers);
    if (!copy.has("authorization")) copy.set("authorization", authorization);
    return copy;
  }
  if (Array.isArray(headers)) {
    // `[name, value]` pairs for fetch, a flat list for the other two.
    const pairs = Array.isArray(headers[0]);
    const names = pairs ? headers.map(([name]) => name) : headers.filter((_, index) => index % 2 === 0);
    if (names.some(isAuthorization)) return headers;
    return pairs ? [...headers, ["Authorization", authorization]] : [...headers, "Authorization", authorization];
  }
  if (Object.keys(headers).some(isAuthorization)) return headers;
  return { ...headers, Authorization: authorization };
}

function isAuthorization(name) {
  return String(name).toLowerCase() === "authorization";
}

const { fetch } = globalThis;
globalThis.fetch = function (input, init) {
  const request = input instanceof Request ? input : undefined;
  if (!isTarget(request ? request.url : input)) return fetch(input, init);
  return fetch(input, { ...init, headers: withToken(init?.headers ?? request?.headers) });
};

for (const [module, scheme] of [[http, "http:"], [https, "https:"]]) {
  const { request } = module;
  module.request = function (...args) {
    const url = typeof args[0] === "string" || args[0] instanceof URL ? new URL(args[0]) : undefined;
    // `request(options)`, `request(url)` and `request(url, options)`, each with or without a callback behind it.
    const at = url ? 1 : 0;
    const given = typeof args[at] === "object" && args[at] !== null ? args[at] : undefined;
    if (isTarget(url ?? originOf(given ?? {}, scheme))) {
      const options = { ...given, headers: withToken(given?.headers) };
      args.splice(at, given ? 1 : 0, options);
    }
    return request.apply(this, args);
  };
}
// Also for whoever writes `import { request } from "http"`.
syncBuiltinESMExports();

function originOf(options, scheme) {
  const host = options.hostname ?? options.host ?? "localhost";
  return `${options.protocol ?? scheme}//${host}${options.port ? `:${options.port}` : ""}`;
}

// The copy of undici that the suite will import: the main script tells where from. Modules in this format are evaluated
// once, so the import sees the replaced function.
const undici = createRequire(realpathSync(process.argv[1]))("undici");
const { request } = undici;
undici.request = function (url, options, ...rest) {
  const target = typeof url === "object" && !(url instanceof URL) ? originOf(url, "http:") : url;
  if (!isTarget(target)) return request.call(this, url, options, ...rest);
  return request.call(this, url, { ...options, headers: withToken(options?.headers) }, ...rest);
};
