/**
 * Tokens that are bound to a key, got and used by a client that nobody here wrote: npm oauth4webapi or openid-client.
 *
 * The library does the OAuth and the DPoP: discovery, PKCE, the proofs and their nonces, the token requests, the requests
 * to the API, reading the refusals. Repeating a request that needs a nonce is left to the host by oauth4webapi and
 * done by openid-client. An attested client's header fields come from the hook for client authentication.
 *
 * stdin, JSON, one object a line:
 *   1. library, issuer, client_id, redirect_uri, scope
 *      mode                   "normal": attestation and PoP, and DPoP by a key of its own
 *                             "combined": attestation, and the library's DPoP proof by the instance key
 *                             "secret": client_secret, which is then needed
 *                             "public": no client authentication
 *      names_key              how the code is bound: "by proof", when the request is pushed; "pushed" and "in url",
 *                             by the parameter dpop_jkt
 *      attester_private_jwk   private JWK of the attester
 *      forgetful              whether every request comes from an app that has just been started and knows no nonce
 *      api                    URL of the protected resource
 *   2. callback               the URL at which the browser has arrived, once it has
 *
 * stdout, JSON, one object a line:
 *   1. authorization_url      where the browser has to go; absent if the push was refused
 *   both: results             by step, what came of it: JSON of the server, or the refusal as the library read it
 *      requests               by step, what was sent for it: method, path, status, header fields, the claims of the
 *                             proof, and the nonce that was offered with the answer
 *
 * Exit code: 0, or 1 with the error on stderr.
 */
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { attest, prove, read, write } from "./support.mjs";

const config = await read();
const requests = {};
const results = {};
let step = "discovery";

/** `fetch`, remembering what a request had to show and whether the answer offers a nonce. */
async function fetchAndRemember(url, init) {
  const headers = new Headers(init?.headers);
  const response = await fetch(url, init);
  const proof = headers.get("DPoP");
  (requests[step] ??= []).push({
    method: init?.method ?? "GET",
    path: new URL(url).pathname,
    status: response.status,
    fields: ["OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP", "DPoP"].filter((name) => headers.has(name)),
    proof: proof && jose.decodeJwt(proof),
    nonce: response.headers.get("DPoP-Nonce"),
  });
  return response;
}

const instance = await jose.generateKeyPair("ES256");
const keys = config.mode === "combined" ? instance : await jose.generateKeyPair("ES256");
const otherKeys = await jose.generateKeyPair("ES256");
const attestation = await attest(config, instance);

/** The client authentication methods of an attested client, in the form that both libraries take. */
async function attestAndProve(server, client, body, headers) {
  const response = await fetch(server.challenge_endpoint, { method: "POST" });
  const { attestation_challenge } = await response.json();
  headers.set("OAuth-Client-Attestation", attestation);
  headers.set("OAuth-Client-Attestation-PoP", await prove(instance, server.issuer, attestation_challenge));
}
function attestOnly(server, client, body, headers) {
  headers.set("OAuth-Client-Attestation", attestation); // the proof is the library's, in the DPoP field
}
const authenticate = {
  normal: attestAndProve,
  combined: attestOnly,
  secret: oauth.ClientSecretPost(config.client_secret ?? "-"),
  public: oauth.None(),
}[config.mode];

const issuer = new URL(config.issuer);
const api = new URL(config.api);
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const parameters = {
  redirect_uri: config.redirect_uri,
  scope: config.scope,
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
};

