/**
 * One token request by a client that nobody here wrote: npm @openid4vc/oauth2.
 *
 * The library does the OAuth: it reads the server's metadata, builds the attestation and the
 * proof, sends the token request and calls the resource. This file only plays the parts that
 * the library leaves to its host: the attester's backend and the instance hold a key each and
 * sign with it (by the jose package), and the answer is printed for a test to read.
 *
 * stdin, one JSON object:
 *   issuer, client_id      the authorization server and the client_id that is attested
 *   attester_private_jwk   private JWK of the attester; "alg" defaults to ES256
 *   attester_issuer        the attestation's `iss`; the library cannot leave it out
 *   attester_signer        "kid" (default): the attestation names its key by `kid`
 *                          "jwk": the library puts the attester's public key into the header
 *   grant                  "client_credentials" (default) with `scope`
 *                          "authorization_code" with `code`, `redirect_uri`, `code_verifier`
 *                          "refresh_token" with `refresh_token`
 *   instance_private_jwk   the instance key; a new one is made when absent. Its type has to fit
 *                          the attester's "alg": the library signs the proof with the same one.
 *   resource_url           called with the token afterwards
 *   tamper                 "wrong_attester_key": the attestation is signed by a key that the
 *                          server has never seen, everything else stays as it was
 *
 * stdout, one JSON line: ok, status, token_type, access_token_present, error, raw (the response
 * body without the access token), resource_status, and what went over the wire: requests, the
 * token request's body, both JWTs decoded, the response's challenge.
 *
 * Exit code: 0 a token (and the resource said 2xx), 1 the server refused, 2 neither (no such
 * server, metadata the library cannot read, a bad configuration).
 */
import { createHash, randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import {
  clientAuthenticationClientAttestationJwt,
  createClientAttestationJwt,
  Oauth2Client,
  Oauth2ClientErrorResponseError,
  resourceRequest,
  setGlobalConfig,
} from "@openid4vc/oauth2";
import * as jose from "jose";

const ATTESTATION_LIFETIME = 300; // seconds

const config = JSON.parse(await text(process.stdin));
setGlobalConfig({ allowInsecureUrls: true }); // the site under test has no TLS

/** A key as the library wants it: its public JWK, and a callback that signs with its private part. */
async function keyFrom(privateJwk) {
  const { kty, crv, x, y, n, e } = privateJwk;
  const publicJwk = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e }));
  const signJwt = async (signer, { header, payload }) => {
    // The library names a `custom` signer's key to this callback only, not in the header.
    const named = signer.method === "custom" ? { ...header, kid: signer.kid } : header;
    const key = await jose.importJWK(privateJwk, signer.alg);
    const jwt = await new jose.SignJWT(payload).setProtectedHeader(named).sign(key);
    return { jwt, signerJwk: publicJwk };
  };
  return { publicJwk, signJwt };
}

async function newPrivateJwk(alg) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  return jose.exportJWK(privateKey);
}

/** `fetch`, remembering what was sent and answered. */
const exchanges = [];
async function fetchAndRemember(url, init) {
  const response = await fetch(url, init);
  exchanges.push({ method: init?.method ?? "GET", url: String(url), init, response });
  return response;
}

function decode(jwt) {
  return { header: jose.decodeProtectedHeader(jwt), payload: jose.decodeJwt(jwt) };
}

function wire(tokenEndpoint) {
  const requests = exchanges.map(({ method, url }) => `${method} ${url}`);
  const last = exchanges.findLast(({ url }) => url === tokenEndpoint);
  if (!last) return { requests };
  const headers = new Headers(last.init.headers);
  return {
    requests,
    status: last.response.status,
    challenge: last.response.headers.get("OAuth-Client-Attestation-Challenge"),
    body: Object.fromEntries(new URLSearchParams(last.init.body)),
    attestation: decode(headers.get("OAuth-Client-Attestation")),
    pop: decode(headers.get("OAuth-Client-Attestation-PoP")),
  };
}

