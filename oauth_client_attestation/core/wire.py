"""The words that travel: field names, media types, method names and error codes, each written once.

Section numbers are those of draft-ietf-oauth-attestation-based-client-auth-12.
"""

from __future__ import annotations

from typing import Final

#: Request field with the Client Attestation JWT (section 4).
ATTESTATION_FIELD: Final = "OAuth-Client-Attestation"
#: Request field with the Client Attestation PoP JWT (section 5.1).
POP_FIELD: Final = "OAuth-Client-Attestation-PoP"
#: Request field with a DPoP proof (RFC 9449 section 4.1).
DPOP_FIELD: Final = "DPoP"
#: Response field with a fresh challenge (section 6.2).
CHALLENGE_FIELD: Final = "OAuth-Client-Attestation-Challenge"

#: Request field that asks an endpoint for a nonce by OPTIONS (revision -05, rule C7).
NONCE_REQUEST_FIELD: Final = "attestation-nonce-request"
#: Response field with that nonce (revision -05, rule C7).
NONCE_FIELD: Final = "attestation-nonce"

#: Response field with a fresh DPoP nonce (RFC 9449 section 8).
DPOP_NONCE_FIELD: Final = "DPoP-Nonce"

#: ``typ`` of a Client Attestation JWT (section 4).
ATTESTATION_TYP: Final = "oauth-client-attestation+jwt"
#: ``typ`` of a Client Attestation PoP JWT (section 5.1).
POP_TYP: Final = "oauth-client-attestation-pop+jwt"

#: ``typ`` of a DPoP proof (RFC 9449 section 4.2).
DPOP_TYP: Final = "dpop+jwt"

#: Client authentication by attestation and PoP JWT, "normal mode" (section 8).
METHOD_POP_JWT: Final = "attest_jwt_client_auth"
#: Client authentication by attestation and DPoP proof, "combined mode" (section 8).
METHOD_DPOP: Final = "attest_jwt_client_auth_dpop"
#: Every client authentication method that can be registered for an application.
METHODS: Final = (METHOD_POP_JWT, METHOD_DPOP)

#: ``token_type`` and authentication scheme of a token that is bound to a key (RFC 9449 sections 5 and 7.1).
DPOP_SCHEME: Final = "DPoP"
#: Authentication scheme of any other token (RFC 6750 section 2.1).
BEARER_SCHEME: Final = "Bearer"
#: Authorization request parameter with the thumbprint of the key that a code is bound to (RFC 9449 section 10).
DPOP_JKT: Final = "dpop_jkt"

#: Member of the challenge endpoint's response (section 6.3).
CHALLENGE_MEMBER: Final = "attestation_challenge"

#: Metadata: the challenge endpoint (section 6.3).
METADATA_CHALLENGE_ENDPOINT: Final = "challenge_endpoint"
#: Metadata: algorithms accepted for the attestation (section 8).
METADATA_ATTESTATION_ALGORITHMS: Final = "client_attestation_signing_alg_values_supported"
#: Metadata: algorithms accepted for the PoP JWT (section 8).
METADATA_POP_ALGORITHMS: Final = "client_attestation_pop_signing_alg_values_supported"
#: Metadata: the ways to prove possession (sections 7.6 and 9).
METADATA_POP_METHODS: Final = "client_attestation_pop_methods_supported"
#: Way to prove possession: a PoP JWT (section 15.5.2).
POP_METHOD_JWT: Final = "attestation_pop_jwt"
#: Way to prove possession: a DPoP proof (section 15.5.2).
POP_METHOD_DPOP: Final = "dpop_combined"
#: In the same list: that the attestation may be left out (section 7.6).
POP_METHOD_NONE: Final = "none"
#: The ways, by the client authentication methods that use them.
POP_METHODS: Final = {METHOD_POP_JWT: POP_METHOD_JWT, METHOD_DPOP: POP_METHOD_DPOP}

#: Metadata: algorithms accepted for DPoP proofs (RFC 9449 section 5.1).
METADATA_DPOP_ALGORITHMS: Final = "dpop_signing_alg_values_supported"

#: Metadata: the pushed authorization request endpoint (RFC 9126 section 5).
METADATA_PAR_ENDPOINT: Final = "pushed_authorization_request_endpoint"
#: Metadata: whether every authorization request must be pushed (RFC 9126 section 5).
METADATA_PAR_REQUIRED: Final = "require_pushed_authorization_requests"

#: Metadata: the endpoints that hand out a nonce by OPTIONS (revision -05, rule C7).
METADATA_NONCE_ENDPOINTS: Final = "client_attestation_pop_nonce_required"

#: Error: the challenge is missing or not acceptable (section 7.4).
ERROR_USE_CHALLENGE: Final = "use_attestation_challenge"
#: Error: the attestation is not fresh enough (section 7.4).
ERROR_USE_FRESH_ATTESTATION: Final = "use_fresh_attestation"
#: Error: the attestation or its proof did not verify (section 7.4).
ERROR_INVALID_ATTESTATION: Final = "invalid_client_attestation"
#: Error: the DPoP proof did not verify, or there is none where one is required (RFC 9449 section 12.2).
ERROR_INVALID_DPOP_PROOF: Final = "invalid_dpop_proof"
#: Error: the DPoP proof lacks a nonce of this server, or has one that is no longer good (RFC 9449 section 8).
ERROR_USE_DPOP_NONCE: Final = "use_dpop_nonce"
#: Error at a resource: the access token is not good, or not for whoever presents it (RFC 6750 section 3.1).
ERROR_INVALID_TOKEN: Final = "invalid_token"  # noqa: S105 (a word of the protocol)
#: Error: client authentication failed (RFC 6749 section 5.2).
ERROR_INVALID_CLIENT: Final = "invalid_client"
#: Error: what the client wants to redeem is not its own (RFC 6749 section 5.2).
ERROR_INVALID_GRANT: Final = "invalid_grant"
#: Error: more than one authentication mechanism (RFC 6749 section 5.2).
ERROR_INVALID_REQUEST: Final = "invalid_request"
#: Error: a value of the client's metadata cannot be accepted (RFC 7591 section 3.2.2).
ERROR_INVALID_METADATA: Final = "invalid_client_metadata"
#: Error: the server cannot answer now (RFC 6749 section 4.1.2.1).
ERROR_TEMPORARILY_UNAVAILABLE: Final = "temporarily_unavailable"

#: Oldest draft revision whose shapes this package can accept.
OLDEST_KNOWN_REVISION: Final = 5
#: The draft revision that this package implements.
CURRENT_REVISION: Final = 12
#: From this revision on a PoP JWT names its challenge ``challenge``; before, ``nonce``. The examples printed
#: in -08 and -09 still carry ``nonce``, so the old name is read down from -09.
LAST_REVISION_WITH_NONCE: Final = 9
#: Up to this revision a PoP JWT may be bounded by ``exp`` instead of ``iat``.
LAST_REVISION_WITHOUT_POP_IAT: Final = 6
#: Up to this revision an attestation may come without ``iat``.
LAST_REVISION_WITHOUT_ATTESTATION_IAT: Final = 11
