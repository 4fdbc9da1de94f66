// The library `oauth4webapi` against a running server; see `strict.mjs` for what it does there:
//   SIGN_IN_PASSCODE=… node oauth4webapi.mjs http://localhost:4000/mcp code client_secret_basic

import * as oauth from "oauth4webapi";

import { tell } from "./strict.mjs";

/** The only thing that is waived: a server on loopback has no TLS. */
const options = { [oauth.allowInsecureRequests]: true };

const authentications = {
  none: () => oauth.None(),
  client_secret_post: ({ client_secret }) => oauth.ClientSecretPost(client_secret),
  client_secret_basic: ({ client_secret }) => oauth.ClientSecretBasic(client_secret),
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

  async register(metadata) {
    const response = await oauth.dynamicClientRegistrationRequest(this.as, metadata, options);
    const client = await oauth.processDynamicClientRegistrationResponse(response);
    this.become(client);
    return client;
  }

  become(client) {
    this.client = client;
    this.authentication = authentications[client.token_endpoint_auth_method](client);
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
    const response = await oauth.pushedAuthorizationRequest(...this.#caller(), parameters, options);
    const pushed = await oauth.processPushedAuthorizationResponse(this.as, this.client, response);
    const url = new URL(this.as.authorization_endpoint);
    url.search = new URLSearchParams({ client_id: this.client.client_id, request_uri: pushed.request_uri });
    return url;
  }

  async redeem(callback) {
    const parameters = oauth.validateAuthResponse(this.as, this.client, callback, this.state);
    const response = await oauth.authorizationCodeGrantRequest(
      ...this.#caller(),
      parameters,
      this.redirectUri,
      this.verifier,
      this.#forResource(),
    );
    return oauth.processAuthorizationCodeResponse(this.as, this.client, response);
  }

  async refresh(refreshToken) {
    const response = await oauth.refreshTokenGrantRequest(...this.#caller(), refreshToken, this.#forResource());
    return oauth.processRefreshTokenResponse(this.as, this.client, response);
  }

  async clientCredentials() {
    const parameters = { resource: this.connector.href };
    const response = await oauth.clientCredentialsGrantRequest(...this.#caller(), parameters, options);
    return oauth.processClientCredentialsResponse(this.as, this.client, response);
  }

  async introspect(token) {
    const response = await oauth.introspectionRequest(...this.#caller(), token, options);
    return oauth.processIntrospectionResponse(this.as, this.client, response);
  }

  async revoke(token) {
    return oauth.processRevocationResponse(await oauth.revocationRequest(...this.#caller(), token, options));
  }

  post(accessToken, headers, body) {
    return oauth.protectedResourceRequest(accessToken, "POST", this.connector, headers, body, options);
  }

  #caller() {
    return [this.as, this.client, this.authentication];
  }

  #forResource() {
    return { additionalParameters: { resource: this.connector.href }, ...options };
  }
}

await tell(Oauth4webapi);
