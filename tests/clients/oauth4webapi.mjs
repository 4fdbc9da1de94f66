// The library `oauth4webapi` against a running server; see `strict.mjs` for what it does there.

import * as oauth from "oauth4webapi";

import { tell } from "./strict.mjs";

/** The only thing that is waived: a server on loopback has no TLS. */
const options = { [oauth.allowInsecureRequests]: true };

const authentications = {
  none: () => oauth.None(),
  client_secret_post: ({ client_secret }) => oauth.ClientSecretPost(client_secret),
  client_secret_basic: ({ client_secret }) => oauth.ClientSecretBasic(client_secret),
  private_key_jwt: (_, key) => oauth.PrivateKeyJwt(key),
};

class Oauth4webapi {
  constructor({ connector, redirectUri }) {
    Object.assign(this, { connector, redirectUri });
  }

  /** From the resource (RFC 9728) to its authorization server (RFC 8414); the latter's name. */
  async discover() {
    const found = await oauth.resourceDiscoveryRequest(this.connector, options);
    const resource = await oauth.processResourceDiscoveryResponse(this.connector, found);
    const issuer = new URL(resource.authorization_servers[0]);
    const response = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...options });
    this.as = await oauth.processDiscoveryResponse(issuer, response);
    return this.as.issuer;
  }

  async register(metadata, key) {
    const response = await oauth.dynamicClientRegistrationRequest(this.as, metadata, options);
    const client = await oauth.processDynamicClientRegistrationResponse(response);
    this.become(client, key);
    return client;
  }

  become(client, key) {
    this.client = client;
    this.authentication = authentications[client.token_endpoint_auth_method](client, key);
  }

  /** The key whose possession is shown from now on; its thumbprint. */
  proveWith(pair) {
    this.proofs = pair && oauth.DPoP(this.client, pair);
    return this.proofs?.calculateThumbprint();
  }

  async authorizationUrl() {
    this.state = oauth.generateRandomState();
    this.verifier = oauth.generateRandomCodeVerifier();
    const parameters = {
      response_type: "code",
      redirect_uri: this.redirectUri,
      state: this.state,
      code_challenge: await oauth.calculatePKCECodeChallenge(this.verifier),
      code_challenge_method: "S256",
      resource: this.connector.href,
    };
    const pushed = await this.#proving(async (proofs) => {
      const response = await oauth.pushedAuthorizationRequest(...this.#caller(), parameters, proofs);
      return oauth.processPushedAuthorizationResponse(this.as, this.client, response);
    });
    const url = new URL(this.as.authorization_endpoint);
    url.search = new URLSearchParams({ client_id: this.client.client_id, request_uri: pushed.request_uri });
    return url;
  }

  async redeem(callback) {
    const parameters = oauth.validateAuthResponse(this.as, this.client, callback, this.state);
    return this.#proving(async (proofs) => {
      const response = await oauth.authorizationCodeGrantRequest(
        ...this.#caller(),
        parameters,
        this.redirectUri,
        this.verifier,
        { additionalParameters: { resource: this.connector.href }, ...proofs },
      );
      return oauth.processAuthorizationCodeResponse(this.as, this.client, response);
    });
  }

  refresh(refreshToken) {
    return this.#proving(async (proofs) => {
      const more = { additionalParameters: { resource: this.connector.href }, ...proofs };
      const response = await oauth.refreshTokenGrantRequest(...this.#caller(), refreshToken, more);
      return oauth.processRefreshTokenResponse(this.as, this.client, response);
    });
  }

  clientCredentials() {
    return this.#proving(async (proofs) => {
      const parameters = { resource: this.connector.href };
      const response = await oauth.clientCredentialsGrantRequest(...this.#caller(), parameters, proofs);
      return oauth.processClientCredentialsResponse(this.as, this.client, response);
    });
  }

  async introspect(token) {
    const response = await oauth.introspectionRequest(...this.#caller(), token, options);
    return oauth.processIntrospectionResponse(this.as, this.client, response);
  }

  async revoke(token) {
    return oauth.processRevocationResponse(await oauth.revocationRequest(...this.#caller(), token, options));
  }

  post(accessToken, headers, body) {
    return this.#proving((proofs) =>
      oauth.protectedResourceRequest(accessToken, "POST", this.connector, headers, body, proofs),
    );
  }

  /** Sends with a proof, if there is a key, and once more where the server wants its nonce in it (RFC 9449 §8 and §9). */
  async #proving(send) {
    const proofs = { DPoP: this.proofs, ...options };
    try {
      return await send(proofs);
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error;
      return send(proofs);
    }
  }

  #caller() {
    return [this.as, this.client, this.authentication];
  }
}

await tell(Oauth4webapi);
