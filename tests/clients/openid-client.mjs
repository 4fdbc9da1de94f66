// The library `openid-client` against a running server; see `strict.mjs` for what it does there.

import * as client from "openid-client";

import { tell } from "./strict.mjs";

/** The only thing that is waived: a server on loopback has no TLS. */
const options = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };

const authentications = {
  none: () => client.None(),
  client_secret_post: () => client.ClientSecretPost(),
  client_secret_basic: () => client.ClientSecretBasic(),
  private_key_jwt: (key) => client.PrivateKeyJwt(key),
};

class OpenidClient {
  constructor({ connector, redirectUri }) {
    Object.assign(this, { connector, redirectUri });
    // It knows nothing of resources' metadata: the issuer is something that it is told.
    this.issuer = new URL(connector.origin);
  }

  /** It looks at the server's metadata whenever it becomes some client. */
  async discover() {
    return this.issuer.origin;
  }

  async register(metadata, key) {
    const authentication = authentications[metadata.token_endpoint_auth_method](key);
    this.config = await client.dynamicClientRegistration(this.issuer, metadata, authentication, options);
    return this.config.clientMetadata();
  }

  async become({ client_id, ...metadata }, key) {
    const authentication = authentications[metadata.token_endpoint_auth_method](key);
    this.config = await client.discovery(this.issuer, client_id, metadata, authentication, options);
  }

  /** The key whose possession is shown from now on; its thumbprint. The library minds the server's nonces. */
  proveWith(pair) {
    this.proofs = { DPoP: pair && client.getDPoPHandle(this.config, pair) };
    return this.proofs.DPoP?.calculateThumbprint();
  }

  async authorizationUrl() {
    this.state = client.randomState();
    this.verifier = client.randomPKCECodeVerifier();
    const parameters = {
      redirect_uri: this.redirectUri,
      state: this.state,
      code_challenge: await client.calculatePKCECodeChallenge(this.verifier),
      code_challenge_method: "S256",
      ...this.#forResource(),
    };
    return client.buildAuthorizationUrlWithPAR(this.config, parameters, this.proofs);
  }

  redeem(callback) {
    const checks = { pkceCodeVerifier: this.verifier, expectedState: this.state };
    return client.authorizationCodeGrant(this.config, callback, checks, this.#forResource(), this.proofs);
  }

  refresh(refreshToken) {
    return client.refreshTokenGrant(this.config, refreshToken, this.#forResource(), this.proofs);
  }

  clientCredentials() {
    return client.clientCredentialsGrant(this.config, this.#forResource(), this.proofs);
  }

  introspect(token) {
    return client.tokenIntrospection(this.config, token);
  }

  revoke(token) {
    return client.tokenRevocation(this.config, token);
  }

  post(accessToken, headers, body) {
    return client.fetchProtectedResource(this.config, accessToken, this.connector, "POST", body, headers, this.proofs);
  }

  #forResource() {
    return { resource: this.connector.href };
  }
}

await tell(OpenidClient);
