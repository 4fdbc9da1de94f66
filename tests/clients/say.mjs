// What the journeys say as they go, and what they insist on.

export function step(text) {
  console.log(`ok  ${text}`);
}

export function equal(actual, expected, what) {
  if (actual !== expected) fail(`${what}: expected ${expected}, got ${actual}`);
}

export function fail(message, detail) {
  throw new Error(message, detail && { cause: detail });
}
