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

#: ``typ`` of a Client Attestation JWT (section 4).
ATTESTATION_TYP: Final = "oauth-client-attestation+jwt"
#: ``typ`` of a Client Attestation PoP JWT (section 5.1).
POP_TYP: Final = "oauth-client-attestation-pop+jwt"

#: Client authentication by attestation and PoP JWT, "normal mode" (section 8).
METHOD_POP_JWT: Final = "attest_jwt_client_auth"
#: Every client authentication method that can be registered for an application.
METHODS: Final = (METHOD_POP_JWT,)

#: Member of the challenge endpoint's response (section 6.3).
CHALLENGE_MEMBER: Final = "attestation_challenge"

#: Metadata: the challenge endpoint (section 6.3).
METADATA_CHALLENGE_ENDPOINT: Final = "challenge_endpoint"
#: Metadata: algorithms accepted for the attestation (section 8).
METADATA_ATTESTATION_ALGORITHMS: Final = "client_attestation_signing_alg_values_supported"
#: Metadata: algorithms accepted for the PoP JWT (section 8).
METADATA_POP_ALGORITHMS: Final = "client_attestation_pop_signing_alg_values_supported"

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
#: Error: client authentication failed (RFC 6749 section 5.2).
ERROR_INVALID_CLIENT: Final = "invalid_client"
#: Error: what the client wants to redeem is not its own (RFC 6749 section 5.2).
ERROR_INVALID_GRANT: Final = "invalid_grant"
#: Error: more than one authentication mechanism (RFC 6749 section 5.2).
ERROR_INVALID_REQUEST: Final = "invalid_request"
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