/** What both libraries are asked to do; `handle` is the library's, for the proofs of one key. */
const libraries = {
  async "openid-client"() {
    const client = await openid.discovery(issuer, config.client_id, config.client_secret, authenticate, {
      execute: [openid.allowInsecureRequests],
      [openid.customFetch]: fetchAndRemember,
    });
    const checks = { pkceCodeVerifier: verifier, expectedState: state };
    return {
      handle: (keyPair) => openid.getDPoPHandle(client, keyPair),
      url: async (request) => openid.buildAuthorizationUrl(client, request),
      push: (request, DPoP) => openid.buildAuthorizationUrlWithPAR(client, request, { DPoP }),
      redeem: (callback, DPoP) => openid.authorizationCodeGrant(client, callback, checks, undefined, { DPoP }),
      refresh: (token, DPoP) => openid.refreshTokenGrant(client, token, undefined, { DPoP }),
      call: (token, DPoP) => openid.fetchProtectedResource(client, token, api, "GET", null, undefined, { DPoP }),
      userInfo: (token, sub, DPoP) => openid.fetchUserInfo(client, token, sub, { DPoP }),
    };
  },

  async oauth4webapi() {
    const options = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: fetchAndRemember };
    const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
    const client = { client_id: config.client_id };
    const who = [server, client, authenticate];

    /** Send, and once more if the server wants a nonce, which the handle has by then. */
    async function send(request, process) {
      const answered = async () => process(await request());
      try {
        return await answered();
      } catch (error) {
        if (!oauth.isDPoPNonceError(error)) throw error;
        return answered();
      }
    }

    function url(request) {
      const url = new URL(server.authorization_endpoint);
      url.search = new URLSearchParams({ client_id: client.client_id, ...request });
      return url;
    }
    return {
      handle: (keyPair) => oauth.DPoP(client, keyPair),
      url: async (request) => url({ ...request, response_type: "code" }),
      async push(request, DPoP) {
        const pushed = new URLSearchParams({ ...request, client_id: client.client_id, response_type: "code" });
        const { request_uri } = await send(
          () => oauth.pushedAuthorizationRequest(...who, pushed, { ...options, DPoP }),
          (response) => oauth.processPushedAuthorizationResponse(server, client, response),
        );
        return url({ request_uri });
      },
      redeem(callback, DPoP) {
        const answer = oauth.validateAuthResponse(server, client, callback, state);
        const request = [...who, answer, config.redirect_uri, verifier, { ...options, DPoP }];
        return send(
          () => oauth.authorizationCodeGrantRequest(...request),
          (response) => oauth.processAuthorizationCodeResponse(server, client, response),
        );
      },
      refresh: (token, DPoP) =>
        send(
          () => oauth.refreshTokenGrantRequest(...who, token, { ...options, DPoP }),
          (response) => oauth.processRefreshTokenResponse(server, client, response),
        ),
      call: (token, DPoP) =>
        send(
          () => oauth.protectedResourceRequest(token, "GET", api, undefined, null, { ...options, DPoP }),
          (response) => response,
        ),
      userInfo: (token, sub, DPoP) =>
        send(
          () => oauth.userInfoRequest(server, client, token, { ...options, DPoP }),
          (response) => oauth.processUserInfoResponse(server, client, sub, response),
        ),
    };
  },
};

/** Do a step, and keep what the library makes of the answer, also if it is a refusal. */
async function attempt(name, request) {
  step = name;
  try {
    results[step] = await request();
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError) results[step] = { refused: error.status, error: error.error };
    else if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    else results[step] = { refused: error.status, challenges: error.cause };
  }
  return results[step];
}

const library = await libraries[config.library]();
const kept = library.handle(keys);
const mine = () => (config.forgetful ? library.handle(keys) : kept);
const others = () => library.handle(otherKeys);
const hello = async (token, DPoP) => (await library.call(token, DPoP)).json();

async function authorizationUrl() {
  if (config.names_key === "by proof") return library.push(parameters, mine());
  const request = { ...parameters, dpop_jkt: await kept.calculateThumbprint() };
  return config.names_key === "pushed" ? library.push(request) : library.url(request);
}

const url = await attempt("push", authorizationUrl);
write({ authorization_url: url.href, requests, results });
const callback = new URL((await read()).callback);
await attempt("code in other hands", () => library.redeem(callback, others()));
const { access_token, refresh_token, id_token } = await attempt("code", () => library.redeem(callback, mine()));
await attempt("api", () => hello(access_token, mine()));
await attempt("userinfo", () => library.userInfo(access_token, jose.decodeJwt(id_token).sub, mine()));
await attempt("api as bearer", () => hello(access_token));
await attempt("api in other hands", () => hello(access_token, others()));
if (["combined", "public"].includes(config.mode)) {
  // Other clients authenticate by other means than the key of the proof, and may change it (RFC 9449 section 5).
  await attempt("refresh in other hands", () => library.refresh(refresh_token, others()));
}
const refreshed = await attempt("refresh", () => library.refresh(refresh_token, mine()));
await attempt("api again", () => hello(refreshed.access_token, mine()));
write({ requests, results });
process.exit(0);
