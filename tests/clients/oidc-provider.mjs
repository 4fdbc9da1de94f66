// A real OpenID Connect provider on TLS, for the tests to sign in with. It takes one argument, JSON:
//   { key, certificate, client, redirectUri }
// with paths of PEM files. It prints `issuer: URL` when it serves. Who signs in is said on standard input,
// one JSON object a line, answered by `ok`:
//   { "sub": "ada", "email": …, … }   the next one to come signs in as that person
//   { "cancel": true }                the next one to come does not sign in

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const options = JSON.parse(process.argv[2]);
const server = createServer({
  key: readFileSync(options.key),
  cert: readFileSync(options.certificate),
});
server.listen(0, '127.0.0.1', () => serve(`https://localhost:${server.address().port}`));

const people = new Map();
let next = { sub: 'nobody' };

function serve(issuer) {
  const provider = new Provider(issuer, {
    clients: [{ redirect_uris: [options.redirectUri], ...options.client }],
    claims: {
      openid: ['sub', 'groups', 'department'],
      email: ['email', 'email_verified'],
      profile: ['name', 'preferred_username'],
    },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...people.get(sub) }) }),
    // Whoever runs this provider has agreed for everybody.
    async loadExistingGrant(ctx) {
      const { client, session, provider } = ctx.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope([...ctx.oidc.requestParamScopes].join(' '));
      await grant.save();
      return grant;
    },
    cookies: { keys: ['not a secret'] },
    pkce: { required: () => true },
  });
  const library = provider.callback();
  server.on('request', async (request, response) => {
    if (!request.url.startsWith('/interaction/')) return library(request, response);
    const result = next.cancel
      ? { error: 'access_denied', error_description: 'the person went back' }
      : { login: { accountId: next.sub }, consent: {} };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  });
  console.log(`issuer: ${issuer}`);
}

createInterface({ input: process.stdin }).on('line', (line) => {
  next = JSON.parse(line);
  if (next.sub) people.set(next.sub, next);
  console.log('ok');
}).on('close', () => process.exit());
