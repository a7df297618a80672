/**
 * One discovery by a client that nobody here wrote: npm oauth4webapi, openid-client or
 * @openid4vc/oauth2.
 *
 * The library decides which URL to ask, what the document must look like and what becomes of it;
 * this file prints the outcome for a test to read.
 *
 * stdin, one JSON object:
 *   library      the name of the npm package
 *   issuer       the issuer identifier that the client starts from
 *   algorithm    "oauth2" or "oidc": the document to look for. @openid4vc/oauth2 has no such
 *                choice: it takes the RFC 8414 document, and the other one where it cannot.
 *
 * stdout, one JSON line:
 *   requests     the URLs that the library asked, in order
 *   metadata     what it made of the answer, or null
 *   refusal      null, or why it gave up: message, and members (those of the document that its
 *                schema finds wrong)
 */
import { text } from "node:stream/consumers";
import { fetchAuthorizationServerMetadata, setGlobalConfig } from "@openid4vc/oauth2";
import * as oauth4webapi from "oauth4webapi";
import * as openidClient from "openid-client";

const { library, issuer, algorithm } = JSON.parse(await text(process.stdin));

/** `fetch`, remembering what was asked. */
const requests = [];
function fetchAndRemember(url, init) {
  requests.push(String(url));
  return fetch(url, init);
}

// None of them talks to a site without TLS, such as the one under test, unless told to.
const discoveries = {
  async oauth4webapi() {
    const response = await oauth4webapi.discoveryRequest(new URL(issuer), {
      algorithm,
      [oauth4webapi.allowInsecureRequests]: true,
      [oauth4webapi.customFetch]: fetchAndRemember,
    });
    return oauth4webapi.processDiscoveryResponse(new URL(issuer), response);
  },
  async "openid-client"() {
    const config = await openidClient.discovery(new URL(issuer), "any-client", undefined, undefined, {
      algorithm,
      execute: [openidClient.allowInsecureRequests],
      [openidClient.customFetch]: fetchAndRemember,
    });
    return config.serverMetadata();
  },
  async "@openid4vc/oauth2"() {
    setGlobalConfig({ allowInsecureUrls: true });
    return fetchAuthorizationServerMetadata(issuer, fetchAndRemember);
  },
};

const discover = discoveries[library];
if (!discover) throw new Error(`unknown library: ${library}`);

let metadata = null;
let refusal = null;
try {
  metadata = await discover();
} catch (error) {
  refusal = {
    message: error.message,
    members: error.zodError?.issues.map(({ path }) => path.join(".")) ?? [],
  };
}
console.log(JSON.stringify({ requests, metadata, refusal }));
