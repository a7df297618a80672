/**
 * A pushed authorization request, the code and a refresh by a client that nobody here wrote: npm
 * openid-client or oauth4webapi.
 *
 * The library does the OAuth: discovery, PKCE, the push, the URL for the browser, what comes back
 * from there, the token requests. Its hook for client authentication adds the two header fields of
 * an instance; attester and instance hold a key each and sign with it (by the jose package).
 *
 * stdin, JSON, one object a line:
 *   1. library, issuer, client_id, redirect_uri, scope
 *      attester_private_jwk   private JWK of the attester
 *   2. callback               the URL at which the browser has arrived, once it has
 *
 * stdout, JSON, one object a line:
 *   1. authorization_url      where the browser has to go
 *   2. tokens, refreshed      the two token responses; requests: what was asked of the server, each
 *                             with method, URL, and whether it had the two fields
 *
 * Exit code: 0, or 1 with the error on stderr.
 */
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { attest, prove, read, write } from "./support.mjs";

const config = await read();
const requests = [];
let challenge;

/** `fetch`, keeping the latest challenge, as the draft advises. */
async function fetchAndRemember(url, init) {
  const headers = new Headers(init?.headers);
  const response = await fetch(url, init);
  requests.push({
    method: init?.method ?? "GET",
    url: String(url),
    attested: headers.has("OAuth-Client-Attestation") && headers.has("OAuth-Client-Attestation-PoP"),
  });
  challenge = response.headers.get("OAuth-Client-Attestation-Challenge") ?? challenge;
  return response;
}

const instance = await jose.generateKeyPair("ES256");
const attestation = await attest(config, instance);

/** The client authentication method, in the form that both libraries take. */
async function attestClient(server, client, body, headers) {
  if (!challenge) {
    const response = await fetchAndRemember(server.challenge_endpoint, { method: "POST" });
    challenge = (await response.json()).attestation_challenge;
  }
  body.set("client_id", client.client_id);
  headers.set("OAuth-Client-Attestation", attestation);
  headers.set("OAuth-Client-Attestation-PoP", await prove(instance, server.issuer, challenge));
}

const issuer = new URL(config.issuer);
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const parameters = {
  redirect_uri: config.redirect_uri,
  scope: config.scope,
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
};

const flows = {
  async "openid-client"() {
    const client = await openid.discovery(issuer, config.client_id, undefined, attestClient, {
      algorithm: "oauth2",
      execute: [openid.allowInsecureRequests],
      [openid.customFetch]: fetchAndRemember,
    });
    const url = await openid.buildAuthorizationUrlWithPAR(client, parameters);
    write({ authorization_url: url.href });
    const { callback } = await read();
    const checks = { pkceCodeVerifier: verifier, expectedState: state };
    const tokens = await openid.authorizationCodeGrant(client, new URL(callback), checks);
    const refreshed = await openid.refreshTokenGrant(client, tokens.refresh_token);
    return { tokens, refreshed };
  },

  async oauth4webapi() {
    const options = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: fetchAndRemember };
    const found = await oauth.discoveryRequest(issuer, { ...options, algorithm: "oauth2" });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    const client = { client_id: config.client_id };
    const request = new URLSearchParams({ ...parameters, client_id: client.client_id, response_type: "code" });
    const pushed = await oauth.pushedAuthorizationRequest(server, client, attestClient, request, options);
    const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, pushed);

    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams({ client_id: client.client_id, request_uri });
    write({ authorization_url: url.href });
    const { callback } = await read();
    const answer = oauth.validateAuthResponse(server, client, new URL(callback), state);
    const redeemed = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      attestClient,
      answer,
      config.redirect_uri,
      verifier,
      options,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, redeemed);
    const { refresh_token } = tokens;
    const renewed = await oauth.refreshTokenGrantRequest(server, client, attestClient, refresh_token, options);
    const refreshed = await oauth.processRefreshTokenResponse(server, client, renewed);
    return { tokens, refreshed };
  },
};

const flow = flows[config.library];
if (!flow) throw new Error(`unknown library: ${config.library}`);
write({ ...(await flow()), requests });
process.exit(0);
