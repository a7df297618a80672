/**
 * An authorization server that nobody here wrote: npm oidc-provider, which implements revision -12 of the draft.
 *
 * It knows two clients, one for each mode, each by the name of its method, and one attester by its public key. Users
 * log in and consent on the library's own pages for development, by any name. Its userinfo endpoint is a resource that
 * takes tokens bound by DPoP; a nonce is required in every DPoP proof.
 *
 * stdin, JSON, one line:
 *   redirect_uri
 *   attester_jwk    public JWK of the attester
 *   not_before      seconds since the epoch: an attestation with an older iat is not fresh enough
 *
 * stdout: the issuer, once it listens; and one JSON line of each request by the client that it has answered, with path,
 * status and error code, among what the library itself has to say. It ends with its stdin.
 */
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import * as jose from "jose";
import Provider, { errors } from "oidc-provider";

const lines = createInterface({ input: process.stdin });
const config = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
const attester = await jose.importJWK(config.attester_jwk, "ES256");

const listener = createServer();
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${listener.address().port}`;

const client = (token_endpoint_auth_method) => ({
  client_id: token_endpoint_auth_method,
  token_endpoint_auth_method,
  grant_types: ["authorization_code", "client_credentials", "refresh_token"],
  response_types: ["code"],
  redirect_uris: [config.redirect_uri],
  require_pushed_authorization_requests: true,
});

const provider = new Provider(issuer, {
  clients: [client("attest_jwt_client_auth"), client("attest_jwt_client_auth_dpop")],
  clientAuthMethods: ["attest_jwt_client_auth", "attest_jwt_client_auth_dpop"],
  cookies: { keys: [randomBytes(32).toString("hex")] },
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  features: {
    attestClientAuth: {
      enabled: true,
      ack: "draft-12",
      challengeSecret: randomBytes(32),
      getAttestationSignaturePublicKey: () => attester,
      assertAttestationJwtAndPop(ctx, attestation) {
        if (attestation.payload.iat < config.not_before) throw new errors.UseFreshAttestation();
      },
    },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    pushedAuthorizationRequests: { enabled: true },
    revocation: { enabled: true },
  },
});

const ofClients = ["/challenge", "/request", "/token", "/token/revocation", "/me"];
provider.use(async (ctx, next) => {
  await next();
  const { body, path, status } = ctx;
  if (ofClients.includes(path)) console.log(JSON.stringify({ path, status, error: body?.error ?? null }));
});
listener.on("request", provider.callback());
process.stdin.on("end", () => process.exit(0));
console.log(issuer);
