// A plain load balancer: requests go to the servers in turn, each on a connection of its own. Nothing is changed, nothing
// is held back, and nobody is remembered.

import { Agent, createServer, request } from "node:http";

/**
 * How far away clients are. What was set or ended at one server counts at the other when that has heard of it, which is a
 * matter of milliseconds; the suite asks at once.
 */
const DISTANCE_MS = 50;

/** Listens on a free port. Where the requests go is said afterwards, for the servers have to be told this address. */
export async function startProxy() {
  let addresses = [];
  let turn = 0;
  // Without Node's own limits: what is patient, and what is too much, the servers decide.
  const proxy = createServer({ keepAlive: true, requestTimeout: 0, maxHeaderSize: 64 * 1024 }, (question, answer) => {
    setTimeout(pass, DISTANCE_MS, question, answer, addresses[turn++ % addresses.length]);
  });
  await new Promise((resolve, reject) => proxy.on("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${proxy.address().port}`,
    /** From now on, requests go to these addresses. */
    to: (origins) => (addresses = origins.map((origin) => new URL(origin))),
    stop() {
      proxy.close();
      proxy.closeAllConnections();
    },
  };
}

function pass(question, answer, { hostname, port }) {
  const onwards = request({
    hostname,
    port,
    method: question.method,
    path: question.url,
    // Names as they were written, and each as often as it was sent.
    headers: headersOf(question),
    setDefaultHeaders: false,
    agent: new Agent({ keepAlive: false }),
  });
  onwards.on("response", (response) => {
    answer.writeHead(response.statusCode, response.statusMessage, headersOf(response));
    // An event stream begins before its first event.
    answer.flushHeaders();
    response.pipe(answer);
    response.on("error", () => answer.destroy());
  });
  onwards.on("error", () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
  // Whoever goes away in the middle of an answer is gone for the server too.
  answer.on("close", () => onwards.destroy());
  question.pipe(onwards);
}

/** The headers, but for those that are about one connection alone (RFC 9110 §7.6.1). */
function headersOf({ rawHeaders }) {
  const hops = ["connection", "keep-alive", "transfer-encoding"];
  const pairs = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1]]] : []));
  return pairs.filter(([name]) => !hops.includes(name.toLowerCase())).flat();
}
