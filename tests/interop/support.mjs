/**
 * What the scripts share that play an attested client by a library's hook for client authentication: the talk with
 * the test, and the attester and instance, who hold a key each and sign with it (by the jose package).
 */
import { createInterface } from "node:readline";
import * as jose from "jose";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** The next line of the test, one JSON object. */
export const read = async () => JSON.parse((await lines.next()).value);

/** Answer the test with a line. */
export const write = (value) => console.log(JSON.stringify(value));

/** An attestation of the instance's key, by the attester's private JWK. */
export async function attest({ attester_private_jwk, client_id }, instance) {
  const { alg = "ES256", kid, ...attesterJwk } = attester_private_jwk;
  return new jose.SignJWT({ cnf: { jwk: await jose.exportJWK(instance.publicKey) } })
    .setProtectedHeader({ typ: "oauth-client-attestation+jwt", alg, kid })
    .setSubject(client_id)
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(await jose.importJWK(attesterJwk, alg));
}

/** A proof that the instance has its key, over a challenge. */
export function prove(instance, issuer, challenge) {
  return new jose.SignJWT({ challenge })
    .setProtectedHeader({ typ: "oauth-client-attestation-pop+jwt", alg: "ES256" })
    .setAudience(issuer)
    .setIssuedAt()
    .setJti(crypto.randomUUID())
    .sign(instance.privateKey);
}