async function attest(instance) {
  const { alg = "ES256", kid, ...privateJwk } = config.attester_private_jwk;
  const stranger = config.tamper === "wrong_attester_key";
  const attester = await keyFrom(stranger ? await newPrivateJwk(alg) : privateJwk);
  return createClientAttestationJwt({
    issuer: config.attester_issuer ?? "https://attester.example",
    clientId: config.client_id,
    confirmation: { jwk: instance.publicJwk },
    expiresAt: new Date(Date.now() + ATTESTATION_LIFETIME * 1000),
    signer:
      config.attester_signer === "jwk"
        ? { method: "jwk", alg, publicJwk: attester.publicJwk }
        : { method: "custom", alg, kid },
    callbacks: { signJwt: attester.signJwt },
  });
}

function retrieveAccessToken(client, authorizationServerMetadata) {
  switch (config.grant ?? "client_credentials") {
    case "client_credentials":
      return client.retrieveClientCredentialsAccessToken({
        authorizationServerMetadata,
        scope: config.scope,
      });
    case "authorization_code":
      return client.retrieveAuthorizationCodeAccessToken({
        authorizationServerMetadata,
        authorizationCode: config.code,
        redirectUri: config.redirect_uri,
        pkceCodeVerifier: config.code_verifier,
      });
    case "refresh_token":
      return client.retrieveRefreshTokenAccessToken({
        authorizationServerMetadata,
        refreshToken: config.refresh_token,
      });
    default:
      throw new Error(`unknown grant: ${config.grant}`);
  }
}

async function main() {
  if (![undefined, null, "wrong_attester_key"].includes(config.tamper)) {
    throw new Error(`unknown tamper: ${config.tamper}`);
  }
  const alg = config.attester_private_jwk.alg ?? "ES256";
  const instance = await keyFrom(config.instance_private_jwk ?? (await newPrivateJwk(alg)));
  const callbacks = {
    fetch: fetchAndRemember,
    generateRandom: (length) => randomBytes(length),
    hash: (data, name) => createHash(name.replace("-", "")).update(data).digest(),
    signJwt: instance.signJwt,
  };
  const clientAuthentication = clientAuthenticationClientAttestationJwt({
    clientAttestationJwt: await attest(instance),
    callbacks,
  });
  const client = new Oauth2Client({ callbacks: { ...callbacks, clientAuthentication } });

  const metadata = await client.fetchAuthorizationServerMetadata(config.issuer);
  if (!metadata) throw new Error("no authorization server metadata");
  if (!client.isClientAttestationSupported({ authorizationServerMetadata: metadata }).supported) {
    throw new Error("the metadata does not offer attest_jwt_client_auth at the token endpoint");
  }
  const tokenEndpoint = metadata.token_endpoint;

  try {
    const { accessTokenResponse } = await retrieveAccessToken(client, metadata);
    const { access_token: accessToken, ...raw } = accessTokenResponse;
    const report = {
      ok: true,
      ...wire(tokenEndpoint),
      token_type: raw.token_type,
      access_token_present: accessToken.length > 0,
      error: null,
      raw,
    };
    if (config.resource_url) {
      const { ok, response } = await resourceRequest({
        url: config.resource_url,
        requestOptions: { method: "GET", headers: {} },
        accessToken,
        callbacks,
      });
      report.ok = ok;
      report.resource_status = response.status;
    }
    return report;
  } catch (error) {
    if (!(error instanceof Oauth2ClientErrorResponseError)) throw error;
    return {
      ok: false,
      ...wire(tokenEndpoint),
      token_type: null,
      access_token_present: false,
      error: error.errorResponse.error,
      raw: error.errorResponse,
    };
  }
}

try {
  const report = await main();
  console.log(JSON.stringify(report));
  process.exitCode = report.ok ? 0 : 1;
} catch (error) {
  console.error(error);
  console.log(JSON.stringify({ ok: false, error: "no_answer", raw: String(error), ...wire() }));
  process.exitCode = 2;
}
